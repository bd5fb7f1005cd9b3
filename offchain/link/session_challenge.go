package link

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/foggrid/fogd/offchain/challenge"
	"github.com/foggrid/fogd/offchain/link/linkpb"
)

// ErrDeclined means that the agent could not or would not go on with a challenge; the error holds its reason.
var ErrDeclined = errors.New("the agent declined the challenge")

// ErrNotGranted means that the agent's challenge slot did not become free in time.
var ErrNotGranted = errors.New("the agent did not grant its challenge slot in time")

// networkPatience is how long a network waits to be measured.
const networkPatience = 30 * time.Second

// exam is the challenge that a session has under way.
type exam struct {
	id       [challengeIDSize]byte
	granted  chan struct{}
	isGrant  bool
	step     uint32
	answers  chan timedAnswer // nil unless a step waits for its answer
	declined chan string
	// due bytes of the step's pieces have not come yet; pieces are those that have.
	due    uint64
	pieces [][]byte
}

type timedAnswer struct {
	values [][]byte
	at     time.Time
}

// Challenge waits for the agent's slot, carries one challenge out, and returns the fields that the spec is about. A false
// answer gives challenge.ErrWrongAnswer. A session has one challenge at a time; others wait for their turn.
func (s *Session) Challenge(ctx context.Context, spec challenge.Spec) (challenge.Measurement, error) {
	select {
	case s.challengeTurn <- struct{}{}:
		defer func() { <-s.challengeTurn }()
	case <-ctx.Done():
		return challenge.Measurement{}, ctx.Err()
	case <-s.done:
		return challenge.Measurement{}, s.gone()
	}
	e, err := s.reserve(ctx, spec.Together)
	if err != nil {
		return challenge.Measurement{}, fmt.Errorf("challenge node %s: %w", s.NodeID(), err)
	}
	defer s.release(e)
	m, err := s.server.opts.Examiner.Run(ctx, examPeer{s, e}, spec)
	if err != nil {
		return m, fmt.Errorf("node %s: %w", s.NodeID(), err)
	}
	return m, nil
}

// Measure pings the agent and carries out the whole plan for what its node declares.
func (s *Session) Measure(ctx context.Context, declared challenge.Declared) (challenge.Measurement, error) {
	rtt, err := s.RTT(ctx)
	if err != nil {
		return challenge.Measurement{}, err
	}
	return s.MeasurePlan(ctx, rtt, challenge.Plan(declared, rtt))
}

// MeasurePlan carries out challenges one after the other and merges what they find with the round trip.
func (s *Session) MeasurePlan(ctx context.Context, rtt time.Duration, plan []challenge.Spec) (challenge.Measurement, error) {
	m := challenge.Measurement{RTTMicros: uint64(max(rtt.Microseconds(), 1))}
	for _, spec := range plan {
		var part challenge.Measurement
		var err error
		if spec.Kind == challenge.Network {
			part, err = s.measureNetwork(ctx, spec)
		} else {
			part, err = s.Challenge(ctx, spec)
		}
		if err != nil {
			return challenge.Measurement{}, err
		}
		m = m.Merge(part)
	}
	return m, nil
}

// measureNetwork measures one agent's network at a time, so that the oracle's own line is not what is measured. Nobody declares a network: one that
// cannot be measured is left out, and so is one whose turn does not come.
func (s *Session) measureNetwork(ctx context.Context, spec challenge.Spec) (m challenge.Measurement, err error) {
	if !s.hello.Network {
		return m, nil
	}
	patience := time.NewTimer(networkPatience)
	defer patience.Stop()
	select {
	case s.server.networkTurn <- struct{}{}:
		defer func() { <-s.server.networkTurn }()
	case <-patience.C:
		return m, nil
	case <-ctx.Done():
		return m, ctx.Err()
	case <-s.done:
		return m, s.gone()
	}
	m, err = s.Challenge(ctx, spec)
	if err == nil || errors.Is(err, challenge.ErrWrongAnswer) || errors.Is(err, ErrGone) || ctx.Err() != nil {
		return m, err
	}
	s.server.log.InfoContext(ctx, "the network could not be measured", "node", s.NodeID(), "reason", err)
	return challenge.Measurement{}, nil
}

