package link

import (
	"context"

	"github.com/foggrid/fogd/offchain/challenge"
	"github.com/foggrid/fogd/offchain/link/linkpb"
)

// pieces cuts what a step carries into messages' worth.
func pieces(id []byte, step uint32, data []byte) []*linkpb.ChallengePiece {
	var all []*linkpb.ChallengePiece
	for len(data) > 0 {
		n := min(len(data), challenge.NetworkPiece)
		all = append(all, &linkpb.ChallengePiece{Id: id, Step: step, Data: data[:n:n]})
		data = data[n:]
	}
	return all
}

// sendPieces sends the payload of a step, each piece as soon as the one before is out.
func (s *Session) sendPieces(ctx context.Context, e *exam, step uint32, payload []byte) error {
	for _, p := range pieces(e.id[:], step, payload) {
		if _, err := s.send(ctx, &linkpb.OracleMessage{Body: &linkpb.OracleMessage_Piece{Piece: p}}); err != nil {
			return err
		}
	}
	return nil
}

// asked tells whether a message is a piece that the oracle has asked for, which no limit counts. It says so once a byte.
func (s *Session) asked(msg *linkpb.AgentMessage) bool {
	p := msg.GetPiece()
	if p == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := uint64(len(p.GetData()))
	if s.exam != nil && string(p.GetId()) == string(s.exam.id[:]) {
		return n <= s.exam.due
	}
	// On its way when the challenge ended.
	if n > s.stale {
		return false
	}
	s.stale -= n
	return true
}

func (s *Session) takePiece(m *linkpb.ChallengePiece) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.current(m.GetId())
	if e == nil {
		return err
	}
	n := uint64(len(m.GetData()))
	if m.GetStep() != e.step || e.answers == nil || n == 0 || n > challenge.NetworkPiece || n > e.due {
		return malformed("a piece of %d bytes of step %d of a challenge; %d are waited for in step %d", n, m.GetStep(), e.due, e.step)
	}
	e.due -= n
	e.pieces = append(e.pieces, m.GetData())
	return nil
}

// incoming is what a step brings to the agent in pieces.
type incoming struct {
	start   *linkpb.ChallengeStart
	due     uint64
	payload []byte
}

// incomingOf is nil for a step that comes in one message. One that asks for more than there may be is left to the worker to refuse.
func incomingOf(m *linkpb.ChallengeStart) *incoming {
	n := m.GetNetworkReceive().GetBytes()
	if n == 0 || n > challenge.MaxNetworkBytes {
		return nil
	}
	return &incoming{start: m, due: n}
}

// announced tells whether a message is a piece that a step has announced, which no limit counts.
func (s *agentStream) announced(msg *linkpb.OracleMessage) bool {
	p := msg.GetPiece()
	return p != nil && s.exam != nil && s.exam.incoming != nil && uint64(len(p.GetData())) <= s.exam.incoming.due
}

func (s *agentStream) takePiece(m *linkpb.ChallengePiece) error {
	e := s.exam
	if e == nil || string(m.GetId()) != string(e.id[:]) {
		return malformed("a piece of a challenge that was not reserved")
	}
	in, n := e.incoming, uint64(len(m.GetData()))
	if in == nil || m.GetStep() != in.start.GetStep() || n == 0 || n > challenge.NetworkPiece || n > in.due {
		return malformed("a piece of %d bytes that no step of the challenge has announced", n)
	}
	in.payload = append(in.payload, m.GetData()...)
	if in.due -= n; in.due > 0 {
		return nil
	}
	e.incoming = nil
	return e.begin(agentStep{in.start, in.payload})
}

// agentStep is a step with what it brought.
type agentStep struct {
	start   *linkpb.ChallengeStart
	payload []byte
}

func (p agentStep) task() challenge.Task {
	task := taskFromProto(p.start)
	if t, ok := task.(challenge.NetworkReceiveTask); ok {
		t.Payload = p.payload
		return t
	}
	return task
}

// answerStep sends the values of a step; what the step is to send over the network goes in pieces.
func (s *agentStream) answerStep(ctx context.Context, e *agentExam, step agentStep, values [][]byte) error {
	number := step.start.GetStep()
	if step.start.GetNetworkSend() != nil {
		for _, v := range values {
			p := &linkpb.ChallengePiece{Id: e.id[:], Step: number, Data: v}
			if ctx.Err() != nil || !s.send(&linkpb.AgentMessage{Body: &linkpb.AgentMessage_Piece{Piece: p}}) {
				return context.Cause(ctx)
			}
		}
		values = nil
	}
	if !s.send(&linkpb.AgentMessage{Body: &linkpb.AgentMessage_Answer{Answer: &linkpb.ChallengeAnswer{Id: e.id[:], Step: number, Values: values}}}) {
		return context.Cause(ctx)
	}
	return nil
}
