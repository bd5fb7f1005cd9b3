package types

import (
	"encoding/binary"

	"cosmossdk.io/collections"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
)

const (
	// ModuleName is the name of the module.
	ModuleName = "jobs"
	// StoreKey is the key of the module's persistent store.
	StoreKey = ModuleName

	// JobHRP is the human-readable part of the ids of jobs.
	JobHRP = "job"

	// RoundKindMatches and RoundKindOutcome are the kinds of the rounds about batch work.
	RoundKindMatches = "matches"
	RoundKindOutcome = "outcome"
	// RoundKindServices is the kind of the rounds about epochs of services.
	RoundKindServices = "services"
)

// Prefixes of the collections in the persistent store.
var (
	ParamsPrefix          = collections.NewPrefix(0)
	JobsPrefix            = collections.NewPrefix(1)
	JobsByOwnerPrefix     = collections.NewPrefix(2)
	OpenJobsPrefix        = collections.NewPrefix(3)
	SlicesPrefix          = collections.NewPrefix(4)
	PendingPrefix         = collections.NewPrefix(5)
	DeadlinesPrefix       = collections.NewPrefix(6)
	RunningPrefix         = collections.NewPrefix(7)
	MatchStatePrefix      = collections.NewPrefix(8)
	LossesPrefix          = collections.NewPrefix(9)
	LossQueuePrefix       = collections.NewPrefix(10)
	CancellingPrefix      = collections.NewPrefix(11)
	PeriodicPrefix        = collections.NewPrefix(12)
	PeriodicByOwnerPrefix = collections.NewPrefix(13)
	RunQueuePrefix        = collections.NewPrefix(14)
	ServingPrefix         = collections.NewPrefix(15)
	ChangingPrefix        = collections.NewPrefix(16)
	ServiceClockPrefix    = collections.NewPrefix(17)
)

// SliceKey names a slice: its job and its number.
type SliceKey = collections.Pair[escrowtypes.ID, uint32]

// SliceKeyCodec encodes a SliceKey, also inside a Pair.
var SliceKeyCodec = collections.PairKeyCodec(escrowtypes.IDKey, collections.Uint32Key)

// JobID is the id of the job that an owner submits with a salt.
func JobID(owner, salt []byte) escrowtypes.ID { return escrowtypes.DeriveID(JobHRP, owner, salt) }

// RunID is the id of the n-th run of a periodic job, counted from 1.
func RunID(parent escrowtypes.ID, n uint64) escrowtypes.ID {
	return escrowtypes.DeriveID(JobHRP, parent[:], binary.BigEndian.AppendUint64(nil, n))
}
