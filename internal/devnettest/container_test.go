package devnettest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch/docker"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// container runs a job in a container on the node, which was registered with the engines that work here, and kills its agent meanwhile.
func (g *grid) container(t *testing.T) {
	e, err := docker.New(docker.Options{Owner: t.Name()})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	if err := e.Probe(t.Context()); err != nil {
		require.False(t, g.nodeNow(t).Runs(nodestypes.ENGINE_DOCKER))
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED: %s needs a Docker Engine: %v ***\n\n", t.Name(), err)
		t.Skip("no Docker Engine")
	}
	require.True(t, g.nodeNow(t).Runs(nodestypes.ENGINE_DOCKER))
	source, err := filepath.Abs(filepath.Join("testdata", "spin"))
	require.NoError(t, err)
	id := g.submit(t, job{name: "container", image: source, args: `"-rounds", "2000000000"`, cap: "5FOG", deadline: 3600})
	require.Equal(t, nodestypes.ENGINE_DOCKER, g.job(t, id).Engine)
	g.agentRuns(t, id)
	require.NoError(t, g.net.StopAgent(t.Context(), true))
	require.NoError(t, g.net.StartAgent(t.Context()))
	g.finish(t, id)
	require.Len(t, g.slices(t, id), 1)
	g.active(t)
	runs, err := docker.New(docker.Options{Owner: filepath.Join(g.net.ProviderHome(), "agent", "runs")})
	require.NoError(t, err)
	require.NoError(t, runs.Prune(t.Context(), true))
	require.NoError(t, runs.Close())
}
