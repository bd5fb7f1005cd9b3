package direct

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/docker"
	"github.com/foggrid/fogd/offchain/dispatch/docker/dockertest"
	"github.com/foggrid/fogd/offchain/dispatch/volume"
)

// needDocker skips the test, loudly, where no Docker Engine answers.
func needDocker(t testing.TB) {
	t.Helper()
	e, err := docker.New(docker.Options{Owner: t.Name()})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	if err := e.Probe(context.Background()); err != nil {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED: %s needs a Docker Engine: %v ***\n\n", t.Name(), err)
		t.Skip("no Docker Engine")
	}
}

// openServices is openDocker with short pauses, on the engine at a host.
func openServices(host string, disk volume.Disk) dispatchtest.Open {
	return func(t testing.TB, dir string) (dispatch.Dispatcher, func()) {
		t.Cleanup(func() {
			e, err := docker.New(docker.Options{Host: host, Owner: dir})
			require.NoError(t, err)
			require.NoError(t, e.Sweep(context.Background(), func(string) bool { return false }))
			require.NoError(t, e.Prune(context.Background(), true))
			require.NoError(t, e.Close())
		})
		d := openDirect(t, Options{Dir: dir, DockerHost: host, RestartMin: 50 * time.Millisecond, Disk: disk})
		return d, func() { require.NoError(t, d.Close()) }
	}
}

// needLoop is the disk of this machine; without one the test is skipped, loudly.
func needLoop(t testing.TB) volume.Disk {
	t.Helper()
	disk, err := volume.NewLoop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED: %s needs loop devices: %v ***\n\n", t.Name(), err)
		t.Skip("no loop devices")
	}
	return disk
}

// TestServices drives a stand-in that runs programs and confines nothing.
func TestServices(t *testing.T) {
	e := dockertest.New(t)
	dispatchtest.RunServices(t, openServices(e.Host, nil), dispatchtest.ServiceOptions{})
	require.Empty(t, e.Left())
}

func TestServicesOnDisk(t *testing.T) {
	e := dockertest.New(t)
	dispatchtest.RunServices(t, openServices(e.Host, dockertest.Disk{}), dispatchtest.ServiceOptions{
		Disk: true, RestartDaemon: func(t testing.TB) { require.NoError(t, e.Restart()) },
	})
	require.Empty(t, e.Left())
}

func TestDockerServices(t *testing.T) {
	needDocker(t)
	dispatchtest.RunServices(t, openServices("", nil), dispatchtest.ServiceOptions{Confined: true})
}

func TestDockerServicesOnDisk(t *testing.T) {
	needDocker(t)
	dispatchtest.RunServices(t, openServices("", needLoop(t)), dispatchtest.ServiceOptions{Confined: true, Disk: true})
}

func TestDockerDaemonRestart(t *testing.T) {
	disk, daemon := needLoop(t), dispatchtest.StartDaemon(t)
	dispatchtest.RunDaemonRestart(t, openServices(daemon.Host, disk), daemon.Restart)
}

// openDocker is open for tests that leave images behind unless they are removed.
func openDocker(t testing.TB, dir string) (dispatch.Dispatcher, func()) {
	d := openDirect(t, Options{Dir: dir})
	return d, func() {
		require.NoError(t, d.Close())
		e, err := docker.New(docker.Options{Owner: dir})
		require.NoError(t, err)
		require.NoError(t, e.Prune(context.Background(), true))
		require.NoError(t, e.Close())
	}
}

func TestDockerConformance(t *testing.T) {
	needDocker(t)
	dispatchtest.RunDocker(t, openDocker)
}

// requireNothingLeft looks for containers and volumes of the dispatcher in dir.
func requireNothingLeft(t *testing.T, dir string) {
	t.Helper()
	owner := sha256.Sum256([]byte(dir))
	mine := make(client.Filters).Add("label", "io.foggrid.scope="+hex.EncodeToString(owner[:6]))
	api, err := client.New(client.FromEnv)
	require.NoError(t, err)
	defer func() { require.NoError(t, api.Close()) }()
	containers, err := api.ContainerList(context.Background(), client.ContainerListOptions{All: true, Filters: mine})
	require.NoError(t, err)
	require.Empty(t, containers.Items)
	volumes, err := api.VolumeList(context.Background(), client.VolumeListOptions{Filters: mine})
	require.NoError(t, err)
	require.Empty(t, volumes.Items)
	networks, err := api.NetworkList(context.Background(), client.NetworkListOptions{Filters: mine})
	require.NoError(t, err)
	require.Empty(t, networks.Items)
}

// BenchmarkContainerStart is what a task costs that does nothing, with a loaded image, as many at a time as the processors hold.
func BenchmarkContainerStart(b *testing.B) {
	needDocker(b)
	guest := dispatchtest.BuildGuestImage(b)
	d, closeIt := openDocker(b, b.TempDir())
	defer closeIt()
	const tasks = 8
	warm := dispatchtest.Assignment(guest, 1, "exit", "0")
	dispatchtest.RunToEnd(b, d, warm)
	attempt := warm.ID.Attempt
	for b.Loop() {
		attempt++
		a := dispatchtest.Assignment(guest, tasks, "exit", "0")
		a.ID.Attempt = attempt
		dispatchtest.RunToEnd(b, d, a)
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(tasks*b.N), "ms/task")
}

// BenchmarkServiceStart is how long a service takes from its start to its first process, and from its stop to nothing left, with a loaded
// image, a network and a volume.
func BenchmarkServiceStart(b *testing.B) {
	needDocker(b)
	guest := dispatchtest.BuildGuestImage(b)
	d, closeIt := openDocker(b, b.TempDir())
	defer closeIt()
	services := d.(dispatch.Services)
	a := dispatchtest.ServiceAssignment(b, guest)
	a.Service.Health = dispatch.Health{Kind: dispatch.HealthNone}
	once := func() (start, stop time.Duration) {
		a.ID.Attempt++
		began := time.Now()
		require.NoError(b, d.Start(b.Context(), a))
		dispatchtest.WatchService(b, services, a.ID).Until(dispatch.ServiceHealthy)
		ready := time.Now()
		require.NoError(b, d.Stop(b.Context(), a.ID))
		return ready.Sub(began), time.Since(ready)
	}
	once() // loads the image
	var start, stop time.Duration
	for b.Loop() {
		up, down := once()
		start, stop = start+up, stop+down
	}
	b.ReportMetric(float64(start.Milliseconds())/float64(b.N), "ms/start")
	b.ReportMetric(float64(stop.Milliseconds())/float64(b.N), "ms/stop")
}
