package keeper

import (
	"context"

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
	if err := k.openLiveness(ctx, p); err != nil {
		return err
	}
	return k.openModel(ctx, p)
}

// askBenchmark has the declaration of a node measured, one at a time; the caller stores the node.
func (k Keeper) askBenchmark(ctx context.Context, id escrowtypes.ID, n *types.Node) error {
	sdk.UnwrapSDKContext(ctx).GasMeter().ConsumeGas(gasBenchmark, "benchmark")
	asked, err := k.ToBenchmark.Has(ctx, id)
	if err != nil {
		return err
	}
	if asked || n.BenchmarkUntil > blockSeconds(ctx) {
		return types.ErrUnderWay.Wrapf("%s; wait for the result, then try again", n.Id)
	}
	n.BenchmarkPending, n.BenchmarkTries, n.UnreachableTries = true, 0, 0
	return k.ToBenchmark.Set(ctx, id)
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
	for _, id := range ids {
		if err := k.ToBenchmark.Remove(ctx, id); err != nil {
			return err
		}
		if err := k.openBenchmark(ctx, p, id); err != nil {
			return err
		}
	}
	return nil
}

func (k Keeper) openBenchmark(ctx context.Context, p types.Params, id escrowtypes.ID) error {
	n, err := k.Node(ctx, id)
	if err != nil {
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
		n.BenchmarkUntil = now + benchmarkReopenings*window
		if _, err := k.rounds.OpenRound(ctx, types.RoundKindBenchmark, subject, now+window, n.BenchmarkUntil); err != nil {
			return err
		}
	}
	return k.Nodes.Set(ctx, id, n)
}

// closeBenchmark ends the round about the node's present boot, if one is open; only code that runs in EndBlock may call it. The caller
// stores the node.
func (k Keeper) closeBenchmark(ctx context.Context, id escrowtypes.ID, n *types.Node) error {
	n.BenchmarkUntil = 0
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
