// Package adr36 makes and verifies signatures of wallets over text that is no transaction, as ADR-036 of the Cosmos SDK says: the text is
// put into an amino sign document with the one message sign/MsgSignData, without chain, account, sequence or fee, so that it can never
// be taken for a transaction. Wallets such as Keplr (signArbitrary) sign the same bytes.
//
// Known are keys of secp256k1, and those of secp256r1 that an oracle has in a store which they do not leave; signatures have 64 bytes and a low s.
package adr36

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256r1"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
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
	key, err := keyOf(prefix, signer, publicKey)
	if err != nil {
		return err
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

// keyOf returns the key of an address, which says of which curve it is: both have compressed points of as many bytes.
func keyOf(prefix, signer string, publicKey []byte) (cryptotypes.PubKey, error) {
	if len(publicKey) != secp256k1.PubKeySize {
		return nil, fmt.Errorf("%w: the public key has %d bytes, not the %d of secp256k1 or secp256r1", ErrSignature, len(publicKey), secp256k1.PubKeySize)
	}
	candidates := []cryptotypes.PubKey{&secp256k1.PubKey{Key: publicKey}}
	if key, err := secp256r1.NewPubKeyFromBytes(publicKey); err == nil { // most keys are of no point on this curve
		candidates = append(candidates, key)
	}
	for _, key := range candidates {
		address, err := sdk.Bech32ifyAddressBytes(prefix, key.Address())
		if err != nil {
			return nil, err
		}
		if address == signer {
			return key, nil
		}
	}
	return nil, fmt.Errorf("%w: the public key is not that of %.100q", ErrSignature, signer)
}
