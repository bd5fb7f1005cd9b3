package types

import (
	"context"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
)

// EscrowKeeper holds the deposits.
type EscrowKeeper interface {
	Account(ctx context.Context, id escrowtypes.ID) (escrowtypes.Account, error)
	Lock(ctx context.Context, id escrowtypes.ID, amount uint64) error
	Unlock(ctx context.Context, id escrowtypes.ID, amount uint64) error
	Slash(ctx context.Context, id escrowtypes.ID, amount uint64) error
}

// BankKeeper takes the registration fee.
type BankKeeper interface {
	SendCoinsFromAccountToModule(ctx context.Context, sender sdk.AccAddress, module string, amount sdk.Coins) error
	SendCoinsFromAccountToModuleVirtual(ctx context.Context, sender sdk.AccAddress, module string, amount sdk.Coins) error
}

// RoundOpener asks the oracles; only code that runs in EndBlock may call it.
type RoundOpener interface {
	OpenRound(ctx context.Context, kind string, subject []byte, deadline, finalDeadline int64) (uint64, error)
	CancelRounds(ctx context.Context, kind string, subject []byte) error
}

// NodeHooks tell other modules what happened to a node.
type NodeHooks interface {
	// AfterNodeInactive: the node was seen down; its work is lost after the grace, unless AfterNodeUp comes first.
	AfterNodeInactive(ctx context.Context, id escrowtypes.ID, since int64) error
	// AfterNodeUp: the node was seen up again.
	AfterNodeUp(ctx context.Context, id escrowtypes.ID) error
	// AfterNodeCondemned: declared hardware was not there. Up to award ufog, locked in the owner's provider account, may be moved
	// to those it harmed; the amount that was moved is returned.
	AfterNodeCondemned(ctx context.Context, id escrowtypes.ID, award uint64) (uint64, error)
}
