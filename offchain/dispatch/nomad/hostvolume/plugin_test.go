package hostvolume

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/docker/dockertest"
	"github.com/foggrid/fogd/offchain/dispatch/volume"
)

// table is a Mounter that mounts nothing. What is busy cannot be unmounted.
type table struct {
	devices map[string]string
	busy    map[string]bool
}

func newTable() *table { return &table{map[string]string{}, map[string]bool{}} }

func (t *table) Mounted(dir string) (string, error) { return t.devices[dir], nil }

func (t *table) Mount(device, dir string) error {
	if t.devices[dir] != "" {
		return errors.New("it is mounted already")
	}
	t.devices[dir] = device
	return nil
}

func (t *table) Unmount(dir string) error {
	if t.busy[dir] {
		return errors.New("busy")
	}
	delete(t.devices, dir)
	return nil
}

// call runs an operation as a client of Nomad does.
func call(p Plugin, dir, op string, v Volume, change func(map[string]string)) (answer, error) {
	params, err := json.Marshal(v.Parameters())
	if err != nil {
		return answer{}, err
	}
	env := map[string]string{EnvOperation: op, envVolumesDir: dir, envName: v.ID(), envParameters: string(params)}
	if change != nil {
		change(env)
	}
	var out bytes.Buffer
	err = p.Run(context.Background(), func(name string) string { return env[name] }, &out)
	var a answer
	if jsonErr := json.Unmarshal(out.Bytes(), &a); jsonErr != nil {
		return a, jsonErr
	}
	if (a.Error != "") != (err != nil) {
		return a, fmt.Errorf("the answer is %q and the error %w", a.Error, err)
	}
	return a, err
}

var data = Volume{Replica: dispatch.Replica{Job: "job1x", Task: 2}, Name: "data", Node: "node1n", Height: 9, MiB: 4, LimitMiB: 8}

func TestOperations(t *testing.T) {
	mounts, dir := newTable(), t.TempDir()
	p := Plugin{Disk: dockertest.Disk{}, Mount: mounts}
	a, err := call(p, dir, "fingerprint", data, nil)
	require.NoError(t, err)
	require.Equal(t, answer{Version: version}, a)

	at := filepath.Join(dir, "fog-job1x-t2-data")
	for range 2 {
		a, err = call(p, dir, "create", data, nil)
		require.NoError(t, err)
		require.Equal(t, answer{Path: at, Bytes: 4 << 20}, a)
	}
	require.Contains(t, mounts.devices[at], "fog/job1x_t2/data.img")
	info, err := os.Stat(at)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), "without its mount nobody writes there")

	larger := data
	larger.MiB = 8
	mounts.busy[at] = true
	_, err = call(p, dir, "create", larger, nil)
	require.ErrorContains(t, err, "its size cannot be changed now")
	_, err = call(p, dir, "delete", data, nil)
	require.ErrorContains(t, err, "busy")
	require.FileExists(t, filepath.Join(dir, "fog/job1x_t2/data.img"))
	delete(mounts.busy, at)
	a, err = call(p, dir, "create", larger, nil)
	require.NoError(t, err)
	require.EqualValues(t, 8<<20, a.Bytes)
	other := data
	other.Name = "other"
	_, err = call(p, dir, "create", other, nil)
	require.ErrorIs(t, err, volume.ErrFull)

	for range 2 {
		_, err = call(p, dir, "delete", larger, nil)
		require.NoError(t, err)
	}
	require.Empty(t, mounts.devices)
	require.NoDirExists(t, at)
	require.NoDirExists(t, filepath.Join(dir, "fog/job1x_t2"))
}

