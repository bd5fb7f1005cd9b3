// Package examples_test runs the examples as an agent would: job file, module, inputs and spec as the client makes them, tasks through
// the direct dispatcher, results unpacked as the client unpacks them.
package examples_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "golang.org/x/image/bmp" // the format of the thumbnails

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/direct"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/docker"
	ociimage "github.com/foggrid/fogd/offchain/image"
	"github.com/foggrid/fogd/offchain/jobfile"
)

func TestExamples(t *testing.T) {
	for _, c := range []struct {
		name, root, first string // digests of all results (Merkle root) and of the first task's
		merged            string // what the merge command prints; empty if there is none
		check             func(*testing.T, string)
	}{
		{
			name: "pi", root: "2052fc455c2c2dd46fc0d19a53f48dbd091a55a5b035e9140334fb33030bbe83", first: "sha256:31cef17fa122cc99e66bdae3ae3d68cb1629962326cfba54b9783d70eefd058f",
			merged: "π ≈ 3.141478 ± 0.000130, from 160000000 points in 8 tasks; it is off by -0.000114\n",
		},
		{
			name: "wordcount", root: "42e2d57c7551c50c7df93cc06835a00e1464d96c38b3c4f3efa7f1ec59d012b5", first: "sha256:e6dac1a8e6c2fe515a6eb49469b6080b7f659be554754111983f1d66c318aa4d",
			merged: "99226 words, 4290 different ones\n   9825  the\n   5241  of\n   4183  and\n   2074  to\n   2014  in\n",
		},
		{name: "thumbnails", root: "1ee405c7f14364c61f33ec5361ed6947dfb3994d516a617ba50d54ec3019a7c0", first: "sha256:9840f47a09a58560af6b6832ac1cbe7c036bfe1145afe53102e6ef487eb40693", check: checkThumbnails},
		{
			name: "primes", root: "7f61abec96428959730b03ba75fdad7049e17f47b8933d3f867457f56694959f", first: "sha256:84822bb1edb6929de9f4498d4f097d201955331b69df8eeb56ac3b2e2e3daa3a",
			merged: "5761455 primes below 100000000, from 8 tasks\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, results := runJob(t, c.name)
			root := out.ResultRoot()
			require.Equal(t, c.root, hex.EncodeToString(root[:]))
			require.Equal(t, c.first, out.Tasks[0].Result.String())
			if c.merged != "" {
				require.Equal(t, c.merged, merge(t, c.name, results))
				require.NoError(t, os.RemoveAll(filepath.Join(results, "0")))
				_, err := exec.Command("go", "run", "./"+c.name+"/merge", results).Output()
				require.Error(t, err, "a part is missing")
			}
			if c.check != nil {
				c.check(t, results)
			}
		})
	}
}

// runJob runs the example in the folder and returns its outcome and a folder with the results, one folder a task.
func runJob(t *testing.T, folder string) (dispatch.Outcome, string) {
	temp := t.TempDir()
	file, err := jobfile.Load(filepath.Join(folder, jobfile.DefaultPath))
	require.NoError(t, err)
	module, digest := program(t, file, temp)
	archive := filepath.Join(temp, "inputs.tar")
	inputs, _, err := file.PackInputs(archive)
	require.NoError(t, err)
	spec, err := file.Spec(digest, inputs)
	require.NoError(t, err)

	a := dispatch.Assignment{
		ID: dispatch.AttemptID{Job: "job1example", Attempt: 1}, Tasks: spec.Tasks, JobTasks: spec.Tasks, Engine: spec.Engine,
		Module: spec.Module, ModulePath: module, Args: spec.Args, Env: spec.Env,
		CPUMilli: uint32(spec.CPU), MemoryMiB: uint32(spec.Memory), StorageMiB: uint32(spec.Storage),
		MaxDuration: time.Duration(spec.MaxDuration) * time.Second,
	}
	if !inputs.IsZero() {
		a.Inputs, a.InputsDir = inputs, filepath.Join(temp, "in")
		unpack(t, archive, a.InputsDir, inputs)
	}
	d, err := direct.New(direct.Options{Dir: filepath.Join(temp, "state")})
	require.NoError(t, err)
	t.Cleanup(func() {
		if spec.Engine == jobfile.EngineDocker {
			require.NoError(t, d.PruneImages(context.Background()))
		}
		require.NoError(t, d.Close())
	})
	out := dispatchtest.RunToEnd(t, d, a)

	results := filepath.Join(temp, "results")
	require.NoError(t, os.Mkdir(results, 0o755))
	for _, task := range out.Tasks {
		require.Equal(t, dispatch.ReasonOK, task.Reason, "%s\n%s", task.Message, dispatchtest.ReadLog(t, d, a.ID, task.Task))
		unpack(t, task.ResultPath, filepath.Join(results, strconv.Itoa(int(task.Task))), task.Result)
	}
	return out, results
}

// program builds the module or the image of a job.
func program(t *testing.T, file *jobfile.File, temp string) (string, artifact.Digest) {
	t.Helper()
	if file.Engine == jobfile.EngineDocker {
		needDocker(t)
		binary, err := file.BuildProgram(t.Context(), temp)
		require.NoError(t, err)
		img, err := ociimage.BuildFile(filepath.Join(temp, "image"), binary, runtime.GOARCH)
		require.NoError(t, err)
		return img.Dir, img.Digest
	}
	module, err := file.ModulePath(t.Context(), temp)
	require.NoError(t, err)
	raw, err := os.ReadFile(module)
	require.NoError(t, err)
	return module, artifact.DigestOf(raw)
}

// needDocker skips the test, loudly, where no Docker Engine answers.
func needDocker(t *testing.T) {
	t.Helper()
	e, err := docker.New(docker.Options{Owner: t.Name()})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	if err := e.Probe(t.Context()); err != nil {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED: %s needs a Docker Engine: %v ***\n\n", t.Name(), err)
		t.Skip("no Docker Engine")
	}
}

func unpack(t *testing.T, archive, dir string, want artifact.Digest) {
	t.Helper()
	f, err := os.Open(archive)
	require.NoError(t, err)
	require.NoError(t, artifact.Unpack(f, dir, want, artifact.Limits{}))
	require.NoError(t, f.Close())
}

func merge(t *testing.T, example, results string) string {
	args := []string{"run", "./" + example + "/merge"}
	if example == "wordcount" {
		args = append(args, "-top", "5")
	}
	out, err := exec.Command("go", append(args, results)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

func checkThumbnails(t *testing.T, results string) {
	files, err := filepath.Glob(filepath.Join(results, "*", "*.bmp"))
	require.NoError(t, err)
	require.Len(t, files, 8)
	for _, name := range files {
		f, err := os.Open(name)
		require.NoError(t, err)
		cfg, _, err := image.DecodeConfig(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		require.Equal(t, 128, max(cfg.Width, cfg.Height), name)
	}
}
