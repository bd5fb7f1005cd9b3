package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/jobclient"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// whyFlags of `fog job why`.
type whyFlags struct {
	slice int64
	nodes []string
}

func newJobWhyCmd(a *app) *cobra.Command {
	f := whyFlags{slice: -1}
	cmd := &cobra.Command{
		Use: "why ID", Short: "Say why a job's slices are on their nodes, why not on others, and why some wait", Args: cobra.ExactArgs(1),
		Long: `Say why a job's slices are on their nodes, why not on others, and why some wait.

A match is computed again from the state that the oracles matched on, so the node that answers must still have that state. A slice that
waits is explained by the newest state: which constraint excludes how many nodes, and what change of the job would let nodes in.

A node's loss is what a task is expected to cost there: its run at the node's price and speed, its failures, the distance to the job's
place, and what the wishes that the node does not meet weigh. The policy takes the node of least loss, but for a small part of its
decisions, in which it learns about others.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := jobID(args)
			if err != nil {
				return err
			}
			for _, node := range f.nodes {
				if _, err := nodestypes.ParseNodeID(node); err != nil {
					return usagef("--node %q is not the id of a node (node1…): %w", node, err)
				}
			}
			return a.jobWhy(cmd.Context(), id, f)
		},
	}
	cmd.Flags().Int64Var(&f.slice, "slice", -1, "number of the slice (default: those that wait or run, then the newest)")
	cmd.Flags().StringArrayVar(&f.nodes, "node", nil, "node (node1…) of which to tell why not; may be given again")
	return cmd
}

// whyView is what `fog job why` tells.
type whyView struct {
	JobID  string          `json:"job_id"`
	Slices []jobclient.Why `json:"slices"`
	// Omitted slices are there besides.
	Omitted int `json:"omitted"`
}

// explained is how many slices are explained at once.
const explained = 8

func (a *app) jobWhy(ctx context.Context, id string, f whyFlags) error {
	ch, err := a.chain(ctx)
	if err != nil {
		return err
	}
	c := &jobclient.Client{Chain: ch}
	if _, err := c.Job(ctx, id); err != nil {
		return err
	}
	all, err := c.Slices(ctx, id)
	if err != nil {
		return err
	}
	v := whyView{JobID: id, Slices: []jobclient.Why{}}
	wanted, err := whySlices(all, f.slice)
	if err != nil {
		return fmt.Errorf("slice %d of %s: %w", f.slice, id, err)
	}
	if f.slice < 0 {
		v.Omitted = len(all) - len(wanted)
	}
	reasons := jobclient.NewReasons(ch)
	var failed []error
	for _, s := range wanted {
		why, err := reasons.Of(ctx, s, f.nodes...)
		if err != nil {
			if f.slice >= 0 || !(errors.Is(err, chain.ErrPruned) || errors.Is(err, jobclient.ErrNotExplained)) {
				return err
			}
			failed = append(failed, err)
			why = jobclient.Why{Slice: s.Number, FirstTask: s.FirstTask, Tasks: s.TaskCount, Status: s.Status.String(), Unexplained: clean(err)}
		}
		v.Slices = append(v.Slices, why)
	}
	if len(wanted) > 0 && len(failed) == len(wanted) {
		return failed[0]
	}
	return a.print(v, func(w io.Writer) error { return printWhy(w, v) })
}

// whySlices are the slices to explain: the one of a number, or else those that wait, those that run, and the newest of the others.
func whySlices(all []jobstypes.Slice, number int64) ([]jobstypes.Slice, error) {
	if number >= 0 {
		at := slices.IndexFunc(all, func(s jobstypes.Slice) bool { return int64(s.Number) == number })
		if at < 0 {
			return nil, jobclient.ErrNoSuchSlice
		}
		return all[at : at+1], nil
	}
	rank := func(s jobstypes.Slice) int {
		switch {
		case s.Status == jobstypes.SLICE_STATUS_PENDING:
			return 0
		case s.Status == jobstypes.SLICE_STATUS_MATCHED:
			return 1
		case s.NodeId != "":
			return 2
		}
		return 3 // never matched: nothing to tell
	}
	wanted := slices.Clone(all)
	slices.SortStableFunc(wanted, func(a, b jobstypes.Slice) int {
		if rank(a) != rank(b) || rank(a) < 2 {
			return rank(a) - rank(b)
		}
		return int(int64(b.Number) - int64(a.Number))
	})
	return wanted[:min(len(wanted), explained)], nil
}

func printWhy(w io.Writer, v whyView) error {
	for i, s := range v.Slices {
		if i > 0 {
			if _, err := fmt.Fprintln(w); err != nil {
				return err
			}
		}
		if err := printWhySlice(w, s); err != nil {
			return err
		}
	}
	if v.Omitted > 0 {
		_, err := fmt.Fprintf(w, "\n%s more; name one with --slice\n", some(uint64(v.Omitted), "slice"))
		return err
	}
	return nil
}

func printWhySlice(w io.Writer, s jobclient.Why) error {
	name := fmt.Sprintf("slice %d (%s)", s.Slice, some(uint64(s.Tasks), "task"))
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	switch d := s.Decision; {
	case s.Unexplained != "":
		say("%s, %s: %s", name, strings.TrimPrefix(s.Status, "SLICE_STATUS_"), s.Unexplained)
	case d != nil && !d.Preview:
		say("%s went to %s", name, d.Node)
		say("  by policy %s in round %d, on the state at height %d with %s", s.Policy, s.Round, s.Height, some(uint64(s.Nodes), "active node"))
		say("  %s", chosen(d))
	default:
		say("%s waits, by policy %s on the state at height %d with %s", name, s.Policy, s.Height, some(uint64(s.Nodes), "active node"))
		if d != nil {
			say("  as things are, the next match gives tasks to %s: %s", d.Node, chosen(d))
		}
	}
	if d := s.Decision; d != nil {
		if text := comparison(d); text != "" {
			say("  %s", text)
		}
	}
	if s.Waiting != nil {
		lines = append(lines, waitingLines(s)...)
	}
	for _, c := range s.Asked {
		lines = append(lines, askedLines(c)...)
	}
	if _, err := fmt.Fprintln(w, strings.Join(lines, "\n")); err != nil || s.Decision == nil || len(s.Decision.Considered) == 0 {
		return err
	}
	rows := [][]string{{"  NODE", "", "LOSS", "= RUN", "+ FAILURES", "+ DISTANCE", "+ WISHES", "RELIABILITY"}}
	for _, c := range s.Decision.Considered {
		mark := ""
		if c.Taken {
			mark = "taken"
		}
		rows = append(rows, []string{"  " + c.Node, mark, fog(c.Loss), fog(c.Run), fog(c.Failure), fog(c.Distance), fog(c.Wishes), perMille(c.Reliability)})
	}
	return table(w, rows)
}

// perMille writes thousandths as percent.
func perMille(v uint32) string { return fmt.Sprintf("%d.%d %%", v/10, v%10) }

// chosen says how the choice came about.
func chosen(d *jobclient.WhyDecision) string {
	if !d.Identical {
		return "computed again, another node comes out: the queue or the policy of this release differs from the oracles'; see `fog oracle replay`"
	}
	chance := fmt.Sprintf("%d.%02d %%", d.Propensity/10_000, d.Propensity/100%100)
	how := "a chance of " + chance
	if d.Redraws > 0 {
		how = fmt.Sprintf("%s of %d draws with other seeds take it", chance, d.Redraws)
	}
	if d.Explored {
		return "it was taken to learn about it, though another promised less loss (" + how + ")"
	}
	return "it promised the least loss (" + how + ")"
}

// comparison says by what the nearest other node differs from the one that was taken.
func comparison(d *jobclient.WhyDecision) string {
	at := slices.IndexFunc(d.Considered, func(c jobclient.Candidate) bool { return c.Taken })
	if at < 0 || len(d.Considered) < 2 {
		return ""
	}
	taken, other := d.Considered[at], d.Considered[0]
	if at == 0 {
		other = d.Considered[1]
	}
	var parts []string
	for _, p := range []struct {
		what        string
		this, taken uint64
	}{
		{"its run costs", other.Run, taken.Run}, {"its failures cost", other.Failure, taken.Failure},
		{"its distance costs", other.Distance, taken.Distance}, {"the wishes that it does not meet weigh", other.Wishes, taken.Wishes},
	} {
		switch {
		case p.this > p.taken:
			parts = append(parts, fmt.Sprintf("%s %s more", p.what, fog(p.this-p.taken)))
		case p.this < p.taken:
			parts = append(parts, fmt.Sprintf("%s %s less", p.what, fog(p.taken-p.this)))
		}
	}
	if len(parts) == 0 {
		return fmt.Sprintf("%s was just as good; a hash decided between them", other.Node)
	}
	return fmt.Sprintf("%s was nearest: %s", other.Node, strings.Join(parts, ", "))
}

func waitingLines(s jobclient.Why) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf("  "+format, args...)) }
	wait := s.Waiting
	switch {
	case wait.Full:
		say("the batch is full before its turn; a later match looks at it")
	case s.Nodes == 0:
		say("no node is active")
	default:
		say("%s of it would find no node:", some(uint64(wait.Tasks), "task"))
	}
	for _, e := range wait.Excluded {
		say("  %s: %s", some(uint64(e.Nodes), "node"), e.Reason)
	}
	if len(wait.Conditions) > 0 {
		say("of constraints.where, not met:")
	}
	for _, c := range wait.Conditions {
		say("  %s: %s", some(uint64(c.Nodes), "node"), c.Reason)
	}
	if len(wait.Changes) > 0 {
		say("what would let nodes in, each by itself:")
	} else if s.Nodes > 0 && !wait.Full {
		say("no single change of the job would let a node in")
	}
	for _, c := range wait.Changes {
		say("  %s: %s", some(uint64(c.Nodes), "node"), c.Change)
	}
	return out
}

// askedLines tell why a node that was asked for was not taken; one that was only dearer is in the table.
func askedLines(c jobclient.Candidate) []string {
	if c.Reason == "" {
		return nil
	}
	out := []string{fmt.Sprintf("  not %s: %s", c.Node, c.Reason)}
	for _, condition := range c.Conditions {
		out = append(out, "    does not meet: "+condition)
	}
	for _, change := range c.Changes {
		out = append(out, "    what would let it in: "+change)
	}
	return out
}
