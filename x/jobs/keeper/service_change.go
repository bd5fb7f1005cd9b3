package keeper

import (
	"context"
	"errors"
	"slices"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
)

// Update, hand-over and drain are one mechanism: a replica gets a successor, a second slice of another revision or on another node, and when a
// quorum has seen that one run and be healthy the first is released. Messages only say what is wanted; EndBlock does it.

// gasPerReplica pays for what EndBlock does about a replica when a service is changed.
const gasPerReplica = 20_000

// ownService is an open service in the hands of its owner, who pays for the work that a change will be.
func (k Keeper) ownService(ctx context.Context, owner, jobID string, replicas uint32) (*openJob, error) {
	id, err := escrowtypes.ParseID(types.JobHRP, jobID)
	if err != nil {
		return nil, err
	}
	p, err := k.params.Get(ctx)
	if err != nil {
		return nil, err
	}
	j, err := k.openJob(ctx, p, id)
	if err != nil {
		return nil, err
	}
	switch {
	case j.Owner != owner:
		return nil, types.ErrNotOwner.Wrapf("%s belongs to %s", j.Id, j.Owner)
	case !j.IsService():
		return nil, types.ErrNotService.Wrapf("%s is %s", j.Id, j.Type)
	case j.Status != types.JOB_STATUS_OPEN || j.CancelledTime != 0:
		return nil, types.ErrJobClosed.Wrapf("%s has ended or is ending", j.Id)
	}
	work := uint64(max(replicas, uint32(len(j.Service.Replicas))))
	sdk.UnwrapSDKContext(ctx).GasMeter().ConsumeGas(gasPerReplica*work, "jobs: replicas to change")
	return j, k.changing.Set(ctx, j.id)
}

// affords refuses what needs more slices than the pool can let hold money.
func (j *openJob) affords(more uint32) error {
	terms, err := types.TermsOf(j.PriceCap, j.p.HeldSeconds(), j.p.Fee)
	if err != nil {
		return err
	}
	if terms, err = terms.Times(more); err != nil {
		return err
	}
	need, err := terms.Sum()
	if err != nil {
		return err
	}
	if need > j.Service.Pool {
		return types.ErrUnfunded.Wrapf("%s has %d%s in its pool and %d are needed for %d more slices; top it up",
			j.Id, j.Service.Pool, escrowtypes.Denom, need, more)
	}
	return nil
}

// UpdateService gives a service another target and returns its number.
func (k Keeper) UpdateService(ctx context.Context, msg *types.MsgUpdateService) (uint32, error) {
	j, err := k.ownService(ctx, msg.Owner, msg.JobId, 0)
	if err != nil {
		return 0, err
	}
	svc := j.Service
	next := types.Revision{Number: svc.Target.Number + 1, SpecDigest: msg.SpecDigest, ImageDigest: msg.ImageDigest}
	if next.Runs(svc.Target) && !svc.Halted {
		return 0, types.ErrNoChange.Wrapf("revision %d of %s is the same", svc.Target.Number, j.Id)
	}
	if err := j.affords(1); err != nil {
		return 0, err
	}
	svc.Target, svc.Halted = next, false
	j.SpecDigest, j.ImageDigest = next.SpecDigest, next.ImageDigest
	if err := k.save(ctx, j); err != nil {
		return 0, err
	}
	return next.Number, k.emitChanged(ctx, j, "updating")
}

// ScaleService changes how many replicas a service shall have.
func (k Keeper) ScaleService(ctx context.Context, msg *types.MsgScaleService) error {
	j, err := k.ownService(ctx, msg.Owner, msg.JobId, msg.Replicas)
	if err != nil {
		return err
	}
	if msg.Replicas == j.Service.Wanted {
		return types.ErrNoChange.Wrapf("%s has %d replicas", j.Id, msg.Replicas)
	}
	if have := uint32(len(j.Service.Replicas)); msg.Replicas > have {
		if err := j.affords(msg.Replicas - have); err != nil {
			return err
		}
	}
	j.Service.Wanted, j.Tasks = msg.Replicas, msg.Replicas
	if err := k.save(ctx, j); err != nil {
		return err
	}
	return k.emitChanged(ctx, j, "scaling")
}

func (k Keeper) emitChanged(ctx context.Context, j *openJob, state string) error {
	return emit(ctx, &types.EventServiceChanged{
		JobId: j.Id, Replicas: j.Service.Wanted, Revision: j.Service.Target.Number, State: state,
	})
}

