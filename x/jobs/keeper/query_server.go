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
	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// MaxPageLimit is the largest page of jobs or slices.
const MaxPageLimit = 1000

type queryServer struct{ k Keeper }

// NewQueryServer answers the module's queries.
func NewQueryServer(k Keeper) types.QueryServer { return queryServer{k} }

func (s queryServer) Params(ctx context.Context, _ *types.QueryParamsRequest) (*types.QueryParamsResponse, error) {
	params, err := s.k.params.Get(ctx)
	if err != nil {
		return nil, err
	}
	return &types.QueryParamsResponse{Params: params}, nil
}

func (s queryServer) Job(ctx context.Context, req *types.QueryJobRequest) (*types.QueryJobResponse, error) {
	id, err := parseID(types.JobHRP, req.Id)
	if err != nil {
		return nil, err
	}
	job, err := s.k.Job(ctx, id)
	if err != nil {
		return nil, notFound(err)
	}
	until, err := s.k.fundedUntil(ctx, job)
	if err != nil {
		return nil, err
	}
	return &types.QueryJobResponse{Job: job, FundedUntil: until}, nil
}

func (s queryServer) Jobs(ctx context.Context, req *types.QueryJobsRequest) (*types.QueryJobsResponse, error) {
	if err := checkPage(req.Pagination); err != nil {
		return nil, err
	}
	var jobs []types.Job
	var page *query.PageResponse
	var err error
	switch {
	case req.Owner != "":
		jobs, page, err = s.jobsOf(ctx, req)
	case req.Status == types.JOB_STATUS_OPEN:
		jobs, page, err = query.CollectionPaginate(ctx, s.k.open, req.Pagination,
			func(id escrowtypes.ID, _ collections.NoValue) (types.Job, error) { return s.k.Job(ctx, id) })
	default: // nearly all jobs are closed, so those need no index
		jobs, page, err = query.CollectionFilteredPaginate(ctx, s.k.jobs, req.Pagination,
			func(_ escrowtypes.ID, job types.Job) (bool, error) {
				return req.Status == types.JOB_STATUS_UNSPECIFIED || job.Status == req.Status, nil
			},
			func(_ escrowtypes.ID, job types.Job) (types.Job, error) { return job, nil })
	}
	if err != nil {
		return nil, err
	}
	return &types.QueryJobsResponse{Jobs: jobs, Pagination: page}, nil
}

func (s queryServer) jobsOf(ctx context.Context, req *types.QueryJobsRequest) ([]types.Job, *query.PageResponse, error) {
	owner, err := s.k.addresses.StringToBytes(req.Owner)
	if err != nil {
		return nil, nil, status.Errorf(codes.InvalidArgument, "owner: %s", err)
	}
	type key = collections.Pair[sdk.AccAddress, escrowtypes.ID]
	return query.CollectionFilteredPaginate(ctx, s.k.byOwner, req.Pagination,
		func(key key, _ collections.NoValue) (bool, error) {
			if req.Status == types.JOB_STATUS_UNSPECIFIED {
				return true, nil
			}
			open, err := s.k.open.Has(ctx, key.K2())
			return open == (req.Status == types.JOB_STATUS_OPEN), err
		},
		func(key key, _ collections.NoValue) (types.Job, error) { return s.k.Job(ctx, key.K2()) },
		query.WithCollectionPaginationPairPrefix[sdk.AccAddress, escrowtypes.ID](owner))
}

func (s queryServer) PeriodicJob(ctx context.Context, req *types.QueryPeriodicJobRequest) (*types.QueryPeriodicJobResponse, error) {
	id, err := parseID(types.JobHRP, req.Id)
	if err != nil {
		return nil, err
	}
	job, err := s.k.PeriodicJob(ctx, id)
	if err != nil {
		return nil, notFound(err)
	}
	return &types.QueryPeriodicJobResponse{Job: job}, nil
}

