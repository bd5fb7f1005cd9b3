package secrets

import (
	"context"
	"errors"
)

// Signer has keys that sign in the store and do not leave it. They are on the curve secp256r1, which the chain takes for accounts and
// every backend can hold; nothing restores them, so they are for hot keys that can be named anew on chain, such as an oracle's feeder.
type Signer interface {
	// SigningKey returns a key, ErrNotFound if there is none.
	SigningKey(ctx context.Context, name string) (Key, error)
	// CreateSigningKey makes a key; ErrExists if the name is taken.
	CreateSigningKey(ctx context.Context, name string) (Key, error)
}

// AnyKey returns the key of that name which signs in the store, or else the one of an account. A program that may have none of the first kind,
// such as an agent in Vault, has the second.
func AnyKey(ctx context.Context, s Store, name string) (Key, error) {
	if signer, ok := s.(Signer); ok {
		key, err := signer.SigningKey(ctx, name)
		if !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrDenied) {
			return key, err
		}
	}
	return s.Key(ctx, name)
}
