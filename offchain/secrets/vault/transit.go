package vault

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"

	"github.com/foggrid/fogd/offchain/secrets"
)

// transitType is the one type of keys that both Transit and the chain know.
const transitType = "ecdsa-p256"

// transitPath is below a mount of the program's own: a policy can then name keys as whole segments of a path.
func (s *Store) transitPath(what, name string) string {
	return s.cfg.Mounts.Transit + "/" + s.cfg.Role + "/" + s.cfg.Name + "/" + what + "/" + name
}

// SigningKey returns a key of Transit. Only its public half ever comes here.
func (s *Store) SigningKey(ctx context.Context, name string) (secrets.Key, error) {
	if err := secrets.CheckName(name); err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	path := s.transitPath("keys", name)
	if key, ok := cached[*transitKey](s, path); ok {
		return key, nil
	}
	var data map[string]any
	err := s.do(ctx, "read "+path, func(ctx context.Context, current *session) error {
		secret, err := current.client.Logical().ReadWithContext(ctx, path)
		if err != nil {
			return err
		}
		if secret == nil {
			return secrets.ErrNotFound
		}
		data = secret.Data
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("signing key %q: %w", name, err)
	}
	key := &transitKey{store: s, name: name}
	if key.version, key.pub, err = firstVersion(data); err != nil {
		return nil, fmt.Errorf("signing key %q: %w", name, err)
	}
	s.hold(path, key)
	return key, nil
}

// firstVersion reads the first version of a key. Rotation in Transit does not change the key that the chain knows: `fog oracle rotate-key`
// makes a new one.
func firstVersion(data map[string]any) (version int, pub cryptotypes.PubKey, err error) {
	if data["type"] != transitType {
		return 0, nil, fmt.Errorf("it is of type %v; it must be %s", data["type"], transitType)
	}
	const first = 1
	versions, _ := data["keys"].(map[string]any)
	entry, _ := versions[strconv.Itoa(first)].(map[string]any)
	text, _ := entry["public_key"].(string)
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return 0, nil, errors.New("its first version is archived; make it usable again with min_decryption_version=1")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return 0, nil, err
	}
	public, ok := parsed.(*ecdsa.PublicKey)
	if !ok {
		return 0, nil, fmt.Errorf("its public half is a %T", parsed)
	}
	pub, err = secrets.P256PubKey(public)
	return first, pub, err
}

// CreateSigningKey makes a key in Transit that cannot be exported.
func (s *Store) CreateSigningKey(ctx context.Context, name string) (secrets.Key, error) {
	// Creating an existing key is no error for Transit, so ask first; of two that create at once both get the same key.
	switch _, err := s.SigningKey(ctx, name); {
	case err == nil:
		return nil, fmt.Errorf("signing key %q: %w", name, secrets.ErrExists)
	case !errors.Is(err, secrets.ErrNotFound):
		return nil, err
	}
	path := s.transitPath("keys", name)
	err := s.do(ctx, "create "+path, func(ctx context.Context, current *session) error {
		_, err := current.client.Logical().WriteWithContext(ctx, path, map[string]any{
			"type": transitType, "exportable": false, "allow_plaintext_backup": false,
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("signing key %q: %w", name, err)
	}
	return s.SigningKey(ctx, name)
}

type transitKey struct {
	store   *Store
	name    string
	version int
	pub     cryptotypes.PubKey
}

func (k *transitKey) PubKey() cryptotypes.PubKey { return k.pub }

// Sign asks Vault, for as long as one request may take.
func (k *transitKey) Sign(msg []byte) (signature []byte, err error) {
	path := k.store.transitPath("sign", k.name)
	err = k.store.do(context.Background(), "use "+path, func(ctx context.Context, current *session) error {
		secret, err := current.client.Logical().WriteWithContext(ctx, path, map[string]any{
			"input": base64.StdEncoding.EncodeToString(msg), "hash_algorithm": "sha2-256", "marshaling_algorithm": "jws",
			"key_version": json.Number(strconv.Itoa(k.version)),
		})
		if err != nil {
			return err
		}
		if secret == nil {
			return errors.New("no signature in the answer")
		}
		text, _ := secret.Data["signature"].(string)
		signature, err = parseSignature(text)
		return err
	})
	return signature, err
}

// parseSignature reads vault:v1:… with r and s in base64url, 32 bytes each.
func parseSignature(text string) ([]byte, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return nil, errors.New("the signature is not of the form vault:v1:…")
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return nil, fmt.Errorf("the signature is not base64url: %w", err)
	}
	if len(raw) != 64 {
		return nil, fmt.Errorf("the signature has %d bytes; 64 are expected", len(raw))
	}
	r, s, n := new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:]), elliptic.P256().Params().N
	if r.Sign() == 0 || s.Sign() == 0 || r.Cmp(n) >= 0 || s.Cmp(n) >= 0 {
		return nil, errors.New("the signature is none of the curve")
	}
	return secrets.P256Signature(r, s), nil
}
