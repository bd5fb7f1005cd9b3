package keeper

import (
	"context"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/oracle/types"
)

// maxCompletions is the most unbondings that one block completes; the rest follows in the next, in order.
const maxCompletions = 100

// unbond starts to take ufog out of the bond; it stays locked and slashable until the returned Unix second.
func (k Keeper) unbond(ctx context.Context, operator sdk.AccAddress, amount uint64) (int64, error) {
	o, err := k.Oracle(ctx, operator)
	if err != nil {
		return 0, err
	}
	p, err := k.Params.Get(ctx)
	if err != nil {
		return 0, err
	}
	if amount > o.Bond {
		return 0, types.ErrInsufficientBond.Wrapf("amount is %d ufog, the bond %d; unbond at most that", amount, o.Bond)
	}
	o.Bond -= amount
	completes := blockSeconds(ctx) + int64(p.UnbondingTime)
	under, err := k.UnbondingsOf(ctx, operator)
	if err != nil {
		return 0, err
	}
	before := uint64(0)
	for _, u := range under {
		if u.Completes == completes {
			before = u.Amount
		}
	}
	if before == 0 && len(under) >= types.MaxUnbondings {
		return 0, types.ErrTooManyUnbondings.Wrapf("%d are under way, the most allowed; wait for the first, at %d (Unix seconds)",
			len(under), under[0].Completes)
	}
	if err := k.Unbondings.Set(ctx, collections.Join(operator, completes), before+amount); err != nil {
		return 0, err
	}
	if err := k.UnbondingQueue.Set(ctx, collections.Join(completes, operator)); err != nil {
		return 0, err
	}
	if err := k.Oracles.Set(ctx, operator, o); err != nil {
		return 0, err
	}
	return completes, k.emitChange(ctx, operator, "unbonding", amount)
}

// UnbondingsOf lists an operator's unbondings by time, at most MaxUnbondings.
func (k Keeper) UnbondingsOf(ctx context.Context, operator sdk.AccAddress) ([]types.Unbonding, error) {
	var out []types.Unbonding
	rng := collections.NewPrefixedPairRange[sdk.AccAddress, int64](operator)
	err := k.Unbondings.Walk(ctx, rng, func(key collections.Pair[sdk.AccAddress, int64], amount uint64) (bool, error) {
		out = append(out, types.Unbonding{Operator: k.text(key.K1()), Completes: key.K2(), Amount: amount})
		return false, nil
	})
	return out, err
}

// cutUnbondings takes cut(amount) ufog off each unbonding of the operator, the earliest first, and returns how much it took. What is cut to
// zero stays until its time.
func (k Keeper) cutUnbondings(
	ctx context.Context, operator sdk.AccAddress, cut func(amount uint64) (uint64, error),
) (total uint64, err error) {
	under, err := k.UnbondingsOf(ctx, operator)
	if err != nil {
		return 0, err
	}
	for _, u := range under {
		part, err := cut(u.Amount)
		if err != nil {
			return 0, err
		}
		if part == 0 {
			continue
		}
		if err := k.Unbondings.Set(ctx, collections.Join(operator, u.Completes), u.Amount-part); err != nil {
			return 0, err
		}
		total += part
	}
	return total, nil
}

// completeUnbondings frees what has waited long enough. Runs in EndBlock.
func (k Keeper) completeUnbondings(ctx context.Context) error {
	var due []collections.Pair[int64, sdk.AccAddress]
	rng := collections.NewPrefixUntilPairRange[int64, sdk.AccAddress](blockSeconds(ctx))
	err := k.UnbondingQueue.Walk(ctx, rng, func(key collections.Pair[int64, sdk.AccAddress]) (bool, error) {
		due = append(due, key)
		return len(due) >= maxCompletions, nil
	})
	if err != nil {
		return err
	}
	for _, key := range due {
		if err := k.completeUnbonding(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

func (k Keeper) completeUnbonding(ctx context.Context, due collections.Pair[int64, sdk.AccAddress]) error {
	operator := due.K2()
	amount, err := k.Unbondings.Get(ctx, collections.Join(operator, due.K1()))
	if err != nil {
		return err
	}
	if err := k.Unbondings.Remove(ctx, collections.Join(operator, due.K1())); err != nil {
		return err
	}
	if err := k.UnbondingQueue.Remove(ctx, due); err != nil {
		return err
	}
	if amount == 0 { // slashed away
		return nil
	}
	if err := k.escrow.Unlock(ctx, escrowtypes.OracleAccountID(operator), amount); err != nil {
		return err
	}
	return k.emitChange(ctx, operator, "unbonded", amount)
}
