// Package bench measures the machine that it runs on, with the tasks that oracles challenge agents with (offchain/challenge),
// so that what an owner declares from it and what an oracle measures are the same quantities.
package bench

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"math"
	"math/big"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/foggrid/fogd/offchain/challenge"
)

// Phase names a part of the benchmark.
type Phase string

// The phases, in order.
const (
	PhaseCPUSingle Phase = "cpu one core"
	PhaseCPUAll    Phase = "cpu all cores"
	PhaseMemory    Phase = "memory"
	PhaseDisk      Phase = "disk"
)

// Progress says how far the benchmark is.
type Progress struct {
	Phase Phase
	// Done is the part of the whole benchmark that is done, in percent; it never falls.
	Done int
}

// Options of a run; zero values mean the defaults.
type Options struct {
	// Budget is about how long the run takes; 6 s by default. Filling the memory and writing the file come on top on slow machines.
	Budget time.Duration
	// Dir is where the disk is measured; the system's temporary folder by default.
	Dir string
	// Cores is the number of copies for all cores; GOMAXPROCS by default.
	Cores int
	// MemoryMiB is filled for the memory phase; 256 by default.
	MemoryMiB uint64
	// DiskMiB is written for the disk phase; 128 by default.
	DiskMiB uint64
	// Progress, if set, is called from the calling goroutine.
	Progress func(Progress)
}

// Result is what the machine achieves: medians of several short windows, so that one disturbance does not count.
type Result struct {
	// CPUSingle is squarings modulo a 2048-bit number per second on one core.
	CPUSingle uint64 `json:"cpu_single"`
	// CPUAll is the same summed over Cores copies at once.
	CPUAll uint64 `json:"cpu_all"`
	Cores  int    `json:"cores"`
	// MemoryBandwidthMiB is MiB/s of a dependent walk over blocks of 4 KiB.
	MemoryBandwidthMiB uint64 `json:"memory_bandwidth_mib_s"`
	// DiskReadMiB is MiB/s of random reads of 64 KiB in four lanes.
	DiskReadMiB uint64 `json:"disk_read_mib_s"`
	// DiskReadIOPS is the number of these reads per second.
	DiskReadIOPS uint64        `json:"disk_read_iops"`
	Took         time.Duration `json:"took_ns"`
}

// Promise is what an owner can safely declare of the result: a machine that also does other things reaches four fifths of its
// CPU and half of its memory and disk speed at any time. Declaring less than there is costs nothing but rank.
func (r Result) Promise() Result {
	r.CPUSingle -= r.CPUSingle / 5
	r.CPUAll -= r.CPUAll / 5
	r.MemoryBandwidthMiB /= 2
	r.DiskReadMiB /= 2
	r.DiskReadIOPS /= 2
	return r
}

const (
	defaultBudget    = 6 * time.Second
	defaultMemoryMiB = 256
	defaultDiskMiB   = 128

	windows = 5

	// A walk and a round of reads as in a challenge.
	walkSegments, walkSteps = 256, 64
	readLanes, readsPerLane = 4, 64

	squaringsPerCall = 4096
)

type run struct {
	opts Options
	done int
}

// Run benchmarks the machine. It stops soon after the context ends, with the context's error, and leaves nothing behind.
func Run(ctx context.Context, opts Options) (Result, error) {
	if opts.Budget <= 0 {
		opts.Budget = defaultBudget
	}
	if opts.Cores <= 0 {
		opts.Cores = runtime.GOMAXPROCS(0)
	}
	if opts.MemoryMiB == 0 {
		opts.MemoryMiB = defaultMemoryMiB
	}
	if opts.DiskMiB == 0 {
		opts.DiskMiB = defaultDiskMiB
	}
	if opts.Progress == nil {
		opts.Progress = func(Progress) {}
	}
	r := &run{opts: opts}
	start := time.Now()
	result := Result{Cores: opts.Cores}
	var err error
	if result.CPUSingle, err = r.cpu(ctx, PhaseCPUSingle, 1, 0, 30); err != nil {
		return Result{}, fmt.Errorf("benchmark the %s: %w", PhaseCPUSingle, err)
	}
	if result.CPUAll, err = r.cpu(ctx, PhaseCPUAll, opts.Cores, 30, 60); err != nil {
		return Result{}, fmt.Errorf("benchmark the %s: %w", PhaseCPUAll, err)
	}
	if result.MemoryBandwidthMiB, err = r.memory(ctx); err != nil {
		return Result{}, fmt.Errorf("benchmark the %s: %w", PhaseMemory, err)
	}
	if result.DiskReadIOPS, err = r.disk(ctx); err != nil {
		return Result{}, fmt.Errorf("benchmark the %s: %w", PhaseDisk, err)
	}
	result.DiskReadMiB = result.DiskReadIOPS * challenge.DiskBlockSize >> 20
	result.Took = time.Since(start)
	return result, nil
}

