package chain

import (
	"fmt"
	"time"

	cmttypes "github.com/cometbft/cometbft/types"

	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	txtypes "github.com/cosmos/cosmos-sdk/types/tx"
	"github.com/cosmos/cosmos-sdk/types/tx/signing"
)

// Signer holds one key of an account. offchain/secrets has implementations.
type Signer interface {
	PubKey() cryptotypes.PubKey
	// Sign signs the bytes of a sign document (SIGN_MODE_DIRECT).
	Sign(msg []byte) ([]byte, error)
}

// envelope is what a transaction carries besides its messages.
type envelope struct {
	chainID           string
	account, sequence uint64
	memo              string
	gas               uint64
	fee               sdk.Coins
	timeoutHeight     int64
	// timeout is far off: it makes the bytes unlike those of another process that sends the same messages with the same
	// key and sequence, so that each learns which of the two was executed.
	timeout time.Time
}

// encode returns the bytes of a transaction, signed by signer, or with an empty signature for simulation if signer
// only lends its public key (simulate).
func encode(signer Signer, env envelope, msgs []sdk.Msg, simulate bool) ([]byte, error) {
	anys := make([]*codectypes.Any, len(msgs))
	for i, m := range msgs {
		packed, err := codectypes.NewAnyWithValue(m)
		if err != nil {
			return nil, fmt.Errorf("pack message %d (%T): %w", i, m, err)
		}
		anys[i] = packed
	}
	body, err := (&txtypes.TxBody{
		Messages: anys, Memo: env.memo, TimeoutHeight: uint64(env.timeoutHeight), TimeoutTimestamp: &env.timeout, //nolint:gosec // a height
	}).Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode transaction body: %w", err)
	}
	pubKey, err := codectypes.NewAnyWithValue(signer.PubKey())
	if err != nil {
		return nil, fmt.Errorf("pack public key: %w", err)
	}
	direct := &txtypes.ModeInfo{Sum: &txtypes.ModeInfo_Single_{
		Single: &txtypes.ModeInfo_Single{Mode: signing.SignMode_SIGN_MODE_DIRECT},
	}}
	auth, err := (&txtypes.AuthInfo{
		SignerInfos: []*txtypes.SignerInfo{{PublicKey: pubKey, ModeInfo: direct, Sequence: env.sequence}},
		Fee:         &txtypes.Fee{Amount: env.fee, GasLimit: env.gas},
	}).Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode auth info: %w", err)
	}
	var signature []byte
	if !simulate {
		doc, err := (&txtypes.SignDoc{
			BodyBytes: body, AuthInfoBytes: auth, ChainId: env.chainID, AccountNumber: env.account,
		}).Marshal()
		if err != nil {
			return nil, fmt.Errorf("encode sign document: %w", err)
		}
		if signature, err = signer.Sign(doc); err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
	}
	raw, err := (&txtypes.TxRaw{BodyBytes: body, AuthInfoBytes: auth, Signatures: [][]byte{signature}}).Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode transaction: %w", err)
	}
	return raw, nil
}

// txHash is the hash by which the chain knows a transaction, in upper-case hex.
func txHash(raw []byte) string { return fmt.Sprintf("%X", cmttypes.Tx(raw).Hash()) }
