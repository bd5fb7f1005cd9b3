package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/gridbench"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// benchFlags of `fog bench dispatch`.
type benchFlags struct {
	node                        string
	runs, atOnce, registrations int
	nomad                       nomadFlags
}

func newBenchCmd(a *app) *cobra.Command {
	var f benchFlags
	dispatch := &cobra.Command{
		Use: "dispatch", Short: "Measure how soon tasks start on a node that is served by Nomad, beside the same Nomad without the grid", Args: cobra.NoArgs,
		Long: `Measure how soon tasks start on a node that is served by Nomad, beside the same Nomad without the grid.

The grid must run; the jobs are submitted with the key of this home and paid for. A node's first 10 tasks come one at a time, so give a fresh
node that many runs before its figures at once count. Times are taken on this machine's clock, except that of a container's start, which is the
client's: on another machine the clocks must agree.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.benchDispatch(cmd.Context(), f) },
	}
	fl := dispatch.Flags()
	fl.StringVar(&f.node, "node", "", "id of the node (node1…)")
	fl.IntVar(&f.runs, "runs", 20, "jobs of one task that are started one at a time")
	fl.IntVar(&f.atOnce, "at-once", 20, "tasks that are started together")
	fl.IntVar(&f.registrations, "registrations", 200, "jobs that are registered for the rate")
	f.nomad.addAccess(dispatch)
	f.nomad.addRunner(dispatch)
	return group("bench", "Measure a running grid", dispatch)
}

func (a *app) benchDispatch(ctx context.Context, f benchFlags) (err error) {
	if f.node == "" {
		return usagef("which node? give --node node1…")
	}
	if _, err := nodestypes.ParseNodeID(f.node); err != nil {
		return usagef("--node %q is not the id of a node (node1…): %w", f.node, err)
	}
	if f.runs < 1 || f.atOnce < 1 || f.registrations < 1 {
		return usagef("--runs, --at-once and --registrations must be at least 1")
	}
	regions, err := f.nomad.regions()
	if err != nil {
		return err
	}
	if len(regions) == 0 {
		return usagef("which Nomad? give --nomad-addr https://host:4646, or $NOMAD_ADDR")
	}
	runner, err := f.nomad.image()
	if err != nil {
		return err
	}
	node, err := a.plannedNode(ctx, f.node)
	if err != nil {
		return err
	}
	region, err := regionOf(node, regions)
	if err != nil {
		return err
	}
	jobs, err := a.jobClient(ctx)
	if err != nil {
		return err
	}
	registry, err := a.registry(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "fog-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	report, err := gridbench.Dispatch(ctx, gridbench.Options{
		Jobs: jobs, Registry: registry, ContentURL: cmp.Or(f.nomad.registry, a.profile.Registry), Node: node, Region: *region, Runner: runner,
		Runs: f.runs, AtOnce: f.atOnce, Registrations: f.registrations, Dir: dir, Say: a.say,
	})
	if err != nil {
		return err
	}
	return a.print(report, func(w io.Writer) error { return printDispatch(w, report) })
}

func printDispatch(out io.Writer, r gridbench.Report) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "seconds\tcount\tp50\tp99\tmax\t")
	for _, line := range []struct {
		name string
		s    gridbench.Spread
	}{
		{"one at a time: submit → in a block", r.Committed},
		{"submit → matched", r.Matched},
		{"submit → running", r.Running},
		{"matched → running", r.MatchRunning},
		{"submit → attested", r.Attested},
		{"bare Nomad: register → running", r.BareRunning},
		{"at once: submit → running", r.AtOnceGrid},
		{"matched → running", r.AtOnceMatched},
		{"bare Nomad: register → running", r.AtOnceBare},
	} {
		fmt.Fprintf(w, "%s\t%d\t%.2f\t%.2f\t%.2f\t\n", line.name, line.s.Count, line.s.P50/1000, line.s.P99/1000, line.s.Max/1000)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "registrations a second: bare %.0f, dispatcher %.0f\n", r.BareRate, r.DispatcherRate)
	return err
}
