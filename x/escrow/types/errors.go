package types

import errorsmod "cosmossdk.io/errors"

// Errors of the module; match them with errors.Is, the text may change.
var (
	// ErrInvalidID says that a text is not an id of the wanted kind.
	ErrInvalidID = errorsmod.Register(ModuleName, 2, "invalid id")
	// ErrAccountNotFound says that no account has this id.
	ErrAccountNotFound = errorsmod.Register(ModuleName, 3, "escrow account not found")
	// ErrAccountExists says that the id is taken.
	ErrAccountExists = errorsmod.Register(ModuleName, 4, "escrow account exists already")
	// ErrAccountMismatch says that an open account has another owner or kind than was asked for.
	ErrAccountMismatch = errorsmod.Register(ModuleName, 5, "escrow account belongs to another owner or kind")
	// ErrAccountNotEmpty says that an account with a balance cannot be closed.
	ErrAccountNotEmpty = errorsmod.Register(ModuleName, 6, "escrow account is not empty")
	// ErrInsufficientFree says that the free balance (balance − locked) does not cover the amount.
	ErrInsufficientFree = errorsmod.Register(ModuleName, 7, "insufficient free balance")
	// ErrInsufficientLocked says that the locked balance does not cover the amount.
	ErrInsufficientLocked = errorsmod.Register(ModuleName, 8, "insufficient locked balance")
	// ErrZeroAmount says that an operation was asked to do nothing.
	ErrZeroAmount = errorsmod.Register(ModuleName, 9, "amount must be more than zero")
	// ErrOverflow says that a sum or a product does not fit in 64 bits.
	ErrOverflow = errorsmod.Register(ModuleName, 10, "amount overflows 64 bits")
	// ErrUnderflow says that a difference would be negative.
	ErrUnderflow = errorsmod.Register(ModuleName, 11, "amount would be negative")
	// ErrDivisionByZero says that a ratio has no denominator.
	ErrDivisionByZero = errorsmod.Register(ModuleName, 12, "division by zero")
	// ErrOutflowsPaused says that coins cannot leave the ledger now.
	ErrOutflowsPaused = errorsmod.Register(ModuleName, 13, "outflows are paused")
	// ErrNotOwner says that the signer does not own the account.
	ErrNotOwner = errorsmod.Register(ModuleName, 14, "not the owner of the escrow account")
	// ErrInvalidAccount says that an account record breaks a rule of the ledger.
	ErrInvalidAccount = errorsmod.Register(ModuleName, 15, "invalid escrow account")
	// ErrInvalidField says that a field of a message breaks the named rule.
	ErrInvalidField = errorsmod.Register(ModuleName, 16, "invalid field")
	// ErrInvalidGenesis says that a genesis state contradicts itself or the bank.
	ErrInvalidGenesis = errorsmod.Register(ModuleName, 17, "invalid genesis")
	// ErrSameAccount says that an account cannot pay itself.
	ErrSameAccount = errorsmod.Register(ModuleName, 18, "both sides are the same escrow account")
)
