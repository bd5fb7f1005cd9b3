package direct

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/image"
)

// TestDockerAttacks lets a container do its worst.
func TestDockerAttacks(t *testing.T) {
	needDocker(t)
	guest := dispatchtest.BuildGuestImage(t)
	volumes := dispatchtest.ChangeImage(t, guest, func(c *image.Config) {
		c.Config.Volumes = map[string]struct{}{"/data": {}, "/out": {}, "tmp/": {}}
	})
	dir := t.TempDir()
	d, closeIt := openDocker(t, dir)
	defer closeIt()
	slice := uint32(0)
	attack := func(t *testing.T, m dispatchtest.Module, how string, targets ...string) dispatch.TaskOutcome {
		a := dispatchtest.WithInputs(t, dispatchtest.Assignment(m, 1, append([]string{"attack", how}, targets...)...))
		if how == "fork" {
			a.MemoryMiB = 2048 // so that the number of processes is what stops it
		}
		slice++
		a.ID.Slice = slice
		task := dispatchtest.RunToEnd(t, d, a).Tasks[0]
		t.Logf("%s: %s\n%.2000s", task.Reason, task.Message, dispatchtest.ReadLog(t, d, a.ID, 0))
		content, err := os.ReadFile(filepath.Join(a.InputsDir, "input.txt"))
		require.NoError(t, err)
		require.Equal(t, "input", string(content))
		return task
	}
	t.Run("fork bomb", func(t *testing.T) {
		task := attack(t, guest, "fork")
		require.Equal(t, dispatch.ReasonOK, task.Reason)
		started, err := strconv.Atoi(dispatchtest.ResultFiles(t, task)["started"])
		require.NoError(t, err)
		require.Less(t, started, 512)
	})
	t.Run("fill /tmp", func(t *testing.T) { require.Equal(t, dispatch.ReasonMemory, attack(t, guest, "tmp").Reason) })
	t.Run("fill shared memory", func(t *testing.T) {
		require.Contains(t, []dispatch.Reason{dispatch.ReasonMemory, dispatch.ReasonExit}, attack(t, guest, "shm").Reason)
	})
	t.Run("fill a volume of the image", func(t *testing.T) { require.Equal(t, dispatch.ReasonMemory, attack(t, volumes, "data").Reason) })
	t.Run("reach the host", func(t *testing.T) {
		addresses, visits := hostTargets(t, "")
		require.Equal(t, dispatch.ReasonOK, attack(t, guest, "reach", addresses...).Reason)
		require.Zero(t, visits.Load())
	})
	requireNothingLeft(t, dir)
}
