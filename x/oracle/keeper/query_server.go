package keeper

import (
	"bytes"
	"context"
	"encoding/binary"
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
	unbondings, err := s.k.UnbondingsOf(ctx, operator)
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

// maxExamined is how many rounds one page of a filtered listing looks at, so that a query costs the node little.
const maxExamined = 10_000

func (s queryServer) Rounds(ctx context.Context, req *types.QueryRoundsRequest) (*types.QueryRoundsResponse, error) {
	switch {
	case len(req.Subject) > 0 && req.Kind == "":
		return nil, status.Error(codes.InvalidArgument, "subject needs kind; name the kind of the round too")
	case req.Status == types.ROUND_STATUS_OPEN && len(req.Subject) > 0:
		return s.openRoundOn(ctx, req)
	case req.Status == types.ROUND_STATUS_OPEN:
		return s.openRounds(ctx, req)
	}
	return s.filteredRounds(ctx, req)
}

// openRoundOn answers for the one round that may be open on a subject.
func (s queryServer) openRoundOn(ctx context.Context, req *types.QueryRoundsRequest) (*types.QueryRoundsResponse, error) {
	id, err := s.k.OpenRounds.Get(ctx, collections.Join(req.Kind, req.Subject))
	if errors.Is(err, collections.ErrNotFound) {
		return &types.QueryRoundsResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := s.k.Rounds.Get(ctx, id)
	return &types.QueryRoundsResponse{Rounds: []types.Round{r}}, err
}

// openRounds pages over the index of open rounds, so that a follower need not read the finished ones.
func (s queryServer) openRounds(ctx context.Context, req *types.QueryRoundsRequest) (*types.QueryRoundsResponse, error) {
	read := func(_ collections.Pair[string, []byte], id uint64) (types.Round, error) {
		return s.k.Rounds.Get(ctx, id)
	}
	var opts []func(*query.CollectionsPaginateOptions[collections.Pair[string, []byte]])
	if req.Kind != "" {
		opts = append(opts, query.WithCollectionPaginationPairPrefix[string, []byte](req.Kind))
	}
	rounds, page, err := query.CollectionPaginate(ctx, s.k.OpenRounds, req.Pagination, read, opts...)
	return &types.QueryRoundsResponse{Rounds: rounds, Pagination: page}, err
}

// filteredRounds pages over all kept rounds by number and leaves out those that were not asked for. A page may be short, or empty,
// and still name a next key.
func (s queryServer) filteredRounds(ctx context.Context, req *types.QueryRoundsRequest) (*types.QueryRoundsResponse, error) {
	page := req.Pagination
	if page == nil {
		page = &query.PageRequest{}
	}
	if page.Offset > 0 || page.CountTotal {
		return nil, status.Error(codes.InvalidArgument, "pagination: offset and count_total are not supported here; use key")
	}
	limit := int(min(page.Limit, maxExamined))
	if limit == 0 {
		limit = query.DefaultLimit
	}
	rng := new(collections.Range[uint64])
	if page.Reverse {
		rng = rng.Descending()
	}
	if len(page.Key) > 0 {
		_, from, err := collections.Uint64Key.Decode(page.Key)
		if err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "pagination.key: %s; use the next_key of the page before", err)
		}
		if page.Reverse {
			rng = rng.EndInclusive(from)
		} else {
			rng = rng.StartInclusive(from)
		}
	}
	resp := &types.QueryRoundsResponse{Pagination: &query.PageResponse{}}
	examined := 0
	err := s.k.Rounds.Walk(ctx, rng, func(id uint64, r types.Round) (bool, error) {
		if len(resp.Rounds) >= limit || examined >= maxExamined {
			resp.Pagination.NextKey = binary.BigEndian.AppendUint64(nil, id)
			return true, nil
		}
		examined++
		if wanted(req, r) {
			resp.Rounds = append(resp.Rounds, r)
		}
		return false, nil
	})
	return resp, err
}

func wanted(req *types.QueryRoundsRequest, r types.Round) bool {
	return (req.Status == types.ROUND_STATUS_UNSPECIFIED || r.Status == req.Status) &&
		(req.Kind == "" || r.Kind == req.Kind) &&
		(len(req.Subject) == 0 || bytes.Equal(r.Subject, req.Subject))
}

func (s queryServer) Round(ctx context.Context, req *types.QueryRoundRequest) (*types.QueryRoundResponse, error) {
	r, err := s.k.Rounds.Get(ctx, req.Id)
	if errors.Is(err, collections.ErrNotFound) {
		return nil, status.Errorf(codes.NotFound, "round %d was never opened or is long over", req.Id)
	}
	if err != nil {
		return nil, err
	}
	ranks, err := s.k.ranks(ctx, r)
	if err != nil {
		return nil, err
	}
	resp := &types.QueryRoundResponse{Votes: r.Votes}
	for _, op := range ranks {
		resp.Ranks = append(resp.Ranks, s.k.text(op))
	}
	r.Votes = nil
	resp.Round = r
	return resp, nil
}