// reserve takes the agent's slot; for a challenge at given instants it gives up when the first has passed.
func (s *Session) reserve(ctx context.Context, together *challenge.Together) (*exam, error) {
	e := &exam{granted: make(chan struct{}), declined: make(chan string, 1)}
	rand.Read(e.id[:]) // never fails: it ends the program instead
	s.mu.Lock()
	s.exam = e
	s.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, s.server.opts.GrantTimeout, ErrNotGranted)
	defer cancel()
	if together != nil {
		ctx, cancel = context.WithDeadlineCause(ctx, together.Tries[0].Add(time.Second), ErrNotGranted)
		defer cancel()
	}
	_, err := s.send(ctx, &linkpb.OracleMessage{Body: &linkpb.OracleMessage_Reserve{Reserve: &linkpb.ChallengeReserve{Id: e.id[:]}}})
	if err == nil {
		select {
		case <-e.granted:
			return e, nil
		case reason := <-e.declined:
			err = fmt.Errorf("%w: %s", ErrDeclined, reason)
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-s.done:
			err = s.gone()
		}
	}
	s.release(e)
	return nil, err
}

// release forgets the challenge and frees the agent's slot.
func (s *Session) release(e *exam) {
	s.mu.Lock()
	s.exam, s.stale = nil, e.due
	s.ended.add(e.id)
	s.mu.Unlock()
	s.post(&linkpb.OracleMessage{Body: &linkpb.OracleMessage_Cancel{Cancel: &linkpb.ChallengeCancel{Id: e.id[:]}}})
}

// examPeer lets the examiner speak to the agent.
type examPeer struct {
	session *Session
	exam    *exam
}

// Do sends a task and times the answer from just before it goes out until its last byte is here.
func (p examPeer) Do(ctx context.Context, task challenge.Task) ([][]byte, time.Duration, error) {
	s, e := p.session, p.exam
	answers := make(chan timedAnswer, 1)
	s.mu.Lock()
	e.step++
	e.answers = answers
	e.due, e.pieces = 0, nil
	if t, ok := task.(challenge.NetworkSendTask); ok {
		e.due = t.Bytes
	}
	step := e.step
	s.mu.Unlock()
	sent, err := s.send(ctx, startToProto(e.id[:], step, task))
	if t, ok := task.(challenge.NetworkReceiveTask); ok && err == nil {
		err = s.sendPieces(ctx, e, step, t.Payload)
	}
	if err != nil {
		return nil, 0, err
	}
	select {
	case a := <-answers:
		return a.values, a.at.Sub(sent), nil
	case reason := <-e.declined:
		return nil, 0, fmt.Errorf("%w: %s", ErrDeclined, reason)
	case <-ctx.Done():
		return nil, 0, fmt.Errorf("no answer to step %d of the challenge: %w", step, context.Cause(ctx))
	case <-s.done:
		return nil, 0, s.gone()
	}
}

// current finds the challenge of a message. Nil without an error: it has ended, and the message crossed with the end.
func (s *Session) current(id []byte) (*exam, error) {
	if len(id) != challengeIDSize {
		return nil, malformed("a challenge id of %d bytes", len(id))
	}
	key := [challengeIDSize]byte(id)
	switch {
	case s.exam != nil && s.exam.id == key:
		return s.exam, nil
	case s.ended.has(key):
		return nil, nil
	}
	return nil, malformed("a message about a challenge that there never was")
}

func (s *Session) takeGrant(m *linkpb.ChallengeGrant) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.current(m.GetId())
	if e == nil {
		return err
	}
	if e.isGrant {
		return malformed("a challenge is granted twice")
	}
	e.isGrant = true
	close(e.granted)
	return nil
}

func (s *Session) takeAnswer(m *linkpb.ChallengeAnswer, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.current(m.GetId())
	if e == nil {
		return err
	}
	if e.answers == nil || m.GetStep() != e.step {
		return malformed("an answer to step %d of a challenge, which is not the one asked, or a second answer", m.GetStep())
	}
	e.answers <- timedAnswer{append(e.pieces, m.GetValues()...), at}
	e.answers = nil
	return nil
}

func (s *Session) takeCancel(m *linkpb.ChallengeCancel) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.current(m.GetId())
	if e == nil {
		return err
	}
	select {
	case e.declined <- printable(m.GetReason()):
	default:
	}
	return nil
}
