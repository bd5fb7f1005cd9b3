package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/oracle/types"
)

// bond adds ufog of the operator's wallet to its bond and returns the new bond.
func (k Keeper) bond(ctx context.Context, operator sdk.AccAddress, amount uint64) (uint64, error) {
	o, err := k.oracleOrNew(ctx, operator)
	if err != nil {
		return 0, err
	}
	account := escrowtypes.OracleAccountID(operator)
	if err := k.escrow.EnsureOpen(ctx, account, operator, escrowtypes.ACCOUNT_KIND_ORACLE); err != nil {
		return 0, err
	}
	if err := k.escrow.Deposit(ctx, operator, account, amount); err != nil {
		return 0, err
	}
	if err := k.escrow.Lock(ctx, account, amount); err != nil {
		return 0, err
	}
	if o.Bond, err = escrowtypes.AddChecked(o.Bond, amount); err != nil {
		return 0, err
	}
	if err := k.Oracles.Set(ctx, operator, o); err != nil {
		return 0, err
	}
	return o.Bond, k.emitChange(ctx, operator, "bonded", amount)
}

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
		return 0, types.ErrInsufficientBond.Wrapf("amount is %d ufog, the bond %d", amount, o.Bond)
	}
	o.Bond -= amount
	completes := blockSeconds(ctx) + int64(p.UnbondingTime)
	key := collections.Join(completes, operator)
	before, err := k.Unbondings.Get(ctx, key)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return 0, err
	}
	if err := k.Unbondings.Set(ctx, key, before+amount); err != nil {
		return 0, err
	}
	if err := k.Oracles.Set(ctx, operator, o); err != nil {
		return 0, err
	}
	return completes, k.emitChange(ctx, operator, "unbonding", amount)
}

// completeUnbondings frees what has waited long enough. Runs in EndBlock.
func (k Keeper) completeUnbondings(ctx context.Context) error {
	due := collections.NewPrefixUntilPairRange[int64, sdk.AccAddress](blockSeconds(ctx))
	var done []types.Unbonding
	err := k.Unbondings.Walk(ctx, due, func(key collections.Pair[int64, sdk.AccAddress], amount uint64) (bool, error) {
		done = append(done, types.Unbonding{Operator: k.text(key.K2()), Completes: key.K1(), Amount: amount})
		return false, nil
	})
	if err != nil {
		return err
	}
	for _, u := range done {
		operator, err := k.parse(u.Operator)
		if err != nil {
			return err
		}
		if err := k.Unbondings.Remove(ctx, collections.Join(u.Completes, operator)); err != nil {
			return err
		}
		if u.Amount == 0 { // slashed away
			continue
		}
		if err := k.escrow.Unlock(ctx, escrowtypes.OracleAccountID(operator), u.Amount); err != nil {
			return err
		}
		if err := k.emitChange(ctx, operator, "unbonded", u.Amount); err != nil {
			return err
		}
	}
	return nil
}

// slash burns a part, in basis points, of the bond and of what is unbonding, and returns the ufog that were burned.
// o is the operator's record, which the caller stores.
func (k Keeper) slash(ctx context.Context, operator sdk.AccAddress, o *types.Oracle, part uint32, reason string) (uint64, error) {
	total, err := escrowtypes.MulDiv(o.Bond, uint64(part), 10_000)
	if err != nil {
		return 0, err
	}
	o.Bond -= total
	entries, err := k.unbondingsOf(ctx, operator)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		cut, err := escrowtypes.MulDiv(e.Amount, uint64(part), 10_000)
		if err != nil {
			return 0, err
		}
		if err := k.Unbondings.Set(ctx, collections.Join(e.Completes, operator), e.Amount-cut); err != nil {
			return 0, err
		}
		total += cut
	}
	return total, k.burn(ctx, operator, total, reason)
}

// burn takes ufog out of the locked balance for good.
func (k Keeper) burn(ctx context.Context, operator sdk.AccAddress, amount uint64, reason string) error {
	if amount == 0 {
		return nil
	}
	if err := k.escrow.Slash(ctx, escrowtypes.OracleAccountID(operator), amount); err != nil {
		return err
	}
	return sdk.UnwrapSDKContext(ctx).EventManager().EmitTypedEvent(&types.EventOracleSlashed{
		Operator: k.text(operator), Amount: amount, Reason: reason,
	})
}

// unbondingsOf lists an operator's unbondings by time. There are few, over all operators: at most one a block time and operator.
func (k Keeper) unbondingsOf(ctx context.Context, operator sdk.AccAddress) ([]types.Unbonding, error) {
	var out []types.Unbonding
	err := k.Unbondings.Walk(ctx, nil, func(key collections.Pair[int64, sdk.AccAddress], amount uint64) (bool, error) {
		if key.K2().Equals(operator) {
			out = append(out, types.Unbonding{Operator: k.text(operator), Completes: key.K1(), Amount: amount})
		}
		return false, nil
	})
	return out, err
}

// punish slashes, jails and tombstones an operator whose deterministic claim was disproved.
func (k Keeper) punish(ctx context.Context, operator sdk.AccAddress, reason string) (uint64, error) {
	o, err := k.Oracle(ctx, operator)
	if err != nil {
		return 0, err
	}
	p, err := k.Params.Get(ctx)
	if err != nil {
		return 0, err
	}
	slashed, err := k.slash(ctx, operator, &o, p.FaultSlash, reason)
	if err != nil {
		return 0, err
	}
	o.Jailed, o.Tombstoned, o.Admitted = true, true, false
	if err := k.Oracles.Set(ctx, operator, o); err != nil {
		return 0, err
	}
	return slashed, k.emitChange(ctx, operator, "jailed", 0)
}

// unjail returns an oracle whose time in jail is over.
func (k Keeper) unjail(ctx context.Context, operator sdk.AccAddress) error {
	o, err := k.Oracle(ctx, operator)
	if err != nil {
		return err
	}
	now := blockSeconds(ctx)
	switch {
	case !o.Jailed:
		return types.ErrNotJailed.Wrap(k.text(operator))
	case o.Tombstoned:
		return types.ErrJailed.Wrapf("%s was punished for a disproved claim and cannot return", k.text(operator))
	case now < o.JailedUntil:
		return types.ErrJailed.Wrapf("%s may return at %d (Unix seconds); it is %d", k.text(operator), o.JailedUntil, now)
	}
	o.Jailed, o.JailedUntil = false, 0
	if err := k.Oracles.Set(ctx, operator, o); err != nil {
		return err
	}
	return k.emitChange(ctx, operator, "unjailed", 0)
}
