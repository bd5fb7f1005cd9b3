package challenge

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// clockedPeer is an agent of this process whose answers take what the clock says.
type clockedPeer struct {
	worker *Worker
	clock  func(task Task, try int) time.Duration
	forge  func(task Task, values [][]byte) [][]byte
	tries  int
	timed  []Task
}

func (p *clockedPeer) Do(ctx context.Context, task Task) ([][]byte, time.Duration, error) {
	values, err := p.worker.Do(ctx, task)
	switch task.(type) {
	case MemoryFillTask, DiskPrepareTask:
		return values, time.Hour, err // how long it takes to prepare must not matter
	}
	p.tries++
	p.timed = append(p.timed, task)
	if p.forge != nil {
		values = p.forge(task, values)
	}
	return values, p.clock(task, p.tries), err
}

func newPeer(t *testing.T, clock func(Task, int) time.Duration) *clockedPeer {
	w := NewWorker(Limits{Cores: 4, MemoryMiB: 1, DiskMiB: 1, Dir: t.TempDir()})
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	return &clockedPeer{worker: w, clock: clock}
}

func constant(d time.Duration) func(Task, int) time.Duration {
	return func(Task, int) time.Duration { return d }
}

var declared = Declared{Cores: 4, CPUSingle: 10_000, CPUAll: 36_000, MemoryMiB: 4, MemoryBandwidthMiB: 1000, DiskReadMiB: 100, StorageMiB: 8}

func TestCPUScore(t *testing.T) {
	e := testExaminer()
	for name, c := range map[string]struct {
		spec  Spec
		clock func(Task, int) time.Duration
		want  uint64
		tries int
	}{
		"as declared": {Spec{Kind: CPUSingle, Declared: declared}, constant(500 * time.Millisecond), 10_000, 1},
		"near enough": {Spec{Kind: CPUSingle, Declared: declared}, constant(520 * time.Millisecond), 9_615, 1},
		"half":        {Spec{Kind: CPUSingle, Declared: declared}, constant(time.Second), 5_000, 3},
		"best counts": {Spec{Kind: CPUSingle, Declared: declared}, func(_ Task, try int) time.Duration {
			return []time.Duration{2 * time.Second, time.Second, 4 * time.Second}[try-1]
		}, 5_000, 3},
		"all cores": {Spec{Kind: CPUAll, Declared: declared}, constant(500 * time.Millisecond), 36_000, 1},
		"far away":  {Spec{Kind: CPUSingle, Declared: declared, RTT: 40 * time.Millisecond}, constant(840 * time.Millisecond), 9_523, 1},
		"no time":   {Spec{Kind: CPUSingle, Declared: declared}, constant(0), 5_000_000_000_000, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, c.clock)
			m, err := e.Run(t.Context(), p, c.spec)
			require.NoError(t, err)
			require.Equal(t, c.want, m.CPUSingle+m.CPUAll)
			require.Equal(t, c.tries, p.tries)
		})
	}
}

func TestTasksAreFresh(t *testing.T) {
	e := testExaminer()
	for _, kind := range []Kind{CPUSingle, Memory, Disk} {
		p := newPeer(t, constant(10*time.Second))
		_, err := e.Run(t.Context(), p, Spec{Kind: kind, Declared: declared})
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(p.timed), 3)
		require.NotEqual(t, p.timed[0], p.timed[1])
		require.NotEqual(t, p.timed[1], p.timed[2])
	}
}

