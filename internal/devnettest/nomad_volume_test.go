//go:build linux

package devnettest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/agent/nomadclient"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/hostvolume"
	"github.com/foggrid/fogd/offchain/dispatch/volume"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// volumesOf is a client's folder of volumes.
func volumesOf(dir string) string { return filepath.Join(dir, "data", "host_volumes") }

// installPlugin has a client that starts in dir make volumes on disk, by fog itself.
func installPlugin(t *testing.T, dir string) {
	command := []string{filepath.Join(programs(t), "fog"), "--home", t.TempDir(), "agent", "volume-plugin"}
	require.NoError(t, nomadclient.WritePlugin(filepath.Join(dir, "data", "host_volume_plugins"), command))
}

// giveBack gives back the devices of volumes that a test which failed left.
func giveBack(t *testing.T, dir string) {
	files, err := filepath.Glob(filepath.Join(volumesOf(dir), "fog", "*", "*.img"))
	require.NoError(t, err)
	if len(files) == 0 {
		return
	}
	loop, err := volume.NewLoop()
	require.NoError(t, err)
	for _, file := range files {
		require.NoError(t, loop.Detach(file))
	}
}

// startEvents asks what happened to a job, as its owner does; the returned function waits for the end of that, and tells what came from the node.
func (g *grid) startEvents(t *testing.T, id string, args ...string) (wait func() []string) {
	t.Helper()
	var out, notes bytes.Buffer
	cmd := g.command(g.net.DeveloperHome(), append([]string{"job", "events", id}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &notes
	require.NoError(t, cmd.Start())
	return func() (node []string) {
		t.Helper()
		require.NoError(t, cmd.Wait(), "%s", &notes)
		for d := json.NewDecoder(&out); ; {
			var e struct {
				From string `json:"from"`
				dispatch.Event
			}
			err := d.Decode(&e)
			if errors.Is(err, io.EOF) {
				return node
			}
			require.NoError(t, err)
			if e.From == "node" {
				node = append(node, e.Event.Event)
			}
		}
	}
}

// tells checks that the owner sees what Nomad tells of the service's allocation.
func (h *host) tells(t *testing.T) {
	until(t, "the allocation's events", func() bool {
		told := h.startEvents(t, h.id)()
		return slices.Contains(told, "Received") && slices.Contains(told, "Started")
	})
}

// keeps runs a service with a volume over an update to its end.
func (h *host) keeps(t *testing.T, dir string) {
	if _, err := volume.NewLoop(); err != nil {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED %s: volumes on disk are not tested: %v ***\n\n", t.Name(), err)
		t.Skip("no loop devices")
	}
	file := func(word string) string {
		raw, err := os.ReadFile(h.serviceFile(t, word))
		require.NoError(t, err)
		path := filepath.Join(h.work, word+"-kept.yaml")
		text := strings.Replace(string(raw), "storage: 1MiB", "storage: 16MiB", 1) + "volumes: [{name: data, path: /data, size: 8MiB}]\n"
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	var out struct {
		JobID string `json:"job_id"`
	}
	h.developer(t, &out, "job", "submit", file("one"))
	h.id = out.JobID
	h.serving(t, 1, 1)
	at := filepath.Join(volumesOf(dir), hostvolume.Volume{Replica: dispatch.Replica{Job: h.id}, Name: "data"}.ID())
	device, err := hostvolume.System{}.Mounted(at)
	require.NoError(t, err)
	require.Contains(t, device, "/dev/loop")
	kept := filepath.Join(at, "kept")
	require.NoError(t, os.WriteFile(kept, []byte("kept"), 0o644))

	h.developer(t, nil, "job", "update", h.id, file("two"))
	h.serving(t, 1, 2)
	require.Equal(t, []string{"hello two\n"}, h.ask(t))
	require.FileExists(t, kept)

	followed := h.startEvents(t, h.id, "--follow")
	until(t, "the events to be followed", func() bool { return slices.Contains(h.startEvents(t, h.id)(), "Started") })
	h.developer(t, nil, "job", "cancel", h.id)
	until(t, "the service to end", func() bool { return h.job(t, h.id).Status == jobstypes.JOB_STATUS_CLOSED })
	until(t, "the volume to be wiped", func() bool {
		left, err := os.ReadDir(filepath.Join(volumesOf(dir), "fog"))
		require.NoError(t, err)
		return len(left) == 1 // the lock
	})
	require.NoDirExists(t, at)
	require.Contains(t, followed(), "Started", "it ended with the job")
}
