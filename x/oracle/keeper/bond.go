package keeper

import (
	"context"
	"errors"
	"fmt"

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
	if o.Tombstoned {
		return 0, types.ErrJailed.Wrapf("%s was punished for a disproved claim and cannot return", o.Operator)
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

// slash burns a part, in basis points, of the bond and of what is unbonding, and returns the ufog that were burned. Shares round
// down. o is the operator's record, which the caller stores.
func (k Keeper) slash(ctx context.Context, operator sdk.AccAddress, o *types.Oracle, part uint32, reason string) (uint64, error) {
	const whole = 10_000
	fromBond, err := escrowtypes.MulDiv(o.Bond, uint64(part), whole)
	if err != nil {
		return 0, err
	}
	o.Bond -= fromBond
	fromUnbonding, err := k.cutUnbondings(ctx, operator, func(amount uint64) (uint64, error) {
		return escrowtypes.MulDiv(amount, uint64(part), whole)
	})
	if err != nil {
		return 0, err
	}
	total := fromBond + fromUnbonding
	return total, k.burn(ctx, operator, total, reason)
}

// burn takes ufog out of the locked balance for good. Runs in EndBlock, as governance's messages do.
func (k Keeper) burn(ctx context.Context, operator sdk.AccAddress, amount uint64, reason string) error {
	if amount == 0 {
		return nil
	}
	if err := k.escrow.Slash(ctx, escrowtypes.OracleAccountID(operator), amount); err != nil {
		return err
	}
	return emit(ctx, &types.EventOracleSlashed{Operator: k.text(operator), Amount: amount, Reason: reason})
}

// punish slashes, jails and tombstones an operator whose deterministic claim in a round was disproved. Whether it voted there is
// checked as long as the round is kept.
func (k Keeper) punish(ctx context.Context, operator sdk.AccAddress, id uint64, reason string) (uint64, error) {
	o, err := k.Oracle(ctx, operator)
	if err != nil {
		return 0, err
	}
	round, err := k.Rounds.Get(ctx, id)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return 0, err
	}
	if err == nil && !hasVoted(round.Votes, o.Operator) {
		return 0, types.ErrInvalidField.Wrapf("round_id: %s has no vote in round %d; name the round of the disproved claim", o.Operator, id)
	}
	p, err := k.Params.Get(ctx)
	if err != nil {
		return 0, err
	}
	slashed, err := k.slash(ctx, operator, &o, p.FaultSlash, fmt.Sprintf("round %d: %s", id, reason))
	if err != nil {
		return 0, err
	}
	o.Jailed, o.Tombstoned, o.Admitted = true, true, false
	if err := k.Admitted.Remove(ctx, operator); err != nil {
		return 0, err
	}
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
		return types.ErrNotJailed.Wrap(o.Operator)
	case o.Tombstoned:
		return types.ErrJailed.Wrapf("%s was punished for a disproved claim and cannot return", o.Operator)
	case now < o.JailedUntil:
		return types.ErrJailed.Wrapf("%s may return at %d (Unix seconds); it is %d", o.Operator, o.JailedUntil, now)
	}
	o.Jailed, o.JailedUntil = false, 0
	if err := k.Oracles.Set(ctx, operator, o); err != nil {
		return err
	}
	return k.emitChange(ctx, operator, "unjailed", 0)
}
