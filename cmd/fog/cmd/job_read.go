package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/jobclient"
	"github.com/foggrid/fogd/offchain/jobfile"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

func newJobStatusCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "status ID", Short: "Show a job, its slices and its money, and why tasks wait", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := jobID(args)
			if err != nil {
				return err
			}
			return a.jobStatus(cmd.Context(), id)
		},
	}
}

// jobView is a job as `fog job status` shows it.
type jobView struct {
	Job     json.RawMessage     `json:"job"`
	Slices  []json.RawMessage   `json:"slices"`
	Account json.RawMessage     `json:"account"`
	Waiting []jobclient.Waiting `json:"waiting"`
	// Endpoints and FundedUntil are of services.
	Endpoints   []json.RawMessage `json:"endpoints,omitempty"`
	FundedUntil int64             `json:"funded_until,omitempty"`
}

func (a *app) jobStatus(ctx context.Context, id string) error {
	ch, err := a.chain(ctx)
	if err != nil {
		return err
	}
	c := &jobclient.Client{Chain: ch}
	job, err := c.Job(ctx, id)
	if errors.Is(err, jobclient.ErrNoSuchJob) {
		return a.periodicStatus(ctx, c, id, err)
	}
	if err != nil {
		return err
	}
	slices, err := c.Slices(ctx, id)
	if err != nil {
		return err
	}
	account, err := c.AccountOf(ctx, id)
	if err != nil {
		return err
	}
	v := jobView{Waiting: []jobclient.Waiting{}}
	var service jobclient.Service
	if job.IsService() {
		if service, err = c.Service(ctx, id); err != nil {
			return err
		}
		v.FundedUntil = service.FundedUntil
		if v.Endpoints, err = protoList(ch.Codec(), service.Endpoints); err != nil {
			return err
		}
	}
	if job.Counts.Pending > 0 {
		if v.Waiting, err = jobclient.Explain(ctx, ch, id); err != nil {
			return err
		}
	}
	if v.Job, err = protoJSON(ch.Codec(), &job); err != nil {
		return err
	}
	if v.Slices, err = protoList(ch.Codec(), slices); err != nil {
		return err
	}
	if v.Account, err = protoJSON(ch.Codec(), &account); err != nil {
		return err
	}
	return a.print(v, func(w io.Writer) error {
		if err := printJob(w, job); err != nil {
			return err
		}
		if err := fields(w, "in escrow", fmt.Sprintf("%s, of which %s free to withdraw", fog(account.Balance), fog(account.Free()))); err != nil {
			return err
		}
		if job.IsService() {
			if err := printService(w, service); err != nil {
				return err
			}
		}
		if err := printSlices(w, slices); err != nil {
			return err
		}
		if len(v.Waiting) > 0 {
			defer a.say("what change would help: fog job why %s", id)
		}
		return printWaiting(w, v.Waiting)
	})
}

func jobState(job jobstypes.Job) string {
	if job.Status == jobstypes.JOB_STATUS_CLOSED {
		return short(job.CloseReason, "CLOSE_REASON_")
	}
	if job.CancelledTime != 0 {
		return "OPEN, cancelled"
	}
	return short(job.Status, "JOB_STATUS_")
}

