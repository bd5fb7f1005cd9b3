package keeper

import (
	"context"

	errorsmod "cosmossdk.io/errors"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/escrow/types"
)

// Every operation validates first and writes last, so that one that fails has changed nothing. Amounts are in ufog.
// Lock, Unlock, Move, MoveLocked and Slash of nothing do nothing, because shares round down to zero.

// Deposit takes coins from a wallet and adds them to the free balance of an account.
func (k Keeper) Deposit(ctx context.Context, from sdk.AccAddress, id types.ID, amount uint64) error {
	if amount == 0 {
		return types.ErrZeroAmount.Wrap("deposit")
	}
	account, err := k.Account(ctx, id)
	if err != nil {
		return err
	}
	balance, err := types.AddChecked(account.Balance, amount)
	if err != nil {
		return err
	}
	depositor, err := k.addresses.BytesToString(from)
	if err != nil {
		return err
	}
	if err := k.takeIn(ctx, from, sdk.NewCoins(types.Coin(amount))); err != nil {
		return err
	}
	account.Balance = balance
	if err := k.accounts.Set(ctx, id, account); err != nil {
		return err
	}
	if err := k.record(ctx, delta{balance: amount}); err != nil {
		return err
	}
	return emit(ctx, &types.EventDeposited{Account: account.Id, Depositor: depositor, Kind: account.Kind, Amount: amount})
}

// takeIn sends coins to the module account. In a transaction of a block it does so virtually, so that deposits do not
// conflict. The bank credits virtual sends at the very start of EndBlock and drops them at the commit: those made later
// (a message that governance executes, a transaction outside of a block) would be lost, so there the send is an ordinary one.
func (k Keeper) takeIn(ctx context.Context, from sdk.AccAddress, coins sdk.Coins) error {
	if placeOf(sdk.UnwrapSDKContext(ctx)) == inBlockTx {
		return k.bank.SendCoinsFromAccountToModuleVirtual(ctx, from, types.ModuleName, coins)
	}
	return k.bank.SendCoinsFromAccountToModule(ctx, from, types.ModuleName, coins)
}

// Withdraw sends free balance to the wallet of the account's owner; ErrOutflowsPaused while outflows are paused.
func (k Keeper) Withdraw(ctx context.Context, id types.ID, amount uint64) error {
	if amount == 0 {
		return types.ErrZeroAmount.Wrap("withdrawal")
	}
	params, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	if params.OutflowsPaused {
		return types.ErrOutflowsPaused.Wrap("an invariant broke or governance paused them; try again when governance has resumed them")
	}
	account, err := k.Account(ctx, id)
	if err != nil {
		return err
	}
	if amount > account.Free() {
		return insufficientFree(account, amount)
	}
	owner, err := k.ownerOf(account)
	if err != nil {
		return err
	}
	// An ordinary send: a virtual one could pay out only what came in with this very transaction.
	if err := k.bank.SendCoinsFromModuleToAccount(ctx, types.ModuleName, owner, sdk.NewCoins(types.Coin(amount))); err != nil {
		return errorsmod.Wrap(err, "coins deposited in this block can be withdrawn from the next one on")
	}
	account.Balance -= amount
	if err := k.accounts.Set(ctx, id, account); err != nil {
		return err
	}
	if err := k.record(ctx, delta{balance: -amount}); err != nil {
		return err
	}
	return emit(ctx, &types.EventWithdrawn{Account: account.Id, Owner: account.Owner, Amount: amount})
}

// Lock makes free balance unavailable to its owner.
func (k Keeper) Lock(ctx context.Context, id types.ID, amount uint64) error {
	if amount == 0 {
		return nil
	}
	account, err := k.Account(ctx, id)
	if err != nil {
		return err
	}
	if amount > account.Free() {
		return insufficientFree(account, amount)
	}
	account.Locked += amount // at most balance
	if err := k.accounts.Set(ctx, id, account); err != nil {
		return err
	}
	return k.record(ctx, delta{locked: amount})
}

// Unlock makes locked balance free again.
func (k Keeper) Unlock(ctx context.Context, id types.ID, amount uint64) error {
	if amount == 0 {
		return nil
	}
	account, err := k.Account(ctx, id)
	if err != nil {
		return err
	}
	if amount > account.Locked {
		return insufficientLocked(account, amount)
	}
	account.Locked -= amount
	if err := k.accounts.Set(ctx, id, account); err != nil {
		return err
	}
	return k.record(ctx, delta{locked: -amount})
}

// Move takes free balance of one account to the free balance of another.
func (k Keeper) Move(ctx context.Context, from, to types.ID, amount uint64) error {
	return k.move(ctx, from, to, amount, false)
}

// MoveLocked takes locked balance of one account to the free balance of another.
func (k Keeper) MoveLocked(ctx context.Context, from, to types.ID, amount uint64) error {
	return k.move(ctx, from, to, amount, true)
}

func (k Keeper) move(ctx context.Context, from, to types.ID, amount uint64, locked bool) error {
	if amount == 0 {
		return nil
	}
	if from == to {
		return types.ErrSameAccount.Wrap(from.Bech32(types.AccountHRP))
	}
	source, err := k.Account(ctx, from)
	if err != nil {
		return err
	}
	target, err := k.Account(ctx, to)
	if err != nil {
		return err
	}
	if locked {
		if amount > source.Locked {
			return insufficientLocked(source, amount)
		}
		source.Locked -= amount
	} else if amount > source.Free() {
		return insufficientFree(source, amount)
	}
	source.Balance -= amount
	if target.Balance, err = types.AddChecked(target.Balance, amount); err != nil {
		return err
	}
	if err := k.accounts.Set(ctx, from, source); err != nil {
		return err
	}
	if err := k.accounts.Set(ctx, to, target); err != nil {
		return err
	}
	if locked {
		if err := k.record(ctx, delta{locked: -amount}); err != nil {
			return err
		}
	}
	return emit(ctx, &types.EventMoved{From: source.Id, To: target.Id, Amount: amount})
}

// Slash burns locked balance. Call it from EndBlock only: a burn writes the supply, on which transactions would conflict.
func (k Keeper) Slash(ctx context.Context, id types.ID, amount uint64) error {
	if amount == 0 {
		return nil
	}
	account, err := k.Account(ctx, id)
	if err != nil {
		return err
	}
	if amount > account.Locked {
		return insufficientLocked(account, amount)
	}
	if err := k.bank.BurnCoins(ctx, types.ModuleName, sdk.NewCoins(types.Coin(amount))); err != nil {
		return err
	}
	account.Locked -= amount
	account.Balance -= amount
	if err := k.accounts.Set(ctx, id, account); err != nil {
		return err
	}
	if err := k.record(ctx, delta{balance: -amount, locked: -amount}); err != nil {
		return err
	}
	return emit(ctx, &types.EventSlashed{Account: account.Id, Amount: amount})
}

func insufficientFree(account types.Account, amount uint64) error {
	return types.ErrInsufficientFree.Wrapf("%s has %d%s free (balance %d, locked %d), %d are needed; deposit more or wait for locks to end",
		account.Id, account.Free(), types.Denom, account.Balance, account.Locked, amount)
}

func insufficientLocked(account types.Account, amount uint64) error {
	return types.ErrInsufficientLocked.Wrapf("%s has %d%s locked, %d are needed", account.Id, account.Locked, types.Denom, amount)
}