func (r *run) progress(phase Phase, percent int) {
	r.done = max(r.done, percent)
	r.opts.Progress(Progress{Phase: phase, Done: r.done})
}

// window is the length of one of the equal windows of a phase that may take this part of the budget, in percent.
func (r *run) window(percent int) time.Duration {
	return r.opts.Budget * time.Duration(percent) / 100 / windows
}

// modulus is an odd number of 2048 bits, like those of oracles; its factors do not matter here.
func modulus() *big.Int {
	var b []byte
	for i := range byte(8) {
		h := sha256.Sum256([]byte{i})
		b = append(b, h[:]...)
	}
	b[0] |= 0x80
	b[len(b)-1] |= 1
	return new(big.Int).SetBytes(b)
}

// cpu counts squarings on so many cores at once.
func (r *run) cpu(ctx context.Context, phase Phase, cores, from, to int) (uint64, error) {
	n := modulus()
	scores := make([]uint64, 0, windows)
	for w := range windows {
		r.progress(phase, from+(to-from)*w/windows)
		var count atomic.Uint64
		var group sync.WaitGroup
		start := time.Now()
		end := start.Add(r.window(to - from))
		for core := range cores {
			group.Go(func() {
				x := big.NewInt(int64(core) + 3)
				for time.Now().Before(end) {
					y, err := challenge.Square(ctx, x, n, squaringsPerCall)
					if err != nil {
						return // the context has ended, which is looked at below
					}
					x = y
					count.Add(squaringsPerCall)
				}
			})
		}
		group.Wait()
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		scores = append(scores, rate(count.Load(), time.Since(start)))
	}
	r.progress(phase, to)
	return median(scores), nil
}

// memory is MiB/s of the walk.
func (r *run) memory(ctx context.Context) (rateMiB uint64, err error) {
	r.progress(PhaseMemory, 60)
	w := challenge.NewWorker(challenge.Limits{Cores: r.opts.Cores, MemoryMiB: r.opts.MemoryMiB})
	defer func() { err = closing(w, err) }()
	blocks := r.opts.MemoryMiB << 20 / challenge.MemoryBlockSize
	if _, err := w.Do(ctx, challenge.MemoryFillTask{Seed: seed(), Blocks: blocks}); err != nil {
		return 0, err
	}
	perTask := uint64(walkSegments * walkSteps * challenge.MemoryBlockSize)
	bytes, err := r.repeat(ctx, w, PhaseMemory, 75, 80, perTask, func() challenge.Task {
		return challenge.MemoryWalkTask{Start: seed(), Segments: walkSegments, Steps: walkSteps}
	})
	return bytes >> 20, err
}

// disk is reads per second.
func (r *run) disk(ctx context.Context) (iops uint64, err error) {
	r.progress(PhaseDisk, 80)
	w := challenge.NewWorker(challenge.Limits{DiskMiB: r.opts.DiskMiB, Dir: r.opts.Dir})
	defer func() { err = closing(w, err) }()
	blocks := r.opts.DiskMiB << 20 / challenge.DiskBlockSize
	if _, err := w.Do(ctx, challenge.DiskPrepareTask{Seed: seed(), Blocks: blocks}); err != nil {
		return 0, err
	}
	return r.repeat(ctx, w, PhaseDisk, 92, 100, readLanes*readsPerLane, func() challenge.Task {
		return challenge.DiskReadTask{Start: seed(), Lanes: readLanes, Reads: readsPerLane}
	})
}

// repeat does tasks in windows and returns the median rate of what a task is worth, per second.
func (r *run) repeat(ctx context.Context, w *challenge.Worker, phase Phase, from, to int, perTask uint64, task func() challenge.Task) (uint64, error) {
	scores := make([]uint64, 0, windows)
	for i := range windows {
		r.progress(phase, from+(to-from)*i/windows)
		start := time.Now()
		end := start.Add(r.window(to - from))
		var tasks uint64
		for tasks == 0 || time.Now().Before(end) {
			if _, err := w.Do(ctx, task()); err != nil {
				return 0, err
			}
			tasks++
		}
		scores = append(scores, rate(tasks*perTask, time.Since(start)))
	}
	r.progress(phase, to)
	return median(scores), nil
}

func closing(w *challenge.Worker, err error) error {
	if e := w.Close(); e != nil && err == nil {
		return e
	}
	return err
}

func seed() []byte {
	b := make([]byte, challenge.SeedSize)
	rand.Read(b) // never fails: it ends the program instead
	return b
}

func rate(amount uint64, elapsed time.Duration) uint64 {
	return uint64(math.Round(float64(amount) / max(elapsed.Seconds(), 1e-9)))
}

func median(v []uint64) uint64 {
	slices.Sort(v)
	return v[len(v)/2]
}
