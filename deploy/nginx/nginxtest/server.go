// Package nginxtest runs a real nginx for tests, where there is one.
package nginxtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Server is an nginx that runs until its test ends.
type Server struct {
	program, dir string
}

// Start has nginx serve what stands in an http block, which must listen on the address, and keeps its logs in the folder. The test is skipped
// without nginx.
func Start(t *testing.T, dir, address, http string) *Server {
	t.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("SKIPPED: no nginx on PATH; install Debian's nginx-light to try a real proxy")
	}
	s := &Server{program, dir}
	text := fmt.Sprintf(`pid %[1]s/pid; error_log %[1]s/error.log warn; daemon off; worker_processes 1; events {}
http { access_log %[1]s/access.log; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
%[2]s
}
`, dir, http)
	require.NoError(t, os.WriteFile(s.file(), []byte(text), 0o600))
	cmd := exec.Command(program, "-q", "-p", dir, "-c", s.file())
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		if err := cmd.Wait(); err != nil || t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "error.log")) //nolint:errcheck // it may not have come that far
			t.Logf("nginx: %v\n%s", err, log[max(0, len(log)-4000):])
		}
	})
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", address)
		return err == nil && conn.Close() == nil
	}, time.Minute, 20*time.Millisecond, "nginx does not listen")
	return s
}

func (s *Server) file() string { return filepath.Join(s.dir, "nginx.conf") }

// ReloadCommand has it read its files again.
func (s *Server) ReloadCommand() []string {
	return []string{s.program, "-p", s.dir, "-c", s.file(), "-s", "reload"}
}

// Reload runs that command.
func (s *Server) Reload(t *testing.T) {
	t.Helper()
	words := s.ReloadCommand()
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	require.NoError(t, err, string(out))
}

// FreeAddress is one of the loopback on which nobody listens now.
func FreeAddress(t *testing.T) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := lis.Addr().String()
	require.NoError(t, lis.Close())
	return address
}
