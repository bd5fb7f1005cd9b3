package credential_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/gateway/credential"
	"github.com/foggrid/fogd/offchain/gateway/store"
)

const alice = "fog1alice"

var ctx = context.Background()

type world struct {
	path string
	book *credential.Book
	now  time.Time
}

func newWorld(t testing.TB) *world {
	w := &world{path: filepath.Join(t.TempDir(), "db"), now: time.Unix(1_700_000_000, 0)}
	s, err := store.Open(w.path, false)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	w.book = credential.NewBook(s, func() time.Time { return w.now })
	return w
}

func (w *world) issue(t require.TestingT, address string, life time.Duration, roles ...string) (string, credential.Token) {
	text, token, err := w.book.Issue(ctx, credential.Token{Kind: access.Key, Address: address, Roles: roles, Expires: w.now.Add(life)})
	require.NoError(t, err)
	return text, token
}

func TestTokenIsKeptAsAHashOnly(t *testing.T) {
	w := newWorld(t)
	text, token := w.issue(t, alice, time.Hour, access.Developer)
	raw, err := os.ReadFile(w.path)
	require.NoError(t, err)
	require.True(t, bytes.Contains(raw, []byte(token.ID)))
	_, secret, _ := strings.Cut(strings.TrimPrefix(text, "fogt_"), "_")
	require.Len(t, secret, 52)
	require.False(t, bytes.Contains(bytes.ToLower(raw), []byte(secret)))

	got, err := w.book.Check(ctx, text)
	require.NoError(t, err)
	require.Equal(t, access.Subject{Address: alice, Roles: []string{access.Developer}, Credential: access.Key}, got.Subject())
}

func TestCheckRefuses(t *testing.T) {
	w := newWorld(t)
	text, token := w.issue(t, alice, time.Hour)
	other, _ := w.issue(t, alice, time.Hour)
	for name, bad := range map[string]string{
		"empty": "", "other form": "Bearer x", "id alone": "fogt_" + token.ID, "upper case": strings.ToUpper(text),
		"longer": text + "a", "cut": text[:len(text)-1], "flipped": flip(text), "path": "fogt_../../../../xx_" + text[22:],
		"secret of another": text[:22] + other[22:], "unknown id": "fogt_0000000000000000" + text[21:],
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.book.Check(ctx, bad)
			require.ErrorIs(t, err, credential.ErrUnknown)
		})
	}
	w.now = w.now.Add(time.Hour)
	_, err := w.book.Check(ctx, text)
	require.ErrorIs(t, err, credential.ErrExpired)
	_, err = w.book.Check(ctx, flip(text))
	require.ErrorIs(t, err, credential.ErrUnknown)
	_, _, err = w.book.Issue(ctx, credential.Token{Kind: access.Key, Address: alice, Expires: w.now})
	require.ErrorContains(t, err, "must expire")
}

// flip changes the last character but the spare bits of the last one.
func flip(text string) string {
	c := byte('a')
	if text[len(text)-2] == c {
		c = 'b'
	}
	return text[:len(text)-2] + string(c) + text[len(text)-1:]
}

