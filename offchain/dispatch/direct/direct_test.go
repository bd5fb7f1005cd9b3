package direct

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
)

// sharedCache spares the tests from compiling the guest again and again.
var sharedCache string

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		childMain(dir)
	}
	if port := os.Getenv(childListen); port != "" {
		listenMain(port)
	}
	dir, err := os.MkdirTemp("", "fog-direct-")
	if err != nil {
		panic(err)
	}
	sharedCache = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

func open(t testing.TB, dir string) (dispatch.Dispatcher, func()) {
	d := openDirect(t, Options{Dir: dir})
	return d, func() { require.NoError(t, d.Close()) }
}

func openDirect(t testing.TB, opts Options) *Dispatcher {
	t.Helper()
	if opts.CacheDir == "" {
		opts.CacheDir = sharedCache
	}
	d, err := New(opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

func TestConformance(t *testing.T) { dispatchtest.Run(t, open) }
