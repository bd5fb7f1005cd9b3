package types

import (
	"context"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
)

// EscrowKeeper holds bonds and rewards.
type EscrowKeeper interface {
	EnsureOpen(ctx context.Context, id escrowtypes.ID, owner sdk.AccAddress, kind escrowtypes.AccountKind) error
	Account(ctx context.Context, id escrowtypes.ID) (escrowtypes.Account, error)
	Deposit(ctx context.Context, from sdk.AccAddress, id escrowtypes.ID, amount uint64) error
	Lock(ctx context.Context, id escrowtypes.ID, amount uint64) error
	Unlock(ctx context.Context, id escrowtypes.ID, amount uint64) error
	Slash(ctx context.Context, id escrowtypes.ID, amount uint64) error
}

// MsgRouter finds the handler of a report.
type MsgRouter interface {
	Handler(msg sdk.Msg) func(ctx sdk.Context, msg sdk.Msg) (*sdk.Result, error)
}