// changeSome brings services to what is wanted, about limit slices of them, and returns how many it looked at. One that cannot be changed now is
// looked at again after its next epoch.
func (k Keeper) changeSome(ctx context.Context, p types.Params, limit int) (int, error) {
	looked := 0
	for looked < limit {
		id, found, err := firstOf(ctx, k.changing)
		if err != nil || !found {
			return looked, err
		}
		if err := k.changing.Remove(ctx, id); err != nil {
			return looked, err
		}
		j, err := k.openJob(ctx, p, id)
		if err != nil {
			return looked, err
		}
		looked += 1 + len(j.Service.Replicas)
		if j.Status != types.JOB_STATUS_OPEN || j.CancelledTime != 0 {
			continue
		}
		cached, write := sdk.UnwrapSDKContext(ctx).CacheContext()
		if err := k.change(cached, j); err != nil {
			if err := emit(ctx, &types.EventServiceChanged{JobId: id.Bech32(types.JobHRP), State: "postponed: " + err.Error()}); err != nil {
				return looked, err
			}
			continue
		}
		write()
	}
	return looked, nil
}

func (k Keeper) change(ctx context.Context, j *openJob) error {
	if err := k.scale(ctx, j); err != nil {
		return err
	}
	if err := k.roll(ctx, j); err != nil {
		return err
	}
	return k.save(ctx, j)
}

// scale ends the replicas with the highest numbers, or queues those that are missing, as far as the pool pays them.
func (k Keeper) scale(ctx context.Context, j *openJob) error {
	svc := j.Service
	for len(svc.Replicas) > int(svc.Wanted) {
		last := svc.Replicas[len(svc.Replicas)-1]
		for _, number := range last.Slices() {
			if err := k.releaseNumber(ctx, j, number, true); err != nil {
				return err
			}
		}
		svc.Replicas = svc.Replicas[:len(svc.Replicas)-1]
	}
	if err := k.addReplicas(ctx, j); err != nil && !errors.Is(err, types.ErrUnfunded) {
		return err
	}
	return nil
}

// releaseNumber ends a slice that is no longer wanted.
func (k Keeper) releaseNumber(ctx context.Context, j *openJob, number uint32, wished bool) error {
	s, err := k.Slice(ctx, j.id, number)
	if err != nil {
		return err
	}
	status := types.SLICE_STATUS_CANCELLED
	if s.Status == types.SLICE_STATUS_MATCHED && s.Serving.StartedTime > 0 {
		status = types.SLICE_STATUS_SETTLED
	}
	return k.releaseServing(ctx, j, &s, status, j.now, wished)
}

// progress is how far an update is.
type progress struct {
	// outdated is the first replica that runs something else than the target and has no successor; -1 if there is none. left tells whether
	// any runs something else.
	outdated int
	left     bool
	// waits: something of the target has not been seen healthy for a whole epoch since a replica last took it over.
	waits bool
}

// roll takes the next step of an update.
func (k Keeper) roll(ctx context.Context, j *openJob) error {
	svc := j.Service
	if svc.Halted || !svc.Updating() {
		return nil
	}
	at, err := k.look(ctx, j)
	if err != nil || at.waits {
		return err
	}
	if !at.left {
		svc.Stable = svc.Target
		return k.emitChanged(ctx, j, "updated")
	}
	if at.outdated < 0 { // those that are left are being handed over
		return nil
	}
	if svc.KeepsVolumes {
		return k.updateInPlace(ctx, j, at.outdated)
	}
	replica := &svc.Replicas[at.outdated]
	s, err := k.queueReplica(ctx, j, uint32(at.outdated), svc.Target, 0, nil)
	if errors.Is(err, types.ErrUnfunded) { // after a top-up
		return nil
	}
	if err != nil {
		return err
	}
	replica.Successor = s.Number
	return nil
}

