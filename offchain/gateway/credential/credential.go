// Package credential issues the gateway's tokens and knows them again. A token is 256 random bits behind an id; what is kept of it is
// the id, the SHA-256 of the whole, and what it stands for. A hash without salt or stretching is enough for random bits, and cheap enough
// for every request.
package credential

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/gateway/store"
)

var (
	// ErrUnknown is a token that was never issued, or is not known any more.
	ErrUnknown = errors.New("the token is not known here; log in again, or make a new one")
	// ErrExpired is a token whose time is over.
	ErrExpired = errors.New("the token has expired; log in again, or make a new one")
	// ErrRevoked is a token that was revoked.
	ErrRevoked = errors.New("the token was revoked; log in again, or make a new one")
	// ErrNotFound is an id that no token has.
	ErrNotFound = errors.New("there is no such token")
)

const (
	tableTokens = "tokens"
	tableUses   = "token_uses"
	// prefix lets people and secret scanners know a token.
	prefix      = "fogt_"
	idBytes     = 8
	secretBytes = 32
	// forgetAfter is how long tokens that are over stay listed; forgetLogin is for those of logins, of which a node alone makes dozens a day.
	forgetAfter = 30 * 24 * time.Hour
	forgetLogin = time.Hour
)

var alphabet = base32.StdEncoding.WithPadding(base32.NoPadding)

