package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/sim"
)

func newSimCmd(a *app) *cobra.Command {
	return group("sim", "Try matching policies in a simulated grid", newSimRunCmd(a), newSimSchemaCmd(a), newSimPoliciesCmd(a))
}

// simFlags of `fog sim run`.
type simFlags struct {
	nodes, scenario string
	policies        []string
	jobs, seeds     int
	first           uint64
	workers         int
	alone           bool
}

func newSimRunCmd(a *app) *cobra.Command {
	var f simFlags
	cmd := &cobra.Command{
		Use: "run", Short: "Run policies through the same worlds and compare them", Args: cobra.NoArgs,
		Long: `Run policies through the same worlds and compare them.

Each seed is a world: nodes drawn from the catalogue, with reliability and speed that no policy sees, and a stream of jobs. The policies
oracle and random always run too, because losses are over the oracle's and regret is over random's. --output json prints one object with
an object for each policy, --output html one page with plots.`,
		Annotations: map[string]string{outputsAnnotation: "html"},
		RunE:        func(cmd *cobra.Command, _ []string) error { return a.simRun(cmd.Context(), f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.nodes, "nodes", "", "CSV file of servers with benchmarks and prices (default: a generated catalogue)")
	fl.StringVar(&f.scenario, "scenario", "", "YAML or JSON file, see fog sim schema (default: the stationary scenario)")
	fl.StringSliceVar(&f.policies, "policy", []string{"fog", "flat", "greedy"}, "policies to compare, see fog sim policies")
	fl.IntVar(&f.jobs, "jobs", 60_000, "jobs of each run")
	fl.IntVar(&f.seeds, "seeds", 3, "worlds")
	fl.Uint64Var(&f.first, "first-seed", 1, "seed of the first world; the others follow")
	fl.IntVar(&f.workers, "workers", 1, "runs at a time; more than one spoils the times of decisions")
	fl.BoolVar(&f.alone, "alone", false, "leave out the references oracle and random, which look at every node for each job; ratios are then 0")
	return cmd
}

// experiment reads the files.
func (f simFlags) experiment() (*sim.Experiment, error) {
	if f.jobs < 100 || f.seeds < 1 || f.workers < 1 {
		return nil, usagef("--jobs is %d, --seeds %d, --workers %d; give at least 100, 1 and 1", f.jobs, f.seeds, f.workers)
	}
	x := &sim.Experiment{Scenario: sim.DefaultScenario(), Policies: f.policies, Jobs: f.jobs, Workers: f.workers, Alone: f.alone}
	for i := range f.seeds {
		x.Seeds = append(x.Seeds, f.first+uint64(i))
	}
	if f.scenario != "" {
		err := readFrom(f.scenario, func(r io.Reader) (err error) {
			x.Scenario, err = sim.ReadScenario(r)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if f.nodes == "" {
		x.Catalogue = sim.Generate(generatedServers, 1)
		return x, nil
	}
	err := readFrom(f.nodes, func(r io.Reader) (err error) {
		x.Catalogue, err = sim.ReadCatalogue(r)
		return err
	})
	return x, err
}

// generatedServers is the size of the catalogue where none is given.
const generatedServers = 4000

// readFrom opens a file and names it in what is wrong with it.
func readFrom(path string, read func(io.Reader) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	err = read(file)
	var problems sim.Problems
	if errors.As(err, &problems) {
		lines := make([]string, len(problems))
		for i, p := range problems {
			lines[i] = fmt.Sprintf("%s:%d: %s", path, p.Line, sim.Problem{Field: p.Field, Text: p.Text}.Error())
		}
		return errors.New(strings.Join(lines, "\n"))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (a *app) simRun(ctx context.Context, f simFlags) error {
	x, err := f.experiment()
	if err != nil {
		return err
	}
	start := time.Now()
	x.Clock = func() int64 { return int64(time.Since(start)) }
	lines := a.ticker()
	x.Progress = simProgress(lines, start)
	result, runErr := x.Run(ctx)
	lines.end()
	if result == nil {
		return runErr
	}
	if runErr != nil {
		a.say("stopped early; the result is of %s", some(uint64(len(result.Seeds)), "seed"))
	}
	if a.output == "html" {
		err = sim.WriteReport(a.stdout, result)
	} else {
		err = a.print(result, func(w io.Writer) error { return table(w, simTable(result)) })
	}
	return errors.Join(err, runErr)
}

// simProgress says at most once a second how far the runs are.
func simProgress(t *ticker, start time.Time) func(done, total int64) {
	return func(done, total int64) {
		if t.due() || done == total {
			t.say("%d of %d jobs, %.0f a second", done, total, float64(done)/max(time.Since(start).Seconds(), 1e-3))
		}
	}
}

func simTable(r *sim.Result) [][]string {
	rows := [][]string{{"POLICY", "LOSS", "±", "COST/SUCCESS", "FAILURES %", "×", "REGRET, LAST QUARTER", "LIARS %", "VS FOG", "NS P50", "NS P99"}}
	for _, name := range r.Order {
		p := r.Policies[name]
		against := ""
		if _, ok := r.Policies["fog"]; ok && name != "fog" {
			i := p.Interval95.LossRatioMinusFog
			against = fmt.Sprintf("%+.4f…%+.4f", i.Low, i.High)
		}
		rows = append(rows, []string{
			name, fmt.Sprintf("%.4f", p.LossRatio), fmt.Sprintf("%.4f", (p.Interval95.LossRatio.High-p.Interval95.LossRatio.Low)/2),
			fmt.Sprintf("%.4f", p.CostPerSuccessRatio), fmt.Sprintf("%.2f", 100*p.FailureRate), fmt.Sprintf("%.3f", p.FailureRatio),
			fmt.Sprintf("%.4f", p.RegretRatioLastQuarter), fmt.Sprintf("%.1f", 100*p.LiarShareLastQuarter), against,
			fmt.Sprintf("%.0f", p.DecisionNsP50), fmt.Sprintf("%.0f", p.DecisionNsP99),
		})
	}
	return rows
}

func newSimSchemaCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of a scenario file", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			schema, err := sim.Schema()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.stdout, "%s\n", schema)
			return err
		},
	}
}

func newSimPoliciesCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "policies", Short: "List the policies", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			names, about := sim.Policies()
			byName := map[string]string{}
			rows := [][]string{{"POLICY", "WHAT IT TAKES"}}
			for i := range names {
				rows = append(rows, []string{names[i], about[i]})
				byName[names[i]] = about[i]
			}
			return a.print(byName, func(w io.Writer) error { return table(w, rows) })
		},
	}
}
