package keeper

import (
	"context"
	"slices"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// A task that fails by its own fault is run once more, on a node of another owner, to tell a bad task from a bad machine. The pay
// of the first run is withheld until then.

// rerunOrFail queues the rerun of neighbouring tasks that failed; if there is no money or time for one, they have failed.
func (k Keeper) rerunOrFail(ctx context.Context, j *openJob, s *types.Slice, part types.Terms, failed []types.TaskFailure) error {
	if j.CancelledTime != 0 || j.Deadline <= j.now {
		s.Failed += uint32(len(failed))
		return nil
	}
	pay, err := types.Pay(1, atLeast(j.p, s, s.MeteredMs), s.AgreedPrice)
	if err != nil {
		return err
	}
	fee, err := feeOn(j.p, pay, part.Fee)
	if err != nil {
		return err
	}
	count := uint32(len(failed))
	seconds, terms, err := k.affordRerun(ctx, j, part, count, pay+fee)
	if err != nil {
		return err
	}
	if seconds < j.p.MinDuration {
		s.Failed += count
		return nil
	}
	next := k.successor(ctx, j, s, failed[0].Task, count)
	next.ExcludedOwners = append(slices.Clone(s.ExcludedOwners), s.Provider)
	next.MaxDuration = seconds
	next.Rerun = &types.Rerun{
		FirstSlice: s.Number, NodeId: s.NodeId, Account: s.Provider, MeteredMs: s.MeteredMs, Voters: s.AttestedBy,
		Withheld: make([]types.Withheld, count),
	}
	for i, f := range failed {
		next.Rerun.Withheld[i] = types.Withheld{Task: f.Task, ExitCode: f.ExitCode, Reason: f.Reason, Pay: pay, Fee: fee}
	}
	moved, err := part.Times(count)
	if err != nil {
		return err
	}
	held, err := moved.Sum()
	if err != nil {
		return err
	}
	s.Budget -= moved.Budget
	s.FeeBudget -= moved.Fee
	return k.queue(ctx, j, s, next, terms, held, failed[0].Reason.String())
}

// affordRerun returns for how long each of count tasks can be rerun at the cap, and the money for that. Both runs together cost no more than
// the budget that the job set aside for the task; what the first match refunded of it is used again, as far as it is still there.
func (k Keeper) affordRerun(ctx context.Context, j *openJob, part types.Terms, count uint32, withheld uint64) (uint64, types.Terms, error) {
	have, err := part.Sum()
	if err != nil {
		return 0, types.Terms{}, err
	}
	have, err = escrowtypes.SubChecked(have, withheld)
	if err != nil {
		return 0, types.Terms{}, err
	}
	whole, err := types.TermsOf(j.PriceCap, j.MaxDuration, j.p.Fee)
	if err != nil {
		return 0, types.Terms{}, err
	}
	most, err := whole.Sum()
	if err != nil {
		return 0, types.Terms{}, err
	}
	there, err := k.reclaimable(ctx, j)
	if err != nil {
		return 0, types.Terms{}, err
	}
	if most > have+withheld {
		have += min(there/uint64(count), most-have-withheld)
	}
	return types.Afford(have, j.PriceCap, j.MaxDuration, j.p.Fee)
}

// resolveRerun settles with the first run, task by task: success shows that its machine was at fault, so it is unpaid; the same failure
// shows that the task was, so it is paid; another failure proves nothing for it. Tasks that were queued again keep what they withhold.
func (k Keeper) resolveRerun(ctx context.Context, j *openJob, s *types.Slice) error {
	var paid, unpaid []types.Withheld
	blamed := false // the first machine failed what another finished
	failures := s.Outcome.Failures
	for _, w := range s.Rerun.Withheld {
		for len(failures) > 0 && failures[0].Task < w.Task {
			failures = failures[1:]
		}
		switch {
		case len(failures) == 0 || failures[0].Task != w.Task:
			unpaid, blamed = append(unpaid, w), true
		case failures[0].Reason.Requeued(): // settled or carried on by requeueOrGiveUp
		case failures[0].Reason == w.Reason && failures[0].ExitCode == w.ExitCode:
			paid = append(paid, w)
		default:
			unpaid = append(unpaid, w)
		}
	}
	if err := k.payFirstRun(ctx, j, s, paid); err != nil {
		return err
	}
	back, err := types.SumWithheld(unpaid)
	if err != nil {
		return err
	}
	sum, err := back.Sum()
	if err != nil {
		return err
	}
	if err := k.refund(ctx, j, sum); err != nil {
		return err
	}
	s.Rerun.Refunded += sum
	s.Rerun.Withheld = nil
	if len(unpaid) == 0 {
		return nil
	}
	if blamed {
		if err := rate(j, s.Rerun.NodeId, 0, 0); err != nil {
			return err
		}
	}
	return emit(ctx, &types.EventWithheldSettled{JobId: j.Id, Slice: s.Number, FirstSlice: s.Rerun.FirstSlice, Refunded: sum})
}

// payFirstRun pays the first run of tasks what was withheld from it, and its voters their fee.
func (k Keeper) payFirstRun(ctx context.Context, j *openJob, s *types.Slice, withheld []types.Withheld) error {
	if len(withheld) == 0 {
		return nil
	}
	sum, err := types.SumWithheld(withheld)
	if err != nil {
		return err
	}
	provider, err := providerAccount(s.Rerun.Account)
	if err != nil {
		return err
	}
	if err := k.payProvider(ctx, j, provider, sum.Budget); err != nil {
		return err
	}
	if err := k.payOracles(ctx, j, s.Rerun.Voters, sum.Fee); err != nil {
		return err
	}
	s.Rerun.Paid += sum.Budget
	s.Rerun.Fee += sum.Fee
	event := &types.EventWithheldSettled{
		JobId: j.Id, Slice: s.Number, FirstSlice: s.Rerun.FirstSlice, Paid: sum.Budget, Fee: sum.Fee,
	}
	if err := emit(ctx, event); err != nil {
		return err
	}
	j.endedOn(s.Rerun.NodeId).Done.Add(nodestypes.Statistics{
		Failures: uint64(len(withheld)), Paid: sum.Budget, WorkMs: uint64(len(withheld)) * s.Rerun.MeteredMs,
	})
	return nil
}

// endWithoutResult is for tasks of a slice that end without an outcome of this slice: if it was a rerun, the outcome of the first run
// stands, which is paid, and the tasks have failed. It tells whether that was so.
func (k Keeper) endWithoutResult(ctx context.Context, j *openJob, s *types.Slice) (bool, error) {
	if s.Rerun == nil {
		return false, nil
	}
	if err := k.payFirstRun(ctx, j, s, s.Rerun.Withheld); err != nil {
		return false, err
	}
	s.Rerun.Withheld = nil
	j.Counts.Failed += s.TaskCount
	return true, nil
}
