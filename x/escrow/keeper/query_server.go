package keeper

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/x/escrow/types"
)

// MaxPageLimit is the largest page that Accounts returns.
const MaxPageLimit = 1000

type queryServer struct{ k Keeper }

// NewQueryServer answers the module's queries.
func NewQueryServer(k Keeper) types.QueryServer { return queryServer{k} }

func (s queryServer) Params(ctx context.Context, _ *types.QueryParamsRequest) (*types.QueryParamsResponse, error) {
	params, err := s.k.Params(ctx)
	if err != nil {
		return nil, err
	}
	return &types.QueryParamsResponse{Params: params}, nil
}

func (s queryServer) Account(ctx context.Context, req *types.QueryAccountRequest) (*types.QueryAccountResponse, error) {
	id, err := types.ParseID(types.AccountHRP, req.Id)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "id: %s", err)
	}
	account, err := s.k.Account(ctx, id)
	if errors.Is(err, types.ErrAccountNotFound) {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	if err != nil {
		return nil, err
	}
	return &types.QueryAccountResponse{Account: account}, nil
}

func (s queryServer) Accounts(ctx context.Context, req *types.QueryAccountsRequest) (*types.QueryAccountsResponse, error) {
	if _, known := types.AccountKind_name[int32(req.Kind)]; !known {
		return nil, status.Errorf(codes.InvalidArgument, "kind: %d; it must be one of provider, job, oracle, or left out", req.Kind)
	}
	if limit := req.Pagination.GetLimit(); limit > MaxPageLimit {
		return nil, status.Errorf(codes.InvalidArgument, "pagination.limit: %d; it must be at most %d", limit, MaxPageLimit)
	}
	var (
		res types.QueryAccountsResponse
		err error
	)
	if req.Owner == "" {
		res.Accounts, res.Pagination, err = s.allAccounts(ctx, req)
	} else {
		res.Accounts, res.Pagination, err = s.accountsOfOwner(ctx, req)
	}
	if err != nil {
		return nil, err
	}
	return &res, nil
}

func (s queryServer) allAccounts(ctx context.Context, req *types.QueryAccountsRequest) ([]types.Account, *query.PageResponse, error) {
	return query.CollectionFilteredPaginate(ctx, s.k.accounts, req.Pagination,
		func(_ types.ID, account types.Account) (bool, error) { return isKind(account, req.Kind), nil },
		func(_ types.ID, account types.Account) (types.Account, error) { return account, nil },
	)
}

func (s queryServer) accountsOfOwner(ctx context.Context, req *types.QueryAccountsRequest) ([]types.Account, *query.PageResponse, error) {
	owner, err := s.k.addresses.StringToBytes(req.Owner)
	if err != nil {
		return nil, nil, status.Errorf(codes.InvalidArgument, "owner: %s; it must be an address", err)
	}
	type ownerAndID = collections.Pair[sdk.AccAddress, types.ID]
	return query.CollectionFilteredPaginate(ctx, s.k.byOwner, req.Pagination,
		func(key ownerAndID, _ collections.NoValue) (bool, error) {
			account, err := s.k.Account(ctx, key.K2())
			return isKind(account, req.Kind), err
		},
		func(key ownerAndID, _ collections.NoValue) (types.Account, error) { return s.k.Account(ctx, key.K2()) },
		query.WithCollectionPaginationPairPrefix[sdk.AccAddress, types.ID](owner),
	)
}

func isKind(account types.Account, kind types.AccountKind) bool {
	return kind == types.ACCOUNT_KIND_UNSPECIFIED || account.Kind == kind
}

func (s queryServer) Invariants(ctx context.Context, _ *types.QueryInvariantsRequest) (*types.QueryInvariantsResponse, error) {
	return s.k.Invariants(ctx)
}
