package vault

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/cosmos/go-bip39"
	"github.com/hashicorp/vault/api"

	"github.com/cosmos/cosmos-sdk/crypto/hd"
	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/offchain/secrets"
)

// Kinds of secrets, as they are named in paths of KV.
const (
	kindKeys      = "keys"
	kindTransport = "transport"
	kindValues    = "values"
)

// field of a KV secret that holds it.
const (
	fieldKey   = "key"   // hex
	fieldValue = "value" // base64
)

// Store keeps secrets in Vault. It is safe for concurrent use.
type Store struct {
	cfg  Config
	life *life

	mu   sync.Mutex
	held map[string]any // keys that were read, by path
}

var (
	_ secrets.Writer    = (*Store)(nil)
	_ secrets.Signer    = (*Store)(nil)
	_ secrets.Leases    = (*Store)(nil)
	_ secrets.Issuer    = (*Store)(nil)
	_ secrets.JobLender = (*Store)(nil)
)

// Open checks the configuration. Vault is asked when a secret is first read or made.
func Open(cfg Config) (*Store, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	l, err := newLife(cfg)
	if err != nil {
		return nil, err
	}
	return &Store{cfg: cfg, life: l, held: map[string]any{}}, nil
}

// Close revokes the token, and with it all that was lent.
func (s *Store) Close() error { return s.life.close() }

// Status tells how the store stands with its Vault.
func (s *Store) Status() Status {
	s.life.mu.Lock()
	defer s.life.mu.Unlock()
	status := s.life.status
	status.Causes = maps.Clone(status.Causes)
	return status
}

// do asks Vault with the present token. A refusal may mean that the token is gone; then a new login begins.
func (s *Store) do(ctx context.Context, doing string, ask func(context.Context, *session) error) error {
	current, err := s.life.session(ctx)
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	err = explain(doing, ask(asking, current))
	if ctx.Err() != nil {
		return err // the caller's impatience says nothing of Vault
	}
	s.life.note(err)
	if errors.Is(err, secrets.ErrDenied) && s.forgotten(ctx, current) {
		current.lose()
		return fmt.Errorf("vault: %s: %w: Vault does not know the token any more, and a new login begins", doing, secrets.ErrUnavailable)
	}
	return err
}

// forgotten tells whether Vault refuses the token altogether.
func (s *Store) forgotten(ctx context.Context, current *session) bool {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	_, err := current.client.Auth().Token().LookupSelfWithContext(ctx)
	var answer *api.ResponseError
	return errors.As(err, &answer) && answer.StatusCode == http.StatusForbidden
}

func (s *Store) path(kind, name string) string {
	return s.cfg.Role + "/" + s.cfg.Name + "/" + kind + "/" + name
}

// get reads one field of a KV secret.
func (s *Store) get(ctx context.Context, kind, name, field string) (text string, err error) {
	if err := secrets.CheckName(name); err != nil {
		return "", fmt.Errorf("%s: %w", kind, err)
	}
	path := s.path(kind, name)
	err = s.do(ctx, "read "+path, func(ctx context.Context, current *session) error {
		secret, err := current.client.KVv2(s.cfg.Mounts.KV).Get(ctx, path)
		if err != nil {
			return err
		}
		if secret.Data == nil { // deleted
			return api.ErrSecretNotFound
		}
		var ok bool
		if text, ok = secret.Data[field].(string); !ok {
			return fmt.Errorf("it has no field %q; fog did not write it", field)
		}
		return nil
	})
	return text, err
}

// put writes one field of a KV secret; fresh refuses to replace one.
func (s *Store) put(ctx context.Context, path, field, text string, fresh bool) error {
	return s.do(ctx, "write "+path, func(ctx context.Context, current *session) error {
		var options []api.KVOption
		if fresh {
			options = append(options, api.WithCheckAndSet(0))
		}
		_, err := current.client.KVv2(s.cfg.Mounts.KV).Put(ctx, path, map[string]any{field: text}, options...)
		var answer *api.ResponseError
		if !fresh || !errors.As(err, &answer) {
			return err
		}
		// A policy that allows to create and not to update refuses first. Otherwise it is the check-and-set that fails.
		if answer.StatusCode == http.StatusForbidden || answer.StatusCode == http.StatusBadRequest {
			if _, getErr := current.client.KVv2(s.cfg.Mounts.KV).Get(ctx, path); getErr == nil {
				return secrets.ErrExists
			}
		}
		return err
	})
}

// cached returns a key that was read before.
func cached[K any](s *Store, path string) (key K, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, ok = s.held[path].(K)
	return key, ok
}

