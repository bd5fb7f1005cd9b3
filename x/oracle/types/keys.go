package types

import "cosmossdk.io/collections"

const (
	// ModuleName is the name of the module; its module account is the authority that reports are executed with.
	ModuleName = "oracle"
	// StoreKey is the key of the module's persistent store.
	StoreKey = ModuleName
	// ObjectStoreKey is the key of the store that holds a block's votes until EndBlock counts them.
	ObjectStoreKey = "object:" + ModuleName

	// ClaimLength is the length in bytes of a claim.
	ClaimLength = 32
	// TransportKeyLength is the length in bytes of an ed25519 public key.
	TransportKeyLength = 32

	// MaxMonikerLength, MaxEndpointLength and MaxReasonLength bound what operators and governance write, in bytes.
	MaxMonikerLength  = 64
	MaxEndpointLength = 255
	MaxReasonLength   = 256
	// MaxSubjectLength bounds the subject of a round, in bytes.
	MaxSubjectLength = 64
	// MaxUnbondings is the most parts of one bond that can be on their way out at a time.
	MaxUnbondings = 16
)

// Prefixes of the collections in the persistent store.
var (
	ParamsPrefix         = collections.NewPrefix(0)
	OraclesPrefix        = collections.NewPrefix(1)
	AdmittedPrefix       = collections.NewPrefix(2)
	FeedersPrefix        = collections.NewPrefix(3)
	UnbondingsPrefix     = collections.NewPrefix(4)
	UnbondingQueuePrefix = collections.NewPrefix(5)
	SetsPrefix           = collections.NewPrefix(6)
	CurrentSetPrefix     = collections.NewPrefix(7)
	NextRoundPrefix      = collections.NewPrefix(8)
	RoundsPrefix         = collections.NewPrefix(9)
	OpenRoundsPrefix     = collections.NewPrefix(10)
	RoundQueuePrefix     = collections.NewPrefix(11)
	AcceptedPrefix       = collections.NewPrefix(12)
	EpochPrefix          = collections.NewPrefix(13)
	ParticipationPrefix  = collections.NewPrefix(14)
	QuotaPrefix          = collections.NewPrefix(15)
)
