package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

// benchmarkReopenings is how many times in all the oracles are asked about one boot before the node is left as it is.
const benchmarkReopenings = 3

// EndBlock opens the rounds that are due: benchmarks that were asked for, and liveness by the clock.
func (k Keeper) EndBlock(ctx context.Context) error {
	p, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	if err := k.openBenchmarks(ctx, p); err != nil {
		return err
	}
	return k.openLiveness(ctx, p)
}

func (k Keeper) openBenchmarks(ctx context.Context, p types.Params) error {
	var ids []escrowtypes.ID
	err := k.ToBenchmark.Walk(ctx, nil, func(id escrowtypes.ID) (bool, error) {
		ids = append(ids, id)
		return false, nil
	})
	if err != nil {
		return err
	}
	now := blockSeconds(ctx)
	for _, id := range ids {
		if err := k.ToBenchmark.Remove(ctx, id); err != nil {
			return err
		}
		n, err := k.Node(ctx, id)
		if err != nil {
			return err
		}
		subject, err := types.EncodeBenchmarkSubject(id, n.Boot)
		if err != nil {
			return err
		}
		// A declaration that changed while it was measured is measured anew.
		if err := k.rounds.CancelRounds(ctx, types.RoundKindBenchmark, subject); err != nil {
			return err
		}
		window := int64(p.BenchmarkWindow)
		if _, err := k.rounds.OpenRound(ctx, types.RoundKindBenchmark, subject, now+window, now+benchmarkReopenings*window); err != nil {
			return err
		}
	}
	return nil
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

// byIndex returns a node by index; ok is false if there is none.
func (k Keeper) byIndex(ctx context.Context, index uint32) (id escrowtypes.ID, n types.Node, ok bool, err error) {
	id, err = k.ByIndex.Get(ctx, index)
	if errors.Is(err, collections.ErrNotFound) {
		return id, n, false, nil
	}
	if err != nil {
		return id, n, false, err
	}
	n, err = k.Node(ctx, id)
	return id, n, err == nil, err
}
