package keeper

import (
	"context"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
)

// A submission prepays the work that EndBlock will do for it, which meters no gas: each slice and, as every task may become a
// slice of its own, each task.
const (
	gasPerSlice = 20_000
	gasPerTask  = 500
)

// SubmitJob funds a job from the owner's wallet and queues its tasks or replicas, or notes when a periodic one is due. It writes only keys of this job
// and of its owner.
func (k Keeper) SubmitJob(ctx context.Context, msg *types.MsgSubmitJob) (*types.MsgSubmitJobResponse, error) {
	if err := msg.Validate(k.addresses); err != nil {
		return nil, err
	}
	p, err := k.params.Get(ctx)
	if err != nil {
		return nil, err
	}
	if msg.Type != types.JOB_TYPE_SERVICE {
		if err := checkAgainstParams(p, msg); err != nil {
			return nil, err
		}
	}
	owner, err := k.addresses.StringToBytes(msg.Owner)
	if err != nil {
		return nil, err
	}
	id := types.JobID(owner, []byte(msg.Salt))
	if err := k.isNew(ctx, id); err != nil {
		return nil, err
	}
	switch msg.Type {
	case types.JOB_TYPE_PERIODIC:
		return k.submitPeriodic(ctx, p, msg, owner, id)
	case types.JOB_TYPE_SERVICE:
		return k.submitService(ctx, p, msg, owner, id)
	}
	j, part, err := k.newJob(ctx, p, msg, id)
	if err != nil {
		return nil, err
	}
	if err := k.escrow.Open(ctx, j.account, owner, escrowtypes.ACCOUNT_KIND_JOB); err != nil {
		return nil, err
	}
	if err := k.escrow.Deposit(ctx, owner, j.account, j.Funded); err != nil {
		return nil, err
	}
	if err := k.begin(ctx, j, owner, part); err != nil {
		return nil, err
	}
	return &types.MsgSubmitJobResponse{JobId: j.Id, Account: j.Account, Funded: j.Funded}, nil
}

// isNew refuses an id that a job or a periodic job has.
func (k Keeper) isNew(ctx context.Context, id escrowtypes.ID) error {
	exists, err := k.jobs.Has(ctx, id)
	if err != nil {
		return err
	}
	if !exists {
		if exists, err = k.periodic.Has(ctx, id); err != nil {
			return err
		}
	}
	if exists {
		return types.ErrJobExists.Wrapf("%s; use another salt", id.Bech32(types.JobHRP))
	}
	return nil
}

// begin locks the budget that lies in the job's account and queues its tasks.
func (k Keeper) begin(ctx context.Context, j *openJob, owner sdk.AccAddress, part types.Terms) error {
	if err := k.escrow.Lock(ctx, j.account, j.Funded); err != nil {
		return err
	}
	if err := k.queueTasks(ctx, j, part); err != nil {
		return err
	}
	if err := k.byOwner.Set(ctx, collections.Join(owner, j.id)); err != nil {
		return err
	}
	if err := k.open.Set(ctx, j.id); err != nil {
		return err
	}
	if err := k.save(ctx, j); err != nil {
		return err
	}
	return emit(ctx, &types.EventJobSubmitted{JobId: j.Id, Owner: j.Owner, Tasks: j.Tasks, Funded: j.Funded})
}

func checkAgainstParams(p types.Params, msg *types.MsgSubmitJob) error {
	for _, c := range []struct {
		field    string
		value    uint64
		min, max uint64
	}{
		{"tasks", uint64(msg.Tasks), 1, uint64(p.MaxTasks)},
		{"max_duration", msg.MaxDuration, p.MinDuration, p.MaxDuration},
		{"deadline", msg.Deadline, 1, p.MaxDeadline},
	} {
		if c.value < c.min || c.value > c.max {
			return types.ErrInvalidField.Wrapf("%s: %d; it must be %d to %d", c.field, c.value, c.min, c.max)
		}
	}
	return nil
}

// newJob is the job that a message asks for, with the terms of one task.
func (k Keeper) newJob(ctx context.Context, p types.Params, msg *types.MsgSubmitJob, id escrowtypes.ID) (*openJob, types.Terms, error) {
	part, err := types.TermsOf(msg.PriceCap, msg.MaxDuration, p.Fee)
	if err != nil {
		return nil, part, err
	}
	total, err := part.Times(msg.Tasks)
	if err != nil {
		return nil, part, err
	}
	funded, err := total.Sum()
	if err != nil {
		return nil, part, err
	}
	j := k.record(ctx, p, msg, id, funded)
	if j.MinSuccess == 0 {
		j.MinSuccess = j.Tasks
	}
	return j, part, nil
}

// record is the job that a message asks for with so much money.
func (k Keeper) record(ctx context.Context, p types.Params, msg *types.MsgSubmitJob, id escrowtypes.ID, funded uint64) *openJob {
	now, account := blockSeconds(ctx), escrowtypes.JobAccountID(id)
	return &openJob{id: id, account: account, p: p, now: now, Job: types.Job{
		Id:              id.Bech32(types.JobHRP),
		Owner:           msg.Owner,
		Type:            msg.Type,
		Engine:          msg.Engine,
		Status:          types.JOB_STATUS_OPEN,
		SpecDigest:      msg.SpecDigest,
		ImageDigest:     msg.ImageDigest,
		Tasks:           msg.Tasks,
		MinSuccess:      msg.MinSuccess,
		Resources:       msg.Resources,
		Constraints:     msg.Constraints,
		Wishes:          msg.Wishes,
		PriceCap:        msg.PriceCap,
		MaxDuration:     msg.MaxDuration,
		Deadline:        now + int64(msg.Deadline),
		SubmittedHeight: sdk.UnwrapSDKContext(ctx).BlockHeight(),
		SubmittedTime:   now,
		Account:         account.Bech32(escrowtypes.AccountHRP),
		Funded:          funded,
	}}
}

// queueTasks cuts the tasks into pending slices.
func (k Keeper) queueTasks(ctx context.Context, j *openJob, part types.Terms) error {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	sdkCtx.GasMeter().ConsumeGas(gasPerTask*uint64(j.Tasks), "jobs: tasks to settle")
	for first := uint32(0); first < j.Tasks; first += types.MaxSliceTasks {
		sdkCtx.GasMeter().ConsumeGas(gasPerSlice, "jobs: slice to settle")
		count := min(j.Tasks-first, types.MaxSliceTasks)
		terms, err := part.Times(count)
		if err != nil {
			return err
		}
		s := types.Slice{
			JobId: j.Id, Number: j.NextSlice, FirstTask: first, TaskCount: count,
			Budget: terms.Budget, FeeBudget: terms.Fee, MaxDuration: j.MaxDuration, QueuedHeight: sdkCtx.BlockHeight(),
		}
		j.NextSlice++
		j.Counts.Pending += count
		if err := k.move(ctx, j, &s, types.SLICE_STATUS_PENDING, j.Deadline); err != nil {
			return err
		}
	}
	return nil
}
