package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
)

// A periodic job is a submission with a schedule and an account. At each time of the schedule EndBlock submits a run, a batch job of its
// own, out of that account; what a run does not use comes back to it. Its owner can add to the account and withdraw from it at any time.

// PeriodicJob returns a periodic job, or ErrJobNotFound.
func (k Keeper) PeriodicJob(ctx context.Context, id escrowtypes.ID) (types.PeriodicJob, error) {
	job, err := k.periodic.Get(ctx, id)
	if errors.Is(err, collections.ErrNotFound) {
		return types.PeriodicJob{}, types.ErrJobNotFound.Wrapf("%s; check the id", id.Bech32(types.JobHRP))
	}
	return job, err
}

// submitPeriodic opens the account, moves the budget of the first runs into it, and notes when the first one is due.
func (k Keeper) submitPeriodic(ctx context.Context, p types.Params, msg *types.MsgSubmitJob, owner sdk.AccAddress, id escrowtypes.ID) (*types.MsgSubmitJobResponse, error) {
	cost, err := runCost(p, msg)
	if err != nil {
		return nil, err
	}
	funded, err := escrowtypes.MulDiv(cost, uint64(msg.Runs), 1)
	if err != nil {
		return nil, err
	}
	now, account := blockSeconds(ctx), escrowtypes.JobAccountID(id)
	job := types.PeriodicJob{
		Id: id.Bech32(types.JobHRP), Owner: msg.Owner, Account: account.Bech32(escrowtypes.AccountHRP),
		Submission: *msg, SubmittedTime: now,
	}
	if err := k.planNext(ctx, &job, id, now); err != nil {
		return nil, err
	}
	if job.Status != types.PERIODIC_STATUS_ACTIVE {
		return nil, types.ErrInvalidField.Wrapf("schedule: %q has no time to come", msg.Schedule)
	}
	if err := k.escrow.Open(ctx, account, owner, escrowtypes.ACCOUNT_KIND_JOB); err != nil {
		return nil, err
	}
	if err := k.escrow.Deposit(ctx, owner, account, funded); err != nil {
		return nil, err
	}
	if err := k.periodicByOwner.Set(ctx, collections.Join(owner, id)); err != nil {
		return nil, err
	}
	return &types.MsgSubmitJobResponse{JobId: job.Id, Account: job.Account, Funded: funded}, k.savePeriodic(ctx, id, job)
}

// runCost is what a run takes from the account: its budget, the oracles' fee and the run fee.
func runCost(p types.Params, msg *types.MsgSubmitJob) (uint64, error) {
	part, err := types.TermsOf(msg.PriceCap, msg.MaxDuration, p.Fee)
	if err != nil {
		return 0, err
	}
	terms, err := part.Times(msg.Tasks)
	if err != nil {
		return 0, err
	}
	sum, err := terms.Sum()
	if err != nil {
		return 0, err
	}
	return escrowtypes.AddChecked(sum, p.RunFee)
}

// planNext makes a job ACTIVE with its next run after a second, or ENDED if its schedule has none.
func (k Keeper) planNext(ctx context.Context, job *types.PeriodicJob, id escrowtypes.ID, after int64) error {
	schedule, err := types.ParseSchedule(job.Submission.Schedule, job.Submission.TimeZone)
	if err != nil {
		return err
	}
	next, found := schedule.Next(after)
	if !found {
		job.Status, job.NextTime = types.PERIODIC_STATUS_ENDED, 0
		return nil
	}
	job.Status, job.NextTime = types.PERIODIC_STATUS_ACTIVE, next
	return k.runQueue.Set(ctx, collections.Join(next, id))
}

// savePeriodic writes a job whose status has changed.
func (k Keeper) savePeriodic(ctx context.Context, id escrowtypes.ID, job types.PeriodicJob) error {
	if err := k.periodic.Set(ctx, id, job); err != nil {
		return err
	}
	return emit(ctx, &types.EventPeriodicJobChanged{JobId: job.Id, Owner: job.Owner, Status: job.Status})
}

// stopPeriodic takes a job out of the queue.
func (k Keeper) stopPeriodic(ctx context.Context, job *types.PeriodicJob, id escrowtypes.ID, status types.PeriodicStatus) error {
	if job.Status == types.PERIODIC_STATUS_ACTIVE {
		if err := k.runQueue.Remove(ctx, collections.Join(job.NextTime, id)); err != nil {
			return err
		}
	}
	job.Status, job.NextTime = status, 0
	return nil
}

// cancelPeriodic ends a periodic job; a run that is under way goes on.
func (k Keeper) cancelPeriodic(ctx context.Context, owner string, id escrowtypes.ID) error {
	job, err := k.PeriodicJob(ctx, id)
	if err != nil {
		return err
	}
	if job.Owner != owner {
		return types.ErrNotOwner.Wrapf("%s belongs to %s", job.Id, job.Owner)
	}
	if job.Status == types.PERIODIC_STATUS_ENDED {
		return types.ErrJobClosed.Wrapf("%s has ended", job.Id)
	}
	if err := k.stopPeriodic(ctx, &job, id, types.PERIODIC_STATUS_ENDED); err != nil {
		return err
	}
	return k.savePeriodic(ctx, id, job)
}

// TopUpJob adds money to a service, or to a periodic job, which it starts again if it was suspended.
func (k Keeper) TopUpJob(ctx context.Context, owner string, id escrowtypes.ID, amount uint64) (*types.MsgTopUpJobResponse, error) {
	job, err := k.Job(ctx, id)
	if errors.Is(err, types.ErrJobNotFound) {
		next, err := k.topUpPeriodic(ctx, owner, id, amount)
		return &types.MsgTopUpJobResponse{NextTime: next}, err
	}
	if err != nil {
		return nil, err
	}
	switch {
	case job.Owner != owner:
		return nil, types.ErrNotOwner.Wrapf("%s belongs to %s", job.Id, job.Owner)
	case !job.IsService():
		return nil, types.ErrNotSupported.Wrapf("%s is neither a service nor a periodic job; its budget was set aside when it was submitted", job.Id)
	}
	p, err := k.params.Get(ctx)
	if err != nil {
		return nil, err
	}
	j, err := k.openJob(ctx, p, id)
	if err != nil {
		return nil, err
	}
	until, err := k.fund(ctx, j, amount)
	return &types.MsgTopUpJobResponse{FundedUntil: until}, err
}

// topUpPeriodic adds money to a periodic job, starts it again if it was suspended, and returns when its next run is due.
func (k Keeper) topUpPeriodic(ctx context.Context, owner string, id escrowtypes.ID, amount uint64) (int64, error) {
	job, err := k.PeriodicJob(ctx, id)
	if err != nil {
		return 0, err
	}
	if job.Owner != owner {
		return 0, types.ErrNotOwner.Wrapf("%s belongs to %s", job.Id, job.Owner)
	}
	if job.Status == types.PERIODIC_STATUS_ENDED {
		return 0, types.ErrJobClosed.Wrapf("%s has ended", job.Id)
	}
	address, err := addressOf(owner)
	if err != nil {
		return 0, err
	}
	if err := k.escrow.Deposit(ctx, address, escrowtypes.JobAccountID(id), amount); err != nil {
		return 0, err
	}
	if job.Status == types.PERIODIC_STATUS_ACTIVE {
		return job.NextTime, nil
	}
	job.Unfunded = 0
	if err := k.planNext(ctx, &job, id, blockSeconds(ctx)); err != nil {
		return 0, err
	}
	return job.NextTime, k.savePeriodic(ctx, id, job)
}
