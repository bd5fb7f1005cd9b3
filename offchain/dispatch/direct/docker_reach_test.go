package direct

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/docker"
	"github.com/foggrid/fogd/offchain/dispatch/firewall"
)

const (
	// testServiceNet keeps the tests' rules apart from those of an agent on this machine.
	testServiceNet = "10.238.0.0/20"

	// childListen makes the test binary listen on a port until it is killed.
	childListen = "FOG_TEST_DIRECT_LISTEN"

	// The world outside, in a network namespace of its own: a machine of the owner's network, the address by which clouds tell machines their
	// secrets, and one of the internet.
	lanHost, lanPeer, metadata, internet = "10.77.13.1", "10.77.13.2", "169.254.169.254", "198.51.100.7"
)

// listenMain accepts connections on all addresses.
func listenMain(port string) {
	lis, err := net.Listen("tcp", ":"+port)
	if err != nil {
		panic(err)
	}
	for {
		c, err := lis.Accept()
		if err != nil {
			panic(err)
		}
		c.Close()
	}
}

// outside makes the world outside and returns the port on which all of its addresses answer.
func outside(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil || os.Geteuid() != 0 {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED: %s needs root and iproute2 to make a network outside ***\n\n", t.Name())
		t.Skip("no network outside")
	}
	space, link := fmt.Sprintf("fogtest-%d", os.Getpid()), fmt.Sprintf("fogt%d", os.Getpid()%1_000_000)
	ip := func(args ...string) {
		t.Helper()
		out, err := exec.Command("ip", args...).CombinedOutput()
		require.NoError(t, err, "ip %v: %s", args, out)
	}
	ip("netns", "add", space)
	t.Cleanup(func() { ip("netns", "delete", space) })
	ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space)
	ip("address", "add", lanHost+"/24", "dev", link)
	ip("link", "set", link, "up")
	for _, a := range []string{lanPeer + "/24", metadata + "/32", internet + "/32"} {
		ip("-n", space, "address", "add", a, "dev", "eth0")
	}
	ip("-n", space, "link", "set", "lo", "up")
	ip("-n", space, "link", "set", "eth0", "up")
	ip("-n", space, "route", "add", "default", "via", lanHost)
	for _, a := range []string{metadata, internet} {
		ip("route", "add", a+"/32", "via", lanPeer)
	}
	port := strconv.Itoa(int(dispatchtest.FreePort(t, dispatch.TCP)))
	child := exec.Command("ip", "netns", "exec", space, os.Args[0])
	child.Env = append(os.Environ(), childListen+"="+port)
	require.NoError(t, child.Start())
	t.Cleanup(func() {
		require.NoError(t, child.Process.Kill())
		require.Error(t, child.Wait())
	})
	for _, a := range []string{lanPeer, metadata, internet} {
		require.Eventually(t, func() bool {
			c, err := net.DialTimeout("tcp", net.JoinHostPort(a, port), time.Second)
			return err == nil && c.Close() == nil
		}, 20*time.Second, 50*time.Millisecond, a)
	}
	return port
}

