package keeper

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

// MaxPageLimit is the largest page that Nodes returns.
const MaxPageLimit = 1000

type queryServer struct{ k Keeper }

var _ types.QueryServer = queryServer{}

// NewQueryServer serves the module's queries.
func NewQueryServer(k Keeper) types.QueryServer { return queryServer{k: k} }

func (s queryServer) Params(ctx context.Context, _ *types.QueryParamsRequest) (*types.QueryParamsResponse, error) {
	p, err := s.k.Params.Get(ctx)
	if err != nil {
		return nil, err
	}
	return &types.QueryParamsResponse{Params: p}, nil
}

func (s queryServer) Node(ctx context.Context, req *types.QueryNodeRequest) (*types.QueryNodeResponse, error) {
	var n types.Node
	var err error
	switch {
	case req.Id != "":
		id, parseErr := types.ParseNodeID(req.Id)
		if parseErr != nil {
			return nil, status.Errorf(codes.InvalidArgument, "id: %s", parseErr)
		}
		n, err = s.k.Node(ctx, id)
	case len(req.AgentKey) > 0:
		n, err = s.k.NodeByAgentKey(ctx, req.AgentKey)
	default:
		return nil, status.Error(codes.InvalidArgument, "id and agent_key are empty; give one of them")
	}
	if errors.Is(err, types.ErrNodeNotFound) {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	if err != nil {
		return nil, err
	}
	return &types.QueryNodeResponse{Node: n}, nil
}

func (s queryServer) Nodes(ctx context.Context, req *types.QueryNodesRequest) (*types.QueryNodesResponse, error) {
	if _, known := types.NodeStatus_name[int32(req.Status)]; !known {
		return nil, status.Errorf(codes.InvalidArgument, "status: %d is not known", req.Status)
	}
	if limit := req.Pagination.GetLimit(); limit > MaxPageLimit {
		return nil, status.Errorf(codes.InvalidArgument, "pagination.limit: %d; it must be at most %d", limit, MaxPageLimit)
	}
	var nodes []types.Node
	var page *query.PageResponse
	var err error
	if req.Owner == "" {
		nodes, page, err = query.CollectionFilteredPaginate(ctx, s.k.Nodes, req.Pagination,
			func(_ escrowtypes.ID, n types.Node) (bool, error) { return wanted(req, n), nil },
			func(_ escrowtypes.ID, n types.Node) (types.Node, error) { return n, nil })
	} else {
		nodes, page, err = s.nodesOfOwner(ctx, req)
	}
	if err != nil {
		return nil, err
	}
	return &types.QueryNodesResponse{Nodes: nodes, Pagination: page}, nil
}

func (s queryServer) nodesOfOwner(ctx context.Context, req *types.QueryNodesRequest) ([]types.Node, *query.PageResponse, error) {
	owner, err := s.k.addresses.StringToBytes(req.Owner)
	if err != nil {
		return nil, nil, status.Errorf(codes.InvalidArgument, "owner %q is not an address: %s", req.Owner, err)
	}
	type key = collections.Pair[sdk.AccAddress, escrowtypes.ID]
	var n types.Node // the one that the filter has read last
	return query.CollectionFilteredPaginate(ctx, s.k.ByOwner, req.Pagination,
		func(k key, _ collections.NoValue) (_ bool, err error) {
			n, err = s.k.Node(ctx, k.K2())
			return wanted(req, n), err
		},
		func(key, collections.NoValue) (types.Node, error) { return n, nil },
		query.WithCollectionPaginationPairPrefix[sdk.AccAddress, escrowtypes.ID](owner))
}

func wanted(req *types.QueryNodesRequest, n types.Node) bool {
	return (req.Status == types.NODE_STATUS_UNSPECIFIED || n.Status == req.Status) && (req.Region == "" || n.Region == req.Region) &&
		(req.Class == 0 || n.Class == req.Class)
}

func (s queryServer) Model(ctx context.Context, _ *types.QueryModelRequest) (*types.QueryModelResponse, error) {
	model, err := s.k.LastModel(ctx)
	if errors.Is(err, types.ErrNoModel) {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	return &types.QueryModelResponse{Model: model, Hash: model.Hash()}, err
}
