// Package adr36 makes and verifies signatures of wallets over text that is no transaction, as ADR-036 of the Cosmos SDK says: the text is
// put into an amino sign document with the one message sign/MsgSignData, without chain, account, sequence or fee, so that it can never
// be taken for a transaction. Wallets such as Keplr (signArbitrary) sign the same bytes.
//
// Only keys of secp256k1 are known, with signatures of 64 bytes and a low s.
package adr36

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	sdk "github.com/cosmos/cosmos-sdk/types"
)

// ErrSignature is a signature that does not stand for the address and the text.
var ErrSignature = errors.New("the signature is not the address's over this text")

// The fields are in the order of their names, as amino's JSON sorts them.
type signDoc struct {
	AccountNumber string        `json:"account_number"`
	ChainID       string        `json:"chain_id"`
	Fee           fee           `json:"fee"`
	Memo          string        `json:"memo"`
	Msgs          []signMessage `json:"msgs"`
	Sequence      string        `json:"sequence"`
}

type fee struct {
	Amount []string `json:"amount"`
	Gas    string   `json:"gas"`
}

type signMessage struct {
	Type  string   `json:"type"`
	Value signData `json:"value"`
}

type signData struct {
	Data   []byte `json:"data"`
	Signer string `json:"signer"`
}

// SignBytes are the bytes that the signer (fog1…) signs for a text.
func SignBytes(signer, text string) ([]byte, error) {
	return json.Marshal(signDoc{
		AccountNumber: "0", Fee: fee{Amount: []string{}, Gas: "0"}, Sequence: "0",
		Msgs: []signMessage{{Type: "sign/MsgSignData", Value: signData{Data: []byte(text), Signer: signer}}},
	})
}

// Verify checks that the public key is the signer's and that the signature is by it. prefix is the one of the chain's addresses.
func Verify(prefix, signer, text string, publicKey, signature []byte) error {
	if len(publicKey) != secp256k1.PubKeySize {
		return fmt.Errorf("%w: the public key has %d bytes, not the %d of secp256k1", ErrSignature, len(publicKey), secp256k1.PubKeySize)
	}
	key := &secp256k1.PubKey{Key: publicKey}
	address, err := sdk.Bech32ifyAddressBytes(prefix, key.Address())
	if err != nil {
		return err
	}
	if address != signer {
		return fmt.Errorf("%w: the public key is not that of %.100q", ErrSignature, signer)
	}
	doc, err := SignBytes(signer, text)
	if err != nil {
		return err
	}
	if !key.VerifySignature(doc, signature) {
		return ErrSignature
	}
	return nil
}