func TestRefused(t *testing.T) {
	for name, change := range map[string]func(map[string]string){
		"another operation":  func(env map[string]string) { env[EnvOperation] = "format" },
		"another's name":     func(env map[string]string) { env[envName] = "fog-job1x-t3-data" },
		"no absolute folder": func(env map[string]string) { env[envVolumesDir] = "here" },
		"no parameters":      func(env map[string]string) { env[envParameters] = "{}" },
		"no object":          func(env map[string]string) { env[envParameters] = "7" },
		"a job that is a way": func(env map[string]string) {
			env[envParameters] = `{"job":"../x","task":"0","volume":"d","mib":"1","node":"n"}`
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := call(Plugin{Disk: dockertest.Disk{}, Mount: newTable()}, dir, "create", data, change)
			require.Error(t, err)
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

// TestPluginMachine compares what is mounted and kept with what should be, over restarts of the machine, which leave nothing mounted.
func TestPluginMachine(t *testing.T) {
	base, run := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		dir := filepath.Join(base, fmt.Sprint(run))
		mounts := newTable()
		p := Plugin{Disk: dockertest.Disk{}, Mount: mounts}
		const limit = 8
		want, mounted := map[Volume]uint32{}, map[Volume]bool{} // by the volume without its size
		some := rapid.Custom(func(t *rapid.T) Volume {
			return Volume{
				Replica: dispatch.Replica{Job: rapid.SampledFrom([]string{"a", "a-t1"}).Draw(t, "job"), Task: rapid.Uint32Range(0, 1).Draw(t, "task")},
				Name:    rapid.SampledFrom([]string{"x", "y"}).Draw(t, "name"), Node: "n", LimitMiB: limit,
			}
		})
		sized := func(key Volume, mib uint32) Volume { key.MiB = mib; return key }
		sum := func(r dispatch.Replica) (mib uint32) {
			for v, size := range want {
				if v.Replica == r {
					mib += size
				}
			}
			return mib
		}
		t.Repeat(map[string]func(*rapid.T){
			"create": func(t *rapid.T) {
				key, mib := some.Draw(t, "volume"), rapid.Uint32Range(1, 6).Draw(t, "size")
				before := want[key]
				_, err := call(p, dir, "create", sized(key, mib), nil)
				if sum(key.Replica)-before+mib > limit {
					require.ErrorIs(t, err, volume.ErrFull)
					return
				}
				require.NoError(t, err)
				want[key], mounted[key] = mib, true
			},
			"delete": func(t *rapid.T) {
				key := some.Draw(t, "volume")
				_, err := call(p, dir, "delete", sized(key, 1), nil)
				require.NoError(t, err)
				delete(want, key)
				delete(mounted, key)
			},
			"restart": func(*rapid.T) {
				clear(mounts.devices)
				clear(mounted)
			},
			"": func(t *rapid.T) {
				ids := map[string]bool{}
				for v := range maps.Keys(mounted) {
					ids[filepath.Join(dir, v.ID())] = true
				}
				require.Len(t, mounts.devices, len(ids))
				for at := range mounts.devices {
					require.True(t, ids[at], at)
				}
				files, err := filepath.Glob(filepath.Join(dir, "fog/*/*.img"))
				require.NoError(t, err)
				require.Len(t, files, len(want))
				for v, mib := range want {
					info, err := os.Stat(filepath.Join(dir, "fog", fmt.Sprintf("%s_t%d", v.Replica.Job, v.Replica.Task), v.Name+".img"))
					require.NoError(t, err)
					require.EqualValues(t, mib<<20, info.Size())
				}
			},
		})
	})
}

func FuzzParse(f *testing.F) {
	f.Add("node1n", "job1x", "2", "data", "4", "8", "9")
	f.Add("n", "..", "-1", "Data", "0", "x", "")
	f.Fuzz(func(t *testing.T, node, job, task, name, mib, limit, height string) {
		v, err := Parse(map[string]string{
			paramNode: node, paramJob: job, paramTask: task, paramVolume: name, paramMiB: mib, paramLimit: limit, paramHeight: height,
		})
		if err != nil {
			require.ErrorIs(t, err, ErrParameters)
			return
		}
		again, err := Parse(v.Parameters())
		require.NoError(t, err)
		require.Equal(t, v, again)
		require.Equal(t, filepath.Base(v.ID()), v.ID(), "it is the name of a folder")
	})
}