// TestDockerServicesReach has services dial what is none of their business.
func TestDockerServicesReach(t *testing.T) {
	needDocker(t)
	serviceNet, err := firewall.ParseRange(testServiceNet)
	require.NoError(t, err)
	guard, err := firewall.New(t.Context(), serviceNet)
	if err != nil {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED: %s needs iptables: %v ***\n\n", t.Name(), err)
		t.Skip("no firewall")
	}
	t.Cleanup(func() { require.NoError(t, guard.Down(context.Background())) })
	port := outside(t)
	here, err := net.Listen("tcp", ":0") // as the agent's own API would
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, here.Close()) })
	hostPort := strconv.Itoa(here.Addr().(*net.TCPAddr).Port)
	guest := dispatchtest.BuildGuestImage(t)

	serve := func(t *testing.T, f docker.Firewall, slice uint32, outbound bool) dispatch.Assignment {
		dir := t.TempDir()
		t.Cleanup(func() { requireNothingLeft(t, dir) })
		d := openDirect(t, Options{Dir: dir, Firewall: f, ServiceNet: testServiceNet})
		a := dispatchtest.ServiceAssignment(t, guest)
		a.ID.Slice, a.Service.Outbound, a.Service.Volumes = slice, outbound, nil
		require.NoError(t, d.Start(context.Background(), a))
		dispatchtest.WatchService(t, d, a.ID).Until(dispatch.ServiceHealthy)
		t.Cleanup(func() {
			require.NoError(t, d.Stop(context.Background(), a.ID))
			require.NoError(t, d.PruneImages(context.Background()))
		})
		return a
	}
	reaches := func(a dispatch.Assignment, host, port string) bool {
		_, err := dispatchtest.Ask(a, "/dial", "address", net.JoinHostPort(host, port))
		return err == nil
	}
	// The machine by each of its addresses, the service's own gateway among them.
	machine := func(t *testing.T) (all []string) {
		addrs, err := net.InterfaceAddrs()
		require.NoError(t, err)
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() {
				all = append(all, p.Addr().String())
			}
		}
		return all
	}
	t.Run("without rules the owner's network is open", func(t *testing.T) {
		a := serve(t, nil, 1, true)
		require.True(t, reaches(a, internet, port))
		require.True(t, reaches(a, lanPeer, port))
		require.True(t, reaches(a, lanHost, hostPort))
	})
	t.Run("with them only the internet is", func(t *testing.T) {
		neighbour := serve(t, guard, 2, false)
		a := serve(t, guard, 3, true)
		require.True(t, reaches(a, internet, port), "what is allowed")
		require.False(t, reaches(a, lanPeer, port), "the owner's network")
		require.False(t, reaches(a, metadata, port), "the cloud's metadata")
		for _, address := range append(machine(t), "127.0.0.1") { // on the loopback are the APIs of Nomad and Vault
			require.False(t, reaches(a, address, hostPort), "the machine at %s", address)
		}
		require.False(t, reaches(a, lanHost, strconv.Itoa(int(neighbour.Service.Ports[0].Host))), "another service")
		for _, at := range []struct{ host, port string }{{internet, port}, {lanPeer, port}, {metadata, port}, {lanHost, hostPort}} {
			require.False(t, reaches(neighbour, at.host, at.port), "a service that may open nothing reaches %s", at.host)
		}
		c, err := net.DialTimeout("tcp", net.JoinHostPort(lanHost, strconv.Itoa(int(a.Service.Ports[0].Host))), 5*time.Second)
		require.NoError(t, err, "it is still reached from outside")
		require.NoError(t, c.Close())
	})
}

// TestDockerServicesAttack has a service do its worst inside.
func TestDockerServicesAttack(t *testing.T) {
	needDocker(t)
	dir := t.TempDir()
	d := openDirect(t, Options{Dir: dir, RestartMin: 50 * time.Millisecond})
	t.Cleanup(func() { require.NoError(t, d.PruneImages(context.Background())) })
	a := dispatchtest.ServiceAssignment(t, dispatchtest.BuildGuestImage(t))
	a.MemoryMiB = 1024 // so that the number of processes is what stops a fork bomb
	require.NoError(t, d.Start(context.Background(), a))
	w := dispatchtest.WatchService(t, d, a.ID)
	w.Until(dispatch.ServiceHealthy)
	status, err := dispatchtest.Ask(a, "/get", "path", "/proc/self/status")
	require.NoError(t, err)
	for _, line := range []string{`CapEff:\s+0+\n`, `CapBnd:\s+0+\n`, `NoNewPrivs:\s+1\n`, `Seccomp:\s+2\n`, `Uid:\s+65532\s`} {
		require.Regexp(t, line, status)
	}
	for _, path := range []string{"/file", "/etc/file", "/proc/sys/kernel/core_pattern", "/sys/file", "/in"} {
		_, err := dispatchtest.Ask(a, "/put", "path", path, "text", "x")
		require.Error(t, err, path)
	}
	_, err = dispatchtest.Ask(a, "/fill", "path", "/tmp/large") // memory, of which it has no more than its limit
	require.Error(t, err)
	require.Equal(t, dispatch.ReasonMemory, w.Until(dispatch.ServiceRestarting).Reason)
	w.Until(dispatch.ServiceHealthy)
	started, err := dispatchtest.Ask(a, "/fork")
	require.NoError(t, err)
	require.Less(t, started, float64(512))
	require.Greater(t, started, float64(10))
	require.NoError(t, d.Stop(context.Background(), a.ID))
	requireNothingLeft(t, dir)
}

// TestDockerManyNetworks makes more networks than the daemon's own pools hold.
func TestDockerManyNetworks(t *testing.T) {
	daemon := dispatchtest.StartDaemon(t)
	e, err := docker.New(docker.Options{Host: daemon.Host, Owner: t.Name(), ServiceNet: testServiceNet})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	const services = 120
	a := dispatch.Assignment{ID: dispatch.AttemptID{Job: "job1many"}, Service: &dispatch.Service{Outbound: true}}
	for i := range uint32(services) {
		a.ID.Slice = i
		require.NoError(t, e.Prepare(context.Background(), docker.Task{Assignment: a}), "network %d", i)
	}
	require.NoError(t, e.Sweep(context.Background(), func(string) bool { return false }))
}
