package direct

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/docker/dockertest"
)

// TestGPUMachine: no GPU is ever two tasks', also over restarts, and a task that goes on has those that it had.
func TestGPUMachine(t *testing.T) {
	base, run := t.TempDir(), 0
	enough := errors.New("enough")
	now, cancel := context.WithCancelCause(t.Context())
	cancel(enough)
	rapid.Check(t, func(t *rapid.T) {
		run++
		file := filepath.Join(base, fmt.Sprint(run))
		ids := []string{"GPU-a", "GPU-b", "GPU-c", "GPU-d"}
		g, err := openGPUs(file, ids)
		require.NoError(t, err)
		has := map[gpuHolder][]string{}
		someone := rapid.Custom(func(t *rapid.T) gpuHolder {
			return gpuHolder{dispatch.AttemptID{Job: "j", Slice: rapid.Uint32Range(0, 2).Draw(t, "slice")}, rapid.Uint32Range(0, 1).Draw(t, "task")}
		})
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				who, n := someone.Draw(t, "who"), rapid.IntRange(1, 4).Draw(t, "n")
				if len(has[who]) > 0 {
					n = len(has[who]) // an attempt's assignment does not change
				}
				got, err := g.take(now, dispatch.Assignment{ID: who.Attempt, GPUs: uint32(n)}, who.Task)
				held := 0
				for _, list := range has {
					held += len(list)
				}
				switch {
				case len(has[who]) > 0:
					require.NoError(t, err)
					require.Equal(t, has[who], got)
				case held+n > len(ids):
					require.ErrorIs(t, err, enough)
				default:
					require.NoError(t, err)
					require.Len(t, got, n)
					has[who] = got
				}
			},
			"release": func(t *rapid.T) {
				who := someone.Draw(t, "who")
				require.NoError(t, g.release(who.Attempt, who.Task))
				delete(has, who)
			},
			"forget": func(t *rapid.T) {
				who := someone.Draw(t, "who")
				require.NoError(t, g.forget(who.Attempt))
				for other := range has {
					if other.Attempt == who.Attempt {
						delete(has, other)
					}
				}
			},
			"restart": func(t *rapid.T) { g, err = openGPUs(file, ids); require.NoError(t, err) },
			"": func(t *rapid.T) {
				owner := map[string]gpuHolder{}
				for who, list := range has {
					for _, id := range list {
						require.NotContains(t, owner, id)
						owner[id] = who
					}
				}
				require.Equal(t, owner, g.held)
			},
		})
	})
}

func TestGPUFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gpus.json")
	for _, ids := range [][]string{{"GPU-a", "GPU-a"}, {""}} {
		_, err := openGPUs(file, ids)
		require.ErrorContains(t, err, "name each once")
	}
	require.NoError(t, os.WriteFile(file, []byte("damaged"), 0o600))
	_, err := openGPUs(file, nil)
	require.ErrorIs(t, err, errDamaged)
}

// TestServicesWithGPUs gives each of two services a GPU, and a third one that of the first when that has ended. The stand-in has no GPU: what is
// tested is what the engine is asked for.
func TestServicesWithGPUs(t *testing.T) {
	e := dockertest.New(t)
	d := openDirect(t, Options{Dir: t.TempDir(), DockerHost: e.Host, RestartMin: 50 * time.Millisecond, GPUs: []string{"GPU-a", "GPU-b"}})
	guest := dispatchtest.BuildGuestImage(t)
	serve := func(slice, gpus uint32) dispatch.Assignment {
		a := dispatchtest.ServiceAssignment(t, guest)
		a.ID.Slice, a.GPUs, a.Service.Volumes = slice, gpus, nil
		a.CPUMilli = 100
		a.Env = map[string]string{"NVIDIA_VISIBLE_DEVICES": "all"}
		require.NoError(t, d.Start(context.Background(), a))
		return a
	}
	sees := func(a dispatch.Assignment) any {
		t.Helper()
		dispatchtest.WatchService(t, d, a.ID).Until(dispatch.ServiceHealthy)
		report, err := dispatchtest.Ask(a, "/report")
		require.NoError(t, err)
		return report.(map[string]any)["env"].(map[string]any)["NVIDIA_VISIBLE_DEVICES"]
	}
	first := serve(1, 1)
	require.Equal(t, "GPU-a", sees(first))
	second := serve(2, 1)
	require.Equal(t, "GPU-b", sees(second))
	none := serve(3, 0)
	require.Equal(t, "void", sees(none), "a task cannot ask for all by a variable")
	third := serve(4, 1)
	waits := dispatchtest.WatchService(t, d, third.ID)
	waits.Until(dispatch.ServiceStarting)
	require.NoError(t, d.Stop(context.Background(), first.ID))
	require.Equal(t, "GPU-a", sees(third))

	a := dispatchtest.ServiceAssignment(t, guest)
	a.ID.Slice, a.GPUs = 5, 3
	require.ErrorIs(t, d.Start(context.Background(), a), dispatch.ErrInvalidAssignment)
	require.ErrorContains(t, d.ProbeGPUs(context.Background()), "NVIDIA Container Toolkit")
	for _, a := range []dispatch.Assignment{second, none, third} {
		require.NoError(t, d.Stop(context.Background(), a.ID))
	}
	require.NoFileExists(t, filepath.Join(d.opts.Dir, gpusFile))
}