func TestUsesAndSweep(t *testing.T) {
	w := newWorld(t)
	_, used := w.issue(t, alice, time.Hour)
	w.now = w.now.Add(time.Second)
	_, idle := w.issue(t, "fog1bob", 90*24*time.Hour)
	w.now = w.now.Add(time.Minute)
	w.book.Used(used.ID, "192.0.2.1")
	list, err := w.book.List(ctx, "")
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, w.now.UTC(), list[0].Used)
	require.Equal(t, "192.0.2.1", list[0].From)
	require.Zero(t, list[1].Used)
	list, err = w.book.List(ctx, "fog1bob")
	require.NoError(t, err)
	require.Len(t, list, 1)

	_, session, err := w.book.Issue(ctx, credential.Token{Kind: access.Session, Address: alice, Expires: w.now.Add(time.Minute)})
	require.NoError(t, err)
	w.now = w.now.Add(2 * time.Hour)
	n, err := w.book.Sweep(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	_, err = w.book.ByID(ctx, session.ID)
	require.ErrorIs(t, err, credential.ErrNotFound)

	w.now = w.now.Add(31 * 24 * time.Hour)
	n, err = w.book.Sweep(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	_, err = w.book.ByID(ctx, used.ID)
	require.ErrorIs(t, err, credential.ErrNotFound)
	_, err = w.book.ByID(ctx, idle.ID)
	require.NoError(t, err)
}

// A token is good from its issue until its end or its revocation, whatever else happens.
func TestLifeOfTokens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		type issued struct {
			text, id string
			expires  time.Time
			revoked  bool
		}
		var all []*issued
		rt.Repeat(map[string]func(*rapid.T){
			"issue": func(rt *rapid.T) {
				i := &issued{}
				life := time.Duration(rapid.IntRange(1, 100).Draw(rt, "life")) * time.Minute
				text, token := w.issue(rt, alice, life, access.Developer)
				i.text, i.id, i.expires = text, token.ID, w.now.Add(life)
				all = append(all, i)
			},
			"wait": func(rt *rapid.T) {
				w.now = w.now.Add(time.Duration(rapid.IntRange(1, 60).Draw(rt, "wait")) * time.Minute)
			},
			"revoke": func(rt *rapid.T) {
				if len(all) == 0 {
					rt.Skip()
				}
				i := rapid.SampledFrom(all).Draw(rt, "token")
				_, err := w.book.Revoke(ctx, i.id)
				require.NoError(rt, err)
				i.revoked = true
			},
			"use": func(rt *rapid.T) {
				if len(all) > 0 {
					w.book.Used(rapid.SampledFrom(all).Draw(rt, "token").id, "::1")
					require.NoError(rt, w.book.Flush(ctx))
				}
			},
			"": func(rt *rapid.T) {
				for _, i := range all {
					_, err := w.book.Check(ctx, i.text)
					switch {
					case i.revoked:
						require.ErrorIs(rt, err, credential.ErrRevoked)
					case !w.now.Before(i.expires):
						require.ErrorIs(rt, err, credential.ErrExpired)
					default:
						require.NoError(rt, err)
					}
				}
			},
		})
	})
}

func FuzzParseID(f *testing.F) {
	f.Add("fogt_0123456789abcdef_" + strings.Repeat("a", 52))
	f.Add("fogt__")
	f.Fuzz(func(t *testing.T, text string) {
		id, err := credential.ParseID(text)
		if err == nil && (len(id) != 16 || !strings.Contains(text, id)) {
			t.Fatal(id)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	w := newWorld(b)
	text, _ := w.issue(b, alice, time.Hour)
	for b.Loop() {
		if _, err := w.book.Check(ctx, text); err != nil {
			b.Fatal(err)
		}
	}
}

// slow is a store that waits before it notes uses, and fails if it is told to.
type slow struct {
	store.Store
	waiting chan struct{}
	release chan error
}

func (s *slow) Put(ctx context.Context, table string, values map[string][]byte) error {
	close(s.waiting)
	if err := <-s.release; err != nil {
		return err
	}
	return s.Store.Put(ctx, table, values)
}

// A store that is slow to note the last uses holds up no request, and what it fails to note is noted the next time.
func TestUsesWaitForNobody(t *testing.T) {
	s, err := store.Open(filepath.Join(t.TempDir(), "db"), false)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	under := &slow{s, make(chan struct{}), make(chan error)}
	now := time.Unix(1_700_000_000, 0)
	book := credential.NewBook(under, func() time.Time { return now })
	text, token, err := book.Issue(ctx, credential.Token{Kind: access.Key, Address: alice, Expires: now.Add(time.Hour)})
	require.NoError(t, err)
	_, err = book.Check(ctx, text)
	require.NoError(t, err)
	book.Used(token.ID, "192.0.2.1")
	flushed := make(chan error)
	go func() { flushed <- book.Flush(ctx) }()
	<-under.waiting
	book.Used("0000000000000000", "192.0.2.2") // would wait for ever
	under.release <- store.ErrUnavailable
	require.ErrorIs(t, <-flushed, store.ErrUnavailable)
	under.waiting = make(chan struct{})
	go func() { under.release <- nil }()
	tokens, err := book.List(ctx, alice)
	require.NoError(t, err)
	require.Equal(t, "192.0.2.1", tokens[0].From)
}
