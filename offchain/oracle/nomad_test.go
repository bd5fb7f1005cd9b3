package oracle

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/foggrid/fogd/offchain/chain/chaintest"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/link"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

const nomadNode = "node1nomad"

// nomadChainStub answers for one slice and its node, which was of Nomad at height 7 and is of its agent since.
type nomadChainStub struct {
	*jobstypes.UnimplementedQueryServer
	slice  jobstypes.Slice
	pruned bool
}

func (s *nomadChainStub) Slice(context.Context, *jobstypes.QuerySliceRequest) (*jobstypes.QuerySliceResponse, error) {
	return &jobstypes.QuerySliceResponse{Slice: s.slice}, nil
}

type nomadNodesStub struct {
	*nodestypes.UnimplementedQueryServer
	chain *nomadChainStub
}

func (s nomadNodesStub) Node(ctx context.Context, _ *nodestypes.QueryNodeRequest) (*nodestypes.QueryNodeResponse, error) {
	n := nodestypes.Node{Id: nomadNode}
	md, _ := metadata.FromIncomingContext(ctx)
	if height := md.Get("x-cosmos-block-height"); len(height) == 1 && height[0] == "7" {
		if s.chain.pruned {
			return nil, status.Error(codes.InvalidArgument, "failed to load state at height 7")
		}
		n.Attributes = []nodestypes.Attribute{{Key: handover.AttributeRegion, Value: "eu"}}
	}
	return &nodestypes.QueryNodeResponse{Node: n}, nil
}

// nomadWorker is the worker of an oracle without a cluster.
func nomadWorker(t *testing.T) (*Worker, *nomadChainStub) {
	stub := &nomadChainStub{slice: jobstypes.Slice{
		JobId: testJob, Number: 3, Attempt: 1, FirstTask: 4, TaskCount: 2, NodeId: nomadNode, Status: jobstypes.SLICE_STATUS_MATCHED,
		MatchedHeight: 7, MatchedTime: time.Now().Add(-time.Hour).Unix(),
	}}
	node := chaintest.Start(t, func(s *grpc.Server) {
		jobstypes.RegisterQueryServer(s, stub)
		nodestypes.RegisterQueryServer(s, nomadNodesStub{chain: stub})
	})
	w := testWorker("operator")
	w.cfg.Chain, w.cfg.StartTimeout = node.Client(), time.Minute
	return w, stub
}

// TestWithoutTheRegion: an oracle that cannot see the node's cluster vouches for no start, and only after the time for it is over.
func TestWithoutTheRegion(t *testing.T) {
	w, stub := nomadWorker(t)
	got, meter, err := w.outcomeOf(t.Context(), oracletypes.Round{}, stub.slice)
	require.NoError(t, err)
	require.Zero(t, meter)
	require.Equal(t, notStarted(stub.slice), got)

	stub.slice.MatchedTime = time.Now().Unix()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, _, err = w.outcomeOf(ctx, oracletypes.Round{}, stub.slice)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// TestPlaceIsThatOfTheMatch: what the owner changes later does not move an attempt.
func TestPlaceIsThatOfTheMatch(t *testing.T) {
	w, stub := nomadWorker(t)
	place, served, err := w.nomadPlace(t.Context(), stub.slice)
	require.NoError(t, err)
	require.True(t, served)
	require.Equal(t, "eu", place.Region)

	stub.slice.MatchedHeight = 8
	_, served, err = w.nomadPlace(t.Context(), stub.slice)
	require.NoError(t, err)
	require.False(t, served)

	stub.slice.MatchedHeight, stub.pruned = 7, true
	_, served, err = w.nomadPlace(t.Context(), stub.slice)
	require.NoError(t, err)
	require.False(t, served, "without the old state the newest must do")
}

func TestAgentsReportsOfNomadAreRefused(t *testing.T) {
	w, stub := nomadWorker(t)
	report := link.SignedReport{Report: link.Report{JobID: testJob, Slice: 3, Attempt: 1}}
	err := w.takeReport(t.Context(), nomadNode, report)
	require.ErrorIs(t, err, link.ErrRefused)
	require.ErrorContains(t, err, "--dispatcher nomad")
	stub.slice.MatchedHeight = 8
	require.True(t, errors.Is(w.takeReport(t.Context(), nomadNode, report), errNotYet))
}
