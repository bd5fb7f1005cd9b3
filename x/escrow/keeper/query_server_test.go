package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/x/escrow/keeper"
	"github.com/foggrid/fogd/x/escrow/types"
)

func TestQueryAccount(t *testing.T) {
	e := funded(t)
	q := keeper.NewQueryServer(e.Escrow)
	res, err := q.Account(e.Ctx, &types.QueryAccountRequest{Id: aliceAccount.Bech32("acct")})
	require.NoError(t, err)
	require.Equal(t, types.Account{
		Id: aliceAccount.Bech32("acct"), Owner: e.Text(alice), Kind: types.ACCOUNT_KIND_PROVIDER, Balance: 100, Locked: 30,
	}, res.Account)

	_, err = q.Account(e.Ctx, &types.QueryAccountRequest{Id: nobody.Bech32("acct")})
	require.Equal(t, codes.NotFound, status.Code(err))
	_, err = q.Account(e.Ctx, &types.QueryAccountRequest{Id: nobody.Bech32("node")})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}

func TestQueryAccounts(t *testing.T) {
	e := funded(t)
	for i := range byte(5) {
		require.NoError(t, e.Escrow.Open(e.Ctx, types.ID{100, i}, alice, types.ACCOUNT_KIND_JOB))
	}
	q := keeper.NewQueryServer(e.Escrow)
	for name, tc := range map[string]struct {
		req  types.QueryAccountsRequest
		want int
	}{
		"all":            {types.QueryAccountsRequest{}, 7},
		"kind":           {types.QueryAccountsRequest{Kind: types.ACCOUNT_KIND_PROVIDER}, 2},
		"owner":          {types.QueryAccountsRequest{Owner: e.Text(alice)}, 6},
		"owner and kind": {types.QueryAccountsRequest{Owner: e.Text(alice), Kind: types.ACCOUNT_KIND_JOB}, 5},
		"none of kind":   {types.QueryAccountsRequest{Owner: e.Text(bob), Kind: types.ACCOUNT_KIND_JOB}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			seen := map[string]bool{}
			page := &query.PageRequest{Limit: 2}
			for {
				req := tc.req
				req.Pagination = page
				res, err := q.Accounts(e.Ctx, &req)
				require.NoError(t, err)
				require.LessOrEqual(t, len(res.Accounts), 2)
				for _, account := range res.Accounts {
					require.False(t, seen[account.Id], "twice")
					seen[account.Id] = true
					require.True(t, tc.req.Owner == "" || account.Owner == tc.req.Owner)
					require.True(t, tc.req.Kind == 0 || account.Kind == tc.req.Kind)
				}
				if res.Pagination.NextKey == nil {
					break
				}
				page = &query.PageRequest{Limit: 2, Key: res.Pagination.NextKey}
			}
			require.Len(t, seen, tc.want)
		})
	}
	for _, bad := range []*types.QueryAccountsRequest{
		{Owner: "alice"},
		{Kind: 4},
		{Pagination: &query.PageRequest{Limit: keeper.MaxPageLimit + 1}},
	} {
		_, err := q.Accounts(e.Ctx, bad)
		require.Equal(t, codes.InvalidArgument, status.Code(err), "%v", bad)
	}
}

func TestQueryInvariantsAndParams(t *testing.T) {
	e := funded(t)
	q := keeper.NewQueryServer(e.Escrow)
	sums := types.Totals{Balance: 100, Locked: 30}
	res, err := q.Invariants(e.Ctx, &types.QueryInvariantsRequest{})
	require.NoError(t, err)
	require.Equal(t, &types.QueryInvariantsResponse{
		Holds: true, ModuleBalance: 100, Recomputed: sums, Folded: sums, Accounts: 2,
	}, res)
	params, err := q.Params(e.Ctx, &types.QueryParamsRequest{})
	require.NoError(t, err)
	require.False(t, params.Params.OutflowsPaused)
}
