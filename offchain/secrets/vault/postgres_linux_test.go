package vault_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/secrets/secretstest"
	"github.com/foggrid/fogd/offchain/secrets/vault/vaulttest"
)

// postgres is a server on the loopback, with a superuser for Vault and the role that the gateway's users are in.
type postgres struct{ port string }

func realPostgres(t *testing.T) *postgres {
	t.Helper()
	why := ""
	account, err := user.Lookup("postgres")
	for _, program := range []string{"initdb", "postgres", "psql"} {
		if _, err := exec.LookPath(program); err != nil {
			why = "there is no " + program + " on PATH"
		}
	}
	if err != nil || os.Geteuid() != 0 {
		why = "it needs root and a user postgres, since PostgreSQL refuses to run as root"
	}
	if why != "" {
		t.Skipf("SKIPPED: the database engine was not tried with a real PostgreSQL: %s", why)
	}
	ids := [2]int{}
	for i, text := range []string{account.Uid, account.Gid} {
		ids[i], err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	dir, err := os.MkdirTemp("", "fog-pg-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chown(dir, ids[0], ids[1]))
	as := func(program string, args ...string) *exec.Cmd {
		cmd := exec.Command(program, args...)
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(ids[0]), Gid: uint32(ids[1])}}
		return cmd
	}
	secret := filepath.Join(dir, "secret")
	require.NoError(t, os.WriteFile(secret, []byte("vault-password"), 0o600))
	require.NoError(t, os.Chown(secret, ids[0], ids[1]))
	data := filepath.Join(dir, "data")
	out, err := as("initdb", "-D", data, "-U", "vault", "-A", "scram-sha-256", "--pwfile", secret).CombinedOutput()
	require.NoError(t, err, "%s", out)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(lis.Addr().String())
	require.NoError(t, err)
	require.NoError(t, lis.Close())
	server := as("postgres", "-D", data, "-p", port, "-h", "127.0.0.1", "-k", dir)
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		require.NoError(t, server.Process.Signal(syscall.SIGINT))
		require.NoError(t, server.Wait())
	})
	p := &postgres{port: port}
	require.Eventually(t, func() bool { return p.sql("vault", "vault-password", "SELECT 1") == nil }, time.Minute, 100*time.Millisecond)
	require.NoError(t, p.sql("vault", "vault-password", "CREATE ROLE fog_gateway; CREATE TABLE jobs (id int); GRANT SELECT ON jobs TO fog_gateway;"))
	return p
}

func (p *postgres) sql(user, password, text string) error {
	cmd := exec.Command("psql", "-h", "127.0.0.1", "-p", p.port, "-U", user, "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-c", text)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+password)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// TestRealDatabase: the gateway gets a user of a real PostgreSQL from a real OpenBao or Vault, which is gone when it gives it back.
func TestRealDatabase(t *testing.T) {
	url := vaulttest.Real(t)
	p := realPostgres(t)
	g := newGrid(t, url, map[string]string{
		"database_url": "postgresql://{{username}}:{{password}}@127.0.0.1:" + p.port + "/postgres?sslmode=disable",
	})
	g.getenv = func(name string) string {
		return map[string]string{"FOG_VAULT_DATABASE_USER": "vault", "FOG_VAULT_DATABASE_PASSWORD": "vault-password"}[name]
	}
	g.apply(t, "gateway=main")
	require.Empty(t, g.plan(t, "gateway=main").Steps)
	store := g.program(t, "gateway", "main")
	secretstest.RunLeases(t, store, "postgres")

	lease, err := store.Lease(t.Context(), "postgres")
	require.NoError(t, err)
	who := lease.Credential().Fields
	require.NoError(t, p.sql(who["username"], who["password"], "SELECT * FROM jobs"))
	err = p.sql(who["username"], who["password"], "CREATE ROLE another")
	require.ErrorContains(t, err, "permission denied")
	require.NoError(t, lease.Close(t.Context()))
	require.Eventually(t, func() bool {
		err := p.sql(who["username"], who["password"], "SELECT 1")
		return err != nil && strings.Contains(err.Error(), "authentication failed")
	}, time.Minute, 100*time.Millisecond)
}
