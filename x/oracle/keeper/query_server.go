package keeper

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/x/oracle/types"
)

type queryServer struct{ k Keeper }

var _ types.QueryServer = queryServer{}

// NewQueryServer serves the module's queries.
func NewQueryServer(k Keeper) types.QueryServer { return queryServer{k: k} }

func (s queryServer) Params(ctx context.Context, _ *types.QueryParamsRequest) (*types.QueryParamsResponse, error) {
	p, err := s.k.Params.Get(ctx)
	return &types.QueryParamsResponse{Params: p}, err
}

func (s queryServer) Oracles(ctx context.Context, req *types.QueryOraclesRequest) (*types.QueryOraclesResponse, error) {
	p, err := s.k.Params.Get(ctx)
	if err != nil {
		return nil, err
	}
	oracles, page, err := query.CollectionFilteredPaginate(ctx, s.k.Oracles, req.Pagination,
		func(_ sdk.AccAddress, o types.Oracle) (bool, error) { return !req.ActiveOnly || active(o, p), nil },
		func(_ sdk.AccAddress, o types.Oracle) (types.Oracle, error) { return o, nil })
	return &types.QueryOraclesResponse{Oracles: oracles, Pagination: page}, err
}

func (s queryServer) Oracle(ctx context.Context, req *types.QueryOracleRequest) (*types.QueryOracleResponse, error) {
	operator, err := s.k.parse(req.Operator)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "operator %q is not an address: %s", req.Operator, err)
	}
	o, err := s.k.Oracle(ctx, operator)
	if errors.Is(err, types.ErrUnknownOracle) {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	if err != nil {
		return nil, err
	}
	p, err := s.k.Params.Get(ctx)
	if err != nil {
		return nil, err
	}
	unbondings, err := s.k.unbondingsOf(ctx, operator)
	if err != nil {
		return nil, err
	}
	part, err := s.k.participation(ctx, operator)
	if err != nil {
		return nil, err
	}
	quota, err := s.k.Quota.Get(ctx, operator)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return nil, err
	}
	return &types.QueryOracleResponse{
		Oracle: o, Active: active(o, p), Unbondings: unbondings, Participation: part, Quota: quota,
	}, nil
}

func (s queryServer) Rounds(ctx context.Context, req *types.QueryRoundsRequest) (*types.QueryRoundsResponse, error) {
	switch {
	case len(req.Subject) > 0 && req.Kind == "":
		return nil, status.Error(codes.InvalidArgument, "subject needs kind; name the kind of the round too")
	case len(req.Subject) > 0:
		return s.roundOf(ctx, req)
	case req.Status == types.ROUND_STATUS_OPEN:
		return s.openRounds(ctx, req)
	}
	rounds, page, err := query.CollectionFilteredPaginate(ctx, s.k.Rounds, req.Pagination,
		func(_ uint64, r types.Round) (bool, error) {
			return (req.Status == types.ROUND_STATUS_UNSPECIFIED || r.Status == req.Status) && (req.Kind == "" || r.Kind == req.Kind), nil
		},
		func(_ uint64, r types.Round) (types.Round, error) { return r, nil })
	return &types.QueryRoundsResponse{Rounds: rounds, Pagination: page}, err
}

// roundOf answers for the latest round on one subject.
func (s queryServer) roundOf(ctx context.Context, req *types.QueryRoundsRequest) (*types.QueryRoundsResponse, error) {
	id, err := s.k.Subjects.Get(ctx, collections.Join(req.Kind, req.Subject))
	if errors.Is(err, collections.ErrNotFound) {
		return &types.QueryRoundsResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := s.k.Rounds.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if req.Status != types.ROUND_STATUS_UNSPECIFIED && r.Status != req.Status {
		return &types.QueryRoundsResponse{}, nil
	}
	return &types.QueryRoundsResponse{Rounds: []types.Round{r}}, nil
}

// openRounds pages over the index of open rounds, so that a follower need not read the finished ones.
func (s queryServer) openRounds(ctx context.Context, req *types.QueryRoundsRequest) (*types.QueryRoundsResponse, error) {
	read := func(key collections.Pair[string, uint64], _ collections.NoValue) (types.Round, error) {
		return s.k.Rounds.Get(ctx, key.K2())
	}
	var opts []func(*query.CollectionsPaginateOptions[collections.Pair[string, uint64]])
	if req.Kind != "" {
		opts = append(opts, query.WithCollectionPaginationPairPrefix[string, uint64](req.Kind))
	}
	rounds, page, err := query.CollectionPaginate(ctx, s.k.OpenRounds, req.Pagination, read, opts...)
	return &types.QueryRoundsResponse{Rounds: rounds, Pagination: page}, err
}

func (s queryServer) Round(ctx context.Context, req *types.QueryRoundRequest) (*types.QueryRoundResponse, error) {
	r, err := s.k.Rounds.Get(ctx, req.Id)
	if errors.Is(err, collections.ErrNotFound) {
		return nil, status.Errorf(codes.NotFound, "round %d was never opened or is long over", req.Id)
	}
	if err != nil {
		return nil, err
	}
	apart, err := s.k.recordedVotes(ctx, req.Id)
	if err != nil {
		return nil, err
	}
	ranks, err := s.k.ranks(ctx, r)
	if err != nil {
		return nil, err
	}
	resp := &types.QueryRoundResponse{Votes: append(r.Votes, apart...)}
	for _, op := range ranks {
		resp.Ranks = append(resp.Ranks, s.k.text(op))
	}
	r.Votes = nil
	resp.Round = r
	return resp, nil
}
