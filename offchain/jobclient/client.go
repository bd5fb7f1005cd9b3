package jobclient

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/registry/client"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

var (
	// ErrNoSuchJob is an id that the chain has no job for.
	ErrNoSuchJob = errors.New("there is no such job on this chain; fog job list shows yours")
	// ErrNoSuchTask is a task number that the job does not have.
	ErrNoSuchTask = errors.New("the job has no such task")
)

// Chain is what is asked of the chain; *chain.Client is one.
type Chain interface {
	Latest() grpc.ClientConnInterface
	WaitForHeight(ctx context.Context, height int64) (int64, error)
	Codec() *chain.Codec
}

// Sender signs and sends transactions; *chain.Broadcaster is one.
type Sender interface {
	Address() string
	Send(ctx context.Context, msgs ...sdk.Msg) (*chain.TxResult, error)
}

// Client serves one developer. Each method needs only the fields that it uses: reading jobs the chain, results also the registry,
// changes the sender.
type Client struct {
	Chain    Chain
	Registry *client.Client
	Sender   Sender
}

// Job reads a job.
func (c *Client) Job(ctx context.Context, id string) (jobstypes.Job, error) {
	if _, err := escrowtypes.ParseID(jobstypes.JobHRP, id); err != nil {
		return jobstypes.Job{}, fmt.Errorf("%q is not the id of a job (job1…): %w", id, err)
	}
	resp, err := jobstypes.NewQueryClient(c.Chain.Latest()).Job(ctx, &jobstypes.QueryJobRequest{Id: id})
	if errors.Is(err, chain.ErrNotFound) {
		return jobstypes.Job{}, fmt.Errorf("%s: %w", id, ErrNoSuchJob)
	}
	if err != nil {
		return jobstypes.Job{}, err
	}
	return resp.Job, nil
}

// Slices reads all slices of a job, by number.
func (c *Client) Slices(ctx context.Context, id string) ([]jobstypes.Slice, error) {
	queries := jobstypes.NewQueryClient(c.Chain.Latest())
	return chain.Collect(ctx, func(ctx context.Context, page *query.PageRequest) (*jobstypes.QuerySlicesResponse, error) {
		return queries.Slices(ctx, &jobstypes.QuerySlicesRequest{JobId: id, Pagination: page})
	}, func(r *jobstypes.QuerySlicesResponse) []jobstypes.Slice { return r.Slices })
}

// Jobs lists the jobs of an owner; an unspecified status means all.
func (c *Client) Jobs(ctx context.Context, owner string, status jobstypes.JobStatus) ([]jobstypes.Job, error) {
	queries := jobstypes.NewQueryClient(c.Chain.Latest())
	return chain.Collect(ctx, func(ctx context.Context, page *query.PageRequest) (*jobstypes.QueryJobsResponse, error) {
		return queries.Jobs(ctx, &jobstypes.QueryJobsRequest{Owner: owner, Status: status, Pagination: page})
	}, func(r *jobstypes.QueryJobsResponse) []jobstypes.Job { return r.Jobs })
}

// AccountOf reads the escrow account of a job, periodic or not, by the job's id.
func (c *Client) AccountOf(ctx context.Context, id string) (escrowtypes.Account, error) {
	job, err := escrowtypes.ParseID(jobstypes.JobHRP, id)
	if err != nil {
		return escrowtypes.Account{}, err
	}
	account := escrowtypes.JobAccountID(job).Bech32(escrowtypes.AccountHRP)
	resp, err := escrowtypes.NewQueryClient(c.Chain.Latest()).Account(ctx, &escrowtypes.QueryAccountRequest{Id: account})
	if errors.Is(err, chain.ErrNotFound) {
		return escrowtypes.Account{}, fmt.Errorf("%s: %w", id, ErrNoSuchJob)
	}
	if err != nil {
		return escrowtypes.Account{}, err
	}
	return resp.Account, nil
}

// Watch calls seen with the job now and after each block that changed it, until seen returns true or the job is closed, and returns it
// as it is then.
func (c *Client) Watch(ctx context.Context, id string, seen func(jobstypes.Job) bool) (jobstypes.Job, error) {
	var last *jobstypes.Job
	for height := int64(1); ; {
		newest, err := c.Chain.WaitForHeight(ctx, height)
		if err != nil {
			return jobstypes.Job{}, err
		}
		height = newest + 1
		job, err := c.Job(ctx, id)
		if errors.Is(err, chain.ErrUnavailable) {
			continue // WaitForHeight waits the outage out
		}
		if err != nil {
			return jobstypes.Job{}, err
		}
		changed := last == nil || job.Counts != last.Counts || job.Status != last.Status
		enough := changed && seen != nil && seen(job)
		if enough || job.Status == jobstypes.JOB_STATUS_CLOSED {
			return job, nil
		}
		last = &job
	}
}

// Settled tells how many tasks of a job have ended for good.
func Settled(t jobstypes.TaskCounts) uint32 {
	return t.Succeeded + t.Failed + t.Lost + t.Cancelled + t.Expired
}

// Attested tells whether every task has ended or waits only for its result to be accepted.
func Attested(t jobstypes.TaskCounts) bool { return t.Pending == 0 && t.Matched == 0 }
