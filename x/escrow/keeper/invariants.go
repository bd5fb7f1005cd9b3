package keeper

import (
	"context"
	"fmt"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/escrow/types"
)

// Invariants recomputes every sum from all accounts and names what is broken. It holds at the end of each block; its work
// grows with the number of accounts.
func (k Keeper) Invariants(ctx context.Context) (*types.QueryInvariantsResponse, error) {
	res := &types.QueryInvariantsResponse{}
	broken := func(format string, args ...any) { res.Broken = append(res.Broken, fmt.Sprintf(format, args...)) }

	err := k.accounts.Walk(ctx, nil, func(id types.ID, account types.Account) (bool, error) {
		res.Accounts++
		if err := k.checkAccount(ctx, id, account); err != nil {
			broken("account %s: %s", id.Bech32(types.AccountHRP), err)
		}
		if err := res.Recomputed.Add(account); err != nil {
			broken("sum over the accounts: %s", err)
		}
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	var indexed uint64
	err = k.byOwner.Walk(ctx, nil, func(collections.Pair[sdk.AccAddress, types.ID]) (bool, error) {
		indexed++
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	if indexed != res.Accounts {
		broken("the index by owner has %d entries for %d accounts", indexed, res.Accounts)
	}
	if res.Folded, err = k.totals.Get(ctx); err != nil {
		return nil, err
	}
	if res.Folded != res.Recomputed {
		broken("folded totals are %v, the accounts sum up to %v", res.Folded, res.Recomputed)
	}
	if coins := k.bank.GetBalance(ctx, k.module, types.Denom).Amount; coins.IsUint64() {
		res.ModuleBalance = coins.Uint64()
	}
	if err := k.checkTotals(ctx, res.Recomputed); err != nil {
		broken("%s", err)
	}
	res.Holds = len(res.Broken) == 0
	return res, nil
}

func (k Keeper) checkAccount(ctx context.Context, id types.ID, account types.Account) error {
	if err := account.Validate(k.addresses); err != nil {
		return err
	}
	if account.Id != id.Bech32(types.AccountHRP) {
		return fmt.Errorf("stored as %s", account.Id)
	}
	owner, err := k.ownerOf(account)
	if err != nil {
		return err
	}
	indexed, err := k.byOwner.Has(ctx, collections.Join(owner, id))
	if err != nil {
		return err
	}
	if !indexed {
		return fmt.Errorf("not in the index of its owner %s", account.Owner)
	}
	return nil
}
