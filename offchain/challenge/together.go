package challenge

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"time"
)

// ErrMissed means that an agent was not ready at the instant at which all nodes of its owner were challenged.
var ErrMissed = errors.New("the agent was not ready when all nodes of its owner were challenged")

// togetherSlack is how late the first try may begin.
const togetherSlack = 500 * time.Millisecond

// Together are the instants at which the nodes of one owner are challenged, each of them by the same oracle and for the same time.
type Together struct {
	// Tries begin then.
	Tries []time.Time
	// Window is how long a try takes at the declared speed; the same for all, so that none is over before another.
	Window time.Duration
}

// cpuTogether makes every try, and the lower median of them counts. A machine that answers for two nodes can serve one of them first, and another one the
// next time: so of three tries one of the nodes is served late in two.
func (e *Examiner) cpuTogether(ctx context.Context, peer Peer, spec Spec) (Measurement, error) {
	tasks, answers := make([]CPUTask, len(spec.Together.Tries)), make([][][]byte, 0, len(spec.Together.Tries))
	var err error
	for i := range tasks {
		if tasks[i], err = e.trapdoor.task(e.random, spec.Declared.Cores, spec.squarings()); err != nil {
			return Measurement{}, err
		}
	}
	m, err := spec.score(func() (time.Duration, error) {
		i := len(answers)
		late, err := e.wait(ctx, spec.Together.Tries[i])
		if err != nil {
			return 0, err
		}
		if i == 0 && late > togetherSlack {
			return 0, fmt.Errorf("%w: %s late", ErrMissed, late.Round(time.Millisecond))
		}
		values, elapsed, err := do(ctx, peer, answerLimit, tasks[i])
		answers = append(answers, values)
		return elapsed, err
	})
	if err != nil {
		return Measurement{}, err
	}
	// Afterwards, so that checking one answer does not make the clock of another late.
	for i := range tasks {
		if err := e.trapdoor.verify(e.random, tasks[i], answers[i]); err != nil {
			return Measurement{}, err
		}
	}
	return m, nil
}

// squaringsFor is the work that takes so long at the declared speed.
func squaringsFor(declared uint64, cores int, window time.Duration) uint64 {
	squarings := uint64(maxSquarings)
	if hi, lo := bits.Mul64(declared/uint64(cores), uint64(window)); hi < uint64(time.Second) {
		squarings, _ = bits.Div64(hi, lo, uint64(time.Second))
	}
	return min(max(squarings, 1), maxSquarings)
}

// waitUntil returns how late it is.
func waitUntil(ctx context.Context, at time.Time) (late time.Duration, err error) {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return max(time.Since(at), 0), nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}
