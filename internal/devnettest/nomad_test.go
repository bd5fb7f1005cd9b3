package devnettest

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/devnet"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/nomadtest"
	"github.com/foggrid/fogd/offchain/handover"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

const (
	nomadRegion = "eu"
	nomadFlag   = "--dispatcher"
)

// onNomad is a grid whose node is served by a stand-in for Nomad.
type onNomad struct {
	*grid
	nomad *nomadtest.Server
	// slices that were matched so far.
	slices int
}

// TestNomad: the oracles have a node's tasks run on Nomad and attest them; its agent runs none.
func TestNomad(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT TESTED with -short: the real programs on a real devnet, which takes minutes")
	}
	runner := "registry.test/fog-runner@sha256:" + strings.Repeat("0", 64)
	server := nomadtest.New(t, nomadtest.Options{
		Region: nomadRegion, Image: runner, MHz: 10_000, Cores: 4, MemoryMiB: 16_384, Cache: t.TempDir(),
	})
	g := &onNomad{nomad: server, grid: newGrid(t, devnet.Options{
		Validators: 1, Oracles: 4,
		OracleArgs: func(context.Context, *devnet.Devnet) ([]string, error) {
			return []string{nomadFlag, "nomad", "--nomad-addr", nomadRegion + "=" + server.URL, "--nomad-runner", runner}, nil
		},
	})}
	for _, step := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"a node registers for Nomad and becomes ACTIVE", g.register},
		{"a job completes and is paid", g.complete},
		{"oracles are killed while a job runs", g.killOracles},
		{"a cancelled job ends on Nomad", g.cancel},
		{"each attempt was one job, and the agent ran nothing", g.audit},
	} {
		if !t.Run(step.name, step.do) {
			return
		}
	}
}

func (g *onNomad) register(t *testing.T) {
	var out struct {
		NodeID string `json:"node_id"`
	}
	g.run(t, g.net.ProviderHome(), &out, append(registration("test", "100FOG"), "--nomad-region", nomadRegion)...)
	g.node = out.NodeID
	g.nomad.Serve(g.node)
	require.NoError(t, g.net.StartAgent(t.Context(), nomadFlag, "nomad"))
	g.active(t)
}

func (g *onNomad) complete(t *testing.T) {
	id := g.submit(t, job{name: "pi", module: "pi.wasm", args: `"-samples", "1000"`, tasks: 3, cap: "5FOG", deadline: 3600})
	dir := filepath.Join(g.work, "results", id)
	g.developer(t, nil, "job", "watch", "--results", id)
	g.settle(t, id, dir)
	for task := range 3 {
		require.FileExists(t, filepath.Join(dir, strconv.Itoa(task), "pi.json"))
	}
	g.count(t, id)
}

// count adds the slices of a job, each of which was matched once.
func (g *onNomad) count(t *testing.T, id string) {
	for _, s := range g.grid.slices(t, id) {
		require.EqualValues(t, 1, s.Attempt)
		g.slices++
	}
}

func (g *onNomad) runs(t *testing.T) {
	until(t, "a task to run", func() bool { return g.nomad.Running() > 0 })
}

func (g *onNomad) killOracles(t *testing.T) {
	id := g.submit(t, spinner("oracles"))
	g.runs(t)
	for _, i := range []int{0, 2} {
		require.NoError(t, g.net.StopOracle(t.Context(), i, true))
		require.NoError(t, g.net.StartOracle(t.Context(), i))
	}
	g.finish(t, id)
	g.count(t, id)
	// An oracle's feeder is asked for the votes of all its rounds, so all come back.
	for i := range 4 {
		g.startOracle(t, i)
	}
}

func (g *onNomad) cancel(t *testing.T) {
	j := spinner("cancelled")
	j.args = `"-rounds", "200000000000"`
	id := g.submit(t, j)
	g.runs(t)
	g.developer(t, nil, "job", "cancel", id)
	until(t, "the task to end", func() bool { return g.nomad.Running() == 0 })
	g.count(t, id)
	s := g.grid.slices(t, id)[0]
	require.NotEqual(t, jobstypes.SLICE_STATUS_MATCHED, s.Status)
	until(t, "the job to be ended", func() bool { return g.nomad.Stopped("default", nomad.JobID(handover.ID(s), g.node)) })
}

func (g *onNomad) audit(t *testing.T) {
	require.Equal(t, g.slices, g.nomad.Registrations())
	ran, err := filepath.Glob(filepath.Join(g.net.ProviderHome(), "agent", "runs", "*"))
	require.NoError(t, err)
	require.Empty(t, ran)
	until(t, "the oracles to forget the attempts", func() bool {
		left, err := filepath.Glob(filepath.Join(filepath.Dir(g.net.ProviderHome()), "oracles", "*", "nomad", "job1*"))
		require.NoError(t, err)
		return len(left) == 0
	})
}
