package oracle

import (
	"context"
	"errors"
	"fmt"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/link"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// jobBook answers whose a job is and where its tasks run, so that owners can watch them.
type jobBook struct{ chain *chain.Client }

func (b jobBook) job(ctx context.Context, id string) (jobstypes.Job, error) {
	resp, err := jobstypes.NewQueryClient(b.chain.Latest()).Job(ctx, &jobstypes.QueryJobRequest{Id: id})
	if errors.Is(err, chain.ErrNotFound) || errors.Is(err, chain.ErrInvalidRequest) {
		return jobstypes.Job{}, fmt.Errorf("%s: %w", id, link.ErrNoJob)
	}
	if err != nil {
		return jobstypes.Job{}, err
	}
	return resp.Job, nil
}

// Owner implements link.Jobs.
func (b jobBook) Owner(ctx context.Context, id string) ([]byte, error) {
	job, err := b.job(ctx, id)
	if err != nil {
		return nil, err
	}
	return b.chain.Codec().Accounts().StringToBytes(job.Owner)
}

// Place implements link.Jobs.
func (b jobBook) Place(ctx context.Context, id string, task uint32) (link.Place, error) {
	job, err := b.job(ctx, id)
	if err != nil {
		return link.Place{}, err
	}
	queries := jobstypes.NewQueryClient(b.chain.Latest())
	slices, err := chain.Collect(ctx, func(ctx context.Context, page *query.PageRequest) (*jobstypes.QuerySlicesResponse, error) {
		return queries.Slices(ctx, &jobstypes.QuerySlicesRequest{JobId: id, Pagination: page})
	}, func(r *jobstypes.QuerySlicesResponse) []jobstypes.Slice { return r.Slices })
	if err != nil {
		return link.Place{}, err
	}
	if job.Status == jobstypes.JOB_STATUS_CLOSED {
		return link.Place{Over: true}, nil
	}
	place, ok := placeOfTask(slices, task)
	if !ok {
		return link.Place{}, fmt.Errorf("task %d of %s: %w", task, id, link.ErrNoJob)
	}
	return place, nil
}

// placeOfTask looks for the slice that runs a task, or else for one that waits to. The slices of a task are its tries, the newest has the
// highest number.
func placeOfTask(slices []jobstypes.Slice, task uint32) (place link.Place, ok bool) {
	waiting := false
	for _, s := range slices {
		if task < s.FirstTask || task-s.FirstTask >= s.TaskCount {
			continue
		}
		ok = true
		switch s.Status {
		case jobstypes.SLICE_STATUS_MATCHED:
			place = link.Place{NodeID: s.NodeId, Slice: s.Number, Attempt: s.Attempt}
		case jobstypes.SLICE_STATUS_PENDING:
			waiting = true
		}
	}
	place.Over = ok && place.NodeID == "" && !waiting
	return place, ok
}
