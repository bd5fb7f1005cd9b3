package nomad_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/hostvolume"
	"github.com/foggrid/fogd/offchain/dispatch/volume"
)

// pluginMain is the plugin for volumes.
func pluginMain() {
	disk, err := volume.NewLoop()
	if err == nil {
		err = hostvolume.Plugin{Disk: disk, Mount: hostvolume.System{}}.Run(context.Background(), os.Getenv, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// realVolumes is a cluster whose client has the plugin, or skips the test and says so loudly.
func realVolumes(t *testing.T) *cluster {
	networks(t)
	c := realNomad(t)
	loop, err := volume.NewLoop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED %s: volumes on disk are not tested: %v ***\n\n", t.Name(), err)
		t.Skip("no loop devices")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	dir := c.file("client/host_volume_plugins")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, hostvolume.Name), fmt.Appendf(nil, "#!/bin/sh\nexec %q\n", self), 0o755))
	t.Cleanup(func() {
		for _, file := range c.volumeFiles(t) {
			require.NoError(t, loop.Detach(file)) // for good when the cluster's mounts are gone
		}
	})
	c.restartClient(t)
	return c
}

func (c *cluster) restartClient(t *testing.T) {
	kill(t, c.client)
	c.startClient(t)
	c.eventually(t, "the client with its plugin", func() bool {
		nodes, _, err := c.api.Nodes().List(nil)
		if err != nil || len(nodes) != 1 || nodes[0].Status != api.NodeStatusReady {
			return false
		}
		n, _, err := c.api.Nodes().Info(nodes[0].ID, nil)
		return err == nil && n.Attributes["plugins.host_volume.fog.version"] != "" && n.Drivers["docker"].Healthy
	})
}

// volumeFiles are the files behind volumes on the client.
func (c *cluster) volumeFiles(t *testing.T) []string {
	files, err := filepath.Glob(c.file("client/host_volumes/fog/*/*.img"))
	require.NoError(t, err)
	return files
}

// wiper makes a dispatcher one that the suite can have wipe volumes.
type wiper struct{ *nomad.Dispatcher }

func (w wiper) Volumes() (list []dispatch.Replica, err error) {
	kept, err := w.KeptVolumes(context.Background())
	for _, v := range kept {
		list = append(list, v.Replica)
	}
	return list, err
}

func (w wiper) Wipe(ctx context.Context, r dispatch.Replica) error {
	kept, err := w.KeptVolumes(ctx)
	for _, v := range kept {
		if v.Replica == r {
			err = errors.Join(err, w.WipeVolume(ctx, v))
		}
	}
	return err
}

// volumePolicy is what docs/nomad.md says that a token needs beside oraclePolicy where clients have the plugin.
const volumePolicy = `
namespace "%s" {
  capabilities = ["list-jobs", "read-job", "submit-job", "read-fs", "host-volume-create", "host-volume-read", "host-volume-delete"]
}
node { policy = "read" }
agent { policy = "read" }
host_volume "fog-*" { policy = "write" }
`

// openIn opens dispatchers in one namespace, since a volume's name is taken on its client, with no more rights than they need.
func (c *cluster) openIn(t *testing.T, dir string) *nomad.Dispatcher {
	o := c.options(t, dir)
	o.LookEvery = 500 * time.Millisecond
	o.Regions = slices.Clone(o.Regions)
	o.Regions[0].Token = c.newToken(t, fmt.Sprintf(volumePolicy, api.DefaultNamespace)).SecretID
	o.Place = func(context.Context, dispatch.AttemptID) (nomad.Placement, error) {
		return nomad.Placement{Node: testNode, Region: testRegion, Height: 7}, nil
	}
	return openNomad(t, o)
}

