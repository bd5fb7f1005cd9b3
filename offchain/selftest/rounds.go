package selftest

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/foggrid/fogd/offchain/challenge"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// Rounds says what is simulated.
type Rounds struct {
	// Registrations of each kind of machine; 1,000.
	Registrations int
	// Scatter is the standard deviation that the recorded noise is brought to, in percent; zero leaves it as it was recorded.
	Scatter int
	// Seed of the random choices.
	Seed uint64
}

// Outcome is what became of a kind of machine.
type Outcome struct {
	Registrations int `json:"registrations"`
	// Refused of them fell short in every benchmark that the chain grants.
	Refused int `json:"refused"`
	// Benchmarks in all, and those in which they fell short.
	Benchmarks int `json:"benchmarks"`
	Short      int `json:"fell_short"`
}

// Report of a simulation. An honest machine declares all that it does on average; the others declare twice what they have, or are two nodes on one
// machine, of which one at least must fall short.
type Report struct {
	System string `json:"system"`
	// ScatterPercent is the standard deviation of the noise; of the kind that scatters most if it is as recorded.
	ScatterPercent     float64 `json:"scatter_percent"`
	Honest             Outcome `json:"honest"`
	OverdeclaredCPU    Outcome `json:"overdeclared_cpu"`
	OverdeclaredMemory Outcome `json:"overdeclared_memory"`
	Shared             Outcome `json:"shared"`
}

// Passes tells whether honest machines are refused in at most one of a hundred registrations and all others in at least ninety-nine.
func (r Report) Passes() error {
	var errs []error
	if r.Honest.Refused*100 > r.Honest.Registrations {
		errs = append(errs, fmt.Errorf("honest machines were refused in %d of %d registrations", r.Honest.Refused, r.Honest.Registrations))
	}
	for _, c := range []struct {
		name string
		o    Outcome
	}{{AttackOverdeclareCPU, r.OverdeclaredCPU}, {AttackOverdeclareMemory, r.OverdeclaredMemory}, {AttackShared, r.Shared}} {
		if c.o.Refused*100 < 99*c.o.Registrations {
			errs = append(errs, fmt.Errorf("%s was caught in %d of %d registrations only", c.name, c.o.Refused, c.o.Registrations))
		}
	}
	return errors.Join(errs...)
}

const (
	simulatedOracles = 4
	// simulatedMiB is large enough that shares of it are exact.
	simulatedMiB = 16 << 10
)

// simulation is one run.
type simulation struct {
	recording Recording
	rng       *rand.Rand
	scatter   int // that the deviations are brought to, in percent; zero leaves them
	params    nodestypes.Params
}

// Simulate replays registrations with recorded noise: four oracles, the scoring of challenges and the verdicts of the chain, and everything but the work itself.
// The same seed gives the same report.
func Simulate(recording Recording, opts Rounds) (Report, error) {
	opts.Registrations = cmp.Or(opts.Registrations, 1000)
	s := &simulation{recording: recording, rng: rand.New(rand.NewPCG(opts.Seed, 1)), scatter: opts.Scatter, params: nodestypes.DefaultParams()}
	report := Report{System: recording.System, ScatterPercent: float64(opts.Scatter)}
	if opts.Scatter == 0 {
		for _, times := range [][]uint32{recording.CPUSingle, recording.CPUAll, recording.Memory, recording.Disk} {
			report.ScatterPercent = max(report.ScatterPercent, math.Round(1000*deviation(times))/10)
		}
	}
	truth := challenge.Declared{
		Cores: 8, CPUSingle: 20_000, CPUAll: 150_000, MemoryMiB: simulatedMiB, StorageMiB: 1 << 20,
		MemoryBandwidthMiB: challenge.MemoryBlockSize * uint64(time.Second) / recording.StepNanos >> 20, DiskReadMiB: 500,
	}
	twice := truth
	twice.CPUSingle, twice.CPUAll = 2*truth.CPUSingle, 2*truth.CPUAll
	// It says nothing of its memory's speed, which would give it away, and makes anew what it does not hold: half of the declared, of seven eighths.
	large, thin := truth, truth
	large.MemoryBandwidthMiB = 0
	step := (4*float64(recording.StepNanos) + 3*float64(recording.MissNanos)) / 7
	thin.MemoryBandwidthMiB = uint64(challenge.MemoryBlockSize*float64(time.Second)/step) >> 20
	var errs [4]error
	for range opts.Registrations {
		errs[0] = errors.Join(errs[0], s.register(&report.Honest, func() (bool, error) { return s.alone(truth, truth) }))
		errs[1] = errors.Join(errs[1], s.register(&report.OverdeclaredCPU, func() (bool, error) { return s.alone(twice, truth) }))
		errs[2] = errors.Join(errs[2], s.register(&report.OverdeclaredMemory, func() (bool, error) { return s.alone(large, thin) }))
		errs[3] = errors.Join(errs[3], s.register(&report.Shared, func() (bool, error) { return s.shared(truth) }))
	}
	return report, errors.Join(errs[:]...)
}