func (s *Store) hold(path string, key any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[path] = key
}

// Key reads a key of an account and holds it in memory, so that it signs while Vault is away.
func (s *Store) Key(ctx context.Context, name string) (secrets.Key, error) {
	path := s.path(kindKeys, name)
	if key, ok := cached[*secp256k1.PrivKey](s, path); ok {
		return key, nil
	}
	text, err := s.get(ctx, kindKeys, name, fieldKey)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", name, err)
	}
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != secp256k1.PrivKeySize {
		return nil, fmt.Errorf("key %q: what is at %s is no key in hex; restore an earlier version of it", name, path)
	}
	key := &secp256k1.PrivKey{Key: raw}
	s.hold(path, key)
	return key, nil
}

// CreateKey makes a secp256k1 key.
func (s *Store) CreateKey(ctx context.Context, name string) (secrets.Key, string, error) {
	entropy, err := bip39.NewEntropy(256)
	if err != nil {
		return nil, "", fmt.Errorf("key %q: %w", name, err)
	}
	words, err := bip39.NewMnemonic(entropy)
	if err != nil {
		return nil, "", fmt.Errorf("key %q: %w", name, err)
	}
	key, err := s.ImportKey(ctx, name, words)
	return key, words, err
}

// ImportKey restores a secp256k1 key, at the path that fogd keys uses.
func (s *Store) ImportKey(ctx context.Context, name, mnemonic string) (secrets.Key, error) {
	if err := secrets.CheckName(name); err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	raw, err := hd.Secp256k1.Derive()(mnemonic, "", hd.CreateHDPath(sdk.CoinType, 0, 0).String())
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", name, err)
	}
	path := s.path(kindKeys, name)
	if err := s.put(ctx, path, fieldKey, hex.EncodeToString(raw), true); err != nil {
		return nil, fmt.Errorf("key %q: %w", name, err)
	}
	key := &secp256k1.PrivKey{Key: raw}
	s.hold(path, key)
	return key, nil
}

// TransportKey reads the key of a link and holds it in memory.
func (s *Store) TransportKey(ctx context.Context, name string) (ed25519.PrivateKey, error) {
	path := s.path(kindTransport, name)
	if key, ok := cached[ed25519.PrivateKey](s, path); ok {
		return key, nil
	}
	text, err := s.get(ctx, kindTransport, name, fieldKey)
	if err != nil {
		return nil, fmt.Errorf("transport key %q: %w", name, err)
	}
	seed, err := hex.DecodeString(text)
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("transport key %q: what is at %s is no key in hex; restore an earlier version of it", name, path)
	}
	key := ed25519.NewKeyFromSeed(seed)
	s.hold(path, key)
	return key, nil
}

// CreateTransportKey makes the key of a link.
func (s *Store) CreateTransportKey(ctx context.Context, name string) (ed25519.PrivateKey, error) {
	if err := secrets.CheckName(name); err != nil {
		return nil, fmt.Errorf("transport key: %w", err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("transport key %q: %w", name, err)
	}
	path := s.path(kindTransport, name)
	if err := s.put(ctx, path, fieldKey, hex.EncodeToString(key.Seed()), true); err != nil {
		return nil, fmt.Errorf("transport key %q: %w", name, err)
	}
	s.hold(path, key)
	return key, nil
}

// Read reads a value.
func (s *Store) Read(ctx context.Context, name string) ([]byte, error) {
	text, err := s.get(ctx, kindValues, name, fieldValue)
	if err != nil {
		return nil, fmt.Errorf("secret %q: %w", name, err)
	}
	value, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("secret %q: %w; write it again", name, err)
	}
	return value, nil
}

// Write sets a value. A Vault with integrated storage takes values over about 750 KB only with a larger max_entry_size.
func (s *Store) Write(ctx context.Context, name string, value []byte) error {
	if err := secrets.CheckName(name); err != nil {
		return fmt.Errorf("secret: %w", err)
	}
	if len(value) > secrets.MaxValue {
		return fmt.Errorf("secret %q: %d bytes: %w", name, len(value), secrets.ErrTooLarge)
	}
	if err := s.put(ctx, s.path(kindValues, name), fieldValue, base64.StdEncoding.EncodeToString(value), false); err != nil {
		return fmt.Errorf("secret %q: %w", name, err)
	}
	return nil
}

// expiry of a lease of so many seconds from now; zero seconds: never.
func expiry(seconds int) time.Time {
	if seconds <= 0 {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(seconds) * time.Second)
}
