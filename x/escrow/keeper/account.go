package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/escrow/types"
)

// Account returns an account, or ErrAccountNotFound.
func (k Keeper) Account(ctx context.Context, id types.ID) (types.Account, error) {
	account, err := k.accounts.Get(ctx, id)
	if errors.Is(err, collections.ErrNotFound) {
		return types.Account{}, types.ErrAccountNotFound.Wrapf("%s; check the id, or deposit to open it", id.Bech32(types.AccountHRP))
	}
	return account, err
}

// Open makes an empty account; ErrAccountExists if the id is taken.
func (k Keeper) Open(ctx context.Context, id types.ID, owner sdk.AccAddress, kind types.AccountKind) error {
	exists, err := k.accounts.Has(ctx, id)
	if err != nil {
		return err
	}
	if exists {
		return types.ErrAccountExists.Wrap(id.Bech32(types.AccountHRP))
	}
	return k.open(ctx, id, owner, kind)
}

// EnsureOpen opens the account if it does not exist; ErrAccountMismatch if it exists with another owner or kind.
func (k Keeper) EnsureOpen(ctx context.Context, id types.ID, owner sdk.AccAddress, kind types.AccountKind) error {
	account, err := k.accounts.Get(ctx, id)
	if errors.Is(err, collections.ErrNotFound) {
		return k.open(ctx, id, owner, kind)
	}
	if err != nil {
		return err
	}
	text, err := k.addresses.BytesToString(owner)
	if err != nil {
		return err
	}
	if account.Owner != text || account.Kind != kind {
		return types.ErrAccountMismatch.Wrapf("%s is a %s account of %s", account.Id, account.Kind, account.Owner)
	}
	return nil
}

func (k Keeper) open(ctx context.Context, id types.ID, owner sdk.AccAddress, kind types.AccountKind) error {
	if len(owner) == 0 {
		return types.ErrInvalidAccount.Wrap("owner: empty; an account needs an owner")
	}
	if err := types.ValidateKind(kind); err != nil {
		return err
	}
	text, err := k.addresses.BytesToString(owner)
	if err != nil {
		return err
	}
	if err := k.byOwner.Set(ctx, collections.Join(owner, id)); err != nil {
		return err
	}
	return k.accounts.Set(ctx, id, types.Account{Id: id.Bech32(types.AccountHRP), Owner: text, Kind: kind})
}

// Close removes an account whose balance is zero; else ErrAccountNotEmpty.
func (k Keeper) Close(ctx context.Context, id types.ID) error {
	account, err := k.Account(ctx, id)
	if err != nil {
		return err
	}
	if account.Balance != 0 || account.Locked != 0 {
		return types.ErrAccountNotEmpty.Wrapf("%s holds %d%s; move or withdraw it first", account.Id, account.Balance, types.Denom)
	}
	owner, err := k.ownerOf(account)
	if err != nil {
		return err
	}
	if err := k.byOwner.Remove(ctx, collections.Join(owner, id)); err != nil {
		return err
	}
	return k.accounts.Remove(ctx, id)
}

func (k Keeper) ownerOf(account types.Account) (sdk.AccAddress, error) {
	owner, err := k.addresses.StringToBytes(account.Owner)
	if err != nil {
		return nil, types.ErrInvalidAccount.Wrapf("owner of %s: %s", account.Id, err)
	}
	return owner, nil
}
