package link

import (
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/foggrid/fogd/offchain/challenge"
	"github.com/foggrid/fogd/offchain/link/linkpb"
)

// FuzzAgentMessage: whatever bytes an agent sends, the oracle's decoders refuse them or make something valid that survives a round trip.
func FuzzAgentMessage(f *testing.F) {
	for _, m := range []*linkpb.AgentMessage{
		reportToProto(testReport().Sign(agentKey)),
		progressToProto(Progress{JobID: "j", State: ProgressRunning}),
		{Body: &linkpb.AgentMessage_Hello{Hello: &linkpb.Hello{Protocol: 1, NodeId: "n", BootId: "0123456789abcdef", Version: "v"}}},
		(&rawAgent{}).pong(testOracle, make([]byte, nonceSize)),
		answer(challengeID(1), 1, []byte{1}), grant(challengeID(1)),
		{Body: &linkpb.AgentMessage_Offers{Offers: &linkpb.OffersRequest{From: 1}}},
		networkPiece(challengeID(1), 1, 5), watchPiece(challengeID(1), 5), {Body: &linkpb.AgentMessage_Watch{Watch: endToProto(ErrNoJob)}},
	} {
		b, err := m.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m linkpb.AgentMessage
		if m.Unmarshal(b) != nil {
			return
		}
		if s, err := reportFromProto(m.GetReport()); err == nil {
			again, err := reportFromProto(reportToProto(s).GetReport())
			if err != nil || again.Digest() != s.Digest() || string(again.Signature) != string(s.Signature) {
				t.Fatalf("report %+v came back as %+v, %v", s, again, err)
			}
			if err := s.Report.Sign(agentKey).Verify(agentKey.Public().(ed25519.PublicKey)); err != nil {
				t.Fatal(err)
			}
		}
		if p, err := progressFromProto(m.GetProgress()); err == nil {
			if again, err := progressFromProto(progressToProto(p).GetProgress()); err != nil || again != p {
				t.Fatalf("progress %+v came back as %+v, %v", p, again, err)
			}
		}
		if h, err := helloFromProto(m.GetHello()); err == nil && h.Validate() != nil {
			t.Fatalf("hello %+v is not valid", h)
		}
		// A session with a ping and a challenge open takes anything without a panic.
		s := newSession(&Server{opts: ServerOptions{OracleID: testOracle}}, nil, agentKey.Public().(ed25519.PublicKey), Hello{NodeID: testNode}, "")
		s.exam = &exam{id: [challengeIDSize]byte(challengeID(1)), granted: make(chan struct{}), declined: make(chan string, 1), step: 1, answers: make(chan timedAnswer, 1), due: 8}
		s.watches[[watchIDSize]byte(challengeID(1))] = &watch{kind: WatchLog, pieces: make(chan *linkpb.WatchPiece, 1)}
		for range 2 {
			if err := s.take(&m, s.since); err != nil {
				break
			}
		}
	})
}

// FuzzWatchMessage: whatever an oracle sends to an owner, each piece that the owner takes is of the kind that was asked for, and bounded.
func FuzzWatchMessage(f *testing.F) {
	for _, m := range []*linkpb.WatchMessage{
		{Body: &linkpb.WatchMessage_Note{Note: "wait\n"}}, {Body: &linkpb.WatchMessage_Source{Source: &linkpb.WatchSource{NodeId: "n"}}},
		{Body: &linkpb.WatchMessage_Piece{Piece: pieceToProto(Piece{Offset: 3, Log: []byte("x")})}},
		{Body: &linkpb.WatchMessage_Piece{Piece: pieceToProto(Piece{Stats: &Stats{Running: true}})}},
		{Body: &linkpb.WatchMessage_Piece{Piece: endToProto(ErrNoJob)}}, {Body: &linkpb.WatchMessage_Nonce{}},
	} {
		b, err := m.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, true)
		f.Add(b, false)
	}
	f.Fuzz(func(t *testing.T, b []byte, log bool) {
		var m linkpb.WatchMessage
		if m.Unmarshal(b) != nil {
			return
		}
		w := Watcher{Kind: WatchStats, Note: func(text string) {
			if text != printable(text) {
				t.Fatalf("the note %q is not printable", text)
			}
		}}
		if log {
			w.Kind = WatchLog
		}
		w.Piece = func(p Piece) error {
			if log != (p.Stats == nil) || log != (len(p.Log) > 0) || len(p.Log) > MaxLogPiece {
				t.Fatalf("a piece to a watch of kind %d: %+v", w.Kind, p)
			}
			return nil
		}
		if end, err := w.take(&m); err != nil && !end && !errors.Is(err, ErrMalformed) {
			t.Fatal(err)
		}
	})
}

// FuzzOracleMessage: whatever an oracle sends, the agent's decoder gives a task that is the same after a round trip, or none.
func FuzzOracleMessage(f *testing.F) {
	for _, task := range []challenge.Task{
		challenge.CPUTask{Modulus: []byte{3}, Bases: [][]byte{{1}, {2}}, Squarings: 5},
		challenge.MemoryFillTask{Seed: []byte{1}, Blocks: 2}, challenge.MemoryWalkTask{Start: []byte{1}, Segments: 2, Steps: 3},
		challenge.DiskPrepareTask{Seed: []byte{1}, Blocks: 2}, challenge.DiskReadTask{Start: []byte{1}, Lanes: 2, Reads: 3},
		challenge.NetworkSendTask{Seed: []byte{1}, Bytes: 2}, challenge.NetworkReceiveTask{Bytes: 2}, nil,
	} {
		b, err := startToProto(challengeID(1), 1, task).Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m linkpb.OracleMessage
		if m.Unmarshal(b) != nil || m.GetStart() == nil {
			return
		}
		task := taskFromProto(m.GetStart())
		first, err := startToProto(m.GetStart().Id, m.GetStart().Step, task).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		var again linkpb.OracleMessage
		if err := again.Unmarshal(first); err != nil {
			t.Fatal(err)
		}
		second, err := startToProto(again.GetStart().Id, again.GetStart().Step, taskFromProto(again.GetStart())).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if string(first) != string(second) {
			t.Fatalf("task %+v came back as %+v", task, taskFromProto(again.GetStart()))
		}
	})
}
