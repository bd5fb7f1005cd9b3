package link

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/foggrid/fogd/offchain/challenge"
	"github.com/foggrid/fogd/offchain/link/linkpb"
)

// rawOracle holds the right key and speaks the protocol by hand.
type rawOracle struct {
	script func(stream linkpb.Link_ConnectServer) error
}

func (o rawOracle) Connect(stream linkpb.Link_ConnectServer) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	return o.script(stream)
}

var errScriptOver = errors.New("the script is over")

func startRawOracle(t *testing.T, script func(stream linkpb.Link_ConnectServer) error) string {
	id, err := newIdentity(oracleKey)
	require.NoError(t, err)
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(id.serverTLS())), grpc.WaitForHandlers(true))
	linkpb.RegisterLinkServer(server, rawOracle{script})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(lis) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-served)
	})
	return lis.Addr().String()
}

func welcome(stream linkpb.Link_ConnectServer) error {
	return stream.Send(&linkpb.OracleMessage{Body: &linkpb.OracleMessage_Welcome{Welcome: &linkpb.Welcome{Protocol: 1, OracleId: testOracle}}})
}

func ping(nonce []byte) *linkpb.OracleMessage {
	return &linkpb.OracleMessage{Body: &linkpb.OracleMessage_Ping{Ping: &linkpb.Ping{Nonce: nonce}}}
}

func reserve(b byte) *linkpb.OracleMessage {
	return &linkpb.OracleMessage{Body: &linkpb.OracleMessage_Reserve{Reserve: &linkpb.ChallengeReserve{Id: challengeID(b)}}}
}

func challengeID(b byte) []byte {
	id := make([]byte, challengeIDSize)
	id[0] = b
	return id
}

// Oracles that break the protocol are left, and tried again later.
func TestHostileOracles(t *testing.T) {
	task := challenge.MemoryFillTask{Seed: make([]byte, challenge.SeedSize), Blocks: 1}
	receive := challenge.NetworkReceiveTask{Bytes: 5}
	flood := make([]*linkpb.OracleMessage, oracleBurst+oracleMessages)
	for i := range flood {
		flood[i] = ping(make([]byte, nonceSize))
	}
	for name, messages := range map[string][]*linkpb.OracleMessage{
		"offers not asked for": {offersToProto(testOffers(1, 2))},
		"second welcome":       {{Body: &linkpb.OracleMessage_Welcome{Welcome: &linkpb.Welcome{Protocol: 1, OracleId: testOracle}}}},
		"empty message":        {{}},
		"short nonce":          {ping(make([]byte, 31))},
		"flood":                flood,
		"short challenge id":   {{Body: &linkpb.OracleMessage_Reserve{Reserve: &linkpb.ChallengeReserve{Id: []byte{1}}}}},
		"two challenges":       {reserve(1), reserve(2)},
		"start of nothing":     {startToProto(challengeID(1), 1, task)},
		"start of another":     {reserve(1), startToProto(challengeID(2), 1, task)},
		"piece of nothing":     {oraclePiece(1, 1, 5)},
		"piece not announced":  {reserve(1), oraclePiece(1, 1, 5)},
		"too long a piece":     {reserve(1), startToProto(challengeID(1), 1, receive), oraclePiece(1, 1, challenge.NetworkPiece+1)},
		"more than announced":  {reserve(1), startToProto(challengeID(1), 1, receive), oraclePiece(1, 1, 3), oraclePiece(1, 1, 3)},
		"step in between":      {reserve(1), startToProto(challengeID(1), 1, receive), startToProto(challengeID(1), 2, task)},
		"short acknowledgment": {{Body: &linkpb.OracleMessage_Ack{Ack: &linkpb.Ack{ReportDigest: []byte{1}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			addr := startRawOracle(t, func(stream linkpb.Link_ConnectServer) error {
				if err := welcome(stream); err != nil {
					return err
				}
				for _, m := range messages {
					if err := stream.Send(m); err != nil {
						return err
					}
				}
				for {
					if _, err := stream.Recv(); err != nil {
						return err
					}
				}
			})
			opts := agentOptions(t, addr)
			c, _ := runAgent(t, opts)
			eventually(t, "the agent stays", func() bool { return c.State().LastError != nil })
			if name != "flood" {
				require.ErrorIs(t, c.State().LastError, ErrMalformed)
			} else {
				require.ErrorContains(t, c.State().LastError, "more than")
			}
			eventually(t, "the slot stays taken", func() bool { return !opts.Slot.Busy() })
		})
	}
}

// An oracle cannot hold the slot for nothing, nor skip steps, nor make the agent do what it does not lend.
func TestSlotIsTakenBack(t *testing.T) {
	fill := challenge.MemoryFillTask{Seed: make([]byte, challenge.SeedSize), Blocks: 1}
	long := challenge.CPUTask{Modulus: make([]byte, 256), Bases: [][]byte{{5}}, Squarings: 1 << 32}
	long.Modulus[0], long.Modulus[255] = 0x80, 1
	for name, c := range map[string]struct {
		messages []*linkpb.OracleMessage
		reason   string
	}{
		"idle":        {nil, "without a task"},
		"wrong step":  {[]*linkpb.OracleMessage{startToProto(challengeID(1), 2, fill)}, "step 2"},
		"no task":     {[]*linkpb.OracleMessage{startToProto(challengeID(1), 1, nil)}, "there is no task"},
		"too much":    {[]*linkpb.OracleMessage{startToProto(challengeID(1), 1, challenge.MemoryFillTask{Seed: fill.Seed, Blocks: 1 << 40})}, "memory blocks"},
		"walk before": {[]*linkpb.OracleMessage{startToProto(challengeID(1), 1, challenge.MemoryWalkTask{Start: fill.Seed, Segments: 1, Steps: 1})}, "before it is filled"},
		"too long":    {[]*linkpb.OracleMessage{startToProto(challengeID(1), 1, long)}, "held the slot for more"},
	} {
		t.Run(name, func(t *testing.T) {
			reasons := make(chan string, 1)
			addr := startRawOracle(t, func(stream linkpb.Link_ConnectServer) error {
				if err := errors.Join(welcome(stream), stream.Send(reserve(1))); err != nil {
					return err
				}
				msg, err := stream.Recv()
				if err != nil || msg.GetGrant() == nil {
					return errors.Join(err, errScriptOver)
				}
				for _, m := range c.messages {
					if err := stream.Send(m); err != nil {
						return err
					}
				}
				if msg, err = stream.Recv(); err != nil {
					return err
				}
				select {
				case reasons <- msg.GetCancel().GetReason():
				default:
				}
				<-stream.Context().Done()
				return errScriptOver
			})
			opts := agentOptions(t, addr)
			opts.IdleLease, opts.Lease = 300*time.Millisecond, 600*time.Millisecond
			runAgent(t, opts)
			require.Contains(t, <-reasons, c.reason)
			eventually(t, "the slot stays taken", func() bool { return !opts.Slot.Busy() })
		})
	}
}
