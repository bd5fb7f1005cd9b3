package oracle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/foggrid/fogd/offchain/challenge"
	"github.com/foggrid/fogd/offchain/link"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// turns are when each oracle of a set challenges all nodes of an owner at once. They follow from the round and the node on chain, so oracles agree on
// them without a word. The next oracle begins when the one before has ended, since an agent does one challenge at a time.
type turns struct {
	start time.Time
	each  time.Duration
	count int
}

const (
	// jointTries are made in a turn.
	jointTries = 3
	// turnShare of the round's time, in percent, is for the turns; the rest is for what need not be at once.
	turnShare = 60
	// A turn of a large set is short, and the round trip weighs more in it.
	longestTurn, shortestTurn = 18 * time.Second, 3 * time.Second
	// slotLead before its turn an oracle takes the agents' slots.
	slotLead = 1500 * time.Millisecond
)

func turnsOf(round oracletypes.Round, start int64, oracles int) turns {
	each := time.Duration(round.Deadline-round.OpenedTime) * time.Second * turnShare / 100 / time.Duration(max(oracles, 1))
	return turns{start: time.Unix(start, 0), each: min(max(each, shortestTurn), longestTurn), count: oracles}
}

// of is when the oracle at a position makes its tries. Each has time for two nodes of a machine, one after the other.
func (t turns) of(position int) *challenge.Together {
	step := (t.each - slotLead) / jointTries
	together := &challenge.Together{Window: step * 2 / 5}
	first := t.start.Add(time.Duration(position) * t.each)
	for i := range jointTries {
		together.Tries = append(together.Tries, first.Add(time.Duration(i)*step))
	}
	return together
}

func (t turns) end() time.Time { return t.start.Add(time.Duration(t.count) * t.each) }

// turnIn finds this oracle's turn in a joint benchmark: the order is that of the operators' addresses.
func (w *Worker) turnIn(ctx context.Context, round oracletypes.Round, start int64) (t turns, position int, err error) {
	operators, err := w.ranks(ctx, round)
	if err != nil {
		return turns{}, 0, err
	}
	slices.Sort(operators)
	position = slices.Index(operators, w.cfg.Operator)
	if position < 0 {
		return turns{}, 0, fmt.Errorf("%w: this oracle is not in the round's set", errAbstain)
	}
	return turnsOf(round, start, len(operators)), position, nil
}

// measureJoint challenges all cores at the instants of this oracle's turn, and the rest after all turns. A node whose agent is not there in
// the turn has missed it.
func (w *Worker) measureJoint(ctx context.Context, node nodestypes.Node, round oracletypes.Round, end time.Time) (nodestypes.Benchmark, error) {
	all, position, err := w.turnIn(ctx, round, node.BenchmarkStart)
	if err != nil {
		return nodestypes.Benchmark{}, err
	}
	declared, together := declaredBy(node, round, jointFillShare), all.of(position)
	if declared.FillSeed, err = w.fillSeed(ctx, round); err != nil {
		return nodestypes.Benchmark{}, err
	}
	ctx, cancel := context.WithDeadlineCause(ctx, end, errTimeOver)
	defer cancel()
	if err := sleepUntil(ctx, together.Tries[0].Add(-slotLead)); err != nil {
		return nodestypes.Benchmark{}, err
	}
	session, ok := w.server.Session(node.Id)
	if !ok {
		// It stays unreachable, but is given the whole round for it: the agent of a node that was just registered may be on its way.
		return nodestypes.Benchmark{}, errors.Join(fmt.Errorf("%w: %w", challenge.ErrMissed, link.ErrGone), sleepUntil(ctx, end))
	}
	cores, err := session.Challenge(ctx, challenge.Spec{Kind: challenge.CPUAll, Declared: declared, Together: together})
	if err != nil {
		return nodestypes.Benchmark{}, err
	}
	// What the turns leave of the time is for everything else, so only a little memory is filled: how much there is was shown when the node was registered.
	if node.Activated {
		declared.FillMiB = challenge.MemoryPortion(declared.MemoryMiB)
	}
	if err := sleepUntil(ctx, all.end()); err != nil {
		return nodestypes.Benchmark{}, err
	}
	return w.measureWith(ctx, node, end, func(ctx context.Context, s *link.Session) (challenge.Measurement, error) {
		rtt, err := s.RTT(ctx)
		if err != nil {
			return challenge.Measurement{}, err
		}
		m, err := s.MeasurePlan(ctx, rtt, restOf(challenge.Plan(declared, rtt), node.Measured.BandwidthKbit > 0))
		return m.Merge(cores), err
	})
}

// restOf a plan when all cores were challenged together. The network of a node that works is not loaded again by what its owner does elsewhere.
func restOf(plan []challenge.Spec, networkKnown bool) []challenge.Spec {
	return slices.DeleteFunc(plan, func(s challenge.Spec) bool {
		return s.Kind == challenge.CPUAll || s.Kind == challenge.Network && networkKnown
	})
}

func sleepUntil(ctx context.Context, at time.Time) error {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
