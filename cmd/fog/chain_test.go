package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/offchain/chain"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// grid is the state of the chain that scripts read: one node that has been up, down and announced, with a slice on it.
type grid struct {
	node   nodestypes.Node
	slice  jobstypes.Slice
	rounds []oracletypes.Round
}

// newGrid has a node of the owner, as it stands now.
func newGrid(t *testing.T, owner string) grid {
	t.Helper()
	now := time.Now().Unix()
	raw, err := sdk.GetFromBech32(owner, chain.Bech32Prefix)
	require.NoError(t, err)
	n := nodestypes.Node{
		Id: nodestypes.NodeID(raw, "salt").Bech32(nodestypes.NodeHRP), Index: 7, Owner: owner, Status: nodestypes.NODE_STATUS_ACTIVE, Activated: true,
		Region: "eu", Datacenter: "eu-1", Hardware: nodestypes.Hardware{Cores: 8, Os: "linux", Arch: "amd64"}, Deposit: 100_000_000, Boot: "0123456789abcdef",
		Network: nodestypes.Network{RttUs: 90_000, JitterUs: 2_000, LossPpm: 10, Time: now - 60}, Grade: nodestypes.NETWORK_GRADE_B,
		Outages:    []nodestypes.Outage{{From: now - 7_200, To: now - 3_600}},
		Statistics: nodestypes.Statistics{Tasks: 12, Successes: 11, Lost: 1, Paid: 2_500_000, WorkMs: 60_000},
		Absences:   []nodestypes.Absence{{Span: nodestypes.Span{From: now + 7_200, To: now + 9_000}}},
	}
	vote := func(operator string, o nodestypes.LivenessObservation) oracletypes.RecordedVote {
		body, err := o.Marshal()
		require.NoError(t, err)
		return oracletypes.RecordedVote{Operator: operator, Body: body}
	}
	return grid{
		node: n,
		slice: jobstypes.Slice{
			JobId: jobstypes.JobID(raw, []byte("salt")).Bech32(jobstypes.JobHRP), Number: 3, TaskCount: 2, Attempt: 1, AgreedPrice: 100_000,
			Collateral: 60_000, MatchedTime: now - 30, NodeId: n.Id, Status: jobstypes.SLICE_STATUS_MATCHED,
		},
		rounds: []oracletypes.Round{ // the newest first
			{Id: 9, Kind: oracletypes.KindLiveness, OpenedTime: now - 50, Votes: []oracletypes.RecordedVote{
				vote("fog1b", nodestypes.LivenessObservation{}), vote("fog1a", nodestypes.LivenessObservation{Down: []uint32{7}}),
			}},
			{Id: 8, Kind: oracletypes.KindLiveness, OpenedTime: now - 110, Votes: []oracletypes.RecordedVote{
				vote("fog1b", nodestypes.LivenessObservation{
					Network: []nodestypes.NetworkObservation{{Index: 6, RttUs: 1}, {Index: 7, RttUs: 91_500, JitterUs: 2_000}},
				}),
			}},
		},
	}
}

func (g grid) register(s *grpc.Server) {
	nodestypes.RegisterQueryServer(s, nodesServer{grid: g})
	jobstypes.RegisterQueryServer(s, jobsServer{grid: g})
	escrowtypes.RegisterQueryServer(s, escrowServer{})
	oracletypes.RegisterQueryServer(s, oracleServer{grid: g})
}

type nodesServer struct {
	*nodestypes.UnimplementedQueryServer
	grid
}

func (s nodesServer) Params(context.Context, *nodestypes.QueryParamsRequest) (*nodestypes.QueryParamsResponse, error) {
	return &nodestypes.QueryParamsResponse{Params: nodestypes.DefaultParams()}, nil
}

func (s nodesServer) Node(_ context.Context, req *nodestypes.QueryNodeRequest) (*nodestypes.QueryNodeResponse, error) {
	if req.Id != s.node.Id {
		return nil, status.Error(codes.NotFound, req.Id)
	}
	return &nodestypes.QueryNodeResponse{Node: s.node}, nil
}

func (s nodesServer) Model(context.Context, *nodestypes.QueryModelRequest) (*nodestypes.QueryModelResponse, error) {
	return nil, status.Error(codes.NotFound, "no model")
}

type jobsServer struct {
	*jobstypes.UnimplementedQueryServer
	grid
}

func (s jobsServer) Params(context.Context, *jobstypes.QueryParamsRequest) (*jobstypes.QueryParamsResponse, error) {
	return &jobstypes.QueryParamsResponse{Params: jobstypes.DefaultParams()}, nil
}

func (s jobsServer) Slices(context.Context, *jobstypes.QuerySlicesRequest) (*jobstypes.QuerySlicesResponse, error) {
	return &jobstypes.QuerySlicesResponse{Slices: []jobstypes.Slice{s.slice}}, nil
}

type escrowServer struct {
	*escrowtypes.UnimplementedQueryServer
}

func (escrowServer) Account(_ context.Context, req *escrowtypes.QueryAccountRequest) (*escrowtypes.QueryAccountResponse, error) {
	return &escrowtypes.QueryAccountResponse{Account: escrowtypes.Account{Id: req.Id, Balance: 112_500_000, Locked: 100_060_000}}, nil
}

type oracleServer struct {
	*oracletypes.UnimplementedQueryServer
	grid
}

func (s oracleServer) Rounds(_ context.Context, req *oracletypes.QueryRoundsRequest) (*oracletypes.QueryRoundsResponse, error) {
	if !req.Pagination.Reverse {
		return nil, fmt.Errorf("the newest rounds are wanted first")
	}
	if req.Kind == oracletypes.KindLiveness {
		return &oracletypes.QueryRoundsResponse{Rounds: s.rounds}, nil
	}
	id, boot, err := nodestypes.DecodeBenchmarkSubject(req.Subject)
	if err != nil {
		return nil, err
	}
	if id.Bech32(nodestypes.NodeHRP) != s.node.Id || boot != s.node.Boot {
		return nil, fmt.Errorf("asked for the benchmark of %s, boot %s", id, boot)
	}
	reached, err := (&nodestypes.BenchmarkObservation{Measured: nodestypes.Benchmark{CpuSingle: 1_234}}).Marshal()
	if err != nil {
		return nil, err
	}
	missed, err := (&nodestypes.BenchmarkObservation{Unreachable: true}).Marshal()
	if err != nil {
		return nil, err
	}
	return &oracletypes.QueryRoundsResponse{Rounds: []oracletypes.Round{{
		Id: 2, Kind: req.Kind, OpenedTime: time.Now().Unix(), Votes: []oracletypes.RecordedVote{{Operator: "fog1a", Body: reached}, {Operator: "fog1b", Body: missed}},
	}}}, nil
}
