// Package programtest gives tests the store of a program in a Vault that was set up as operators do it.
package programtest

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	deploy "github.com/foggrid/fogd/deploy/vault"
	"github.com/foggrid/fogd/offchain/secrets/vault"
	"github.com/foggrid/fogd/offchain/secrets/vault/setup"
	"github.com/foggrid/fogd/offchain/secrets/vault/vaulttest"
)

// Config sets a Vault up for a program and returns how it logs in, once. Settings are those of fog vault apply.
func Config(t *testing.T, url, role, name string, settings map[string]string) vault.Config {
	t.Helper()
	root, err := api.NewClient(&api.Config{Address: url})
	require.NoError(t, err)
	root.SetToken(vaulttest.Root)
	plan, err := setup.Make(t.Context(), root, setup.Input{
		Files: deploy.Files, Programs: []setup.Program{{Role: role, Name: name}}, Settings: settings, Getenv: os.Getenv,
	})
	require.NoError(t, err)
	require.NoError(t, plan.Apply(t.Context(), func(setup.Step) {}))
	at := "auth/approle/role/" + role + "." + name
	id, err := root.Logical().ReadWithContext(t.Context(), at+"/role-id")
	require.NoError(t, err)
	secret, err := root.Logical().WriteWithContext(t.Context(), at+"/secret-id", nil)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "secret-id")
	require.NoError(t, os.WriteFile(path, []byte(secret.Data["secret_id"].(string)), 0o600))
	return vault.Config{
		Address: url, Role: role, Name: name, Log: slog.New(slog.DiscardHandler),
		Login: vault.AppRole{RoleID: id.Data["role_id"].(string), SecretIDFile: path},
	}
}

// Open is the store of a program in a Vault that Config sets up.
func Open(t *testing.T, url, role, name string, settings map[string]string) *vault.Store {
	t.Helper()
	s, err := vault.Open(Config(t, url, role, name, settings))
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Log(err)
		}
	})
	return s
}
