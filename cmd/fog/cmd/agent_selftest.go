package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/selftest"
)

const selftestHelp = `Measure this machine as an oracle does, and say what the chain would make of it.

With --attack, a machine that lies about itself is measured, which must be caught: cpu-quota and swap (as root, on Linux) halve its processors and
memory by a control group, shared lets two agents answer for this one machine, overdeclare-cpu and overdeclare-memory declare
twice what there is. With --rounds, registrations are simulated with recorded noise; with --record, noise is recorded.

The command fails if an honest machine is refused, an attack is not caught, or a simulation finds too many of either.`

// selftestFlags of fog agent selftest.
type selftestFlags struct {
	attack, record, noise string
	rounds, scatter       int
	tries                 int
	seed                  uint64
	budget                time.Duration
}

func newAgentSelftestCmd(a *app, agent *agentFlags) *cobra.Command {
	var f selftestFlags
	c := &cobra.Command{
		Use: "selftest", Short: "Try whether the oracles would believe this machine, or one that lies", Long: selftestHelp, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.selftest(cmd.Context(), f, a.agentDir(*agent)) },
	}
	fl := c.Flags()
	fl.StringVar(&f.attack, "attack", "", "the lie to be caught: "+strings.Join(selftest.Attacks(), ", "))
	fl.IntVar(&f.rounds, "rounds", 0, "simulate so many registrations of each kind of machine")
	fl.StringVar(&f.noise, "noise", "", "recording to simulate with (default: the one that comes with fog)")
	fl.IntVar(&f.scatter, "scatter", 0, "bring the recorded noise to this standard deviation, in percent (default: as it is)")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of the simulation's choices")
	fl.StringVar(&f.record, "record", "", "record this machine's noise into this file")
	fl.IntVar(&f.tries, "tries", 100, "tries of each kind to record")
	fl.DurationVar(&f.budget, "budget", 3*time.Second, "about how long the benchmark takes by which the machine is declared")
	c.MarkFlagsMutuallyExclusive("attack", "rounds", "record")
	c.AddCommand(&cobra.Command{
		Use: "serve", Short: "Be an agent of a selftest", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return selftest.Serve(cmd.Context(), cmd.InOrStdin()) },
	})
	return c
}

func (a *app) selftest(ctx context.Context, f selftestFlags, dir string) error {
	switch {
	case f.rounds < 0 || f.scatter < 0:
		return usagef("--rounds and --scatter must not be negative")
	case f.attack != "" && !slices.Contains(selftest.Attacks(), f.attack):
		return usagef("--attack is %q; it must be one of %s", f.attack, strings.Join(selftest.Attacks(), ", "))
	case f.rounds > 0:
		return a.simulateSelftest(f)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if f.record != "" {
		return a.recordNoise(ctx, f, dir)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	a.say("measuring this machine …")
	result, err := selftest.Run(ctx, selftest.Options{
		Attack: f.attack, Budget: f.budget, Dir: dir, Log: a.log,
		Agent: func(ctx context.Context) *exec.Cmd {
			c := exec.CommandContext(ctx, self, "agent", "selftest", "serve")
			c.Stderr = a.stderr
			return c
		},
	})
	if err != nil {
		return err
	}
	if err := a.print(result, func(w io.Writer) error { return printSelftest(w, result) }); err != nil {
		return err
	}
	switch {
	case result.AsExpected:
		return nil
	case f.attack == "":
		return fmt.Errorf("the oracles would not believe this machine; run fewer other programs, or declare less (`fog node register --headroom`)")
	}
	return fmt.Errorf("the attack %s was not caught", f.attack)
}

func printSelftest(w io.Writer, r selftest.Result) error {
	for i, n := range r.Nodes {
		d, m := n.Declared, n.Measured
		if err := table(w, [][]string{
			{fmt.Sprintf("NODE %d", i+1), "DECLARED", "MEASURED", ""},
			{"one core", num(d.CpuSingle), num(m.CpuSingle), "squarings/s"}, {"all cores", num(d.CpuAll), num(m.CpuAll), "squarings/s"},
			{"memory", num(d.MemoryMib), num(m.MemoryMib), "MiB"}, {"memory speed", num(d.MemoryBandwidth), num(m.MemoryBandwidth), "MiB/s"},
			{"disk", num(d.DiskRead), num(m.DiskRead), "MiB/s"}, {"bandwidth", "", bandwidthText(m.BandwidthKbit), "Mbit/s"},
			{"verdict", n.Verdict, n.Figure, ""},
		}); err != nil {
			return err
		}
	}
	if r.Attack == "" {
		return nil
	}
	_, err := fmt.Fprintf(w, "\nthe attack %s was caught: %t\n", r.Attack, r.Caught)
	return err
}

func (a *app) recordNoise(ctx context.Context, f selftestFlags, dir string) error {
	a.say("recording %d tries of each kind …", f.tries)
	recording, err := selftest.Record(ctx, dir, f.tries)
	if err != nil {
		return err
	}
	data, err := json.Marshal(recording)
	if err != nil {
		return err
	}
	if err := os.WriteFile(f.record, append(data, '\n'), 0o644); err != nil {
		return err
	}
	out := struct {
		File   string `json:"file"`
		System string `json:"system"`
		Step   uint64 `json:"memory_step_ns"`
		Miss   uint64 `json:"memory_miss_ns"`
	}{f.record, recording.System, recording.StepNanos, recording.MissNanos}
	return a.print(out, func(w io.Writer) error {
		return fields(w, "recorded", f.record, "memory step", fmt.Sprintf("%d ns, %d if the block is not there", out.Step, out.Miss))
	})
}

func (a *app) simulateSelftest(f selftestFlags) error {
	recording, err := selftest.BuiltIn()
	if f.noise != "" {
		data, readErr := os.ReadFile(f.noise)
		if readErr != nil {
			return readErr
		}
		recording, err = selftest.Parse(data)
	}
	if err != nil {
		return err
	}
	report, err := selftest.Simulate(recording, selftest.Rounds{Registrations: f.rounds, Scatter: f.scatter, Seed: f.seed})
	if err != nil {
		return err
	}
	if err := a.print(report, func(w io.Writer) error { return printRounds(w, report) }); err != nil {
		return err
	}
	return report.Passes()
}

func printRounds(w io.Writer, r selftest.Report) error {
	if err := fields(w, "noise", fmt.Sprintf("%.1f %% of standard deviation (recorded on %s)", r.ScatterPercent, r.System)); err != nil {
		return err
	}
	rows := [][]string{{"MACHINE", "REGISTRATIONS", "REFUSED", "BENCHMARKS", "FELL SHORT"}}
	for _, c := range []struct {
		name string
		o    selftest.Outcome
	}{
		{"honest", r.Honest}, {selftest.AttackOverdeclareCPU, r.OverdeclaredCPU}, {selftest.AttackOverdeclareMemory, r.OverdeclaredMemory},
		{selftest.AttackShared, r.Shared},
	} {
		rows = append(rows, []string{c.name, fmt.Sprint(c.o.Registrations), fmt.Sprint(c.o.Refused), fmt.Sprint(c.o.Benchmarks), fmt.Sprint(c.o.Short)})
	}
	return table(w, rows)
}
