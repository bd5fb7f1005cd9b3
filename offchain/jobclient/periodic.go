package jobclient

import (
	"context"
	"errors"
	"fmt"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/offchain/chain"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// PeriodicJob reads a periodic job.
func (c *Client) PeriodicJob(ctx context.Context, id string) (jobstypes.PeriodicJob, error) {
	resp, err := jobstypes.NewQueryClient(c.Chain.Latest()).PeriodicJob(ctx, &jobstypes.QueryPeriodicJobRequest{Id: id})
	if errors.Is(err, chain.ErrNotFound) {
		return jobstypes.PeriodicJob{}, fmt.Errorf("%s: %w", id, ErrNoSuchJob)
	}
	if err != nil {
		return jobstypes.PeriodicJob{}, err
	}
	return resp.Job, nil
}

// PeriodicJobs lists the periodic jobs of an owner.
func (c *Client) PeriodicJobs(ctx context.Context, owner string) ([]jobstypes.PeriodicJob, error) {
	queries := jobstypes.NewQueryClient(c.Chain.Latest())
	return chain.Collect(ctx, func(ctx context.Context, page *query.PageRequest) (*jobstypes.QueryPeriodicJobsResponse, error) {
		return queries.PeriodicJobs(ctx, &jobstypes.QueryPeriodicJobsRequest{Owner: owner, Pagination: page})
	}, func(r *jobstypes.QueryPeriodicJobsResponse) []jobstypes.PeriodicJob { return r.Jobs })
}

// LastRuns reads the newest runs of a periodic job, the last one first, at most so many.
func (c *Client) LastRuns(ctx context.Context, job jobstypes.PeriodicJob, most int) ([]jobstypes.Job, error) {
	id, err := escrowtypes.ParseID(jobstypes.JobHRP, job.Id)
	if err != nil {
		return nil, err
	}
	var runs []jobstypes.Job
	for n := job.Runs; n > 0 && len(runs) < most; n-- {
		run, err := c.Job(ctx, jobstypes.RunID(id, n).Bech32(jobstypes.JobHRP))
		if err != nil {
			return nil, err
		}
		runs = append(runs, run)
	}
	return runs, nil
}

// TopUp moves ufog from the sender's wallet to the account of a periodic job, which starts again if it was suspended. It returns the Unix
// second of the next run.
func (c *Client) TopUp(ctx context.Context, id string, amount uint64) (next int64, err error) {
	if _, err := c.PeriodicJob(ctx, id); err != nil {
		return 0, err
	}
	if _, err := c.Sender.Send(ctx, &jobstypes.MsgTopUpJob{Owner: c.Sender.Address(), JobId: id, Amount: amount}); err != nil {
		return 0, err
	}
	job, err := c.PeriodicJob(ctx, id)
	return job.NextTime, err
}
