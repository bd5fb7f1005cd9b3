package vault_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	deploy "github.com/foggrid/fogd/deploy/vault"
	"github.com/foggrid/fogd/offchain/secrets/vault"
	"github.com/foggrid/fogd/offchain/secrets/vault/setup"
	"github.com/foggrid/fogd/offchain/secrets/vault/vaulttest"
)

// grid is a Vault that was set up from deploy/vault, and its administrator.
type grid struct {
	url      string
	root     *api.Client
	settings map[string]string
	// getenv has the secrets of a set-up.
	getenv func(string) string
	fresh  atomic.Int32
	real   bool
}

func newGrid(t *testing.T, url string, settings map[string]string) *grid {
	t.Helper()
	root, err := api.NewClient(&api.Config{Address: url})
	require.NoError(t, err)
	root.SetToken(vaulttest.Root)
	return &grid{url: url, root: root, settings: settings, getenv: invented}
}

func invented(name string) string { return "value of " + name }

// standIn has all engines, a real Vault those that need nothing beside it.
func standIn(t *testing.T) (*grid, *vaulttest.Server) {
	t.Helper()
	s := vaulttest.New(t, false)
	return newGrid(t, s.URL, map[string]string{"nomad_address": "http://127.0.0.1:4646", "database_url": "postgresql://{{username}}"}), s
}

// each runs a test against the stand-in and, where there is one, a real Vault.
func each(t *testing.T, test func(*testing.T, *grid)) {
	t.Run("stand-in", func(t *testing.T) {
		g, _ := standIn(t)
		test(t, g)
	})
	t.Run("real", func(t *testing.T) {
		g := newGrid(t, vaulttest.Real(t), nil)
		g.real = true
		test(t, g)
	})
}

func (g *grid) plan(t *testing.T, programs ...string) setup.Plan {
	t.Helper()
	in := setup.Input{Files: deploy.Files, Settings: g.settings, Getenv: g.getenv}
	for _, text := range programs {
		p, err := setup.ParseProgram(text)
		require.NoError(t, err)
		in.Programs = append(in.Programs, p)
	}
	plan, err := setup.Make(t.Context(), g.root, in)
	require.NoError(t, err)
	return plan
}

func (g *grid) apply(t *testing.T, programs ...string) {
	t.Helper()
	require.NoError(t, g.plan(t, programs...).Apply(t.Context(), func(setup.Step) {}))
}

// secretID makes a single-use secret id of a program, wrapped for one use, in a file.
func (g *grid) secretID(t *testing.T, role, name string) (roleID, file string) {
	t.Helper()
	path := "auth/approle/role/" + role + "." + name
	id, err := g.root.Logical().ReadWithContext(t.Context(), path+"/role-id")
	require.NoError(t, err)
	require.NotNil(t, id, "the role was not set up")
	wrapping, err := g.root.Clone()
	require.NoError(t, err)
	wrapping.SetToken(vaulttest.Root)
	wrapping.SetWrappingLookupFunc(func(string, string) string { return "10m" })
	secret, err := wrapping.Logical().WriteWithContext(t.Context(), path+"/secret-id", nil)
	require.NoError(t, err)
	file = filepath.Join(t.TempDir(), "secret-id")
	require.NoError(t, os.WriteFile(file, []byte(secret.WrapInfo.Token+"\n"), 0o600))
	return id.Data["role_id"].(string), file
}

func (g *grid) config(t *testing.T, role, name string) vault.Config {
	t.Helper()
	roleID, file := g.secretID(t, role, name)
	return vault.Config{
		Address: g.url, Role: role, Name: name, Login: vault.AppRole{RoleID: roleID, SecretIDFile: file, Wrapped: true},
		Log: slog.New(slog.DiscardHandler),
	}
}

func open(t *testing.T, cfg vault.Config) *vault.Store {
	t.Helper()
	s, err := vault.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Log(err)
		}
	})
	return s
}

// program opens the store of a program as a process of its own would.
func (g *grid) program(t *testing.T, role, name string) *vault.Store {
	t.Helper()
	return open(t, g.config(t, role, name))
}

// newOracle sets up an oracle that nobody had before and returns its name.
func (g *grid) newOracle(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("fresh-%d", g.fresh.Add(1))
	g.apply(t, "oracle="+name)
	return name
}
