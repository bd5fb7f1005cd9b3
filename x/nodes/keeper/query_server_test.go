package keeper_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/x/nodes/keeper"
	"github.com/foggrid/fogd/x/nodes/types"
)

func TestQueryNode(t *testing.T) {
	w := newWorld(t)
	q := keeper.NewQueryServer(w.k)
	alice := w.rich("alice", 5*fog, 200*fog)
	id := w.register(alice, "one")
	want := w.node(id)

	res, err := q.Node(w.Ctx, &types.QueryNodeRequest{Id: want.Id})
	require.NoError(t, err)
	require.Equal(t, want, res.Node)
	res, err = q.Node(w.Ctx, &types.QueryNodeRequest{AgentKey: want.AgentKey})
	require.NoError(t, err)
	require.Equal(t, want, res.Node)
	params, err := q.Params(w.Ctx, &types.QueryParamsRequest{})
	require.NoError(t, err)
	require.Equal(t, types.DefaultParams(), params.Params)

	for name, c := range map[string]struct {
		req  types.QueryNodeRequest
		code codes.Code
		says string
	}{
		"nothing":      {types.QueryNodeRequest{}, codes.InvalidArgument, "give one of them"},
		"bad id":       {types.QueryNodeRequest{Id: "job1qqqq"}, codes.InvalidArgument, "id: "},
		"no such node": {types.QueryNodeRequest{Id: types.NodeID(alice, "two").Bech32("node")}, codes.NotFound, "node1"},
		"no such key":  {types.QueryNodeRequest{AgentKey: []byte{1}}, codes.NotFound, "agent key 01"},
	} {
		_, err := q.Node(w.Ctx, &c.req)
		require.Equal(t, c.code, status.Code(err), name)
		require.ErrorContains(t, err, c.says, name)
	}
}

func TestQueryNodes(t *testing.T) {
	w := newWorld(t)
	q := keeper.NewQueryServer(w.k)
	alice, bob := w.rich("alice", 50*fog, 900*fog), w.rich("bob", 50*fog, 900*fog)
	active := []string{w.node(w.active(alice, "active")).Id, w.node(w.active(bob, "active")).Id}
	for i := range 4 {
		w.register(alice, fmt.Sprint("pending", i))
	}
	us := w.registration(bob, "us")
	us.Region = "us"
	require.NoError(t, w.send(us))
	w.end(1)

	for name, c := range map[string]struct {
		req  types.QueryNodesRequest
		want int
	}{
		"all":                     {types.QueryNodesRequest{}, 7},
		"of alice":                {types.QueryNodesRequest{Owner: w.Text(alice)}, 5},
		"of bob":                  {types.QueryNodesRequest{Owner: w.Text(bob)}, 2},
		"pending":                 {types.QueryNodesRequest{Status: types.NODE_STATUS_PENDING}, 5},
		"pending in us":           {types.QueryNodesRequest{Status: types.NODE_STATUS_PENDING, Region: "us"}, 1},
		"alice's pending":         {types.QueryNodesRequest{Owner: w.Text(alice), Status: types.NODE_STATUS_PENDING, Region: "eu"}, 4},
		"alice's in us":           {types.QueryNodesRequest{Owner: w.Text(alice), Region: "us"}, 0},
		"of somebody without any": {types.QueryNodesRequest{Owner: w.Text(reporter)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			for _, limit := range []uint64{1, 2, 3, 1000} { // pages of any size hold the same nodes
				seen, page := map[string]bool{}, &query.PageRequest{Limit: limit}
				for {
					req := c.req
					req.Pagination = page
					res, err := q.Nodes(w.Ctx, &req)
					require.NoError(t, err)
					require.LessOrEqual(t, len(res.Nodes), int(limit))
					for _, n := range res.Nodes {
						require.False(t, seen[n.Id])
						seen[n.Id] = true
						require.True(t, c.req.Owner == "" || n.Owner == c.req.Owner)
						require.True(t, c.req.Region == "" || n.Region == c.req.Region)
						require.True(t, c.req.Status == 0 || n.Status == c.req.Status)
					}
					if len(res.Pagination.NextKey) == 0 {
						break
					}
					page = &query.PageRequest{Key: res.Pagination.NextKey, Limit: limit}
				}
				require.Len(t, seen, c.want)
			}
		})
	}
	res, err := q.Nodes(w.Ctx, &types.QueryNodesRequest{Status: types.NODE_STATUS_ACTIVE})
	require.NoError(t, err)
	require.ElementsMatch(t, active, []string{res.Nodes[0].Id, res.Nodes[1].Id})

	for says, req := range map[string]types.QueryNodesRequest{
		"status: 77":    {Status: 77},
		"owner \"bob\"": {Owner: "bob"},
		"pagination.limit: 1001; it must be at most": {Pagination: &query.PageRequest{Limit: 1001}},
	} {
		_, err := q.Nodes(w.Ctx, &req)
		require.Equal(t, codes.InvalidArgument, status.Code(err))
		require.ErrorContains(t, err, says)
	}
}
