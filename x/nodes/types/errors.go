package types

import errorsmod "cosmossdk.io/errors"

// Errors of the module; match them with errors.Is, the text may change.
var (
	ErrInvalidField   = errorsmod.Register(ModuleName, 2, "invalid field")
	ErrInvalidGenesis = errorsmod.Register(ModuleName, 3, "invalid genesis")
	// ErrNodeNotFound says that no node has this id, index or key.
	ErrNodeNotFound = errorsmod.Register(ModuleName, 4, "node not found")
	// ErrNodeExists says that the owner has registered a node with this salt.
	ErrNodeExists = errorsmod.Register(ModuleName, 5, "node exists already")
	// ErrAgentKeyTaken says that another live node has this agent key.
	ErrAgentKeyTaken = errorsmod.Register(ModuleName, 6, "agent key is taken")
	// ErrNotOwner says that the signer does not own the node.
	ErrNotOwner = errorsmod.Register(ModuleName, 7, "not the owner of the node")
	// ErrWrongStatus says that the node's status does not allow this.
	ErrWrongStatus = errorsmod.Register(ModuleName, 8, "wrong status of the node")
	// ErrNoCapacity says that the node has not enough left of something.
	ErrNoCapacity = errorsmod.Register(ModuleName, 9, "node has no capacity")
	// ErrInUse says that slices hold the node.
	ErrInUse = errorsmod.Register(ModuleName, 10, "node is in use")
	// ErrOwnerJailed says that the owner has a node that was condemned for a false declaration.
	ErrOwnerJailed = errorsmod.Register(ModuleName, 11, "owner is jailed")
	// ErrInvalidReport says that a report or the body of a vote breaks its form.
	ErrInvalidReport = errorsmod.Register(ModuleName, 12, "invalid report")
	// ErrInsufficientDeposit says that the deposit is below the least, or not there.
	ErrInsufficientDeposit = errorsmod.Register(ModuleName, 13, "insufficient deposit")
	// ErrStaleReport says that a report is about a boot or a declaration that is not the present one.
	ErrStaleReport = errorsmod.Register(ModuleName, 14, "stale report")
	// ErrUnderWay says that the node is being benchmarked.
	ErrUnderWay = errorsmod.Register(ModuleName, 15, "benchmark is under way")
	// ErrNoModel says that no model of the classes has been recorded yet.
	ErrNoModel = errorsmod.Register(ModuleName, 16, "no model")
)
