// Package pgtest runs a real PostgreSQL for tests, on the loopback and in a folder of its own.
package pgtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Admin is the superuser.
const Admin, AdminPassword = "vault", "vault-password"

// debian is where Debian has the programs of a server, which are not on PATH there.
const debian = "/usr/lib/postgresql/*/bin"

// Server is a PostgreSQL that runs until the test ends.
type Server struct {
	Port string

	dir     string
	bin     string
	account syscall.Credential
	running *exec.Cmd
}

// Start makes a server, or skips the test where there is none to be had; what says what is not tested then.
func Start(t testing.TB, what string) *Server {
	t.Helper()
	s := &Server{bin: programs()}
	account, err := user.Lookup("postgres")
	switch {
	case s.bin == "":
		t.Skipf("SKIPPED: %s was not tried with a real PostgreSQL: there is no initdb on PATH or in %s", what, debian)
	case err != nil || os.Geteuid() != 0:
		t.Skipf("SKIPPED: %s was not tried with a real PostgreSQL: it needs root and a user postgres, since PostgreSQL refuses to run as root", what)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	require.NoError(t, err)
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	require.NoError(t, err)
	s.account = syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	s.dir, err = os.MkdirTemp("", "fog-pg-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(s.dir)) })
	secret := filepath.Join(s.dir, "secret")
	require.NoError(t, os.WriteFile(secret, []byte(AdminPassword), 0o600))
	for _, path := range []string{s.dir, secret} {
		require.NoError(t, os.Chown(path, int(uid), int(gid)))
	}
	out, err := s.command("initdb", "--no-sync", "-D", s.data(), "-U", Admin, "-A", "scram-sha-256", "--pwfile", secret).CombinedOutput()
	require.NoError(t, err, "%s", out)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, s.Port, err = net.SplitHostPort(lis.Addr().String())
	require.NoError(t, err)
	require.NoError(t, lis.Close())
	s.Up(t)
	t.Cleanup(func() { s.Down(t) })
	return s
}

// programs is the folder of the newest server's programs, empty if there is none.
func programs() string {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil { // beside it are the others
			return filepath.Dir(path)
		}
	}
	found, err := filepath.Glob(filepath.Join(debian, "initdb"))
	if err != nil || len(found) == 0 {
		return ""
	}
	return filepath.Dir(slices.Max(found))
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, program), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &s.account}
	return cmd
}

// Up starts the server after Down, and waits for it.
func (s *Server) Up(t testing.TB) {
	t.Helper()
	s.running = s.command("postgres", "-D", s.data(), "-p", s.Port, "-h", "127.0.0.1", "-k", s.dir, "-c", "fsync=off")
	require.NoError(t, s.running.Start())
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		assert.NoError(t, s.SQL("postgres", Admin, AdminPassword, "SELECT 1"))
	}, time.Minute, 100*time.Millisecond)
}

// Down stops the server, which ends all connections.
func (s *Server) Down(t testing.TB) {
	t.Helper()
	if s.running == nil {
		return
	}
	require.NoError(t, s.running.Process.Signal(syscall.SIGINT))
	require.NoError(t, s.running.Wait())
	s.running = nil
}

// SQL runs statements in a database.
func (s *Server) SQL(database, user, password, text string) error {
	cmd := exec.Command(filepath.Join(s.bin, "psql"), "-h", "127.0.0.1", "-p", s.Port, "-U", user, "-d", database, "-v", "ON_ERROR_STOP=1", "-c", text)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+password)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// URL is where a database is.
func (s *Server) URL(database string) string {
	return "postgresql://127.0.0.1:" + s.Port + "/" + database + "?sslmode=disable"
}
