// Package secrets is where the off-chain programs keep what nobody else may know: the keys that sign transactions, the
// ed25519 keys of the links between agents and oracles, and named values. Store reads them, Writer also makes them. Signer has keys
// that do not leave the store, Leases lends credentials (Keep renews and replaces them), Issuer is a certificate authority.
// offchain/secrets/file implements them on disk, offchain/secrets/vault in Vault. offchain/secrets/secretstest is what every
// implementation must pass.
package secrets

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"regexp"

	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
)

var (
	// ErrNotFound is a name that nothing is kept under.
	ErrNotFound = errors.New("no such secret")
	// ErrExists is a name that is taken; keys are never overwritten.
	ErrExists = errors.New("a secret of this name exists; take another name")
	// ErrName is a name that is not allowed.
	ErrName = errors.New("a name is 1 to 64 of a-z, 0-9, '.', '_' and '-', and begins with a letter or digit")
	// ErrTooLarge is a value over MaxValue.
	ErrTooLarge = errors.New("a secret holds at most 1 MiB")
)

// MaxValue is the most bytes that Write takes.
const MaxValue = 1 << 20

// Key signs for one account of the chain.
type Key interface {
	PubKey() cryptotypes.PubKey
	// Sign returns the signature of msg, which is hashed as the key's algorithm says.
	Sign(msg []byte) ([]byte, error)
}

// Store reads secrets. The three kinds have names of their own: a key and a value may share one. What is missing is
// ErrNotFound.
type Store interface {
	// Key returns the key of an account.
	Key(ctx context.Context, name string) (Key, error)
	// TransportKey returns the private key of a link.
	TransportKey(ctx context.Context, name string) (ed25519.PrivateKey, error)
	// Read returns a value.
	Read(ctx context.Context, name string) ([]byte, error)
}

// Writer makes secrets. Making a key under a name that is taken is ErrExists.
type Writer interface {
	Store
	// CreateKey makes a key and returns the 24 words that restore it, which are kept nowhere.
	CreateKey(ctx context.Context, name string) (Key, string, error)
	// ImportKey restores a key from its words.
	ImportKey(ctx context.Context, name, mnemonic string) (Key, error)
	// CreateTransportKey makes the private key of a link.
	CreateTransportKey(ctx context.Context, name string) (ed25519.PrivateKey, error)
	// Write sets a value, as a whole or not at all.
	Write(ctx context.Context, name string, value []byte) error
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// CheckName returns ErrName if a store must not take the name.
func CheckName(name string) error {
	if !nameForm.MatchString(name) {
		return fmt.Errorf("%.80q: %w", name, ErrName)
	}
	return nil
}

// EnsureTransportKey returns the private key of a link and makes it first if there is none.
func EnsureTransportKey(ctx context.Context, w Writer, name string) (ed25519.PrivateKey, error) {
	key, err := w.TransportKey(ctx, name)
	if !errors.Is(err, ErrNotFound) {
		return key, err
	}
	key, err = w.CreateTransportKey(ctx, name)
	if errors.Is(err, ErrExists) { // another process was faster
		return w.TransportKey(ctx, name)
	}
	return key, err
}
