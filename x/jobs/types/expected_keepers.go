package types

import (
	"context"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// EscrowKeeper holds budgets, collateral and earnings.
type EscrowKeeper interface {
	Open(ctx context.Context, id escrowtypes.ID, owner sdk.AccAddress, kind escrowtypes.AccountKind) error
	EnsureOpen(ctx context.Context, id escrowtypes.ID, owner sdk.AccAddress, kind escrowtypes.AccountKind) error
	Account(ctx context.Context, id escrowtypes.ID) (escrowtypes.Account, error)
	Deposit(ctx context.Context, from sdk.AccAddress, id escrowtypes.ID, amount uint64) error
	Lock(ctx context.Context, id escrowtypes.ID, amount uint64) error
	Unlock(ctx context.Context, id escrowtypes.ID, amount uint64) error
	Move(ctx context.Context, from, to escrowtypes.ID, amount uint64) error
	MoveLocked(ctx context.Context, from, to escrowtypes.ID, amount uint64) error
	Slash(ctx context.Context, id escrowtypes.ID, amount uint64) error
}

// NodesKeeper knows the machines and what is reserved on them.
type NodesKeeper interface {
	Node(ctx context.Context, id escrowtypes.ID) (nodestypes.Node, error)
	NodeByIndex(ctx context.Context, index uint32) (nodestypes.Node, error)
	// Reserve takes resources and ports of a node, as it was just read, for tasks; an error if the node cannot take them now.
	Reserve(ctx context.Context, id escrowtypes.ID, node nodestypes.Node, total nodestypes.Resources, tasks uint32, ports []uint32) error
	// EndWork gives resources back and counts what was done, in any state of the node.
	EndWork(ctx context.Context, id escrowtypes.ID, work nodestypes.Work) error
	// LostGrace is for how many seconds a node may be INACTIVE before its work is lost.
	LostGrace(ctx context.Context) (uint64, error)
	// MaxDrain is for how many seconds a node that drains keeps its services.
	MaxDrain(ctx context.Context) (uint64, error)
}

// RoundOpener asks the oracles. Rounds are opened only by code that runs in EndBlock.
type RoundOpener interface {
	OpenRound(ctx context.Context, kind string, subject []byte, deadline, finalDeadline int64) (uint64, error)
	// CancelRounds ends the open round on a subject, if there is one.
	CancelRounds(ctx context.Context, kind string, subject []byte) error
	HasOpenRound(ctx context.Context, kind string) (bool, error)
}
