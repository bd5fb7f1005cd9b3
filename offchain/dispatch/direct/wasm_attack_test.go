package direct

import (
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
)

// hostTargets listens where a task has no business: on the loopback, where the APIs of Nomad and Vault are, on every address of this machine, and on a
// socket like Docker's in dir. Whoever gets through is counted.
func hostTargets(t *testing.T, dir string) (addresses []string, visits *atomic.Int32) {
	t.Helper()
	visits = new(atomic.Int32)
	listen := func(network, address string) net.Addr {
		lis, err := net.Listen(network, address)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, lis.Close()) })
		go func() {
			for {
				c, err := lis.Accept()
				if err != nil {
					return
				}
				visits.Add(1)
				c.Close()
			}
		}()
		return lis.Addr()
	}
	_, port, err := net.SplitHostPort(listen("tcp", ":0").String())
	require.NoError(t, err)
	all, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range all {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLinkLocalUnicast() {
			addresses = append(addresses, net.JoinHostPort(ip.IP.String(), port))
		}
	}
	addresses = append(addresses, listen("tcp", "127.0.0.1:0").String())
	if dir != "" {
		listen("unix", filepath.Join(dir, "docker.sock"))
		require.NoError(t, os.Symlink(filepath.Join(dir, "docker.sock"), filepath.Join(dir, "link.sock")))
	}
	// They are there: this process reaches each of them.
	for _, address := range addresses {
		c, err := net.Dial("tcp", address)
		require.NoError(t, err)
		require.NoError(t, c.Close())
	}
	require.Eventually(t, func() bool { return visits.CompareAndSwap(int32(len(addresses)), 0) }, time.Minute, time.Millisecond)
	return addresses, visits
}

// TestWASMAttacks has a module ask WASI for what it must not get.
func TestWASMAttacks(t *testing.T) {
	t.Setenv("FOG_TEST_PLANTED", "planted")
	d := openDirect(t, Options{Dir: t.TempDir()})
	a := dispatchtest.WithInputs(t, dispatchtest.Assignment(dispatchtest.BuildGuest(t), 1, "attack", "reach"))
	addresses, visits := hostTargets(t, a.InputsDir)
	a.Args = append(a.Args, addresses...)
	task := dispatchtest.RunToEnd(t, d, a).Tasks[0]
	require.Equal(t, dispatch.ReasonOK, task.Reason, "%s\n%s", task.Message, dispatchtest.ReadLog(t, d, a.ID, 0))
	require.Empty(t, dispatchtest.ResultFiles(t, task))
	require.Zero(t, visits.Load())

	a.ID.Slice, a.Args = 2, []string{"report", "what it sees"}
	task = dispatchtest.RunToEnd(t, d, a).Tasks[0]
	require.NotContains(t, dispatchtest.ResultFiles(t, task)["sub/report.txt"], "planted", "the agent's environment")
}

// TestWASMAsksForMore has modules import what other runtimes offer beyond WASI preview 1: sockets to open, threads and processes.
func TestWASMAsksForMore(t *testing.T) {
	d := openDirect(t, Options{Dir: t.TempDir()})
	for i, call := range [][2]string{
		{wasi, "sock_open"}, {wasi, "sock_connect"}, {wasi, "sock_bind"}, {wasi, "sock_listen"}, {wasi, "sock_getaddrinfo"}, {wasi, "proc_spawn"}, {wasi, "proc_exec"},
		{"wasi", "thread-spawn"}, {"wasix_32v1", "sock_open"}, {"wasix_32v1", "proc_fork"}, {"wasi_unstable", "path_open"}, {"wasi:sockets/tcp@0.2.0", "connect"},
		{"wasi:http/outgoing-handler@0.2.0", "handle"}, {"env", "system"},
	} {
		a := dispatchtest.Assignment(dispatchtest.WriteModule(t, raw{imports: [][2]string{call}}.bytes()), 1)
		a.ID.Slice = uint32(i)
		task := dispatchtest.RunToEnd(t, d, a).Tasks[0]
		require.Equal(t, dispatch.ReasonBadImage, task.Reason, "%s: %s", call, task.Message)
	}
}