func (s queryServer) PeriodicJobs(ctx context.Context, req *types.QueryPeriodicJobsRequest) (*types.QueryPeriodicJobsResponse, error) {
	if err := checkPage(req.Pagination); err != nil {
		return nil, err
	}
	var jobs []types.PeriodicJob
	var page *query.PageResponse
	var err error
	if req.Owner == "" {
		jobs, page, err = query.CollectionPaginate(ctx, s.k.periodic, req.Pagination,
			func(_ escrowtypes.ID, job types.PeriodicJob) (types.PeriodicJob, error) { return job, nil })
	} else {
		owner, parseErr := s.k.addresses.StringToBytes(req.Owner)
		if parseErr != nil {
			return nil, status.Errorf(codes.InvalidArgument, "owner: %s", parseErr)
		}
		jobs, page, err = query.CollectionPaginate(ctx, s.k.periodicByOwner, req.Pagination,
			func(key collections.Pair[sdk.AccAddress, escrowtypes.ID], _ collections.NoValue) (types.PeriodicJob, error) {
				return s.k.PeriodicJob(ctx, key.K2())
			}, query.WithCollectionPaginationPairPrefix[sdk.AccAddress, escrowtypes.ID](owner))
	}
	if err != nil {
		return nil, err
	}
	return &types.QueryPeriodicJobsResponse{Jobs: jobs, Pagination: page}, nil
}

func (s queryServer) Slice(ctx context.Context, req *types.QuerySliceRequest) (*types.QuerySliceResponse, error) {
	id, err := parseID(types.JobHRP, req.JobId)
	if err != nil {
		return nil, err
	}
	slice, err := s.k.Slice(ctx, id, req.Number)
	if err != nil {
		return nil, notFound(err)
	}
	return &types.QuerySliceResponse{Slice: slice}, nil
}

func (s queryServer) Slices(ctx context.Context, req *types.QuerySlicesRequest) (*types.QuerySlicesResponse, error) {
	if err := checkPage(req.Pagination); err != nil {
		return nil, err
	}
	var slices []types.Slice
	var page *query.PageResponse
	switch {
	case (req.JobId == "") == (req.NodeId == ""):
		return nil, status.Error(codes.InvalidArgument, "job_id, node_id: give exactly one of them")
	case req.JobId != "":
		id, err := parseID(types.JobHRP, req.JobId)
		if err != nil {
			return nil, err
		}
		slices, page, err = query.CollectionPaginate(ctx, s.k.slices, req.Pagination,
			func(_ types.SliceKey, slice types.Slice) (types.Slice, error) { return slice, nil },
			query.WithCollectionPaginationPairPrefix[escrowtypes.ID, uint32](id))
		if err != nil {
			return nil, err
		}
	default:
		id, err := parseID(nodestypes.NodeHRP, req.NodeId)
		if err != nil {
			return nil, err
		}
		slices, page, err = query.CollectionPaginate(ctx, s.k.running, req.Pagination,
			func(key collections.Pair[escrowtypes.ID, types.SliceKey], _ collections.NoValue) (types.Slice, error) {
				return s.k.Slice(ctx, key.K2().K1(), key.K2().K2())
			},
			query.WithCollectionPaginationPairPrefix[escrowtypes.ID, types.SliceKey](id))
		if err != nil {
			return nil, err
		}
	}
	return &types.QuerySlicesResponse{Slices: slices, Pagination: page}, nil
}

func (s queryServer) Pending(ctx context.Context, req *types.QueryPendingRequest) (*types.QueryPendingResponse, error) {
	if err := checkPage(req.Pagination); err != nil {
		return nil, err
	}
	pending, page, err := query.CollectionPaginate(ctx, s.k.pending, req.Pagination,
		func(key collections.Pair[int64, types.SliceKey], _ collections.NoValue) (types.PendingSlice, error) {
			slice, err := s.k.Slice(ctx, key.K2().K1(), key.K2().K2())
			if err != nil {
				return types.PendingSlice{}, err
			}
			job, err := s.k.Job(ctx, key.K2().K1())
			return types.PendingSlice{Job: job, Slice: slice}, err
		})
	if err != nil {
		return nil, err
	}
	return &types.QueryPendingResponse{Pending: pending, Pagination: page}, nil
}

func (s queryServer) Invariants(ctx context.Context, _ *types.QueryInvariantsRequest) (*types.QueryInvariantsResponse, error) {
	return s.k.Invariants(ctx)
}

func checkPage(page *query.PageRequest) error {
	if limit := page.GetLimit(); limit > MaxPageLimit {
		return status.Errorf(codes.InvalidArgument, "pagination.limit: %d; it must be at most %d", limit, MaxPageLimit)
	}
	return nil
}

func parseID(hrp, text string) (escrowtypes.ID, error) {
	id, err := escrowtypes.ParseID(hrp, text)
	if err != nil {
		return escrowtypes.ID{}, status.Error(codes.InvalidArgument, err.Error())
	}
	return id, nil
}

func notFound(err error) error {
	if errors.Is(err, types.ErrJobNotFound) || errors.Is(err, types.ErrSliceNotFound) {
		return status.Error(codes.NotFound, err.Error())
	}
	return err
}
