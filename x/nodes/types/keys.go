package types

import (
	"cosmossdk.io/collections"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
)

const (
	// ModuleName is the name of the module.
	ModuleName = "nodes"
	// StoreKey is the key of the module's persistent store.
	StoreKey = ModuleName

	// NodeHRP is the human-readable part of node ids.
	NodeHRP = "node"

	// RoundKindBenchmark and RoundKindLiveness are the kinds of rounds that this module asks for.
	RoundKindBenchmark = "benchmark"
	RoundKindLiveness  = "liveness"
)

// Prefixes of the collections in the persistent store.
var (
	ParamsPrefix       = collections.NewPrefix(0)
	NodesPrefix        = collections.NewPrefix(1)
	NodesByOwnerPrefix = collections.NewPrefix(2)
	NodesByKeyPrefix   = collections.NewPrefix(3)
	NodesByIndexPrefix = collections.NewPrefix(4)
	NextIndexPrefix    = collections.NewPrefix(5)
	SchedulePrefix     = collections.NewPrefix(6)
	ToBenchmarkPrefix  = collections.NewPrefix(7)
	CondemnedPrefix    = collections.NewPrefix(8)
	RatingsPrefix      = collections.NewPrefix(9)
	ModelPrefix        = collections.NewPrefix(10)
	FleetsPrefix       = collections.NewPrefix(11)
	FleetsDuePrefix    = collections.NewPrefix(12)
	WaitingPrefix      = collections.NewPrefix(13)
)

// NodeID is the id of the node that an owner registers with a salt.
func NodeID(owner []byte, salt string) escrowtypes.ID {
	return escrowtypes.DeriveID(NodeHRP, owner, []byte(salt))
}

// ParseNodeID reads node1….
func ParseNodeID(s string) (escrowtypes.ID, error) { return escrowtypes.ParseID(NodeHRP, s) }