// TestRealVolumes: volumes have a size, outlive container, attempt, client and mount, and are gone when they are wiped.
func TestRealVolumes(t *testing.T) {
	c := realVolumes(t)
	t.Run("Replicas", func(t *testing.T) {
		dispatchtest.RunVolumes(t, func(_ testing.TB, dir string) (dispatch.Dispatcher, func()) {
			d := c.openIn(t, dir)
			return wiper{d}, func() { require.NoError(t, d.Close()) }
		})
		require.Empty(t, c.volumeFiles(t))
	})
	if t.Failed() {
		return
	}
	d := c.openIn(t, t.TempDir())
	a := dispatchtest.ServiceAssignment(t, dispatchtest.BuildGuestImage(t))
	a.StorageMiB, a.ID.Slice = 16, 10
	start := func(a dispatch.Assignment) *dispatchtest.Watcher {
		t.Helper()
		require.NoError(t, d.Start(t.Context(), a))
		w := dispatchtest.WatchService(t, d, a.ID)
		w.Until(dispatch.ServiceHealthy)
		return w
	}
	ask := func(a dispatch.Assignment, path string, query ...string) any {
		t.Helper()
		answer, err := dispatchtest.Ask(a, path, query...)
		require.NoError(t, err)
		return answer
	}
	next := func(mib uint32) dispatch.Assignment {
		require.NoError(t, d.Stop(t.Context(), a.ID))
		require.NoError(t, d.Remove(t.Context(), a.ID))
		a.ID.Slice++
		service := *a.Service
		service.Volumes = []dispatch.Volume{{Name: "data", Path: "/data", SizeMiB: mib}}
		a.Service = &service
		return a
	}
	w := start(a)
	ask(a, "/put", "path", "/data/kept", "text", "kept")

	kept, err := d.KeptVolumes(t.Context())
	require.NoError(t, err)
	require.Len(t, kept, 1)
	require.Equal(t, hostvolume.Volume{
		Replica: dispatch.Replica{Job: a.ID.Job}, Name: "data", Node: testNode, Height: 7, MiB: 4, LimitMiB: 16,
	}, kept[0].Volume)
	at := c.file("client/host_volumes/" + kept[0].Volume.ID())
	require.Less(t, fill(t, filepath.Join(at, "full")), 4<<20)
	require.NoError(t, os.Remove(filepath.Join(at, "full")))

	allocs, _, err := c.api.Jobs().Allocations(nomad.JobID(a.ID, testNode), false, nil)
	require.NoError(t, err)
	out, err := exec.Command("sh", "-c", "docker kill $(docker ps -q --filter name=run-"+allocs[0].ID+")").CombinedOutput()
	require.NoError(t, err, "%s", out)
	w.Until(dispatch.ServiceRestarting)
	w.Until(dispatch.ServiceHealthy)
	require.Equal(t, "kept", ask(a, "/get", "path", "/data/kept"), "over another container")

	c.restartClient(t)
	require.Equal(t, "kept", ask(a, "/get", "path", "/data/kept"), "over another client")
	require.Error(t, d.WipeVolume(t.Context(), kept[0]), "it is in use")

	a = next(8)
	start(a)
	require.Equal(t, "kept", ask(a, "/get", "path", "/data/kept"), "when it grew")
	require.Greater(t, fill(t, filepath.Join(at, "full")), 4<<20)
	require.NoError(t, os.Remove(filepath.Join(at, "full")))
	a = next(4)
	start(a)
	require.Equal(t, "kept", ask(a, "/get", "path", "/data/kept"), "when it shrank")

	a = next(4)
	kill(t, c.client) // as when the machine starts anew
	require.NoError(t, hostvolume.System{}.Unmount(at))
	c.restartClient(t)
	start(a)
	require.Equal(t, "kept", ask(a, "/get", "path", "/data/kept"), "over another mount")

	a = next(4)
	a.Service.Volumes = append(a.Service.Volumes, dispatch.Volume{Name: "more", Path: "/more", SizeMiB: 12})
	a.Service.Volumes[0].Name = "other"
	require.ErrorIs(t, d.Start(t.Context(), a), nomad.ErrVolumesFull)

	require.NoError(t, d.WipeVolume(t.Context(), kept[0]))
	require.NoError(t, d.WipeVolume(t.Context(), kept[0]), "somebody else was first")
	require.Empty(t, c.volumeFiles(t))
	require.NoDirExists(t, at)
	kept, err = d.KeptVolumes(t.Context())
	require.NoError(t, err)
	require.Empty(t, kept)
}

// fill writes a file until there is no more room, and returns how much went in.
func fill(t *testing.T, file string) int {
	f, err := os.Create(file)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	for n := 0; n < 1<<30; n += 64 << 10 {
		if _, err := f.Write(make([]byte, 64<<10)); err != nil {
			return n
		}
	}
	t.Fatal("there is no limit")
	return 0
}
