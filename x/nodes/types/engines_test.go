package types_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/x/nodes/types"
)

func TestRuns(t *testing.T) {
	for _, c := range []struct {
		engines      []types.Engine
		wasm, docker bool
	}{
		{nil, true, false},
		{[]types.Engine{types.ENGINE_WASM}, true, false},
		{[]types.Engine{types.ENGINE_DOCKER}, false, true},
		{[]types.Engine{types.ENGINE_WASM, types.ENGINE_DOCKER}, true, true},
	} {
		n := types.Node{Engines: c.engines}
		require.Equal(t, c.wasm, n.Runs(types.ENGINE_WASM), c.engines)
		require.Equal(t, c.docker, n.Runs(types.ENGINE_DOCKER), c.engines)
		require.False(t, n.Runs(types.ENGINE_UNSPECIFIED))
	}
}
