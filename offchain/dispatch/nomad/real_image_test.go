package nomad_test

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/image"
)

// TestRealImages: container images keep the promises of package dispatch, as far as a container can, and let nobody out.
func TestRealImages(t *testing.T) {
	c := realNomad(t)
	dispatchtest.RunDocker(t, c.open, dispatchtest.WithRelease(c.release), dispatchtest.WithCheckedImages())
	guest := dispatchtest.BuildGuestImage(t)
	volumes := dispatchtest.ChangeImage(t, guest, func(c *image.Config) {
		c.Config.Volumes = map[string]struct{}{"/data": {}, "/out": {}, "tmp/": {}}
	})
	d := openNomad(t, c.options(t, t.TempDir()))
	slice := uint32(0)
	attack := func(t *testing.T, m dispatchtest.Module, how string) (dispatch.TaskOutcome, string) {
		a := dispatchtest.WithInputs(t, dispatchtest.Assignment(m, 1, "attack", how))
		if how == "fork" {
			a.MemoryMiB = 2048 // so that the number of processes is what stops it
		}
		slice++
		a.ID.Slice = slice
		task := dispatchtest.RunToEnd(t, d, a).Tasks[0]
		log := dispatchtest.ReadLog(t, d, a.ID, 0)
		t.Logf("%s: %s\n%.2000s", task.Reason, task.Message, log)
		return task, log
	}
	t.Run("fork bomb", func(t *testing.T) {
		task, _ := attack(t, guest, "fork")
		require.Equal(t, dispatch.ReasonOK, task.Reason)
		started, err := strconv.Atoi(dispatchtest.ResultFiles(t, task)["started"])
		require.NoError(t, err)
		require.Less(t, started, 512)
	})
	for name, how := range map[string]string{"fill tmp": "tmp", "fill a volume of the image": "data"} {
		t.Run(name, func(t *testing.T) {
			task, _ := attack(t, volumes, how)
			require.Equal(t, dispatch.ReasonMemory, task.Reason)
		})
	}
	t.Run("reach the host", func(t *testing.T) {
		_, log := attack(t, guest, "reach")
		require.Contains(t, []string{"", "reached: see other processes\n"}, log, "but for the first process of its own container")
	})
	t.Run("reach the runner", func(t *testing.T) {
		task, log := attack(t, guest, "runner")
		require.Equal(t, dispatch.ReasonOK, task.Reason, log)
	})
}

// TestRealPull: a registry that asks who pulls gets the job's own user; what cannot be pulled has not been started.
func TestRealPull(t *testing.T) {
	c := realNomad(t)
	guest := dispatchtest.BuildGuestImage(t)
	o := c.options(t, t.TempDir())
	picture, err := c.images.locate(t.Context(), dispatchtest.Assignment(guest, 1))
	require.NoError(t, err)
	o.Locate = func(context.Context, dispatch.Assignment) (nomad.Content, error) {
		return nomad.Content{Image: picture}, nil
	}
	d := openNomad(t, o)
	c.images.protect("job", "secret")
	slice := uint32(0)
	run := func() dispatch.TaskOutcome {
		slice++
		a := dispatchtest.Assignment(guest, 1, "exit", "0")
		a.ID.Slice = slice
		return dispatchtest.RunToEnd(t, d, a).Tasks[0]
	}
	for _, name := range []string{"", "job"} {
		picture.Username, picture.Password = name, "wrong"
		task := run()
		require.Equal(t, dispatch.ReasonNode, task.Reason)
		require.Contains(t, task.Message, "Failed to pull")
		require.True(t, task.Started.IsZero())
	}
	picture.Password = "secret"
	require.Equal(t, dispatch.ReasonOK, run().Reason)
	c.images.server.Close() // what the client has it needs no registry for
	require.Equal(t, dispatch.ReasonOK, run().Reason)
	picture.Ref = strings.Replace(picture.Ref, "images@", "others@", 1)
	task := run()
	require.Equal(t, dispatch.ReasonNode, task.Reason)
	require.Contains(t, task.Message, "Failed to pull")
}
