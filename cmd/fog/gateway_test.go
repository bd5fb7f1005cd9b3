package main

import (
	"context"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/foggrid/fogd/offchain/chain/chaintest"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// emptyJobs and emptyNodes are a chain on which nothing has happened yet.
type emptyJobs struct {
	*jobstypes.UnimplementedQueryServer
}

func (emptyJobs) Job(context.Context, *jobstypes.QueryJobRequest) (*jobstypes.QueryJobResponse, error) {
	return nil, status.Error(codes.NotFound, "job not found")
}

func (emptyJobs) Jobs(context.Context, *jobstypes.QueryJobsRequest) (*jobstypes.QueryJobsResponse, error) {
	return &jobstypes.QueryJobsResponse{}, nil
}

func (emptyJobs) PeriodicJobs(context.Context, *jobstypes.QueryPeriodicJobsRequest) (*jobstypes.QueryPeriodicJobsResponse, error) {
	return &jobstypes.QueryPeriodicJobsResponse{}, nil
}

type emptyNodes struct {
	*nodestypes.UnimplementedQueryServer
}

func (emptyNodes) Nodes(context.Context, *nodestypes.QueryNodesRequest) (*nodestypes.QueryNodesResponse, error) {
	return &nodestypes.QueryNodesResponse{}, nil
}

// The scripts below testdata/gateway have the stand-in of a chain, which $CHAIN names.
func TestGatewayScripts(t *testing.T) {
	node := chaintest.Start(t, func(s *grpc.Server) {
		jobstypes.RegisterQueryServer(s, emptyJobs{})
		nodestypes.RegisterQueryServer(s, emptyNodes{})
	})
	grpcAddr, rpcURL := node.Addresses()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/gateway",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("FOG_HOME", env.WorkDir+"/home")
			env.Setenv("GRPC", grpcAddr)
			env.Setenv("RPC", rpcURL)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "json": checkJSON, "module": writeModule, "freeport": freePort, "dial": dial, "take": take,
			"awaitpage": awaitPage,
		},
	})
}
