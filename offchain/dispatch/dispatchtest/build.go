// Package dispatchtest holds the conformance suite that every dispatch.Dispatcher must pass, and what its tests need.
package dispatchtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
)

const guestPackage = "github.com/foggrid/fogd/offchain/dispatch/dispatchtest/testdata/guest"

// Module is a WebAssembly module on disk.
type Module struct {
	Path   string
	Digest artifact.Digest
}

// BuildWASM builds a Go command, given by import path or relative path, for wasip1/wasm.
func BuildWASM(t testing.TB, pkg string) Module {
	t.Helper()
	file := filepath.Join(t.TempDir(), "main.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-o", file, pkg)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	return Module{Path: file, Digest: artifact.DigestOf(raw)}
}

// BuildGuest builds the module that does what its arguments say.
func BuildGuest(t testing.TB) Module {
	t.Helper()
	return BuildWASM(t, guestPackage)
}

// WriteModule writes raw as a module.
func WriteModule(t testing.TB, raw []byte) Module {
	t.Helper()
	file := filepath.Join(t.TempDir(), "raw.wasm")
	require.NoError(t, os.WriteFile(file, raw, 0o600))
	return Module{Path: file, Digest: artifact.DigestOf(raw)}
}
