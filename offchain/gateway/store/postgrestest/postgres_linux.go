// Package postgrestest starts a real PostgreSQL on the loopback for tests.
package postgrestest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Superuser and Password are those of the server's administrator.
const (
	Superuser = "vault"
	Password  = "vault-password"
)

// Server is a PostgreSQL with the role fog_gateway, which owns the database fog.
type Server struct {
	// Port on 127.0.0.1.
	Port string
}

// Start starts one until the test ends. The test is skipped if there is none on PATH, or it cannot run here.
func Start(t *testing.T) *Server {
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
		t.Skipf("SKIPPED: nothing was tried with a real PostgreSQL: %s", why)
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
	require.NoError(t, os.WriteFile(secret, []byte(Password), 0o600))
	require.NoError(t, os.Chown(secret, ids[0], ids[1]))
	data := filepath.Join(dir, "data")
	out, err := as("initdb", "-D", data, "-U", Superuser, "-A", "scram-sha-256", "--pwfile", secret).CombinedOutput()
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
	s := &Server{Port: port}
	require.Eventually(t, func() bool { return s.SQL(Superuser, Password, "SELECT 1") == nil }, time.Minute, 100*time.Millisecond)
	require.NoError(t, s.SQL(Superuser, Password, "CREATE ROLE fog_gateway"))
	require.NoError(t, s.SQL(Superuser, Password, "CREATE DATABASE fog OWNER fog_gateway"))
	return s
}

// URL of the database fog, without a user.
func (s *Server) URL() string { return "postgres://127.0.0.1:" + s.Port + "/fog?sslmode=disable" }

// SQL runs statements in the database postgres as a user.
func (s *Server) SQL(user, password, text string) error {
	cmd := exec.Command("psql", "-h", "127.0.0.1", "-p", s.Port, "-U", user, "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-c", text)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+password)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
