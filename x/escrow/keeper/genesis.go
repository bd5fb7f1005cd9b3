package keeper

import (
	"context"
	"fmt"

	"cosmossdk.io/collections"

	"github.com/foggrid/fogd/x/escrow/types"
)

// InitGenesis writes the ledger; the bank's genesis must have been written, its coins must cover all accounts.
func (k Keeper) InitGenesis(ctx context.Context, gs types.GenesisState) error {
	if err := gs.Validate(k.addresses); err != nil {
		return err
	}
	// Made now, so that no transaction has to: two that did would conflict on the next account number.
	k.auth.GetModuleAccount(ctx, types.ModuleName)
	if err := k.params.Set(ctx, gs.Params); err != nil {
		return err
	}
	for _, account := range gs.Accounts {
		if err := k.importAccount(ctx, account); err != nil {
			return fmt.Errorf("account %s: %w", account.Id, err)
		}
	}
	totals, err := types.SumAccounts(gs.Accounts)
	if err != nil {
		return err
	}
	if err := k.totals.Set(ctx, totals); err != nil {
		return err
	}
	if err := k.checkTotals(ctx, totals); err != nil {
		return types.ErrInvalidGenesis.Wrap(err.Error())
	}
	return nil
}

func (k Keeper) importAccount(ctx context.Context, account types.Account) error {
	id, err := types.ParseID(types.AccountHRP, account.Id)
	if err != nil {
		return err
	}
	owner, err := k.ownerOf(account)
	if err != nil {
		return err
	}
	if err := k.byOwner.Set(ctx, collections.Join(owner, id)); err != nil {
		return err
	}
	return k.accounts.Set(ctx, id, account)
}

// ExportGenesis reads the ledger in the order of the ids; totals follow from the accounts.
func (k Keeper) ExportGenesis(ctx context.Context) (*types.GenesisState, error) {
	params, err := k.params.Get(ctx)
	if err != nil {
		return nil, err
	}
	gs := &types.GenesisState{Params: params}
	err = k.accounts.Walk(ctx, nil, func(_ types.ID, account types.Account) (bool, error) {
		gs.Accounts = append(gs.Accounts, account)
		return false, nil
	})
	return gs, err
}
