// Package dispatchtest holds the conformance suite that every dispatch.Dispatcher must pass, and what its tests need.
package dispatchtest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/image"
)

const guestPackage = "github.com/foggrid/fogd/offchain/dispatch/dispatchtest/testdata/guest"

// Module is what an assignment runs: a WebAssembly module on disk, or an image in a layout.
type Module struct {
	Path   string
	Digest artifact.Digest
	Engine string // wasm if empty
}

// BuildWASM builds a Go command, given by import path or relative path, for wasip1/wasm.
func BuildWASM(t testing.TB, pkg string) Module {
	t.Helper()
	file := build(t, pkg, "GOOS=wasip1", "GOARCH=wasm")
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	return Module{Path: file, Digest: artifact.DigestOf(raw)}
}

func build(t testing.TB, pkg string, env ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "main")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", file, pkg)
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return file
}

// BuildImage builds a Go command into an image from scratch for this machine.
func BuildImage(t testing.TB, pkg string) Module {
	t.Helper()
	file := build(t, pkg, "GOOS=linux", "GOARCH="+runtime.GOARCH)
	img, err := image.BuildFile(filepath.Join(t.TempDir(), "image"), file, runtime.GOARCH)
	require.NoError(t, err)
	return Module{Path: img.Dir, Digest: img.Digest, Engine: dispatch.EngineDocker}
}

// BuildGuestImage builds the image of the guest.
func BuildGuestImage(t testing.TB) Module {
	t.Helper()
	return BuildImage(t, guestPackage)
}

// BuildGuest builds the module that does what its arguments say.
func BuildGuest(t testing.TB) Module {
	t.Helper()
	return BuildWASM(t, guestPackage)
}

// ChangeImage makes an image of the same layers with another config.
func ChangeImage(t testing.TB, m Module, change func(*image.Config)) Module {
	t.Helper()
	img, err := image.Open(m.Path, m.Digest)
	require.NoError(t, err)
	change(&img.Config)
	config, err := json.Marshal(img.Config)
	require.NoError(t, err)
	changed := img.Manifest
	changed.Config.Digest, changed.Config.Size = artifact.DigestOf(config), int64(len(config))
	raw, err := json.Marshal(changed)
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "image")
	_, err = image.Create(dir, raw)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(image.BlobPath(dir, changed.Config.Digest), config, 0o600))
	for _, l := range changed.Layers {
		require.NoError(t, os.Link(image.BlobPath(m.Path, l.Digest), image.BlobPath(dir, l.Digest)))
	}
	return Module{Path: dir, Digest: artifact.DigestOf(raw), Engine: dispatch.EngineDocker}
}

// WriteModule writes raw as a module.
func WriteModule(t testing.TB, raw []byte) Module {
	t.Helper()
	file := filepath.Join(t.TempDir(), "raw.wasm")
	require.NoError(t, os.WriteFile(file, raw, 0o600))
	return Module{Path: file, Digest: artifact.DigestOf(raw)}
}
