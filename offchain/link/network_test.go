package link

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/foggrid/fogd/offchain/challenge"
	"github.com/foggrid/fogd/offchain/link/linkpb"
)

func networkPiece(id []byte, step uint32, size int) *linkpb.AgentMessage {
	return &linkpb.AgentMessage{Body: &linkpb.AgentMessage_Piece{Piece: &linkpb.ChallengePiece{Id: id, Step: step, Data: make([]byte, size)}}}
}

func oraclePiece(id byte, step uint32, size int) *linkpb.OracleMessage {
	return &linkpb.OracleMessage{Body: &linkpb.OracleMessage_Piece{Piece: &linkpb.ChallengePiece{Id: challengeID(id), Step: step, Data: make([]byte, size)}}}
}

// The tasks go over a real link, with agents that have much to send: what an oracle asked for is counted by no limit.
func TestNetworkIsMeasured(t *testing.T) {
	s, addr := startOracle(t, func(o *ServerOptions) { o.Messages = 20 })
	c, _ := runAgent(t, agentOptions(t, addr))
	session := sessionOf(t, s, testNode)
	for range 2 {
		m, err := session.Challenge(t.Context(), challenge.Spec{Kind: challenge.Network})
		require.NoError(t, err)
		require.NotZero(t, m.BandwidthKbit)
	}
	require.NoError(t, session.Err())
	require.NoError(t, c.State().LastError)
}

// An agent of an earlier release is sent nothing that it does not know, and its node is measured without.
func TestNetworkOfAnEarlierAgent(t *testing.T) {
	s, addr := startOracle(t, nil)
	connectRaw(t, addr)
	session := sessionOf(t, s, testNode)
	m, err := session.MeasurePlan(t.Context(), 1, []challenge.Spec{{Kind: challenge.Network}})
	require.NoError(t, err)
	require.Zero(t, m.BandwidthKbit)
}

func TestNetworkThatCannotBeMeasuredIsLeftOut(t *testing.T) {
	s, addr := startOracle(t, nil)
	a := dialRaw(t, addr, agentKey)
	a.hello(&linkpb.Hello{Protocol: 1, NodeId: testNode, BootId: "0123456789abcdef", Version: "raw", Network: true})
	require.NotNil(t, a.recv().GetWelcome())
	session := sessionOf(t, s, testNode)
	measure := func(ctx context.Context) chan error {
		result := make(chan error, 1)
		go func() {
			m, err := session.MeasurePlan(ctx, 1, []challenge.Spec{{Kind: challenge.Network}})
			if err == nil && m.BandwidthKbit != 0 {
				t.Errorf("measured %d kbit/s of a network that carried nothing", m.BandwidthKbit)
			}
			result <- err
		}()
		return result
	}
	begin := func() []byte {
		id := a.recv().GetReserve().GetId()
		a.send(grant(id))
		require.NotNil(t, a.recv().GetStart().GetNetworkSend())
		return id
	}
	result := measure(t.Context())
	id := begin()
	a.send(&linkpb.AgentMessage{Body: &linkpb.AgentMessage_Cancel{Cancel: &linkpb.ChallengeCancel{Id: id, Reason: "metered line"}}})
	require.NoError(t, <-result)
	require.NotNil(t, a.recv().GetCancel())

	// Less than asked for is a false answer.
	result = measure(t.Context())
	id = begin()
	a.send(networkPiece(id, 1, 100))
	a.send(answer(id, 1))
	require.ErrorIs(t, <-result, challenge.ErrWrongAnswer)
	require.NotNil(t, a.recv().GetCancel())

	// What is on its way when the challenge ends is no flood, but no more than that.
	ctx, cancel := context.WithCancel(t.Context())
	result = measure(ctx)
	id = begin()
	cancel()
	require.ErrorIs(t, <-result, context.Canceled)
	for range 2 {
		a.send(networkPiece(id, 1, challenge.NetworkPiece/2))
	}
	require.NoError(t, session.Err())
	for range 1000 {
		if a.stream.Send(networkPiece(id, 1, challenge.NetworkPiece)) != nil {
			break
		}
	}
	require.Equal(t, codes.ResourceExhausted, status.Code(a.dropped()))
}
