package types

import errorsmod "cosmossdk.io/errors"

// Errors of the module; match them with errors.Is, the text may change.
var (
	// ErrInvalidField says that a field of a message breaks the named rule.
	ErrInvalidField = errorsmod.Register(ModuleName, 2, "invalid field")
	// ErrNotSupported says that a kind of job exists in the type but not yet in the network.
	ErrNotSupported = errorsmod.Register(ModuleName, 3, "not supported yet")
	// ErrJobExists says that the owner has used the salt already.
	ErrJobExists = errorsmod.Register(ModuleName, 4, "job exists already")
	// ErrJobNotFound says that no job has this id.
	ErrJobNotFound = errorsmod.Register(ModuleName, 5, "job not found")
	// ErrSliceNotFound says that the job has no slice of this number.
	ErrSliceNotFound = errorsmod.Register(ModuleName, 6, "slice not found")
	// ErrNotOwner says that the signer may not do this to the job.
	ErrNotOwner = errorsmod.Register(ModuleName, 7, "not the owner")
	// ErrJobClosed says that the job has ended or is ending.
	ErrJobClosed = errorsmod.Register(ModuleName, 8, "job is closed")
	// ErrSliceState says that the slice is not in the state that this needs.
	ErrSliceState = errorsmod.Register(ModuleName, 9, "slice is in another state")
	// ErrNotDue says that the slice's time is not over.
	ErrNotDue = errorsmod.Register(ModuleName, 10, "slice is not due")
	// ErrNoMatch says that a node may not run the tasks.
	ErrNoMatch = errorsmod.Register(ModuleName, 11, "node does not match")
	// ErrStaleBatch says that a batch was not computed on the snapshot that was asked for.
	ErrStaleBatch = errorsmod.Register(ModuleName, 12, "match batch is stale")
	// ErrUnauthorized says that only x/oracle may report.
	ErrUnauthorized = errorsmod.Register(ModuleName, 13, "only the oracle module reports")
	// ErrInvalidReport says that the body of a report breaks the named rule.
	ErrInvalidReport = errorsmod.Register(ModuleName, 14, "invalid report")
	// ErrInvalidParams says that a param breaks the named rule.
	ErrInvalidParams = errorsmod.Register(ModuleName, 15, "invalid params")
	// ErrInvalidGenesis says that a genesis state contradicts itself.
	ErrInvalidGenesis = errorsmod.Register(ModuleName, 16, "invalid genesis")
	// ErrUnfunded says that the account of a periodic job cannot pay a run, or the pool of a service an epoch of a slice.
	ErrUnfunded = errorsmod.Register(ModuleName, 17, "not enough money for a run or an epoch")
	// ErrOverlap says that the run before has not ended.
	ErrOverlap = errorsmod.Register(ModuleName, 18, "the run before has not ended")
	// ErrNotService says that the job is no service.
	ErrNotService = errorsmod.Register(ModuleName, 19, "job is no service")
	// ErrNoChange says that a service is what it was asked to be already.
	ErrNoChange = errorsmod.Register(ModuleName, 20, "nothing to change")
)
