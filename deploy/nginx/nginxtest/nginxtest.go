// Package nginxtest runs a real nginx for tests, on the loopback only.
package nginxtest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Program is the path of nginx; without one the test is skipped, and says so.
func Program(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("SKIPPED: no nginx on PATH; install Debian's nginx-light to test what is in front of the gateway")
	}
	return path
}

// Port is one that was free a moment ago, below those that systems give to whoever asks for any.
func Port(t testing.TB) uint16 {
	t.Helper()
	for range 100 {
		port := 20_000 + rand.Uint32N(12_000)
		lis, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		require.NoError(t, lis.Close())
		return uint16(port)
	}
	t.Fatal("no port is free between 20000 and 32000")
	return 0
}

// Write writes a whole configuration around what stands in its http context into a folder of the test, and returns its path. A "listen PORT" is at 127.0.0.1.
func Write(t testing.TB, text string) string {
	t.Helper()
	dir := t.TempDir()
	text = ports.ReplaceAllString(text, "listen 127.0.0.1:$1")
	whole := fmt.Sprintf("daemon off;\nworker_processes 1;\npid %[1]s/pid;\nerror_log %[1]s/error.log;\nevents {}\nhttp {\naccess_log %[1]s/access.log;\n"+
		"client_body_temp_path %[1]s/b;\nproxy_temp_path %[1]s/p;\nfastcgi_temp_path %[1]s/f;\nuwsgi_temp_path %[1]s/u;\nscgi_temp_path %[1]s/s;\n%[2]s}\n", dir, text)
	path := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(path, []byte(whole), 0o600))
	return path
}

var ports = regexp.MustCompile(`\blisten (?:127\.0\.0\.1:)?([0-9]+)`)

// Server is nginx that runs until its test ends.
type Server struct {
	t             testing.TB
	program, conf string
}

// Start runs nginx with what stands in its http context, and returns when it listens on each port that is named there.
func Start(t testing.TB, text string) *Server {
	t.Helper()
	s := &Server{t, Program(t), Write(t, text)}
	cmd := exec.Command(s.program, "-p", s.Dir(), "-c", s.conf)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, s.signal("stop"))
		if err := cmd.Wait(); err != nil || t.Failed() {
			log, _ := os.ReadFile(filepath.Join(s.Dir(), "error.log")) //nolint:errcheck // it may not have come that far
			t.Logf("nginx: %v\n%s", err, log)
		}
	})
	for _, port := range ports.FindAllStringSubmatch(text, -1) {
		s.await(port[1])
	}
	return s
}

// Dir is its folder, with access.log and error.log.
func (s *Server) Dir() string { return filepath.Dir(s.conf) }

// Command is what has it read its files again, as a program with arguments.
func (s *Server) Command(signal string) []string {
	return []string{s.program, "-p", s.Dir(), "-c", s.conf, "-s", signal}
}

// Reload has it read its files again. For a moment workers of before and after answer.
func (s *Server) Reload() {
	s.t.Helper()
	require.NoError(s.t, s.signal("reload"))
}

func (s *Server) signal(name string) error {
	args := s.Command(name)
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("nginx -s %s: %w: %s", name, err, out)
	}
	return nil
}

func (s *Server) await(port string) {
	s.t.Helper()
	n, err := strconv.ParseUint(port, 10, 16)
	require.NoError(s.t, err)
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", n))
		if err == nil {
			require.NoError(s.t, conn.Close())
			return
		}
		require.True(s.t, time.Now().Before(end), "nginx does not listen: %v", err)
	}
}
