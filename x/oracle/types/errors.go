package types

import errorsmod "cosmossdk.io/errors"

// Errors of the module; match them with errors.Is, the text may change. The codes of the refusals of single votes stand in
// RefusedVote.code.
var (
	ErrInvalidField   = errorsmod.Register(ModuleName, 2, "invalid field")
	ErrInvalidGenesis = errorsmod.Register(ModuleName, 3, "invalid genesis")
	// ErrUnknownOracle says that no oracle has this operator.
	ErrUnknownOracle = errorsmod.Register(ModuleName, 4, "unknown oracle")
	// ErrNotFeeder says that the signer attests for no oracle.
	ErrNotFeeder = errorsmod.Register(ModuleName, 5, "not the feeder of an oracle")
	// ErrJailed says that the oracle is jailed.
	ErrJailed = errorsmod.Register(ModuleName, 6, "oracle is jailed")
	// ErrNotActive says that the oracle is not admitted or has too little bond.
	ErrNotActive = errorsmod.Register(ModuleName, 7, "oracle is not active")
	// ErrUnknownRound says that there is no such round, or no more.
	ErrUnknownRound = errorsmod.Register(ModuleName, 8, "unknown round")
	// ErrRoundOver says that the vote is late.
	ErrRoundOver = errorsmod.Register(ModuleName, 9, "round is over")
	// ErrNotInSet says that the oracle joined after the round was opened.
	ErrNotInSet = errorsmod.Register(ModuleName, 10, "oracle is not in the round's set")
	// ErrDuplicateVote says that the oracle has voted already; the first vote is final.
	ErrDuplicateVote = errorsmod.Register(ModuleName, 11, "duplicate vote")
	// ErrInvalidVote says that a vote does not fit its round.
	ErrInvalidVote = errorsmod.Register(ModuleName, 12, "invalid vote")
	// ErrNotProposer says that it is not this oracle's turn to post the body.
	ErrNotProposer = errorsmod.Register(ModuleName, 13, "not the proposer")
	// ErrUnknownKind says that no module reports rounds of this kind.
	ErrUnknownKind = errorsmod.Register(ModuleName, 14, "unknown kind of round")
	// ErrSetFull says that no more oracles can be admitted.
	ErrSetFull = errorsmod.Register(ModuleName, 15, "oracle set is full")
	// ErrInsufficientBond says that the bond does not cover the amount.
	ErrInsufficientBond = errorsmod.Register(ModuleName, 16, "insufficient bond")
	// ErrNotJailed says that there is nothing to unjail.
	ErrNotJailed = errorsmod.Register(ModuleName, 17, "oracle is not jailed")
	// ErrFeederTaken says that the key attests for another oracle.
	ErrFeederTaken = errorsmod.Register(ModuleName, 18, "feeder is taken")
	// ErrReportPanicked says that executing a report panicked; nothing of it was kept.
	ErrReportPanicked = errorsmod.Register(ModuleName, 19, "report panicked")
	// ErrRoundExists says that a round on the subject is open.
	ErrRoundExists = errorsmod.Register(ModuleName, 20, "round exists")
	// ErrTooManyUnbondings says that too many parts of the bond are on their way out.
	ErrTooManyUnbondings = errorsmod.Register(ModuleName, 22, "too many unbondings")
)