// counts says how many tasks are in each state that has any.
func counts(t jobstypes.TaskCounts) string {
	var parts []string
	for _, p := range []struct {
		n    uint32
		what string
	}{
		{t.Pending, "pending"}, {t.Matched, "running"}, {t.Reported, "reported"}, {t.Succeeded, "succeeded"}, {t.Failed, "failed"},
		{t.Lost, "lost"}, {t.Cancelled, "cancelled"}, {t.Expired, "expired"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	return strings.Join(parts, ", ")
}

func printJob(w io.Writer, job jobstypes.Job) error {
	tasks, limit, required := fmt.Sprintf("%d: %s", job.Tasks, counts(job.Counts)), millis(job.MaxDuration*1000), num(uint64(job.MinSuccess))
	if job.IsService() {
		tasks, limit, required = "", "", "" // it has replicas
	}
	return fields(w,
		"job", job.Id, "owner", job.Owner, "state", jobState(job), "tasks", tasks,
		"must succeed", required, "submitted", when(job.SubmittedTime), "must be matched by", when(job.Deadline),
		"closed", when(job.ClosedTime), "price cap", fog(job.PriceCap)+" a task-hour", "a task runs at most", limit,
		"run of", runOf(job), "engine", jobfile.EngineName(job.Engine), "spec", job.SpecDigest, programWord(job.Engine), job.ImageDigest, "account", job.Account,
		"funded", fog(job.Funded), "paid to providers", fog(job.Paid), "fees of oracles", fog(job.Fees), "given back", fog(job.Refunded))
}

func printSlices(w io.Writer, slices []jobstypes.Slice) error {
	rows := [][]string{{"SLICE", "TASKS", "STATUS", "ATTEMPT", "NODE", "METERED", "FAILED", "PAID"}}
	for _, s := range slices {
		row := []string{
			num(uint64(s.Number)), taskRange(s), short(s.Status, "SLICE_STATUS_"), num(uint64(s.Attempt)), s.NodeId, "", "", fog(s.Paid),
		}
		if s.Outcome != nil {
			row[5], row[6] = millis(s.MeteredMs), failures(s.Outcome.Failures)
		}
		rows = append(rows, row)
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return table(w, rows)
}

// failures says what went wrong, and how often.
func failures(all []jobstypes.TaskFailure) string {
	if len(all) == 0 {
		return "0"
	}
	first := short(all[0].Reason, "FAILURE_REASON_")
	if all[0].ExitCode != 0 {
		first += fmt.Sprintf(" %d", all[0].ExitCode)
	}
	return fmt.Sprintf("%d (task %d: %s)", len(all), all[0].Task, first)
}

// shownWaiting is how many waiting slices are explained to people; they are mostly alike.
const shownWaiting = 3

func printWaiting(w io.Writer, waiting []jobclient.Waiting) error {
	for i, s := range waiting {
		if i == shownWaiting {
			_, err := fmt.Fprintf(w, "\n%s more waiting\n", some(uint64(len(waiting)-i), "slice"))
			return err
		}
		if _, err := fmt.Fprintf(w, "\nslice %d (%s) waits: %s\n", s.Slice, some(uint64(s.Tasks), "task"), ability(s)); err != nil {
			return err
		}
		for _, e := range s.Excluded {
			if _, err := fmt.Fprintf(w, "  %s: %s\n", some(uint64(e.Nodes), "node"), e.Reason); err != nil {
				return err
			}
		}
	}
	return nil
}

func ability(s jobclient.Waiting) string {
	switch {
	case s.Nodes == 0:
		return "no node is active"
	case s.Able > 0:
		return fmt.Sprintf("%d of %s can take a task; the next match comes soon", s.Able, some(uint64(s.Nodes), "active node"))
	}
	return fmt.Sprintf("none of %s can take a task", some(uint64(s.Nodes), "active node"))
}

func newJobWatchCmd(a *app) *cobra.Command {
	results := false
	cmd := &cobra.Command{
		Use: "watch ID", Short: "Follow a job until it is closed, and fail unless it is COMPLETED", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := jobID(args)
			if err != nil {
				return err
			}
			return a.watchJob(cmd.Context(), id, results)
		},
	}
	cmd.Flags().BoolVar(&results, "results", false, "end when all tasks have their results, which need not be accepted yet")
	return cmd
}

func (a *app) watchJob(ctx context.Context, id string, results bool) error {
	ch, err := a.chain(ctx)
	if err != nil {
		return err
	}
	job, err := a.follow(ctx, &jobclient.Client{Chain: ch}, id, results)
	if err != nil {
		return err
	}
	raw, err := protoJSON(ch.Codec(), &job)
	if err != nil {
		return err
	}
	if err := a.print(map[string]json.RawMessage{"job": raw}, func(w io.Writer) error { return printEnd(w, job) }); err != nil {
		return err
	}
	return endOf(job)
}

// follow shows how a job gets on until it is closed, or until all tasks have their results.
func (a *app) follow(ctx context.Context, c *jobclient.Client, id string, results bool) (jobstypes.Job, error) {
	screen := a.bars()
	defer screen.end()
	bar := screen.count("tasks")
	told := false
	return c.Watch(ctx, id, func(job jobstypes.Job) bool {
		if bar != nil {
			bar(int64(jobclient.Settled(job.Counts)+job.Counts.Reported), int64(job.Tasks))
		} else {
			a.say("tasks: %s", counts(job.Counts))
		}
		attested := jobclient.Attested(job.Counts)
		if attested && !told && !results && job.Status == jobstypes.JOB_STATUS_OPEN {
			told = true
			a.log.Info("all tasks have their results; accept them with `fog job result ID -o DIR --accept`, or wait until their window is over", "job", id)
		}
		return results && attested
	})
}

func printEnd(w io.Writer, job jobstypes.Job) error {
	_, err := fmt.Fprintf(w, "%s %s: %s; paid %s, fees %s, given back %s of %s\n", job.Id, jobState(job), counts(job.Counts), fog(job.Paid), fog(job.Fees),
		fog(job.Refunded), fog(job.Funded))
	return err
}

// endOf is nil if a job came out well, so far as it can be told.
func endOf(job jobstypes.Job) error {
	if job.Status == jobstypes.JOB_STATUS_OPEN || job.CloseReason == jobstypes.CLOSE_REASON_COMPLETED {
		return nil
	}
	return fmt.Errorf("%s is %s: %d of its tasks succeeded, %d had to; see `fog job status` and `fog job logs`", job.Id,
		short(job.CloseReason, "CLOSE_REASON_"), job.Counts.Succeeded, job.MinSuccess)
}

func newJobListCmd(a *app) *cobra.Command {
	var status, owner string
	cmd := &cobra.Command{
		Use: "list", Short: "List jobs", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			wanted := jobstypes.JOB_STATUS_UNSPECIFIED
			if status != "" {
				v, ok := jobstypes.JobStatus_value["JOB_STATUS_"+strings.ToUpper(status)]
				if !ok || v == 0 {
					return usagef("--status is %q; it must be open or closed", status)
				}
				wanted = jobstypes.JobStatus(v)
			}
			return a.listJobs(cmd.Context(), owner, wanted)
		},
	}
	cmd.Flags().StringVar(&status, "status", "", "only jobs that are open, or closed")
	cmd.Flags().StringVar(&owner, "owner", "", "address (fog1…) of the owner (default: that of the key)")
	return cmd
}

func (a *app) listJobs(ctx context.Context, owner string, status jobstypes.JobStatus) error {
	if owner == "" {
		var err error
		if owner, err = a.address(ctx, ""); err != nil {
			return err
		}
	}
	ch, err := a.chain(ctx)
	if err != nil {
		return err
	}
	if _, err := ch.Codec().Accounts().StringToBytes(owner); err != nil {
		return usagef("--owner %q is not an address (fog1…): %w", owner, err)
	}
	c := &jobclient.Client{Chain: ch}
	jobs, err := c.Jobs(ctx, owner, status)
	if err != nil {
		return err
	}
	periodic, err := periodicJobs(ctx, c, owner, status)
	if err != nil {
		return err
	}
	raw, err := protoList(ch.Codec(), jobs)
	if err != nil {
		return err
	}
	rawPeriodic, err := protoList(ch.Codec(), periodic)
	if err != nil {
		return err
	}
	return a.print(map[string]any{"jobs": raw, "periodic_jobs": rawPeriodic}, func(w io.Writer) error {
		if len(periodic) > 0 {
			if err := printPeriodicJobs(w, periodic); err != nil {
				return err
			}
		}
		rows := [][]string{{"JOB", "STATE", "SUBMITTED", "TASKS", "FUNDED", "PAID"}}
		for _, j := range jobs {
			rows = append(rows, []string{j.Id, jobState(j), when(j.SubmittedTime), counts(j.Counts), fog(j.Funded), fog(j.Paid)})
		}
		return table(w, rows)
	})
}
