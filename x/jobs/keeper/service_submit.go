package keeper

import (
	"context"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
)

// A service is a job whose tasks, the replicas, run until it is ended. Its money lies in a pool; each slice holds of it what pays its node
// until the present epoch has been judged. Money of a service moves only by the functions of service_pay.go.

// submitService funds a service from the owner's wallet and queues its replicas.
func (k Keeper) submitService(
	ctx context.Context, p types.Params, msg *types.MsgSubmitJob, owner sdk.AccAddress, id escrowtypes.ID,
) (*types.MsgSubmitJobResponse, error) {
	if msg.FundedTime < p.HeldSeconds() {
		return nil, types.ErrInvalidField.Wrapf("funded_time: %d; it must be at least %d seconds", msg.FundedTime, p.HeldSeconds())
	}
	if msg.Deadline > p.MaxDeadline {
		return nil, types.ErrInvalidField.Wrapf("deadline: %d; it must be 1 to %d", msg.Deadline, p.MaxDeadline)
	}
	funded, err := p.ServiceBudget(msg)
	if err != nil {
		return nil, err
	}
	j := k.record(ctx, p, msg, id, funded)
	first := types.Revision{Number: 1, SpecDigest: msg.SpecDigest, ImageDigest: msg.ImageDigest}
	j.Tasks = msg.Replicas
	j.Service = &types.Service{
		Wanted: msg.Replicas, Ports: msg.Ports, Target: first, Stable: first, Pool: funded, MatchTime: msg.Deadline,
		KeepsVolumes: msg.KeepsVolumes,
	}
	if err := k.escrow.Open(ctx, j.account, owner, escrowtypes.ACCOUNT_KIND_JOB); err != nil {
		return nil, err
	}
	if err := k.escrow.Deposit(ctx, owner, j.account, funded); err != nil {
		return nil, err
	}
	if err := k.escrow.Lock(ctx, j.account, funded); err != nil {
		return nil, err
	}
	sdk.UnwrapSDKContext(ctx).GasMeter().ConsumeGas(gasPerSlice*uint64(msg.Replicas), "jobs: replicas to place")
	if err := k.addReplicas(ctx, j); err != nil {
		return nil, err
	}
	if err := k.byOwner.Set(ctx, collections.Join(owner, j.id)); err != nil {
		return nil, err
	}
	if err := k.open.Set(ctx, j.id); err != nil {
		return nil, err
	}
	if err := k.save(ctx, j); err != nil {
		return nil, err
	}
	event := &types.EventJobSubmitted{JobId: j.Id, Owner: j.Owner, Tasks: j.Tasks, Funded: j.Funded}
	return &types.MsgSubmitJobResponse{JobId: j.Id, Account: j.Account, Funded: j.Funded}, emit(ctx, event)
}

// addReplicas queues the replicas that are wanted and not there; ErrUnfunded if the pool does not pay them all, with those that it pays queued.
// Before an update is through they run what ran before.
func (k Keeper) addReplicas(ctx context.Context, j *openJob) error {
	for len(j.Service.Replicas) < int(j.Service.Wanted) {
		s, err := k.queueReplica(ctx, j, uint32(len(j.Service.Replicas)), j.Service.Stable, 0, nil)
		if err != nil {
			return err
		}
		j.Service.Replicas = append(j.Service.Replicas, types.Replica{Slice: s.Number})
	}
	return nil
}

// queueReplica makes a pending slice that will run a revision as a replica, with so many attempts behind it on excluded nodes. It holds what
// the cap allows; ErrUnfunded if the pool has less.
func (k Keeper) queueReplica(
	ctx context.Context, j *openJob, replica uint32, revision types.Revision, attempt uint32, excluded []string,
) (*types.Slice, error) {
	terms, err := types.TermsOf(j.PriceCap, j.p.HeldSeconds(), j.p.Fee)
	if err != nil {
		return nil, err
	}
	sum, err := terms.Sum()
	if err != nil {
		return nil, err
	}
	if err := j.drawPool(sum); err != nil {
		return nil, err
	}
	s := &types.Slice{
		JobId: j.Id, Number: j.NextSlice, FirstTask: replica, TaskCount: 1, Attempt: attempt, Excluded: excluded,
		Budget: terms.Budget, FeeBudget: terms.Fee, MaxDuration: j.p.HeldSeconds(),
		QueuedHeight: sdk.UnwrapSDKContext(ctx).BlockHeight(), Serving: &types.Serving{Revision: revision},
	}
	j.NextSlice++
	j.Counts.Pending++
	if j.Service.Rate, err = escrowtypes.AddChecked(j.Service.Rate, j.PriceCap); err != nil {
		return nil, err
	}
	return s, k.move(ctx, j, s, types.SLICE_STATUS_PENDING, j.now+int64(j.Service.MatchTime))
}
