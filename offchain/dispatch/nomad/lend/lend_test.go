package lend_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch/nomad/lend"
	"github.com/foggrid/fogd/offchain/secrets"
	"github.com/foggrid/fogd/offchain/secrets/envelope"
	"github.com/foggrid/fogd/offchain/secrets/file"
	"github.com/foggrid/fogd/offchain/secrets/vault/programtest"
	"github.com/foggrid/fogd/offchain/secrets/vault/vaulttest"
)

const (
	owner   = "fog1alice"
	attempt = "job1x/s0/a1"
	planted = "planted-secret-9d27b1"
)

// gateway lends from a store to whoever shows the token of Nomad's, in the words of the real one.
type gateway struct {
	t      *testing.T
	lender secrets.JobLender
	url    string

	mu    sync.Mutex
	owner string
	asked int
	fail  int // how many requests are answered with an error of the server's
}

func newGateway(t *testing.T, lender secrets.JobLender) *gateway {
	g := &gateway{t: t, lender: lender, owner: owner}
	server := httptest.NewServer(http.HandlerFunc(g.serve))
	t.Cleanup(server.Close)
	g.url = server.URL
	return g
}

func (g *gateway) serve(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	var in lend.Request
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.URL.Path != lend.Path || in.Identity != "token of Nomad" {
		http.Error(w, `{"error":{"code":"unauthorized","detail":"no"}}`, http.StatusUnauthorized)
		return
	}
	if g.fail > 0 {
		g.fail--
		http.Error(w, "busy", http.StatusBadGateway)
		return
	}
	loan, err := g.lender.LendJobSecrets(r.Context(), secrets.Borrower{Attempt: attempt, Recipient: in.Recipient}, owner, []string{"db/password", "key"})
	if errors.Is(err, secrets.ErrNotFound) {
		w.WriteHeader(http.StatusNotFound)
		w.Write([]byte(`{"error":{"code":"no_secret","detail":"there is no secret key"}}`)) //nolint:errcheck // the other side is gone
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"owner": g.owner, "loan": loan}) //nolint:errcheck // the other side is gone
}

// helper runs beside the test and logs into the buffer.
func (g *gateway) helper(shared string) (lend.Terms, *bytes.Buffer) {
	g.t.Helper()
	identity := filepath.Join(g.t.TempDir(), "nomad_fog.jwt")
	require.NoError(g.t, os.WriteFile(identity, []byte("token of Nomad\n"), 0o600))
	terms := lend.Terms{Gateway: g.url, Owner: owner, Paths: []string{"db/password", "key"}}
	var log bytes.Buffer
	h := lend.Helper{Shared: shared, Identity: identity, Attempt: attempt, Terms: terms, Log: slog.New(slog.NewTextHandler(&log, nil))}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { h.Run(ctx) }) //nolint:errcheck // its context ends
	g.t.Cleanup(func() {
		stop()
		running.Wait()
		require.NotContains(g.t, log.String(), planted)
	})
	return terms, &log
}

func eachStore(t *testing.T, test func(t *testing.T, lender secrets.JobLender)) {
	t.Run("file", func(t *testing.T) {
		s, err := file.Open(filepath.Join(t.TempDir(), "s"), file.Test, nil)
		require.NoError(t, err)
		test(t, s)
	})
	t.Run("stand-in", func(t *testing.T) {
		test(t, programtest.Open(t, vaulttest.New(t, false).URL, "gateway", "main", nil))
	})
	t.Run("real", func(t *testing.T) { test(t, programtest.Open(t, vaulttest.Real(t), "gateway", "main", nil)) })
}

func put(t *testing.T, l secrets.JobLender) {
	require.NoError(t, l.PutJobSecret(t.Context(), owner, "db/password", []byte(planted)))
	require.NoError(t, l.PutJobSecret(t.Context(), owner, "key", []byte("\x00second")))
}

// Who asks gets the values, as often as it asks; what lies in the shared folder meanwhile opens nothing, and nothing stays.
func TestAskAndAnswer(t *testing.T) {
	eachStore(t, func(t *testing.T, l secrets.JobLender) {
		put(t, l)
		g := newGateway(t, l)
		g.fail = 1
		shared := t.TempDir()
		seen, stop := watch(t, shared)
		terms, _ := g.helper(shared)
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			values, err := lend.Ask(ctx, shared, attempt, terms)
			cancel()
			require.NoError(t, err)
			require.Equal(t, [][]byte{[]byte(planted), []byte("\x00second")}, values)
		}
		stop()
		require.NotContains(t, seen(), planted)
		left, err := filepath.Glob(filepath.Join(shared, "*", "*"))
		require.NoError(t, err)
		require.Empty(t, left)
	})
}

// watch reads all that lies in a folder, as whoever may read files of the allocation can, until it is stopped.
func watch(t *testing.T, dir string) (seen func() string, stop func()) {
	var all strings.Builder
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error { //nolint:errcheck // files come and go
				if raw, readErr := os.ReadFile(path); err == nil && readErr == nil && e.Type().IsRegular() {
					all.Write(raw)
				}
				return nil
			})
			time.Sleep(5 * time.Millisecond)
		}
	})
	return all.String, func() { cancel(); running.Wait() }
}

// A secret that there is not is not waited for without end; another owner's is not taken.
func TestRefusals(t *testing.T) {
	s, err := file.Open(filepath.Join(t.TempDir(), "s"), file.Test, nil)
	require.NoError(t, err)
	require.NoError(t, s.PutJobSecret(t.Context(), owner, "db/password", []byte(planted)))
	g := newGateway(t, s)
	shared := t.TempDir()
	terms, _ := g.helper(shared)
	_, err = lend.Ask(t.Context(), shared, attempt, terms)
	require.ErrorIs(t, err, lend.ErrRefused)
	require.ErrorContains(t, err, "there is no secret key")

	put(t, s)
	g.mu.Lock()
	g.owner = "fog1bob"
	before := g.asked
	g.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for {
			g.mu.Lock()
			asked := g.asked > before
			g.mu.Unlock()
			if asked {
				cancel()
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	_, err = lend.Ask(ctx, shared, attempt, terms)
	require.ErrorIs(t, err, context.Canceled)
}

// What somebody else leaves in the folder is not taken: it must be for this attempt and key.
func TestForeignEnvelopes(t *testing.T) {
	s, err := file.Open(filepath.Join(t.TempDir(), "s"), file.Test, nil)
	require.NoError(t, err)
	put(t, s)
	g := newGateway(t, s)
	shared := t.TempDir()
	terms, _ := g.helper(shared)
	_, err = lend.Ask(t.Context(), shared, "job1x/s0/a2", terms)
	require.ErrorIs(t, err, envelope.ErrForeign)
	terms.Owner = "fog1bob"
	_, err = lend.Ask(t.Context(), shared, attempt, terms)
	require.ErrorIs(t, err, envelope.ErrForeign)
}

func TestGatewayMustBeSafe(t *testing.T) {
	for _, at := range []string{"http://gateway.example", "gateway", "https://user@gateway.example", "ftp://127.0.0.1"} {
		h := lend.Helper{Shared: t.TempDir(), Terms: lend.Terms{Gateway: at}, Log: slog.New(slog.DiscardHandler)}
		require.ErrorContains(t, h.Run(t.Context()), "no https URL", at)
	}
	h := lend.Helper{Shared: t.TempDir(), Terms: lend.Terms{Gateway: "https://gateway.example", CA: "none"}, Log: slog.New(slog.DiscardHandler)}
	require.ErrorContains(t, h.Run(t.Context()), "no certificate in PEM")
}
