package selftest

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/foggrid/fogd/offchain/agent/bench"
	"github.com/foggrid/fogd/offchain/challenge"
)

// Recording is how the times of a machine's tries scatter: each in thousandths of the median of its kind, in the order in which they were taken.
type Recording struct {
	System    string   `json:"system"`
	CPUSingle []uint32 `json:"cpu_single"`
	CPUAll    []uint32 `json:"cpu_all"`
	Memory    []uint32 `json:"memory"`
	Disk      []uint32 `json:"disk"`
	// StepNanos is the median time of a step of the memory walk, MissNanos that of a block which is made anew.
	StepNanos uint64 `json:"memory_step_ns"`
	MissNanos uint64 `json:"memory_miss_ns"`
}

//go:embed testdata/noise.json
var builtIn []byte

// BuiltIn is the recording that comes with the program.
func BuiltIn() (Recording, error) { return Parse(builtIn) }

// Parse reads a recording and refuses one that cannot be replayed.
func Parse(data []byte) (Recording, error) {
	var r Recording
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("a recording of noise is the JSON that `fog agent selftest --record` writes: %w", err)
	}
	for name, times := range map[string][]uint32{"cpu_single": r.CPUSingle, "cpu_all": r.CPUAll, "memory": r.Memory, "disk": r.Disk} {
		if len(times) < leastTries || slices.Min(times) == 0 {
			return r, fmt.Errorf("recording: %s has %d times; there must be at least %d, none of them zero", name, len(times), leastTries)
		}
	}
	if r.StepNanos == 0 || r.MissNanos <= r.StepNanos || r.MissNanos > longestMiss {
		return r, fmt.Errorf("recording: a step takes %d ns and a miss %d; the first must not be zero, the second more, up to %d", r.StepNanos, r.MissNanos, longestMiss)
	}
	return r, nil
}

const (
	// leastTries make a recording.
	leastTries = 8
	// longestMiss in nanoseconds; a machine on which it is longer is no machine.
	longestMiss = 1_000_000
)

// Record takes so many tries of each kind on this machine; the disk's are in dir. It takes a second or two for each.
func Record(ctx context.Context, dir string, tries int) (Recording, error) {
	if tries < leastTries {
		return Recording{}, fmt.Errorf("%d tries are too few to tell anything; record at least %d", tries, leastTries)
	}
	speeds, err := bench.Run(ctx, bench.Options{Budget: 3 * time.Second, Dir: dir})
	if err != nil {
		return Recording{}, err
	}
	examiner, err := challenge.NewExaminer()
	if err != nil {
		return Recording{}, err
	}
	// So much more than there is that no try is good enough to be the last; the window makes up for it.
	const times = 64
	d := challenge.Declared{
		Cores: speeds.Cores, CPUSingle: times * speeds.CPUSingle, CPUAll: times * speeds.CPUAll, MemoryMiB: recordedMiB, FillMiB: recordedMiB,
		MemoryBandwidthMiB: times * speeds.MemoryBandwidthMiB, DiskReadMiB: times * speeds.DiskReadMiB, StorageMiB: 8 * recordedMiB,
	}
	r := Recording{System: fmt.Sprintf("%s/%s, %d cores", runtime.GOOS, runtime.GOARCH, speeds.Cores)}
	limits := challenge.Limits{Cores: speeds.Cores, MemoryMiB: recordedMiB, DiskMiB: recordedMiB, Dir: dir}
	for _, spec := range challenge.Plan(d, 0)[:4] {
		spec.Tries, spec.Window = tries, 500*time.Millisecond/times
		taken, err := timesOf(ctx, examiner, limits, spec)
		if err != nil {
			return r, err
		}
		switch middle := scatter(taken); spec.Kind {
		case challenge.CPUSingle:
			r.CPUSingle = middle
		case challenge.CPUAll:
			r.CPUAll = middle
		case challenge.Memory:
			r.Memory, r.StepNanos = middle, perStep(taken)
		case challenge.Disk:
			r.Disk = middle
		}
	}
	limits.HoldMiB = 1 // of 64: nearly every step is a miss
	spec := challenge.Spec{Kind: challenge.Memory, Declared: d, PortionMiB: recordedMiB, Tries: leastTries}
	taken, err := timesOf(ctx, examiner, limits, spec)
	r.MissNanos = perStep(taken)
	return r, err
}

const (
	recordedMiB = 64
	// walkSteps of a memory walk over a short round trip.
	walkSteps = 1 << 14
)

// perStep is the median time of a step.
func perStep(times []time.Duration) uint64 {
	return uint64(medianOf(times)) / walkSteps
}

func medianOf(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(times))[len(times)/2]
}

// scatter is the times in thousandths of their median.
func scatter(times []time.Duration) []uint32 {
	middle := max(medianOf(times), 1)
	out := make([]uint32, len(times))
	for i, d := range times {
		out[i] = uint32(max(min(math.Round(1000*float64(d)/float64(middle)), math.MaxUint32), 1))
	}
	return out
}

// timesOf the tries of a challenge in this process.
func timesOf(ctx context.Context, examiner *challenge.Examiner, limits challenge.Limits, spec challenge.Spec) ([]time.Duration, error) {
	w := challenge.NewWorker(limits)
	peer := &stopwatch{worker: w}
	_, err := examiner.Run(ctx, peer, spec)
	return peer.times, errors.Join(err, w.Close())
}

// stopwatch notes how long the timed tasks take.
type stopwatch struct {
	worker *challenge.Worker
	times  []time.Duration
}

// Do implements challenge.Peer.
func (s *stopwatch) Do(ctx context.Context, task challenge.Task) ([][]byte, time.Duration, error) {
	start := time.Now()
	values, err := s.worker.Do(ctx, task)
	elapsed := time.Since(start)
	switch task.(type) {
	case challenge.CPUTask, challenge.MemoryWalkTask, challenge.DiskReadTask:
		s.times = append(s.times, elapsed)
	}
	return values, elapsed, err
}
