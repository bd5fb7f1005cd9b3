package vault_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/secrets"
	"github.com/foggrid/fogd/offchain/secrets/vault"
)

// lockedBuffer is a log that goes to memory.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// What opens something is in no log and in no error: wrapped and bare secret ids, values, leased credentials; nor when the Vault forgets or does not answer.
func TestSecretsAreInNoLog(t *testing.T) {
	g, s := standIn(t)
	g.apply(t, "oracle+dispatcher=main")
	var log lockedBuffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg := g.config(t, "oracle", "main")
	cfg.Log = logger
	wrapping, err := os.ReadFile(cfg.Login.(vault.AppRole).SecretIDFile)
	require.NoError(t, err)
	planted := []string{strings.TrimSpace(string(wrapping)), "planted-value"}
	said := func(err error) {
		if err != nil {
			logger.Error("as a program would", "error", err)
		}
	}

	store := open(t, cfg)
	require.NoError(t, store.Write(t.Context(), "v", []byte("planted-value")))
	ctx, cancel := context.WithCancel(t.Context())
	kept, lent := make(chan error, 1), make(chan string, 10)
	go func() {
		kept <- secrets.Keep(ctx, store, "nomad", logger, func(c secrets.Credential) error {
			lent <- c.Fields["secret_id"]
			return nil
		})
	}()
	planted = append(planted, <-lent)
	second := open(t, cfg)
	_, err = second.Read(t.Context(), "v") // the secret id was used
	require.Error(t, err)
	said(err)
	said(second.Close()) // which would take the next one away
	_, fresh := g.secretID(t, "oracle", "main")
	raw, err := os.ReadFile(fresh)
	require.NoError(t, err)
	planted = append(planted, strings.TrimSpace(string(raw)))
	require.NoError(t, os.WriteFile(cfg.Login.(vault.AppRole).SecretIDFile, raw, 0o600))
	s.ForgetTokens()
	_, err = store.Read(t.Context(), "v")
	require.Error(t, err)
	said(err)
	select {
	case again := <-lent:
		planted = append(planted, again)
	case <-time.After(time.Minute):
		t.Fatal("no credential after the new login")
	}
	cancel()
	require.ErrorIs(t, <-kept, context.Canceled)
	require.NoError(t, store.Close())
	require.Contains(t, log.String(), "as a program would")
	for i, secret := range planted {
		require.NotEmpty(t, secret)
		require.NotContains(t, log.String(), secret, "secret %d", i)
	}
}
