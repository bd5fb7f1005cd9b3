package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	dbkeyring "github.com/99designs/keyring"

	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	cryptocodec "github.com/cosmos/cosmos-sdk/crypto/codec"
	"github.com/cosmos/cosmos-sdk/crypto/hd"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	"github.com/foggrid/fogd/offchain/secrets"
)

// openKeyring opens the SDK's keyring over our passphrase: the SDK's own opener asks the terminal whenever there is one.
func (s *Store) openKeyring() (keyring.Keyring, error) {
	registry := codectypes.NewInterfaceRegistry()
	cryptocodec.RegisterInterfaces(registry)
	db, err := dbkeyring.Open(dbkeyring.Config{
		AllowedBackends:  []dbkeyring.BackendType{dbkeyring.FileBackend},
		ServiceName:      sdk.KeyringServiceName(),
		FileDir:          s.keyringDir(),
		FilePasswordFunc: func(string) (string, error) { return s.unlockLocked() },
	})
	if err != nil {
		return nil, err
	}
	return keyring.NewInMemoryWithKeyring(db, codec.NewProtoCodec(registry)), nil
}

func (s *Store) keyringDir() string { return filepath.Join(s.dir, "keyring-"+string(s.backend)) }

// Key reads a key of the keyring and holds it in memory, since opening it takes far longer than signing.
func (s *Store) Key(_ context.Context, name string) (secrets.Key, error) {
	if err := secrets.CheckName(name); err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keyLocked(name)
}

func (s *Store) keyLocked(name string) (secrets.Key, error) {
	if key, ok := s.held[name]; ok {
		return key, nil
	}
	record, err := s.keys.Key(name)
	if errors.Is(err, sdkerrors.ErrKeyNotFound) {
		return nil, fmt.Errorf("key %q in %s: %w", name, s.keyringDir(), secrets.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", name, err)
	}
	local := record.GetLocal()
	if local == nil {
		return nil, fmt.Errorf("key %q is a %s key; a program can only sign with a local one", name, record.GetType())
	}
	key, ok := local.PrivKey.GetCachedValue().(cryptotypes.PrivKey)
	if !ok {
		return nil, fmt.Errorf("key %q has no private part; import it again", name)
	}
	s.held[name] = key
	return key, nil
}

// CreateKey makes a secp256k1 key.
func (s *Store) CreateKey(_ context.Context, name string) (secrets.Key, string, error) {
	var words string
	key, err := s.addKey(name, func() (err error) {
		_, words, err = s.keys.NewMnemonic(name, keyring.English, hdPath(), keyring.DefaultBIP39Passphrase, hd.Secp256k1)
		return err
	})
	return key, words, err
}

// ImportKey restores a secp256k1 key, at the path that fogd keys uses.
func (s *Store) ImportKey(_ context.Context, name, mnemonic string) (secrets.Key, error) {
	return s.addKey(name, func() error {
		_, err := s.keys.NewAccount(name, mnemonic, keyring.DefaultBIP39Passphrase, hdPath(), hd.Secp256k1)
		return err
	})
}

func (s *Store) addKey(name string, add func() error) (secrets.Key, error) {
	if err := secrets.CheckName(name); err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch _, err := s.keyLocked(name); {
	case err == nil:
		return nil, fmt.Errorf("key %q: %w", name, secrets.ErrExists)
	case !errors.Is(err, secrets.ErrNotFound):
		return nil, err
	}
	if err := add(); err != nil {
		return nil, fmt.Errorf("key %q: %w", name, err)
	}
	return s.keyLocked(name)
}

func hdPath() string { return hd.CreateHDPath(sdk.CoinType, 0, 0).String() }

// Keys returns the names of all keys of accounts, in order.
func (s *Store) Keys(context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := os.Stat(s.keyringDir()); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if _, err := s.unlockLocked(); err != nil { // the keyring leaves out keys that it cannot open
		return nil, err
	}
	records, err := s.keys.List()
	if err != nil {
		return nil, fmt.Errorf("list the keys in %s: %w", s.keyringDir(), err)
	}
	names := make([]string, 0, len(records))
	for _, r := range records {
		names = append(names, r.Name)
	}
	slices.Sort(names)
	return names, nil
}
