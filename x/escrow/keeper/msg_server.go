package keeper

import (
	"context"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/escrow/types"
)

type msgServer struct{ k Keeper }

// NewMsgServer answers the module's messages.
func NewMsgServer(k Keeper) types.MsgServer { return msgServer{k} }

func (s msgServer) Deposit(ctx context.Context, msg *types.MsgDeposit) (*types.MsgDepositResponse, error) {
	if err := msg.Validate(s.k.addresses); err != nil {
		return nil, err
	}
	depositor, err := s.k.addresses.StringToBytes(msg.Depositor)
	if err != nil {
		return nil, err
	}
	id, err := accountOrProvider(msg.Account, depositor)
	if err != nil {
		return nil, err
	}
	if msg.Account == "" {
		if err := s.k.EnsureOpen(ctx, id, depositor, types.ACCOUNT_KIND_PROVIDER); err != nil {
			return nil, err
		}
	}
	if err := s.k.Deposit(ctx, depositor, id, msg.Amount.Amount.Uint64()); err != nil {
		return nil, err
	}
	account, err := s.k.Account(ctx, id)
	if err != nil {
		return nil, err
	}
	return &types.MsgDepositResponse{Account: account.Id, Balance: account.Balance}, nil
}

func (s msgServer) Withdraw(ctx context.Context, msg *types.MsgWithdraw) (*types.MsgWithdrawResponse, error) {
	if err := msg.Validate(s.k.addresses); err != nil {
		return nil, err
	}
	owner, err := s.k.addresses.StringToBytes(msg.Owner)
	if err != nil {
		return nil, err
	}
	id, err := accountOrProvider(msg.Account, owner)
	if err != nil {
		return nil, err
	}
	account, err := s.k.Account(ctx, id)
	if err != nil {
		return nil, err
	}
	accountOwner, err := s.k.ownerOf(account)
	if err != nil {
		return nil, err
	}
	if !accountOwner.Equals(sdk.AccAddress(owner)) {
		return nil, types.ErrNotOwner.Wrapf("%s belongs to %s, not to %s", account.Id, account.Owner, msg.Owner)
	}
	amount := msg.Amount.Amount.Uint64()
	if amount == 0 {
		amount = account.Free()
	}
	if amount == 0 {
		return nil, types.ErrInsufficientFree.Wrapf("%s has nothing free (balance %d%s, locked %d)",
			account.Id, account.Balance, types.Denom, account.Locked)
	}
	if err := s.k.Withdraw(ctx, id, amount); err != nil {
		return nil, err
	}
	return &types.MsgWithdrawResponse{Withdrawn: amount, Balance: account.Balance - amount}, nil
}

func (s msgServer) UpdateParams(ctx context.Context, msg *types.MsgUpdateParams) (*types.MsgUpdateParamsResponse, error) {
	if err := sdk.ValidateAuthority(sdk.UnwrapSDKContext(ctx), s.k.authority, msg.Authority); err != nil {
		return nil, err
	}
	if err := msg.Validate(s.k.addresses); err != nil {
		return nil, err
	}
	if err := s.k.params.Set(ctx, msg.Params); err != nil {
		return nil, err
	}
	return &types.MsgUpdateParamsResponse{}, nil
}

// accountOrProvider is the account that is named, or the provider account of the signer.
func accountOrProvider(account string, signer sdk.AccAddress) (types.ID, error) {
	if account == "" {
		return types.ProviderAccountID(signer), nil
	}
	return types.ParseID(types.AccountHRP, account)
}
