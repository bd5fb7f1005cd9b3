package keeper

import (
	"context"
	"errors"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

const (
	// gasOfLargestMatch is more than any item takes, whatever its job, node and quorum write into their records.
	gasOfLargestMatch = 3_000_000
	// gasOfLargestOther is more than each further item of a gang takes: its job is read and written once.
	gasOfLargestOther = 700_000
)

// RecordMatches executes a batch that a quorum attested. Each item stands alone, but for those of a gang, which stand or fall together:
// what cannot be taken any more is skipped with a reason, and its tasks stay in the queue.
func (k Keeper) RecordMatches(ctx context.Context, msg *types.MsgRecordMatches) (matched, stale uint32, err error) {
	p, err := k.params.Get(ctx)
	if err != nil {
		return 0, 0, err
	}
	state, err := k.getMatchState(ctx)
	if err != nil {
		return 0, 0, err
	}
	if msg.Batch.Height != state.Height {
		return 0, 0, types.ErrStaleBatch.Wrapf("height %d; the last snapshot is %d", msg.Batch.Height, state.Height)
	}
	if len(msg.Batch.Items) > int(p.MaxBatchItems) {
		return 0, 0, types.ErrInvalidReport.Wrapf("items: %d; at most %d", len(msg.Batch.Items), p.MaxBatchItems)
	}
	gas := sdk.UnwrapSDKContext(ctx).GasMeter()
	for i := 0; i < len(msg.Batch.Items); {
		items, err := k.together(ctx, msg.Batch.Items[i:])
		if err != nil {
			return 0, 0, err
		}
		// Items that do not fit in the report's gas stay in the queue. Running out would undo all others, time and again.
		if i > 0 && gas.GasRemaining() < gasOfLargestMatch+uint64(len(items)-1)*gasOfLargestOther {
			break
		}
		i += len(items)
		taken, err := k.tryMatch(ctx, p, msg, items)
		if err != nil {
			return 0, 0, err
		}
		if taken {
			matched += uint32(len(items))
		} else {
			stale += uint32(len(items))
		}
	}
	state.IdleUntil = blockSeconds(ctx)
	if matched == 0 {
		state.IdleUntil += int64(p.MatchIdle)
	}
	if err := k.matchState.Set(ctx, state); err != nil {
		return 0, 0, err
	}
	return matched, stale, emit(ctx, &types.EventBatchRecorded{Round: msg.Round, Height: state.Height, Matched: matched, Stale: stale})
}

// together are the first items as they stand or fall: all items of a gang, else one. An item that names no open job stands alone.
func (k Keeper) together(ctx context.Context, items []types.MatchItem) ([]types.MatchItem, error) {
	n := 1
	for n < len(items) && items[n].JobId == items[0].JobId && items[n].Slice == items[0].Slice {
		n++
	}
	if n == 1 {
		return items[:1], nil
	}
	id, err := escrowtypes.ParseID(types.JobHRP, items[0].JobId)
	if err != nil { // not this function's to say
		return items[:1], nil
	}
	job, err := k.Job(ctx, id)
	switch {
	case errors.Is(err, types.ErrJobNotFound):
		return items[:1], nil
	case err != nil:
		return nil, err
	case job.Wishes != nil && job.Wishes.Gang:
		return items[:n], nil
	}
	return items[:1], nil
}

// tryMatch carries out items of one slice, all of them, or none and says why in events.
func (k Keeper) tryMatch(ctx context.Context, p types.Params, msg *types.MsgRecordMatches, items []types.MatchItem) (taken bool, err error) {
	cached, write := sdk.UnwrapSDKContext(ctx).CacheContext()
	reason := k.match(cached, p, msg, items)
	if reason == nil {
		write()
		return true, nil
	}
	for _, item := range items {
		event := &types.EventMatchStale{JobId: item.JobId, Slice: item.Slice, NodeIndex: item.NodeIndex, Reason: reason.Error()}
		if err := emit(ctx, event); err != nil {
			return false, err
		}
	}
	return false, nil
}

// match gives the first tasks of a pending slice to nodes, item by item.
func (k Keeper) match(ctx context.Context, p types.Params, msg *types.MsgRecordMatches, items []types.MatchItem) error {
	id, err := escrowtypes.ParseID(types.JobHRP, items[0].JobId)
	if err != nil {
		return err
	}
	s, err := k.Slice(ctx, id, items[0].Slice)
	if err != nil {
		return err
	}
	j, err := k.openJob(ctx, p, id)
	if err != nil {
		return err
	}
	if j.Wishes != nil && j.Wishes.Gang {
		count := uint64(0)
		for _, item := range items {
			count += uint64(item.Count)
		}
		if count != uint64(s.TaskCount) {
			return types.ErrNoMatch.Wrapf("the batch has %d of the %d tasks of a gang", count, s.TaskCount)
		}
	}
	for _, item := range items {
		if err := k.matchItem(ctx, j, &s, msg, item); err != nil {
			return err
		}
	}
	return k.save(ctx, j)
}

// matchItem gives the first tasks of a pending slice to one node.
func (k Keeper) matchItem(ctx context.Context, j *openJob, s *types.Slice, msg *types.MsgRecordMatches, item types.MatchItem) error {
	node, err := k.nodes.NodeByIndex(ctx, item.NodeIndex)
	if err != nil {
		return err
	}
	price, err := types.CheckMatch(j.p, j.Job, *s, node, j.now)
	if err != nil {
		return err
	}
	if price != item.Price {
		return types.ErrNoMatch.Wrapf("price is %d, not %d", price, item.Price)
	}
	if item.Count > s.TaskCount {
		return types.ErrNoMatch.Wrapf("count %d; the slice has %d tasks left", item.Count, s.TaskCount)
	}
	taken, err := k.take(ctx, j, s, item.Count)
	if err != nil {
		return err
	}
	taken.MatchRound, taken.MatchedBy = msg.Round, msg.Voters
	taken.MatchPolicy, taken.SnapshotHeight, taken.RunnersUp = msg.Batch.Policy, msg.Batch.Height, item.RunnersUp
	return k.assign(ctx, j, taken, node, price)
}

// take splits the first count tasks off a pending slice, with their part of the money; all of them, if it has no more.
func (k Keeper) take(ctx context.Context, j *openJob, s *types.Slice, count uint32) (*types.Slice, error) {
	if count == s.TaskCount {
		return s, nil
	}
	part, err := s.TaskTerms()
	if err != nil {
		return nil, err
	}
	terms, err := part.Times(count)
	if err != nil {
		return nil, err
	}
	taken := *s
	taken.Number, taken.TaskCount, taken.Budget, taken.FeeBudget = j.NextSlice, count, terms.Budget, terms.Fee
	taken.Status, taken.Due, taken.Wake = types.SLICE_STATUS_UNSPECIFIED, 0, 0
	j.NextSlice++
	if s.Rerun != nil {
		first, rest := *s.Rerun, *s.Rerun
		first.Withheld, rest.Withheld = s.Rerun.Withheld[:count], s.Rerun.Withheld[count:]
		taken.Rerun, s.Rerun = &first, &rest
	}
	s.FirstTask += count
	s.TaskCount -= count
	s.Budget -= terms.Budget
	s.FeeBudget -= terms.Fee
	return &taken, k.move(ctx, j, s, types.SLICE_STATUS_PENDING, s.Due)
}

// assign reserves the node, locks the collateral, frees what the agreed price leaves of the budget, and opens the outcome round.
func (k Keeper) assign(ctx context.Context, j *openJob, s *types.Slice, node nodestypes.Node, price uint64) error {
	if j.IsService() {
		return k.place(ctx, j, s, node, price)
	}
	nodeID, err := nodestypes.ParseNodeID(node.Id)
	if err != nil {
		return err
	}
	if err := k.nodes.Reserve(ctx, nodeID, node, types.TotalResources(j.Resources, s.TaskCount), s.TaskCount, nil); err != nil {
		return err
	}
	part, err := types.TermsOf(price, s.MaxDuration, j.p.Fee)
	if err != nil {
		return err
	}
	terms, err := part.Times(s.TaskCount)
	if err != nil {
		return err
	}
	held, err := types.Terms{Budget: s.Budget, Fee: s.FeeBudget}.Sum()
	if err != nil {
		return err
	}
	need, err := terms.Sum()
	if err != nil {
		return err
	}
	if err := k.rehold(ctx, j, held, need); err != nil {
		return err
	}
	collateral, err := types.PartUp(terms.Budget, j.p.Collateral)
	if err != nil {
		return err
	}
	s.AgreedPrice = price
	if err := k.engage(ctx, j, s, node, collateral); err != nil {
		return err
	}
	s.Budget, s.FeeBudget = terms.Budget, terms.Fee
	over := j.now + int64(s.MaxDuration)
	final := over + int64(j.p.OutcomeFinal)
	if err := k.move(ctx, j, s, types.SLICE_STATUS_MATCHED, final); err != nil {
		return err
	}
	if _, err := k.rounds.OpenRound(ctx, types.RoundKindOutcome, outcomeSubject(j, s), over+int64(j.p.OutcomeWindow), final); err != nil {
		return err
	}
	return emitMatched(ctx, j, s)
}

// engage locks the provider's collateral and writes into the slice who runs it; the caller moves it.
func (k Keeper) engage(ctx context.Context, j *openJob, s *types.Slice, node nodestypes.Node, collateral uint64) error {
	provider, err := providerAccount(node.Owner)
	if err != nil {
		return err
	}
	if err := k.escrow.Lock(ctx, provider, collateral); err != nil {
		return err
	}
	s.Collateral = collateral
	s.Attempt++
	s.NodeId, s.Provider, s.CpuSingle = node.Id, node.Owner, node.Measured.CpuSingle
	s.MatchedHeight, s.MatchedTime = sdk.UnwrapSDKContext(ctx).BlockHeight(), j.now
	j.Counts.Pending -= s.TaskCount
	j.Counts.Matched += s.TaskCount
	return nil
}

func emitMatched(ctx context.Context, j *openJob, s *types.Slice) error {
	return emit(ctx, &types.EventSliceMatched{
		JobId: j.Id, Slice: s.Number, Attempt: s.Attempt, NodeId: s.NodeId, FirstTask: s.FirstTask, TaskCount: s.TaskCount, Price: s.AgreedPrice,
	})
}

func outcomeSubject(j *openJob, s *types.Slice) []byte {
	return types.OutcomeSubject{Job: j.id, Slice: s.Number, Attempt: s.Attempt}.Encode()
}