// Token is what is known of one.
type Token struct {
	ID   string            `json:"id"`
	Kind access.Credential `json:"kind"`
	// Address, or Node and its Owner, is whom it stands for; Roles are those that it has of its address.
	Address string    `json:"address,omitempty"`
	Node    string    `json:"node,omitempty"`
	Owner   string    `json:"owner,omitempty"`
	Roles   []string  `json:"roles"`
	Note    string    `json:"note,omitempty"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	Revoked time.Time `json:"revoked,omitzero"`
	// Used and From are of the last use, as far as it has been noted.
	Used time.Time `json:"last_used,omitzero"`
	From string    `json:"last_from,omitempty"`
}

// Subject is who a token stands for.
func (t Token) Subject() access.Subject {
	return access.Subject{Address: t.Address, Node: t.Node, Owner: t.Owner, Roles: t.Roles, Credential: t.Kind}
}

// kept is a token in the store.
type kept struct {
	Token
	Hash string `json:"hash"`
}

type use struct {
	Used time.Time `json:"used"`
	From string    `json:"from"`
}

// Book issues and checks tokens; it is safe for concurrent use.
type Book struct {
	store store.Store
	now   func() time.Time

	mu   sync.Mutex
	uses map[string]use // since the last Flush
}

// NewBook keeps tokens in a store.
func NewBook(s store.Store, now func() time.Time) *Book {
	return &Book{store: s, now: now, uses: map[string]use{}}
}

// Issue makes a token of the kind, for whom and until when t says. The text is returned once and kept nowhere.
func (b *Book) Issue(ctx context.Context, t Token) (string, Token, error) {
	raw := make([]byte, idBytes+secretBytes)
	if _, err := rand.Read(raw); err != nil {
		return "", Token{}, err
	}
	t.ID, t.Created, t.Revoked, t.Used, t.From = hex.EncodeToString(raw[:idBytes]), b.now().UTC(), time.Time{}, time.Time{}, ""
	t.Expires = t.Expires.UTC()
	if !t.Expires.After(t.Created) {
		return "", Token{}, errors.New("a token must expire, and later than now")
	}
	if t.Roles == nil {
		t.Roles = []string{}
	}
	text := prefix + t.ID + "_" + strings.ToLower(alphabet.EncodeToString(raw[idBytes:]))
	value, err := json.Marshal(kept{t, hashOf(text)})
	if err != nil {
		return "", Token{}, err
	}
	if err := b.store.Create(ctx, tableTokens, t.ID, value); err != nil {
		return "", Token{}, fmt.Errorf("keep the token: %w", err)
	}
	return text, t, nil
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// ParseID takes the id out of a token's text, ErrUnknown if it has not the form of one.
func ParseID(text string) (string, error) {
	rest, ok := strings.CutPrefix(text, prefix)
	id, secret, cut := strings.Cut(rest, "_")
	if !ok || !cut || !isID(id) || len(secret) != alphabet.EncodedLen(secretBytes) {
		return "", ErrUnknown
	}
	return id, nil
}

// isID is true for the ids of tokens in the one form that they are written in.
func isID(id string) bool {
	return len(id) == 2*idBytes && strings.Trim(id, "0123456789abcdef") == ""
}

// Check returns whom a token stands for, or ErrUnknown, ErrExpired or ErrRevoked. A wrong secret is ErrUnknown whatever the id.
func (b *Book) Check(ctx context.Context, text string) (Token, error) {
	id, err := ParseID(text)
	if err != nil {
		return Token{}, err
	}
	k, err := b.load(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return Token{}, ErrUnknown
	}
	if err != nil {
		return Token{}, err
	}
	if subtle.ConstantTimeCompare([]byte(hashOf(text)), []byte(k.Hash)) != 1 {
		return Token{}, ErrUnknown
	}
	return k.Token, b.valid(k.Token)
}

func (b *Book) valid(t Token) error {
	switch {
	case !t.Revoked.IsZero():
		return ErrRevoked
	case !b.now().Before(t.Expires):
		return ErrExpired
	}
	return nil
}

// ByID returns a token by its id, whether it is valid or not, or ErrNotFound.
func (b *Book) ByID(ctx context.Context, id string) (Token, error) {
	k, err := b.load(ctx, id)
	return k.Token, err
}

func (b *Book) load(ctx context.Context, id string) (kept, error) {
	var k kept
	if !isID(id) {
		return k, ErrNotFound
	}
	raw, err := b.store.Get(ctx, tableTokens, id)
	if errors.Is(err, store.ErrNotFound) {
		return k, ErrNotFound
	}
	if err != nil {
		return k, err
	}
	if err := json.Unmarshal(raw, &k); err != nil {
		return k, fmt.Errorf("token %s in the store: %w", id, err)
	}
	return k, nil
}

// Used notes a use; Flush makes it lasting, so that reading requests write nothing.
func (b *Book) Used(id, from string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.uses[id] = use{b.now().UTC(), from}
}

// Flush writes the uses that were noted.
func (b *Book) Flush(ctx context.Context) error {
	b.mu.Lock()
	uses := b.uses
	b.uses = map[string]use{}
	b.mu.Unlock() // a store that is slow holds up nobody's request
	if len(uses) == 0 {
		return nil
	}
	values := make(map[string][]byte, len(uses))
	for id, u := range uses {
		value, err := json.Marshal(u)
		if err != nil {
			return err
		}
		values[id] = value
	}
	err := b.store.Put(ctx, tableUses, values)
	if err == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, u := range uses { // for the next time, but what has been noted since
		if _, newer := b.uses[id]; !newer {
			b.uses[id] = u
		}
	}
	return err
}

// Revoke ends a token at once; what was revoked stays so.
func (b *Book) Revoke(ctx context.Context, id string) (Token, error) {
	k, err := b.load(ctx, id)
	if err != nil || !k.Revoked.IsZero() {
		return k.Token, err
	}
	k.Revoked = b.now().UTC()
	value, err := json.Marshal(k)
	if err != nil {
		return Token{}, err
	}
	return k.Token, b.store.Put(ctx, tableTokens, map[string][]byte{id: value})
}

// List returns the tokens of an address and of the nodes that it owns, of all with "", oldest first.
func (b *Book) List(ctx context.Context, address string) ([]Token, error) {
	if err := b.Flush(ctx); err != nil {
		return nil, err
	}
	uses := map[string]use{}
	err := b.store.List(ctx, tableUses, func(id string, raw []byte) error {
		var u use
		err := json.Unmarshal(raw, &u)
		uses[id] = u
		return err
	})
	if err != nil {
		return nil, err
	}
	tokens := []Token{}
	err = b.store.List(ctx, tableTokens, func(id string, raw []byte) error {
		var k kept
		if err := json.Unmarshal(raw, &k); err != nil {
			return fmt.Errorf("token %s in the store: %w", id, err)
		}
		if address == "" || address == k.Address || address == k.Owner {
			k.Used, k.From = uses[id].Used, uses[id].From
			tokens = append(tokens, k.Token)
		}
		return nil
	})
	slices.SortFunc(tokens, func(a, b Token) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return tokens, err
}

// Sweep forgets tokens that have been over for a while, and returns how many.
func (b *Book) Sweep(ctx context.Context) (int, error) {
	tokens, err := b.List(ctx, "")
	if err != nil {
		return 0, err
	}
	forgotten := 0
	for _, t := range tokens {
		keep := forgetAfter
		if t.Kind == access.Session || t.Kind == access.Agent {
			keep = forgetLogin
		}
		if !b.now().After(t.Expires.Add(keep)) {
			continue
		}
		if err := errors.Join(b.store.Delete(ctx, tableTokens, t.ID), b.store.Delete(ctx, tableUses, t.ID)); err != nil {
			return forgotten, err
		}
		forgotten++
	}
	return forgotten, nil
}