// register benchmarks as often as the chain does until one is passed.
func (s *simulation) register(o *Outcome, benchmark func() (short bool, err error)) error {
	o.Registrations++
	for range s.params.MaxBenchmarkTries {
		short, err := benchmark()
		if err != nil {
			return err
		}
		o.Benchmarks++
		if !short {
			return nil
		}
		o.Short++
	}
	o.Refused++
	return nil
}

// alone tells whether a machine falls short of what it declares.
func (s *simulation) alone(declared, truth challenge.Declared) (bool, error) {
	var votes []nodestypes.BenchmarkObservation
	for range simulatedOracles {
		var m challenge.Measurement
		for _, spec := range challenge.Plan(declared, 0)[:4] {
			nominal, err := spec.Nominal(truth)
			if err != nil {
				return false, err
			}
			part, err := challenge.Replay(spec, s.noisy(spec.Kind, func(int) time.Duration { return nominal }))
			if err != nil {
				return false, err
			}
			m = m.Merge(part)
		}
		votes = append(votes, vote(m))
	}
	return s.short(declared, votes), nil
}

// shared tells whether one of two nodes of a machine falls short when all their cores are challenged together, each declared in full. The machine
// serves either first, as it happens to.
func (s *simulation) shared(declared challenge.Declared) (bool, error) {
	spec := challenge.Spec{
		Kind: challenge.CPUAll, Declared: challenge.Declared{Cores: declared.Cores, CPUAll: declared.CPUAll},
		Together: &challenge.Together{Tries: make([]time.Time, 3), Window: 2200 * time.Millisecond},
	}
	nominal, err := spec.Nominal(declared)
	if err != nil {
		return false, err
	}
	var votes [2][]nodestypes.BenchmarkObservation
	for range simulatedOracles {
		first := [3]int{s.rng.IntN(2), s.rng.IntN(2), s.rng.IntN(2)}
		for node := range votes {
			m, err := challenge.Replay(spec, s.noisy(spec.Kind, func(try int) time.Duration {
				if node == first[try] {
					return nominal
				}
				return 2 * nominal
			}))
			if err != nil {
				return false, err
			}
			votes[node] = append(votes[node], vote(m))
		}
	}
	return s.short(spec.Declared, votes[0]) || s.short(spec.Declared, votes[1]), nil
}

// noisy are times with noise as it was recorded in a row, from a random place on.
func (s *simulation) noisy(kind challenge.Kind, nominal func(try int) time.Duration) func() time.Duration {
	times := s.recording.of(kind)
	at, try, factor := s.rng.IntN(len(times)), 0, 1.0
	if s.scatter > 0 {
		factor = float64(s.scatter) / 100 / max(deviation(times), 0.001)
	}
	return func() time.Duration {
		ratio := 1 + (float64(times[(at+try)%len(times)])/1000-1)*factor
		d := time.Duration(float64(nominal(try)) * max(ratio, 0.1))
		try++
		return d
	}
}

func (r Recording) of(kind challenge.Kind) []uint32 {
	switch kind {
	case challenge.CPUSingle:
		return r.CPUSingle
	case challenge.CPUAll:
		return r.CPUAll
	case challenge.Memory:
		return r.Memory
	}
	return r.Disk
}

// short is the chain's verdict on the medians of the oracles.
func (s *simulation) short(declared challenge.Declared, votes []nodestypes.BenchmarkObservation) bool {
	medians, _ := nodestypes.Medians(votes)
	verdict, _, _ := nodestypes.Judge(benchmarkOf(declared), medians, s.params)
	return verdict == nodestypes.VerdictBelow
}

func vote(m challenge.Measurement) nodestypes.BenchmarkObservation {
	return nodestypes.BenchmarkObservation{Measured: measuredOf(m)}
}

func measuredOf(m challenge.Measurement) nodestypes.Benchmark {
	return nodestypes.Benchmark{
		CpuSingle: m.CPUSingle, CpuAll: m.CPUAll, MemoryMib: m.MemoryMiB, MemoryBandwidth: m.MemoryBandwidthMiB,
		DiskRead: m.DiskReadMiB, StorageMib: m.StorageMiB, RttUs: m.RTTMicros, BandwidthKbit: m.BandwidthKbit,
	}
}

func benchmarkOf(d challenge.Declared) nodestypes.Benchmark {
	return nodestypes.Benchmark{
		CpuSingle: d.CPUSingle, CpuAll: d.CPUAll, MemoryMib: d.MemoryMiB, MemoryBandwidth: d.MemoryBandwidthMiB,
		DiskRead: d.DiskReadMiB, StorageMib: d.StorageMiB,
	}
}

// deviation is the standard deviation of times, as a part of the median.
func deviation(times []uint32) float64 {
	mean, sum := 0.0, 0.0
	for _, v := range times {
		mean += float64(v) / 1000 / float64(len(times))
	}
	for _, v := range times {
		sum += (float64(v)/1000 - mean) * (float64(v)/1000 - mean)
	}
	return math.Sqrt(sum / float64(len(times)))
}
