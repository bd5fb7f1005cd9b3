package nomad_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/hashicorp/nomad/api"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
)

func TestPlan(t *testing.T) {
	s := newScene(t, nil)
	ctx := context.Background()
	m, err := nomad.MachineOf(ctx, s.region, testNode)
	require.NoError(t, err)
	require.EqualValues(t, 2, m.Cores)
	_, err = nomad.MachineOf(ctx, s.region, "node1other")
	require.ErrorContains(t, err, "has 0 clients")

	a := dispatchtest.Assignment(s.guest, 2, "exit", "0")
	content, err := s.locate(ctx, a)
	require.NoError(t, err)
	plan, err := nomad.NewPlan(a, s.place(t), m, content, s.image)
	require.NoError(t, err)
	var job api.Job
	require.NoError(t, json.Unmarshal(plan.JSON, &job))
	require.Equal(t, nomad.JobID(a.ID, testNode), *job.ID)
	require.Contains(t, plan.HCL, `job "`+*job.ID+`" {`)
	require.NoError(t, plan.Ask(ctx, s.region))
	require.True(t, plan.Asked)
	require.Empty(t, plan.Failures)
	require.Zero(t, s.server.Registrations())

	s.server.LoseClients()
	require.NoError(t, plan.Ask(ctx, s.region))
	require.Contains(t, plan.Failures["slice"], "0 nodes evaluated")

	a.MemoryMiB = 4096
	m.MemoryMiB = 4096
	_, err = nomad.NewPlan(a, s.place(t), m, content, s.image)
	require.ErrorIs(t, err, dispatch.ErrInvalidAssignment)
}
