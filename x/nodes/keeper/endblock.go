package keeper

import (
	"context"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

const (
	// benchmarkReopenings is how many times in all the oracles are asked about one boot before the node is left as it is.
	benchmarkReopenings = 3
	// benchmarksPerBlock is the most benchmark rounds that a block opens or closes; the others follow in the next one.
	benchmarksPerBlock = 500
	// gasBenchmark pays for the round that opens in EndBlock and for its report.
	gasBenchmark = 60_000
)

// EndBlock opens the rounds that are due: benchmarks that were asked for, liveness and models by the clock.
func (k Keeper) EndBlock(ctx context.Context) error {
	p, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	if err := k.openBenchmarks(ctx, p); err != nil {
		return err
	}
	if err := k.openDueFleets(ctx, p); err != nil {
		return err
	}
	if err := k.openLiveness(ctx, p); err != nil {
		return err
	}
	return k.openModel(ctx, p)
}

// askBenchmark has the declaration of a node measured, one at a time; the caller stores the node.
func (k Keeper) askBenchmark(ctx context.Context, id escrowtypes.ID, n *types.Node) error {
	sdk.UnwrapSDKContext(ctx).GasMeter().ConsumeGas(gasBenchmark, "benchmark")
	asked, err := k.Asked(ctx, id, *n)
	if err != nil {
		return err
	}
	if asked || n.BenchmarkUntil > blockSeconds(ctx) {
		return types.ErrUnderWay.Wrapf("%s; wait for the result, then try again", n.Id)
	}
	n.BenchmarkPending, n.UnreachableTries = true, 0
	if n.BelowTime == 0 { // or a change of the declaration would wipe out what was seen in joint benchmarks
		n.BenchmarkTries = 0
	}
	return k.ToBenchmark.Set(ctx, id)
}

// Asked tells whether a benchmark of the node is to open, now or after a joint benchmark.
func (k Keeper) Asked(ctx context.Context, id escrowtypes.ID, n types.Node) (bool, error) {
	asked, err := k.ToBenchmark.Has(ctx, id)
	if err != nil || asked {
		return asked, err
	}
	owner, err := k.addresses.StringToBytes(n.Owner)
	if err != nil {
		return false, err
	}
	return k.Waiting.Has(ctx, collections.Join(sdk.AccAddress(owner), id))
}

// forgetAsked takes back that a benchmark of the node is to open.
func (k Keeper) forgetAsked(ctx context.Context, id escrowtypes.ID, n types.Node) error {
	if err := k.ToBenchmark.Remove(ctx, id); err != nil {
		return err
	}
	owner, err := k.addresses.StringToBytes(n.Owner)
	if err != nil {
		return err
	}
	return k.Waiting.Remove(ctx, collections.Join(sdk.AccAddress(owner), id))
}

func (k Keeper) openBenchmarks(ctx context.Context, p types.Params) error {
	var ids []escrowtypes.ID
	err := k.ToBenchmark.Walk(ctx, nil, func(id escrowtypes.ID) (bool, error) {
		ids = append(ids, id)
		return len(ids) == benchmarksPerBlock, nil
	})
	if err != nil {
		return err
	}
	var groups []*group
	for _, id := range ids {
		n, err := k.Node(ctx, id)
		if err != nil {
			return err
		}
		// After a mere restart, or at its end, a node is looked at alone.
		if n.Status.Live() && n.BenchmarkPending {
			if groups, err = k.groupOf(groups, id, n); err != nil {
				return err
			}
			err = k.ToBenchmark.Remove(ctx, id)
		} else {
			err = k.openBenchmark(ctx, p, id, 0)
		}
		if err != nil {
			return err
		}
	}
	for _, g := range groups {
		if err := k.openGroup(ctx, p, g); err != nil {
			return err
		}
	}
	return nil
}

// openBenchmark has the oracles look at a node in the place of what is asked or open; start is zero if it is alone.
func (k Keeper) openBenchmark(ctx context.Context, p types.Params, id escrowtypes.ID, start int64) error {
	n, err := k.Node(ctx, id)
	if err != nil {
		return err
	}
	if err := k.forgetAsked(ctx, id, n); err != nil {
		return err
	}
	if err := k.closeBenchmark(ctx, id, &n); err != nil {
		return err
	}
	if n.Status.Live() {
		subject, err := types.EncodeBenchmarkSubject(id, n.Boot)
		if err != nil {
			return err
		}
		now, window := blockSeconds(ctx), int64(p.BenchmarkWindow)
		n.BenchmarkUntil, n.BenchmarkStart = now+benchmarkReopenings*window, start
		if _, err := k.rounds.OpenRound(ctx, types.RoundKindBenchmark, subject, now+window, n.BenchmarkUntil); err != nil {
			return err
		}
	}
	return k.Nodes.Set(ctx, id, n)
}

// closeBenchmark ends the round about the node's present boot, if one is open; only code that runs in EndBlock may call it. The caller
// stores the node.
func (k Keeper) closeBenchmark(ctx context.Context, id escrowtypes.ID, n *types.Node) error {
	if err := k.leaveJoint(ctx, n); err != nil {
		return err
	}
	subject, err := types.EncodeBenchmarkSubject(id, n.Boot)
	if err != nil {
		return err
	}
	return k.rounds.CancelRounds(ctx, types.RoundKindBenchmark, subject)
}

func (k Keeper) openLiveness(ctx context.Context, p types.Params) error {
	next, err := k.NextIndex.Get(ctx)
	if err != nil {
		return err
	}
	now := blockSeconds(ctx)
	schedule, err := k.Schedule.Get(ctx)
	if err != nil {
		return err
	}
	if next <= 1 || now < schedule.NextLiveness { // nobody to look at, or not yet
		return nil
	}
	schedule.LivenessEpochNumber++
	schedule.NextLiveness = now + int64(p.LivenessEpoch)
	subject := types.EncodeLivenessSubject(schedule.LivenessEpochNumber)
	if _, err := k.rounds.OpenRound(ctx, types.RoundKindLiveness, subject, schedule.NextLiveness, schedule.NextLiveness); err != nil {
		return err
	}
	return k.Schedule.Set(ctx, schedule)
}
