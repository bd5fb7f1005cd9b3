package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/jobclient"
	"github.com/foggrid/fogd/offchain/jobfile"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// shownRuns is how many runs of a periodic job its status shows, the newest first.
const shownRuns = 10

func newJobTopUpCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "top-up ID AMOUNT", Short: "Pay for more of a service, or for more runs of a periodic job", Args: cobra.ExactArgs(2),
		Long: `Move money from the wallet to the account of a service, which then runs for longer, or of a periodic job. A periodic job that was suspended because it could not pay starts again. What a run
does not use comes back to the account by itself, and what is in it can be withdrawn at any time.`,
		Example: "  fog job top-up job1… 5FOG",
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := jobID(args)
			if err != nil {
				return err
			}
			amount, err := jobfile.ParseUfog(args[1])
			if err != nil || amount == 0 {
				return usagef("amount %q: write it like 0.5FOG or 500000ufog, more than zero", args[1])
			}
			c, err := a.jobClient(cmd.Context())
			if err != nil {
				return err
			}
			until, err := c.TopUpService(cmd.Context(), id, uint64(amount))
			if err == nil {
				return a.print(map[string]any{"job_id": id, "amount": uint64(amount), "funded_until": until}, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "%s got %s; it is paid for until %s\n", id, fog(uint64(amount)), when(until))
					return err
				})
			}
			if !errors.Is(err, jobclient.ErrNoService) && !errors.Is(err, jobclient.ErrNoSuchJob) {
				return err
			}
			next, err := c.TopUp(cmd.Context(), id, uint64(amount))
			if err != nil {
				return err
			}
			return a.print(map[string]any{"job_id": id, "amount": uint64(amount), "next_time": next}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s got %s; its next run is at %s\n", id, fog(uint64(amount)), when(next))
				return err
			})
		},
	}
}

// periodicView is a periodic job as `fog job status` shows it.
type periodicView struct {
	Job     json.RawMessage   `json:"periodic_job"`
	Account json.RawMessage   `json:"account"`
	Runs    []json.RawMessage `json:"last_runs"`
}

// periodicStatus shows a periodic job; none is what the look-up of a job with this id came to.
func (a *app) periodicStatus(ctx context.Context, c *jobclient.Client, id string, none error) error {
	job, err := c.PeriodicJob(ctx, id)
	if errors.Is(err, jobclient.ErrNoSuchJob) {
		return none
	}
	if err != nil {
		return err
	}
	account, err := c.AccountOf(ctx, id)
	if err != nil {
		return err
	}
	runs, err := c.LastRuns(ctx, job, shownRuns)
	if err != nil {
		return err
	}
	var v periodicView
	if v.Job, err = protoJSON(c.Chain.Codec(), &job); err != nil {
		return err
	}
	if v.Account, err = protoJSON(c.Chain.Codec(), &account); err != nil {
		return err
	}
	if v.Runs, err = protoList(c.Chain.Codec(), runs); err != nil {
		return err
	}
	return a.print(v, func(w io.Writer) error {
		s := job.Submission
		err := fields(w,
			"periodic job", job.Id, "owner", job.Owner, "state", short(job.Status, "PERIODIC_STATUS_"),
			"schedule", s.Schedule, "time zone", zoneText(s.TimeZone), "overlap", short(s.Overlap, "OVERLAP_"),
			"next run", when(job.NextTime), "runs", num(job.Runs), "left out", num(job.LeftOut),
			"price cap", fog(s.PriceCap)+" a task-hour", "tasks of a run", num(uint64(s.Tasks)), "spec", s.SpecDigest, "module", s.ImageDigest,
			"account", account.Id, "in escrow", fog(account.Balance))
		if err != nil || len(runs) == 0 {
			return err
		}
		if job.Status == jobstypes.PERIODIC_STATUS_SUSPENDED {
			defer a.say("it could not pay %s in a row; start it again: fog job top-up %s AMOUNT", some(uint64(job.Unfunded), "run"), id)
		}
		rows := [][]string{{"RUN", "JOB", "STATE", "SUBMITTED", "TASKS", "PAID"}}
		for _, r := range runs {
			rows = append(rows, []string{num(r.Run), r.Id, jobState(r), when(r.SubmittedTime), counts(r.Counts), fog(r.Paid)})
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
		return table(w, rows)
	})
}

func zoneText(rule string) string {
	if rule == "" {
		return "UTC"
	}
	return rule
}

// runOf names the periodic job that a job is a run of; empty if it is none.
func runOf(job jobstypes.Job) string {
	if job.Parent == "" {
		return ""
	}
	return fmt.Sprintf("%s, run %d", job.Parent, job.Run)
}

// periodicJobs of an owner, those that have ended only if closed jobs are wanted, and the others only if open ones are.
func periodicJobs(ctx context.Context, c *jobclient.Client, owner string, status jobstypes.JobStatus) ([]jobstypes.PeriodicJob, error) {
	all, err := c.PeriodicJobs(ctx, owner)
	if err != nil {
		return nil, err
	}
	var out []jobstypes.PeriodicJob
	for _, job := range all {
		closed := job.Status == jobstypes.PERIODIC_STATUS_ENDED
		if status == jobstypes.JOB_STATUS_UNSPECIFIED || closed == (status == jobstypes.JOB_STATUS_CLOSED) {
			out = append(out, job)
		}
	}
	return out, nil
}

func printPeriodicJobs(w io.Writer, jobs []jobstypes.PeriodicJob) error {
	rows := [][]string{{"PERIODIC JOB", "STATE", "SCHEDULE", "TIME ZONE", "NEXT RUN", "RUNS", "LEFT OUT"}}
	for _, j := range jobs {
		rows = append(rows, []string{
			j.Id, short(j.Status, "PERIODIC_STATUS_"), j.Submission.Schedule, zoneText(j.Submission.TimeZone), when(j.NextTime), num(j.Runs), num(j.LeftOut),
		})
	}
	if err := table(w, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}