// look tells how far an update is. Successors of an earlier target are ended, those of a drain are left to take over first, and replicas that wait for
// a node will run the target at once.
func (k Keeper) look(ctx context.Context, j *openJob) (progress, error) {
	clock, err := k.getClock(ctx)
	if err != nil {
		return progress{}, err
	}
	svc := j.Service
	at := progress{outdated: -1, waits: svc.StepEpoch > 0 && clock.Judged <= svc.StepEpoch}
	for i := range svc.Replicas {
		outdated := false
		for _, number := range svc.Replicas[i].Slices() {
			s, err := k.Slice(ctx, j.id, number)
			if err != nil {
				return at, err
			}
			successor := svc.Replicas[i].Succeeds(number)
			unhealthy, notRunning := s.Serving.Failing(clock.Judged)
			switch {
			case s.Serving.Revision.Runs(svc.Target):
				trial := svc.KeepsVolumes && s.Serving.PaidEpochs == 0 // no step of a hand-over tells when it began
				at.waits = at.waits || successor || s.Serving.StartedTime == 0 || unhealthy+notRunning > 0 || trial
			case successor && s.Serving.Revision.Runs(svc.Stable):
			case successor:
				if err := k.releaseServing(ctx, j, &s, types.SLICE_STATUS_CANCELLED, j.now, true); err != nil {
					return at, err
				}
				svc.Replicas[i].Successor = 0
			case s.Status == types.SLICE_STATUS_PENDING:
				s.Serving.Revision, at.waits = svc.Target, true
				if err := k.move(ctx, j, &s, s.Status, s.Due); err != nil {
					return at, err
				}
			default:
				outdated = true
			}
		}
		at.left = at.left || outdated
		if outdated && at.outdated < 0 && svc.Replicas[i].Successor == 0 {
			at.outdated = i
		}
	}
	return at, nil
}

// takeOver puts a successor that is healthy in the place of the slice before it, which is released.
func (k Keeper) takeOver(ctx context.Context, j *openJob, s *types.Slice, clock types.ServiceClock) error {
	replica := &j.Service.Replicas[s.FirstTask]
	before := replica.Slice
	updated := j.onTrial(s)
	if err := k.releaseNumber(ctx, j, before, updated); err != nil {
		return err
	}
	replica.Slice, replica.Successor = s.Number, 0
	if updated {
		j.Service.StepEpoch = clock.Judged
	}
	return emit(ctx, &types.EventServiceHandedOver{JobId: j.Id, Replica: s.FirstTask, From: before, To: s.Number})
}

// replace puts another slice in the place of one that has ended: its successor if there is one, else a new one that runs a revision. A node that
// had served starts the count of attempts anew.
func (k Keeper) replace(ctx context.Context, j *openJob, s *types.Slice, revision types.Revision, reason string) error {
	replica := &j.Service.Replicas[s.FirstTask]
	successor := replica.Succeeds(s.Number)
	if !successor && replica.Successor != 0 {
		replica.Slice, replica.Successor = replica.Successor, 0
		return emit(ctx, &types.EventServiceHandedOver{JobId: j.Id, Replica: s.FirstTask, From: s.Number, To: replica.Slice})
	}
	attempt, excluded := s.Attempt, append(slices.Clone(s.Excluded), s.NodeId)
	if s.Serving.PaidEpochs > 0 {
		attempt, excluded = 0, []string{s.NodeId}
	}
	if attempt >= j.p.MaxAttempts {
		if successor {
			return k.dropSuccessor(ctx, j, s)
		}
		serves, err := k.anyServes(ctx, j, s.Number)
		if err != nil {
			return err
		}
		if !serves && !j.onTrial(s) {
			return k.endService(ctx, j, types.CLOSE_REASON_UNHEALTHY)
		}
		if j.onTrial(s) {
			if err := k.halt(ctx, j); err != nil {
				return err
			}
			revision = j.Service.Stable
		}
		attempt, excluded = 0, nil
	}
	next, err := k.queueReplica(ctx, j, s.FirstTask, revision, attempt, excluded)
	if errors.Is(err, types.ErrUnfunded) {
		return k.endService(ctx, j, types.CLOSE_REASON_OUT_OF_FUNDS)
	}
	if err != nil {
		return err
	}
	if successor {
		replica.Successor = next.Number
	} else {
		replica.Slice = next.Number
	}
	return emit(ctx, &types.EventSliceRequeued{JobId: j.Id, Slice: s.Number, NewSlice: next.Number, Reason: reason})
}

// dropSuccessor forgets a successor that has ended. An update whose successor did not come up is halted; a drain asks for another.
func (k Keeper) dropSuccessor(ctx context.Context, j *openJob, s *types.Slice) error {
	j.Service.Replicas[s.FirstTask].Successor = 0
	if j.onTrial(s) {
		return k.halt(ctx, j)
	}
	return nil
}

// onTrial says whether a slice runs a target that not all replicas run yet.
func (j *openJob) onTrial(s *types.Slice) bool {
	return j.Service.Updating() && s.Serving.Revision.Number == j.Service.Target.Number
}

// halt stops an update where it is; the owner goes on with another one.
func (k Keeper) halt(ctx context.Context, j *openJob) error {
	if j.Service.Halted {
		return nil
	}
	j.Service.Halted = true
	return k.emitChanged(ctx, j, "halted")
}
