package app

import (
	"encoding/json"
	"fmt"
	"time"

	cmttypes "github.com/cometbft/cometbft/types"

	sdkmath "cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/cosmos/cosmos-sdk/x/genutil"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	minttypes "github.com/cosmos/cosmos-sdk/x/mint/types"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
)

const (
	// MaxBlockBytes is the size of a block in a new chain: room for hundreds of attestations with bodies of some KiB each, yet
	// small enough to be gossiped within the block time.
	MaxBlockBytes = 4 << 20

	// MaxBlockGas is the gas of a block in a new chain, about two seconds of work of a two-core validator.
	MaxBlockGas = 300_000_000

	// blocksPerYear follows from the block time of one second that the configuration of a node aims at.
	blocksPerYear = 31_557_600

	// evidenceMaxAge is the unbonding time of staking: whoever signed twice can still be slashed.
	evidenceMaxAge = 21 * 24 * time.Hour

	// A validator may miss 95 % of this many blocks, almost three hours of them, before it is jailed. The SDK's default of 100
	// blocks would jail it while it restarts.
	signedBlocksWindow = 10_000
)

// DefaultConsensusParams are the consensus parameters of a new chain.
func DefaultConsensusParams() *cmttypes.ConsensusParams {
	params := cmttypes.DefaultConsensusParams()
	params.Block.MaxBytes = MaxBlockBytes
	params.Block.MaxGas = MaxBlockGas
	params.Evidence.MaxAgeDuration = evidenceMaxAge
	params.Evidence.MaxAgeNumBlocks = int64(evidenceMaxAge / time.Second)
	params.Evidence.MaxBytes = MaxBlockBytes / 8

	return params
}

// DenomMetadata describes the coin of the chain to wallets.
func DenomMetadata() banktypes.Metadata {
	return banktypes.Metadata{
		Description: "The coin that pays for computing work, stakes the chain and bonds its oracles.",
		DenomUnits: []*banktypes.DenomUnit{
			{Denom: BondDenom, Exponent: 0, Aliases: []string{"microfog"}},
			milliFog(),
			{Denom: DisplayDenom, Exponent: DisplayExponent},
		},
		Base:    BondDenom,
		Display: DisplayDenom,
		Name:    "Fog",
		Symbol:  DisplayDenom,
	}
}

// milliFog is the unit in which most prices of computing work are handy.
func milliFog() *banktypes.DenomUnit {
	return &banktypes.DenomUnit{Denom: "mfog", Exponent: DisplayExponent - 3, Aliases: []string{"millifog"}}
}

// DefaultGenesis returns the state of a new chain before anybody has an account.
func (app *App) DefaultGenesis() map[string]json.RawMessage {
	return app.BasicModuleManager.DefaultGenesis(app.appCodec)
}

// genesisBasics is what genesisOverride needs of a module.
type genesisBasics interface {
	module.AppModuleBasic
	module.HasGenesisBasics
}

// genesisOverride is a module whose default genesis state differs from that of the SDK.
type genesisOverride struct {
	genesisBasics
	change func(cdc codec.JSONCodec, state json.RawMessage) json.RawMessage
}

// DefaultGenesis returns the module's own default with the change applied.
func (o genesisOverride) DefaultGenesis(cdc codec.JSONCodec) json.RawMessage {
	return o.change(cdc, o.genesisBasics.DefaultGenesis(cdc))
}

// basicOverrides are the modules that the basic manager holds differently from the manager.
func basicOverrides(manager *module.Manager) map[string]module.AppModuleBasic {
	overrides := map[string]module.AppModuleBasic{
		genutiltypes.ModuleName: genutil.NewAppModuleBasic(validateGenTx),
	}
	for name, change := range genesisChanges() {
		// A module without genesis state cannot have a change of it: this is a mistake of whoever edited the map.
		overrides[name] = genesisOverride{genesisBasics: manager.Modules[name].(genesisBasics), change: change}
	}

	return overrides
}

// validateGenTx refuses a genesis transaction that could not be executed, before the chain starts with it.
func validateGenTx(msgs []sdk.Msg) error {
	if err := genutiltypes.DefaultMessageValidator(msgs); err != nil {
		return err
	}
	for _, msg := range msgs {
		create, ok := msg.(*stakingtypes.MsgCreateValidator)
		if ok && create.Value.Denom != BondDenom {
			return fmt.Errorf("the genesis transaction of %s stakes %s; stake %s", create.ValidatorAddress, create.Value, BondDenom)
		}
	}

	return nil
}

func genesisChanges() map[string]func(codec.JSONCodec, json.RawMessage) json.RawMessage {
	return map[string]func(codec.JSONCodec, json.RawMessage) json.RawMessage{
		banktypes.ModuleName: func(cdc codec.JSONCodec, raw json.RawMessage) json.RawMessage {
			var state banktypes.GenesisState
			cdc.MustUnmarshalJSON(raw, &state)
			state.DenomMetadata = []banktypes.Metadata{DenomMetadata()}

			return cdc.MustMarshalJSON(&state)
		},
		minttypes.ModuleName: func(cdc codec.JSONCodec, raw json.RawMessage) json.RawMessage {
			var state minttypes.GenesisState
			cdc.MustUnmarshalJSON(raw, &state)
			state.Params.BlocksPerYear = blocksPerYear

			return cdc.MustMarshalJSON(&state)
		},
		slashingtypes.ModuleName: func(cdc codec.JSONCodec, raw json.RawMessage) json.RawMessage {
			var state slashingtypes.GenesisState
			cdc.MustUnmarshalJSON(raw, &state)
			state.Params.SignedBlocksWindow = signedBlocksWindow
			state.Params.MinSignedPerWindow = sdkmath.LegacyNewDecWithPrec(5, 2)

			return cdc.MustMarshalJSON(&state)
		},
	}
}
