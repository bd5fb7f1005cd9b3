package jobclient

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/image"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/registry/client"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

const imageText = "version: 1\nname: contained\nengine: docker\nprice: {cap_per_task_hour: 3600}\nmax_duration: 60s\n"

// imageFile writes a job file beside an image for an architecture.
func imageFile(t *testing.T, arch, more string) (*jobfile.File, image.Image) {
	t.Helper()
	dir := t.TempDir()
	img, err := image.BuildBytes(filepath.Join(dir, "layout"), []byte("a program"), arch)
	require.NoError(t, err)
	path := filepath.Join(dir, "fog.yaml")
	require.NoError(t, os.WriteFile(path, []byte(imageText+more), 0o600))
	f, err := jobfile.Load(path)
	require.NoError(t, err)
	return f, img
}

func TestPushImage(t *testing.T) {
	w := newWorld(t)
	f, img := imageFile(t, "arm64", "image: layout\nconstraints: {arch: [arm64]}\n")
	p, err := Pack(t.Context(), f, t.TempDir(), nil)
	require.NoError(t, err)
	require.Equal(t, img.Digest, p.Module)
	require.Equal(t, "arm64", p.Arch)
	require.Equal(t, jobfile.EngineDocker, p.Spec.Engine)

	var missing *MissingError
	require.ErrorAs(t, CheckPushed(t.Context(), w.registry, p), &missing)
	require.Equal(t, &MissingError{StageImage, p.Module}, missing)
	var stages []Stage
	require.NoError(t, Push(t.Context(), w.registry, p, func(s Stage) client.Progress { stages = append(stages, s); return nil }))
	require.Equal(t, []Stage{StageImage, StageSpec}, stages)
	require.NoError(t, CheckPushed(t.Context(), w.registry, p))
	raw, err := w.registry.PullImageManifest(t.Context(), client.RepoImages, img.Digest)
	require.NoError(t, err)
	require.Equal(t, img.Raw, raw)

	m, err := Message(f, p, "owner", "salt")
	require.NoError(t, err)
	require.Equal(t, nodestypes.ENGINE_DOCKER, m.Engine)
	require.Equal(t, img.Digest.String(), m.ImageDigest)
	require.Equal(t, []string{"arm64"}, m.Constraints.Arch)
}

// The image's architecture becomes a constraint if the job has none.
func TestImageConstrainsTheArchitecture(t *testing.T) {
	f, _ := imageFile(t, runtime.GOARCH, "image: layout\n")
	p, err := Pack(t.Context(), f, t.TempDir(), nil)
	require.NoError(t, err)
	m, err := Message(f, p, "owner", "salt")
	require.NoError(t, err)
	require.Equal(t, []string{runtime.GOARCH}, m.Constraints.Arch)
}

func TestPackImageRefuses(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix://"+filepath.Join(t.TempDir(), "none.sock"))
	for more, says := range map[string]string{
		"image: layout\nconstraints: {arch: [riscv64]}\n": `:6: image cannot be used: not a usable container image: it is for amd64, not for riscv64`,
		"image: alpine:3\n":       `:6: image is "alpine:3", which is no file here, and the Docker Engine does not give it: `,
		"image: fog.yaml\n":       `:6: image cannot be used: read `,
		"build: ./nothing-here\n": `:6: build failed: `,
	} {
		f, _ := imageFile(t, "amd64", more)
		_, err := Pack(t.Context(), f, t.TempDir(), nil)
		require.ErrorContains(t, err, fmt.Sprintf("fog.yaml%s", says))
	}
}

// A Go package is built for the architecture that is asked for.
func TestBuildImage(t *testing.T) {
	f, _ := imageFile(t, "amd64", "build: program\nconstraints: {arch: [arm64]}\n")
	dir := filepath.Join(f.Dir(), "program")
	require.NoError(t, os.Mkdir(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module program\n"), 0o600))
	first, err := Pack(t.Context(), f, t.TempDir(), nil)
	require.NoError(t, err)
	require.Equal(t, "arm64", first.Arch)
	second, err := Pack(t.Context(), f, t.TempDir(), nil)
	require.NoError(t, err)
	require.Equal(t, first.Module, second.Module)
}
