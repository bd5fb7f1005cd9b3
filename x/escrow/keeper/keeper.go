// Package keeper holds the ledger of x/escrow: whose coins of the module account are whose.
package keeper

import (
	"context"
	"fmt"

	"cosmossdk.io/collections"
	"cosmossdk.io/core/address"
	"cosmossdk.io/core/store"

	"github.com/cosmos/cosmos-sdk/codec"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/escrow/types"
)

// Keeper reads and writes the ledger. It has no mutable fields, so copies are equal.
type Keeper struct {
	addresses address.Codec
	bank      types.BankKeeper
	auth      types.AuthKeeper
	objectKey storetypes.StoreKey
	module    sdk.AccAddress
	authority string

	// Schema describes the collections below.
	Schema collections.Schema

	params collections.Item[types.Params]
	totals collections.Item[types.Totals]
	// accounts is a plain Map and byOwner a key set written only when an account opens or closes: an IndexedMap would
	// delete and write every index entry at each change of a balance.
	accounts collections.Map[types.ID, types.Account]
	byOwner  collections.KeySet[collections.Pair[sdk.AccAddress, types.ID]]
}

// NewKeeper makes the keeper; it panics if the module account is not declared. authority may change the params.
func NewKeeper(
	cdc codec.BinaryCodec,
	storeService store.KVStoreService,
	objectKey storetypes.StoreKey,
	addresses address.Codec,
	auth types.AuthKeeper,
	bank types.BankKeeper,
	authority string,
) Keeper {
	module := auth.GetModuleAddress(types.ModuleName)
	if module == nil {
		panic(fmt.Sprintf("module account %s is not declared; add it to the permissions with burner", types.ModuleName))
	}
	sb := collections.NewSchemaBuilder(storeService)
	k := Keeper{
		addresses: addresses,
		bank:      bank,
		auth:      auth,
		objectKey: objectKey,
		module:    module,
		authority: authority,
		params:    collections.NewItem(sb, types.ParamsPrefix, "params", codec.CollValue[types.Params](cdc)),
		totals:    collections.NewItem(sb, types.TotalsPrefix, "totals", codec.CollValue[types.Totals](cdc)),
		accounts:  collections.NewMap(sb, types.AccountsPrefix, "accounts", types.IDKey, codec.CollValue[types.Account](cdc)),
		byOwner: collections.NewKeySet(sb, types.AccountsByOwnerPrefix, "accounts_by_owner",
			collections.PairKeyCodec(sdk.AccAddressKey, types.IDKey)),
	}
	schema, err := sb.Build()
	if err != nil {
		panic(err)
	}
	k.Schema = schema
	return k
}

// Authority is the address that may change the params.
func (k Keeper) Authority() string { return k.authority }

// Params returns the module's params.
func (k Keeper) Params(ctx context.Context) (types.Params, error) { return k.params.Get(ctx) }
