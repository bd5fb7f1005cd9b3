package testapp

import (
	"context"
	"crypto/sha256"
	"encoding/binary"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/stretchr/testify/require"

	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/tx/signing"
	authsigning "github.com/cosmos/cosmos-sdk/x/auth/signing"
)

const (
	// DefaultGas is the gas limit of the transactions that Tx makes.
	DefaultGas = 2_000_000

	// DefaultFee is what they pay, in ufog: the default minimal price of that gas.
	DefaultFee = 2_000
)

// Account is an account with its key.
type Account struct {
	Address sdk.AccAddress
	Key     cryptotypes.PrivKey

	number   uint64
	sequence uint64
}

// String returns the address in bech32.
func (a *Account) String() string { return a.Address.String() }

// SkipSequence moves the account's next sequence by n: back by one after a transaction that was refused before it counted.
func (a *Account) SkipSequence(n int) { a.sequence = uint64(int64(a.sequence) + int64(n)) }

// SyncSequences sets the next sequence of every account to what the chain expects, after transactions that may have been refused.
func (c *Chain) SyncSequences() {
	ctx := c.Context()
	for _, account := range c.Accounts {
		account.sequence = c.App.AccountKeeper.GetAccount(ctx, account.Address).GetSequence()
	}
}

// BlockHash is the hash that a test chain gives to the block of a height.
func BlockHash(height int64) []byte {
	hash := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("fog testapp block"), uint64(height)))

	return hash[:]
}

// Tx signs a transaction with the default gas and fee. The next one of the account takes the next sequence.
func (c *Chain) Tx(from *Account, msgs ...sdk.Msg) []byte {
	c.tb.Helper()

	return c.TxPaying(from, DefaultGas, Ufog(DefaultFee), msgs...)
}

// TxPaying is Tx with another gas limit and fee.
func (c *Chain) TxPaying(from *Account, gas uint64, fee sdk.Coins, msgs ...sdk.Msg) []byte {
	c.tb.Helper()

	cfg := c.App.TxConfig()
	builder := cfg.NewTxBuilder()
	require.NoError(c.tb, builder.SetMsgs(msgs...))
	builder.SetGasLimit(gas)
	builder.SetFeeAmount(fee)

	// The signature covers who signs and how, so that is set first, without a signature.
	signature := signing.SignatureV2{
		PubKey:   from.Key.PubKey(),
		Data:     &signing.SingleSignatureData{SignMode: signing.SignMode_SIGN_MODE_DIRECT},
		Sequence: from.sequence,
	}
	require.NoError(c.tb, builder.SetSignatures(signature))

	payload, err := authsigning.GetSignBytesAdapter(
		context.Background(), cfg.SignModeHandler(), signing.SignMode_SIGN_MODE_DIRECT,
		authsigning.SignerData{
			Address:       from.String(),
			ChainID:       ChainID,
			AccountNumber: from.number,
			Sequence:      from.sequence,
			PubKey:        from.Key.PubKey(),
		},
		builder.GetTx(),
	)
	require.NoError(c.tb, err)
	raw, err := from.Key.Sign(payload)
	require.NoError(c.tb, err)
	signature.Data = &signing.SingleSignatureData{SignMode: signing.SignMode_SIGN_MODE_DIRECT, Signature: raw}
	require.NoError(c.tb, builder.SetSignatures(signature))

	bytes, err := cfg.TxEncoder()(builder.GetTx())
	require.NoError(c.tb, err)
	from.sequence++

	return bytes
}

// Deliver executes a block of one transaction and requires that it succeeds.
func (c *Chain) Deliver(from *Account, msgs ...sdk.Msg) *abci.ExecTxResult {
	c.tb.Helper()

	result := c.NextBlock(c.Tx(from, msgs...)).Results[0]
	require.Zero(c.tb, result.Code, result.Log)

	return result
}

// Refused executes a block of one transaction and requires that a message of it fails with an error that contains text.
func (c *Chain) Refused(text string, from *Account, msgs ...sdk.Msg) *abci.ExecTxResult {
	c.tb.Helper()

	result := c.NextBlock(c.Tx(from, msgs...)).Results[0]
	require.NotZero(c.tb, result.Code)
	require.Contains(c.tb, result.Log, text)

	return result
}
