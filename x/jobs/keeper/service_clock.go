package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	"github.com/foggrid/fogd/x/jobs/types"
)

// getClock is zero before the first epoch.
func (k Keeper) getClock(ctx context.Context) (types.ServiceClock, error) {
	clock, err := k.clock.Get(ctx)
	if errors.Is(err, collections.ErrNotFound) {
		return types.ServiceClock{}, nil
	}
	return clock, err
}

// fundedUntil is until when a service that is open is paid for; zero for other jobs.
func (k Keeper) fundedUntil(ctx context.Context, job types.Job) (int64, error) {
	if !job.IsService() || job.Status != types.JOB_STATUS_OPEN {
		return 0, nil
	}
	p, err := k.params.Get(ctx)
	if err != nil {
		return 0, err
	}
	clock, err := k.getClock(ctx)
	if err != nil {
		return 0, err
	}
	return p.FundedUntil(*job.Service, max(clock.Ends, blockSeconds(ctx)))
}
