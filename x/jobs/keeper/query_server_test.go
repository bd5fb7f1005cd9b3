package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/x/jobs/keeper"
	"github.com/foggrid/fogd/x/jobs/types"
)

func TestQueries(t *testing.T) {
	w := newWorld(t)
	q := keeper.NewQueryServer(w.k)
	node := w.addNode("prov", 1, 7200)
	a := w.submit(w.jobMsg("dev", "a", 300))
	w.NextBlock()
	b := w.submit(w.jobMsg("dev", "b", 1))
	c := w.submit(w.jobMsg("other", "c", 1))
	w.matchAll(a.Id, 0, 10, node)
	w.matchAll(b.Id, 0, 1, node)
	w.must(w.tryCancel("other", c.Id), "cancel")
	w.NextBlock()

	jobs := func(req types.QueryJobsRequest) []string {
		res, err := q.Jobs(w.Ctx, &req)
		require.NoError(t, err)
		var ids []string
		for _, job := range res.Jobs {
			ids = append(ids, job.Id)
		}
		return ids
	}
	require.ElementsMatch(t, []string{a.Id, b.Id, c.Id}, jobs(types.QueryJobsRequest{}))
	require.ElementsMatch(t, []string{a.Id, b.Id}, jobs(types.QueryJobsRequest{Owner: a.Owner}))
	require.ElementsMatch(t, []string{a.Id, b.Id}, jobs(types.QueryJobsRequest{Status: types.JOB_STATUS_OPEN}))
	require.Equal(t, []string{c.Id}, jobs(types.QueryJobsRequest{Status: types.JOB_STATUS_CLOSED}))
	require.Equal(t, []string{c.Id}, jobs(types.QueryJobsRequest{Owner: c.Owner, Status: types.JOB_STATUS_CLOSED}))
	require.Empty(t, jobs(types.QueryJobsRequest{Owner: c.Owner, Status: types.JOB_STATUS_OPEN}))

	job, err := q.Job(w.Ctx, &types.QueryJobRequest{Id: c.Id})
	require.NoError(t, err)
	require.Equal(t, types.CLOSE_REASON_CANCELLED, job.Job.CloseReason)

	slices, err := q.Slices(w.Ctx, &types.QuerySlicesRequest{JobId: a.Id})
	require.NoError(t, err)
	require.Len(t, slices.Slices, 3)
	running, err := q.Slices(w.Ctx, &types.QuerySlicesRequest{NodeId: node.Id})
	require.NoError(t, err)
	require.Len(t, running.Slices, 2)
	one, err := q.Slice(w.Ctx, &types.QuerySliceRequest{JobId: b.Id})
	require.NoError(t, err)
	require.Equal(t, node.Id, one.Slice.NodeId)

	pending, err := q.Pending(w.Ctx, &types.QueryPendingRequest{Pagination: &query.PageRequest{Limit: 1}})
	require.NoError(t, err)
	require.Len(t, pending.Pending, 1)
	require.Equal(t, a.Id, pending.Pending[0].Job.Id)
	require.EqualValues(t, 246, pending.Pending[0].Slice.TaskCount)
	pending, err = q.Pending(w.Ctx, &types.QueryPendingRequest{Pagination: &query.PageRequest{Key: pending.Pagination.NextKey}})
	require.NoError(t, err)
	require.Len(t, pending.Pending, 1)
	require.EqualValues(t, 1, pending.Pending[0].Slice.Number)

	params, err := q.Params(w.Ctx, &types.QueryParamsRequest{})
	require.NoError(t, err)
	require.Equal(t, types.DefaultParams(), params.Params)
	invariants, err := q.Invariants(w.Ctx, &types.QueryInvariantsRequest{})
	require.NoError(t, err)
	require.True(t, invariants.Holds)
	require.EqualValues(t, 3, invariants.Jobs)
	require.EqualValues(t, 5, invariants.Slices)
}

func TestQueriesRefuse(t *testing.T) {
	w := newWorld(t)
	q := keeper.NewQueryServer(w.k)
	missing := types.JobID([]byte("x"), []byte("y")).Bech32(types.JobHRP)
	tooMany := &query.PageRequest{Limit: keeper.MaxPageLimit + 1}
	for name, c := range map[string]struct {
		ask  func() error
		want codes.Code
	}{
		"no job":     {func() error { _, err := q.Job(w.Ctx, &types.QueryJobRequest{Id: missing}); return err }, codes.NotFound},
		"no id":      {func() error { _, err := q.Job(w.Ctx, &types.QueryJobRequest{Id: "x"}); return err }, codes.InvalidArgument},
		"no slice":   {func() error { _, err := q.Slice(w.Ctx, &types.QuerySliceRequest{JobId: missing}); return err }, codes.NotFound},
		"owner":      {func() error { _, err := q.Jobs(w.Ctx, &types.QueryJobsRequest{Owner: "x"}); return err }, codes.InvalidArgument},
		"jobs limit": {func() error { _, err := q.Jobs(w.Ctx, &types.QueryJobsRequest{Pagination: tooMany}); return err }, codes.InvalidArgument},
		"neither":    {func() error { _, err := q.Slices(w.Ctx, &types.QuerySlicesRequest{}); return err }, codes.InvalidArgument},
		"both": {func() error {
			_, err := q.Slices(w.Ctx, &types.QuerySlicesRequest{JobId: missing, NodeId: "x"})
			return err
		}, codes.InvalidArgument},
		"node id": {func() error { _, err := q.Slices(w.Ctx, &types.QuerySlicesRequest{NodeId: missing}); return err }, codes.InvalidArgument},
		"slices limit": {func() error {
			_, err := q.Slices(w.Ctx, &types.QuerySlicesRequest{JobId: missing, Pagination: tooMany})
			return err
		}, codes.InvalidArgument},
		"queue limit": {func() error { _, err := q.Pending(w.Ctx, &types.QueryPendingRequest{Pagination: tooMany}); return err }, codes.InvalidArgument},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, status.Code(c.ask())) })
	}
}