func TestForgedAndReplayedAnswers(t *testing.T) {
	e := testExaminer()
	for _, kind := range []Kind{CPUSingle, CPUAll, Memory, Disk, Network} {
		t.Run(kind.String(), func(t *testing.T) {
			slow := constant(time.Minute)
			p := newPeer(t, slow)
			p.forge = func(_ Task, values [][]byte) [][]byte {
				forged := make([][]byte, len(values))
				for i, v := range values {
					forged[i] = append([]byte{v[0] & 0x7f}, v[1:]...)
					forged[i][len(v)-1] ^= 1
				}
				return forged
			}
			_, err := e.Run(t.Context(), p, Spec{Kind: kind, Declared: declared})
			require.ErrorIs(t, err, ErrWrongAnswer)

			p = newPeer(t, slow)
			var first [][]byte
			p.forge = func(_ Task, values [][]byte) [][]byte {
				if first == nil {
					first = values
				}
				return first
			}
			_, err = e.Run(t.Context(), p, Spec{Kind: kind, Declared: declared})
			require.ErrorIs(t, err, ErrWrongAnswer)
			require.Equal(t, 2, p.tries, "the second try answers with the first")

			p = newPeer(t, slow)
			p.forge = func(Task, [][]byte) [][]byte { return nil }
			_, err = e.Run(t.Context(), p, Spec{Kind: kind, Declared: declared})
			require.ErrorIs(t, err, ErrWrongAnswer)
		})
	}
}

// An agent that recomputes blocks instead of holding them answers rightly but late, and the clock alone tells.
func TestMemoryScore(t *testing.T) {
	e := testExaminer()
	perStep := func(d time.Duration) func(Task, int) time.Duration {
		return func(task Task, _ int) time.Duration {
			w := task.(MemoryWalkTask)
			return d * time.Duration(w.Segments*w.Steps)
		}
	}
	for name, c := range map[string]struct {
		clock     func(Task, int) time.Duration
		mib       uint64
		bandwidth uint64
		tries     int
	}{
		"resident":             {perStep(time.Microsecond), 1000, 3906, 1},
		"resident but slow":    {perStep(3 * time.Microsecond), 1000, 1302, 6},
		"a tenth recomputed":   {perStep(3750 * time.Nanosecond), 900, 1041, 6},
		"half recomputed":      {perStep(6750 * time.Nanosecond), 500, 578, 6},
		"all recomputed":       {perStep(10500 * time.Nanosecond), 0, 372, 6},
		"all, on this machine": {perStep(20 * time.Microsecond), 0, 195, 6},
		"one good try": {func(task Task, try int) time.Duration {
			return perStep([]time.Duration{12, 1, 12}[try-1]*time.Microsecond)(task, try)
		}, 1000, 3906, 2},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, c.clock)
			m, err := e.Run(t.Context(), p, Spec{Kind: Memory, PortionMiB: 1, Declared: Declared{MemoryMiB: 1000, MemoryBandwidthMiB: 3900}})
			require.NoError(t, err)
			require.Equal(t, Measurement{MemoryMiB: c.mib, MemoryBandwidthMiB: c.bandwidth}, m)
			require.Equal(t, c.tries, p.tries)
		})
	}
}

func TestMemoryFill(t *testing.T) {
	d := Declared{MemoryMiB: 16 << 10, Cores: 8}
	for name, c := range map[string]struct {
		reserved uint64
		most     time.Duration
		want     uint64
	}{
		"seven eighths": {0, time.Minute, 14 << 10},
		"beside work":   {4 << 10, time.Minute, 10 << 10},
		"as time goes":  {0, 10 * time.Second, 8_000},
		"all reserved":  {16 << 10, time.Minute, 256},
		"no time":       {0, -time.Second, 256},
	} {
		require.Equal(t, c.want, MemoryFill(d, c.reserved, c.most), name)
	}
	require.Equal(t, uint64(1), MemoryFill(Declared{MemoryMiB: 1}, 0, time.Minute))
}

func TestDiskScore(t *testing.T) {
	m, err := testExaminer().Run(t.Context(), newPeer(t, constant(160*time.Millisecond)), Spec{Kind: Disk, Declared: declared})
	require.NoError(t, err)
	require.Equal(t, Measurement{DiskReadMiB: 100, StorageMiB: 8}, m)
}

