package types

import "cosmossdk.io/collections"

const (
	// ModuleName is the name of the module and of the module account that holds every escrowed coin.
	ModuleName = "escrow"
	// StoreKey is the key of the module's persistent store.
	StoreKey = ModuleName
	// ObjectStoreKey is the key of the object store that collects a block's deltas, one entry a transaction.
	ObjectStoreKey = "object:" + ModuleName

	// Denom is the only coin that the ledger holds: 1 FOG = 10^6 ufog.
	Denom = "ufog"
)

// Prefixes of the collections in the persistent store.
var (
	ParamsPrefix          = collections.NewPrefix(0)
	TotalsPrefix          = collections.NewPrefix(1)
	AccountsPrefix        = collections.NewPrefix(2)
	AccountsByOwnerPrefix = collections.NewPrefix(3)
)
