package types

import (
	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"
)

// Coin is an amount of ufog as the bank writes it.
func Coin(amount uint64) sdk.Coin { return sdk.NewCoin(Denom, math.NewIntFromUint64(amount)) }

// ParseCoin returns the ufog of a coin in a message; an error names the field and the rule.
func ParseCoin(field string, c sdk.Coin) (uint64, error) {
	if c.Denom != Denom {
		return 0, ErrInvalidField.Wrapf("%s: denom %s; it must be %s", field, quote(c.Denom), Denom)
	}
	if c.Amount.IsNil() {
		return 0, ErrInvalidField.Wrapf("%s: no amount; give one such as 100%s", field, Denom)
	}
	if !c.Amount.IsUint64() {
		return 0, ErrInvalidField.Wrapf("%s: %s does not fit; it must be between 0 and 2^64-1", field, quote(c.Amount.String()))
	}
	return c.Amount.Uint64(), nil
}
