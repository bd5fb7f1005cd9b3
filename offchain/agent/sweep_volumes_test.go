package agent

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/docker/dockertest"
	"github.com/foggrid/fogd/offchain/dispatch/volume"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// TestVolumesGoWithTheReplica: volumes stay as long as the chain has any slice of their replica on the node, and not longer.
func TestVolumesGoWithTheReplica(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	store, err := volume.Open(filepath.Join(dir, "dispatch", "volumes"), dockertest.Disk{})
	require.NoError(t, err)
	job := w.job(testJob, 2, "report")
	put := func(task uint32) string {
		_, err := store.Attach(t.Context(), dispatch.Replica{Job: job.Id, Task: task}, []dispatch.Volume{{Name: "data", SizeMiB: 1}}, 1)
		require.NoError(t, err)
		files, err := filepath.Glob(filepath.Join(dir, "dispatch", "volumes", job.Id+"_t"+string(rune('0'+task)), "data.img"))
		require.NoError(t, err)
		require.Len(t, files, 1)
		return files[0]
	}
	kept, stray := put(1), put(0)
	gone := func(file string) bool {
		_, err := os.Stat(file)
		return os.IsNotExist(err)
	}
	before := w.match(job, 4, 1, 1)
	p := w.run(dir)
	eventually(t, "the stray volume to go", func() bool { return gone(stray) })
	w.change(func() { // the chain updates the replica on its node
		w.slice(before.Job, before.Slice).Status = jobstypes.SLICE_STATUS_SETTLED
		after := *w.slice(before.Job, before.Slice)
		after.Number, after.Status = 5, jobstypes.SLICE_STATUS_MATCHED
		w.slices = append(w.slices, after)
	})
	again := put(0)
	eventually(t, "another stray volume to go", func() bool { return gone(again) })
	require.FileExists(t, kept)
	w.edit(dispatch.AttemptID{Job: job.Id, Slice: 5}, func(s *jobstypes.Slice) { s.Status = jobstypes.SLICE_STATUS_SETTLED })
	eventually(t, "the volume to go with its replica", func() bool { return gone(kept) })
	p.stop()
}
