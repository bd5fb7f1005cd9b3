package chain

import (
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	errorsmod "cosmossdk.io/errors"
)

var (
	// ErrNotFound is what the query asked for does not exist at that height.
	ErrNotFound = errors.New("not found")
	// ErrInvalidRequest is a query that the chain refuses as malformed.
	ErrInvalidRequest = errors.New("invalid request")
	// ErrUnavailable is a node that does not answer.
	ErrUnavailable = errors.New("the node does not answer; check that it runs and that its address is right")
	// ErrFutureHeight is a height that the chain has not reached.
	ErrFutureHeight = errors.New("the chain has not reached this height; wait for it")
	// ErrPruned is a height whose block the node no longer holds.
	ErrPruned = errors.New("the node has pruned this height; ask a node that keeps more history")
	// ErrOtherChain is a block that does not follow from the one before it: the node was reset or replaced.
	ErrOtherChain = errors.New("the node now serves another chain; start again from its state")
	// ErrExpired is a transaction that no block took before its timeout height; it can no longer be executed.
	ErrExpired = errors.New("no block took the transaction before its timeout height; it had no effect, send it again")
	// ErrSequence is a transaction whose sequence was taken again and again by another user of the same key.
	ErrSequence = errors.New("the account's sequence keeps changing; let only one process sign with this key")
)

// QueryError is a query that the node answered with an error, or did not answer.
type QueryError struct {
	// Method is the full gRPC method.
	Method string
	// Code is the gRPC code.
	Code codes.Code
	// Message is for people only.
	Message string
}

// Error names the method, the code and the node's message.
func (e *QueryError) Error() string {
	return fmt.Sprintf("query %s: %s: %s", e.Method, e.Code, e.Message)
}

// Is reports whether the error is of the kind of ErrNotFound, ErrInvalidRequest or ErrUnavailable.
func (e *QueryError) Is(target error) bool {
	switch e.Code {
	case codes.NotFound:
		return target == ErrNotFound
	case codes.InvalidArgument:
		return target == ErrInvalidRequest
	case codes.Unavailable:
		return target == ErrUnavailable
	default:
		return false
	}
}

// GRPCStatus lets the status package see the code.
func (e *QueryError) GRPCStatus() *status.Status { return status.New(e.Code, e.Message) }

// Stage is how far a failed transaction came.
type Stage int

const (
	// StageSimulate failed when its gas was estimated; nothing was sent.
	StageSimulate Stage = iota + 1
	// StageCheck was refused by the node's mempool; it had no effect.
	StageCheck
	// StageExecute is in a block and failed there; its fee is paid, its messages had no effect.
	StageExecute
)

// String names the stage.
func (s Stage) String() string {
	switch s {
	case StageSimulate:
		return "simulation"
	case StageCheck:
		return "mempool check"
	case StageExecute:
		return "execution"
	default:
		return fmt.Sprintf("stage %d", int(s))
	}
}

// TxError is a transaction that the chain refused. errors.Is compares it with registered errors by codespace and code:
// errors.Is(err, jobstypes.ErrBudget).
type TxError struct {
	Stage     Stage
	Codespace string
	Code      uint32
	// Log is for people only.
	Log string
	// Hash is empty if nothing was sent.
	Hash string
}

// Error names the stage, the codespace, the code and the chain's message.
func (e *TxError) Error() string {
	return fmt.Sprintf("transaction refused in %s (%s/%d): %s", e.Stage, e.Codespace, e.Code, e.Log)
}

// Is reports whether target is a registered error with the same codespace and code.
func (e *TxError) Is(target error) bool {
	var registered *errorsmod.Error
	if !errors.As(target, &registered) {
		return false
	}
	return registered.Codespace() == e.Codespace && registered.ABCICode() == e.Code
}
