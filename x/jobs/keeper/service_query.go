package keeper

import (
	"context"

	"cosmossdk.io/collections"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

func (s queryServer) Services(ctx context.Context, req *types.QueryServicesRequest) (*types.QueryServicesResponse, error) {
	if err := checkPage(req.Pagination); err != nil {
		return nil, err
	}
	services, page, err := query.CollectionPaginate(ctx, s.k.serving, req.Pagination,
		func(key types.SliceKey, _ collections.NoValue) (types.RunningSlice, error) {
			slice, err := s.k.Slice(ctx, key.K1(), key.K2())
			if err != nil {
				return types.RunningSlice{}, err
			}
			job, err := s.k.Job(ctx, key.K1())
			return types.RunningSlice{Job: job, Slice: slice}, err
		})
	if err != nil {
		return nil, err
	}
	return &types.QueryServicesResponse{Services: services, Pagination: page}, nil
}

func (s queryServer) ServiceClock(ctx context.Context, _ *types.QueryServiceClockRequest) (*types.QueryServiceClockResponse, error) {
	clock, err := s.k.getClock(ctx)
	if err != nil {
		return nil, err
	}
	return &types.QueryServiceClockResponse{Clock: clock}, nil
}

func (s queryServer) Endpoints(ctx context.Context, req *types.QueryEndpointsRequest) (*types.QueryEndpointsResponse, error) {
	id, err := parseID(types.JobHRP, req.JobId)
	if err != nil {
		return nil, err
	}
	job, err := s.k.Job(ctx, id)
	if err != nil {
		return nil, notFound(err)
	}
	clock, err := s.k.getClock(ctx)
	if err != nil {
		return nil, err
	}
	res := &types.QueryEndpointsResponse{}
	if !job.IsService() {
		return res, nil
	}
	for _, replica := range job.Service.Replicas {
		for _, number := range replica.Slices() {
			slice, err := s.k.Slice(ctx, id, number)
			if err != nil {
				return nil, err
			}
			if slice.Status != types.SLICE_STATUS_MATCHED {
				continue
			}
			endpoint, err := s.endpoint(ctx, slice, clock)
			if err != nil {
				return nil, err
			}
			endpoint.Successor = number != replica.Slice
			res.Endpoints = append(res.Endpoints, endpoint)
		}
	}
	return res, nil
}

// endpoint is where a slice is reached: at the address that its node has now.
func (s queryServer) endpoint(ctx context.Context, slice types.Slice, clock types.ServiceClock) (types.Endpoint, error) {
	id, err := nodestypes.ParseNodeID(slice.NodeId)
	if err != nil {
		return types.Endpoint{}, err
	}
	node, err := s.k.nodes.Node(ctx, id)
	if err != nil {
		return types.Endpoint{}, err
	}
	serving := slice.Serving
	unhealthy, notRunning := serving.Failing(clock.Judged)
	return types.Endpoint{
		Replica: slice.FirstTask, Slice: slice.Number, Revision: serving.Revision.Number, NodeId: slice.NodeId,
		Address: node.Address, Ports: serving.Ports, StartedTime: serving.StartedTime, Unhealthy: unhealthy, NotRunning: notRunning,
	}, nil
}
