package challenge

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"math"
	"math/big"
	"math/bits"
	"time"
)

// Peer is an agent whose slot is held for a challenge. Do sends a task and returns the values of the answer, and the time
// between the two on the oracle's clock.
type Peer interface {
	Do(ctx context.Context, task Task) (values [][]byte, elapsed time.Duration, err error)
}

// Examiner is the oracle's side of challenges. Safe for concurrent use.
type Examiner struct {
	trapdoor *Trapdoor
	random   io.Reader
	wait     func(ctx context.Context, at time.Time) (late time.Duration, err error)
}

// NewExaminer makes an examiner with a modulus of its own, once per oracle process.
func NewExaminer() (*Examiner, error) {
	d, err := NewTrapdoor(rand.Reader)
	if err != nil {
		return nil, err
	}
	return &Examiner{trapdoor: d, random: rand.Reader, wait: waitUntil}, nil
}

// How long an agent may take for a step that is not timed, or far too slow.
const (
	prepareLimit = 2 * time.Minute
	answerLimit  = 30 * time.Second
)

// Run carries one challenge out and returns the fields of the measurement that it is about. A false answer gives
// ErrWrongAnswer, other errors are those of the peer.
func (e *Examiner) Run(ctx context.Context, peer Peer, spec Spec) (Measurement, error) {
	spec, err := spec.withDefaults()
	if err != nil {
		return Measurement{}, err
	}
	var m Measurement
	switch {
	case spec.Together != nil:
		m, err = e.cpuTogether(ctx, peer, spec)
	case spec.Kind == CPUSingle:
		m, err = e.cpu(ctx, peer, spec, 1)
	case spec.Kind == CPUAll:
		m, err = e.cpu(ctx, peer, spec, spec.Declared.Cores)
	case spec.Kind == Memory:
		m, err = e.memory(ctx, peer, spec)
	case spec.Kind == Disk:
		m, err = e.disk(ctx, peer, spec)
	case spec.Kind == Network:
		m.BandwidthKbit, err = e.network(ctx, peer, spec)
	}
	if err != nil {
		return Measurement{}, fmt.Errorf("challenge %s: %w", spec.Kind, err)
	}
	return m, nil
}

func do(ctx context.Context, peer Peer, limit time.Duration, task Task) ([][]byte, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return peer.Do(ctx, task)
}

// perSecond is amount/elapsed, rounded down, without overflow.
func perSecond(amount uint64, elapsed time.Duration) uint64 {
	hi, lo := bits.Mul64(amount, uint64(time.Second))
	by := uint64(max(elapsed, 1))
	if hi >= by {
		return math.MaxUint64
	}
	q, _ := bits.Div64(hi, lo, by)
	return q
}

// enough says that another try is not worth its time.
func enough(score, declared uint64) bool {
	return score >= declared-declared/20
}

func (e *Examiner) cpu(ctx context.Context, peer Peer, spec Spec, cores int) (Measurement, error) {
	return spec.score(func() (time.Duration, error) {
		task, err := e.trapdoor.task(e.random, cores, spec.squarings())
		if err != nil {
			return 0, err
		}
		values, elapsed, err := do(ctx, peer, answerLimit, task)
		if err != nil {
			return 0, err
		}
		return elapsed, e.trapdoor.verify(e.random, task, values)
	})
}

func (e *Examiner) memory(ctx context.Context, peer Peer, spec Spec) (Measurement, error) {
	fill := MemoryFillTask{Seed: spec.Seed, Blocks: spec.PortionMiB * memoryBlocksPerMiB}
	var err error
	if fill.Seed == nil {
		if fill.Seed, err = e.seed(); err != nil {
			return Measurement{}, err
		}
	}
	if _, _, err := do(ctx, peer, prepareLimit, fill); err != nil {
		return Measurement{}, err
	}
	walk := walkFor(spec.RTT)
	return spec.score(func() (time.Duration, error) {
		if walk.Start, err = e.seed(); err != nil {
			return 0, err
		}
		values, elapsed, err := do(ctx, peer, answerLimit, walk)
		if err != nil {
			return 0, err
		}
		picks, err := e.pick(max(leastPicks, checkedSteps/int(walk.Steps)), int(walk.Segments))
		if err != nil {
			return 0, err
		}
		return elapsed, verifyWalk(ctx, fill, walk, values, picks)
	})
}

// walkFor makes the walk long against the round trip, as far as the bounds go.
func walkFor(rtt time.Duration) MemoryWalkTask {
	total := min(max(uint64(roundTrips*rtt/typicalStep), minWalk), maxWalk)
	segments := min(total/stepsPerSegment, maxSegments)
	return MemoryWalkTask{Segments: uint32(segments), Steps: uint32(total / segments)}
}

// resident is the declared memory times the part that must have been in memory: were a part m missing, each step would
// take m·blockFloor longer, even on the fastest processor.
func resident(declaredMiB uint64, step, maxStep time.Duration) uint64 {
	missing := uint64(min(max(step-maxStep, 0), blockFloor))
	hi, lo := bits.Mul64(declaredMiB, uint64(blockFloor)-missing)
	if hi >= uint64(blockFloor) {
		return declaredMiB
	}
	q, _ := bits.Div64(hi, lo, uint64(blockFloor))
	return q
}

func (e *Examiner) disk(ctx context.Context, peer Peer, spec Spec) (Measurement, error) {
	prepare := DiskPrepareTask{Blocks: spec.PortionMiB * diskBlocksPerMiB}
	var err error
	if prepare.Seed, err = e.seed(); err != nil {
		return Measurement{}, err
	}
	if _, _, err := do(ctx, peer, prepareLimit, prepare); err != nil {
		return Measurement{}, err
	}
	read := DiskReadTask{Lanes: diskLanes, Reads: laneReads}
	return spec.score(func() (time.Duration, error) {
		if read.Start, err = e.seed(); err != nil {
			return 0, err
		}
		values, elapsed, err := do(ctx, peer, answerLimit, read)
		if err != nil {
			return 0, err
		}
		picks, err := e.pick(pickedReads, diskLanes*laneReads)
		if err != nil {
			return 0, err
		}
		return elapsed, verifyReads(ctx, prepare, read, values, picks)
	})
}

func (e *Examiner) seed() ([]byte, error) {
	seed := make([]byte, SeedSize)
	if _, err := io.ReadFull(e.random, seed); err != nil {
		return nil, fmt.Errorf("draw a challenge seed: %w", err)
	}
	return seed, nil
}

// pick draws n of the numbers below most; the same may come twice.
func (e *Examiner) pick(n, most int) ([]int, error) {
	picks := make([]int, n)
	for i := range picks {
		v, err := rand.Int(e.random, big.NewInt(int64(most)))
		if err != nil {
			return nil, fmt.Errorf("pick what to check: %w", err)
		}
		picks[i] = int(v.Int64())
	}
	return picks, nil
}
