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

// tick ends the epoch of services when it is over and asks the oracles about it, as long as services run. After a rest, of the chain or for want of
// services, the next epoch begins at once: what lies between is in none.
func (k Keeper) tick(ctx context.Context, p types.Params) error {
	running, err := k.anyServing(ctx)
	if err != nil || !running {
		return err
	}
	clock, err := k.getClock(ctx)
	if err != nil {
		return err
	}
	now := blockSeconds(ctx)
	if now < clock.Ends {
		return nil
	}
	ended := clock
	clock.Epoch++
	clock.Started = ended.Ends
	if clock.Ends = ended.Ends + int64(p.ServiceEpoch); clock.Ends <= now {
		clock.Started, clock.Ends = now, now+int64(p.ServiceEpoch)
	}
	if ended.Epoch > 0 {
		clock.Judged, clock.JudgedStarted, clock.JudgedEnded = ended.Epoch, ended.Started, ended.Ends
		deadline := max(ended.Ends+int64(p.ServiceWindow), now+1)
		if _, err := k.rounds.OpenRound(ctx, types.RoundKindServices, types.EncodeServicesSubject(ended.Epoch), deadline, deadline); err != nil {
			return err
		}
	}
	return k.clock.Set(ctx, clock)
}

func (k Keeper) anyServing(ctx context.Context) (bool, error) {
	iter, err := k.serving.Iterate(ctx, nil)
	if err != nil {
		return false, err
	}
	valid := iter.Valid()
	return valid, iter.Close()
}

// nextJudgement is when the oracles will have judged the present epoch.
func (k Keeper) nextJudgement(ctx context.Context, j *openJob) (int64, error) {
	clock, err := k.getClock(ctx)
	if err != nil {
		return 0, err
	}
	ends := clock.Ends
	if ends <= j.now { // the clock rested
		ends = j.now + int64(j.p.ServiceEpoch)
	}
	return ends + int64(j.p.ServiceWindow), nil
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