func TestWholePlanOnTheRealClock(t *testing.T) {
	p := &realPeer{NewWorker(Limits{Cores: 2, MemoryMiB: 4, DiskMiB: 2, Dir: t.TempDir()})}
	small := Declared{Cores: 2, CPUSingle: 1000, CPUAll: 2000, MemoryMiB: 16, StorageMiB: 16}
	var m Measurement
	for _, spec := range Plan(small, time.Millisecond) {
		part, err := testExaminer().Run(t.Context(), p, spec)
		require.NoError(t, err)
		m = m.Merge(part)
	}
	require.NoError(t, p.Close())
	require.NotZero(t, m.CPUSingle)
	require.NotZero(t, m.CPUAll)
	require.NotZero(t, m.MemoryBandwidthMiB)
	require.NotZero(t, m.DiskReadMiB)
	require.NotZero(t, m.BandwidthKbit)
	require.Equal(t, uint64(16), m.StorageMiB)
}

type realPeer struct{ *Worker }

func (p *realPeer) Do(ctx context.Context, task Task) ([][]byte, time.Duration, error) {
	start := time.Now()
	values, err := p.Worker.Do(ctx, task)
	return values, time.Since(start), err
}

func TestSpecsThatCannotBeMeasured(t *testing.T) {
	for name, spec := range map[string]Spec{
		"no kind":    {Declared: declared},
		"no speed":   {Kind: CPUSingle},
		"no cores":   {Kind: CPUAll, Declared: Declared{CPUAll: 5}},
		"many cores": {Kind: CPUAll, Declared: Declared{CPUAll: 5, Cores: maxCores + 1}},
		"no memory":  {Kind: Memory},
		"no storage": {Kind: Disk},
	} {
		_, err := testExaminer().Run(t.Context(), nil, spec)
		require.Error(t, err, name)
		require.NotErrorIs(t, err, ErrWrongAnswer, name)
	}
}

func TestPeerErrorIsNotAWrongAnswer(t *testing.T) {
	p := newPeer(t, constant(time.Second))
	for _, kind := range []Kind{Memory, Disk} {
		_, err := testExaminer().Run(t.Context(), p, Spec{Kind: kind, Declared: declared, PortionMiB: 2})
		require.ErrorIs(t, err, ErrBadTask, "beyond what the agent lends")
		require.False(t, errors.Is(err, ErrWrongAnswer))
	}
}

func TestArithmeticBounds(t *testing.T) {
	require.Equal(t, uint64(math.MaxUint64), perSecond(math.MaxUint64, time.Millisecond))
	require.Equal(t, uint64(math.MaxUint64), perSecond(math.MaxUint64, time.Second))
	require.Equal(t, uint64(math.MaxUint64/2), perSecond(math.MaxUint64, 2*time.Second))
	require.Equal(t, uint64(math.MaxUint64), resident(math.MaxUint64, time.Microsecond, time.Microsecond))
	require.Equal(t, uint64(0), resident(math.MaxUint64, time.Hour, time.Microsecond))
	require.True(t, enough(0, 0))
	require.False(t, enough(math.MaxUint64/2, math.MaxUint64))
	for _, rtt := range []time.Duration{0, time.Millisecond, 30 * time.Millisecond, time.Hour} {
		walk := walkFor(rtt)
		walk.Start = seedOf(1)
		require.NoError(t, walk.validate(Limits{}))
	}
	huge := Declared{Cores: 1, CPUSingle: math.MaxUint64}
	p := &failingPeer{}
	_, err := testExaminer().Run(t.Context(), p, Spec{Kind: CPUSingle, Declared: huge})
	require.ErrorIs(t, err, errFailing)
	require.NoError(t, p.task.validate(Limits{Cores: 1}), "an absurd declaration must still make a valid task")
}

var errFailing = errors.New("peer fails")

type failingPeer struct{ task Task }

func (p *failingPeer) Do(_ context.Context, task Task) ([][]byte, time.Duration, error) {
	p.task = task
	return nil, 0, errFailing
}
