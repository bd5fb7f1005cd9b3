package app

import (
	"os"
	"path/filepath"

	sdk "github.com/cosmos/cosmos-sdk/types"
)

const (
	// Name is the name of the application, as CometBFT and the SDK see it.
	Name = "fogd"

	// Bech32Prefix starts every account address.
	Bech32Prefix = "fog"

	// CoinType is the BIP-44 coin type of account keys, that of the Cosmos Hub, so that common wallets derive the same addresses.
	CoinType = 118

	// BondDenom is the base denomination, in which every amount of the chain is held.
	BondDenom = "ufog"

	// DisplayDenom is the denomination that people read, 10^DisplayExponent of the base denomination.
	DisplayDenom = "FOG"

	// DisplayExponent is the number of decimal places of DisplayDenom.
	DisplayExponent = 6

	// DefaultMinGasPrices is the price that a node asks for a unit of gas unless its app.toml says otherwise.
	DefaultMinGasPrices = "0.001" + BondDenom
)

// The SDK reads prefixes and the bond denomination from process-wide settings, also while it builds default genesis states, so
// they have to be right before any other code runs.
func init() {
	sdk.DefaultBondDenom = BondDenom

	config := sdk.GetConfig()
	config.SetBech32PrefixForAccount(Bech32Prefix, Bech32Prefix+sdk.PrefixPublic)
	config.SetBech32PrefixForValidator(Bech32Prefix+sdk.PrefixValidator+sdk.PrefixOperator, Bech32Prefix+sdk.PrefixValidator+sdk.PrefixOperator+sdk.PrefixPublic)
	config.SetBech32PrefixForConsensusNode(Bech32Prefix+sdk.PrefixValidator+sdk.PrefixConsensus, Bech32Prefix+sdk.PrefixValidator+sdk.PrefixConsensus+sdk.PrefixPublic)
	config.SetCoinType(CoinType)
}

// DefaultNodeHome is the folder of a node that was not told another: ~/.fogd, or .fogd in the working directory of a user
// without a home.
func DefaultNodeHome() string {
	home, err := os.UserHomeDir()
	if err != nil {
		home = "."
	}

	return filepath.Join(home, "."+Name)
}
