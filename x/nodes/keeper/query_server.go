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

type queryServer struct{ k Keeper }

var _ types.QueryServer = queryServer{}

// NewQueryServer serves the module's queries.
func NewQueryServer(k Keeper) types.QueryServer { return queryServer{k: k} }

func (s queryServer) Params(ctx context.Context, _ *types.QueryParamsRequest) (*types.QueryParamsResponse, error) {
	p, err := s.k.Params.Get(ctx)
	return &types.QueryParamsResponse{Params: p}, err
}

func (s queryServer) Node(ctx context.Context, req *types.QueryNodeRequest) (*types.QueryNodeResponse, error) {
	var n types.Node
	var err error
	if req.Id == "" {
		n, err = s.k.NodeByAgentKey(ctx, req.AgentKey)
	} else {
		id, parseErr := types.ParseNodeID(req.Id)
		if parseErr != nil {
			return nil, status.Errorf(codes.InvalidArgument, "id: %s", parseErr)
		}
		n, err = s.k.Node(ctx, id)
	}
	if errors.Is(err, types.ErrNodeNotFound) {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	return &types.QueryNodeResponse{Node: n}, err
}

func (s queryServer) Nodes(ctx context.Context, req *types.QueryNodesRequest) (*types.QueryNodesResponse, error) {
	wanted := func(n types.Node) bool {
		return (req.Status == types.NODE_STATUS_UNSPECIFIED || n.Status == req.Status) && (req.Region == "" || n.Region == req.Region)
	}
	if req.Owner == "" {
		nodes, page, err := query.CollectionFilteredPaginate(ctx, s.k.Nodes, req.Pagination,
			func(_ escrowtypes.ID, n types.Node) (bool, error) { return wanted(n), nil },
			func(_ escrowtypes.ID, n types.Node) (types.Node, error) { return n, nil })
		return &types.QueryNodesResponse{Nodes: nodes, Pagination: page}, err
	}
	owner, err := s.k.addresses.StringToBytes(req.Owner)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "owner %q is not an address: %s", req.Owner, err)
	}
	type key = collections.Pair[sdk.AccAddress, escrowtypes.ID]
	nodes, page, err := query.CollectionFilteredPaginate(ctx, s.k.ByOwner, req.Pagination,
		func(k key, _ collections.NoValue) (bool, error) {
			n, err := s.k.Node(ctx, k.K2())
			return wanted(n), err
		},
		func(k key, _ collections.NoValue) (types.Node, error) { return s.k.Node(ctx, k.K2()) },
		query.WithCollectionPaginationPairPrefix[sdk.AccAddress, escrowtypes.ID](owner))
	return &types.QueryNodesResponse{Nodes: nodes, Pagination: page}, err
}
