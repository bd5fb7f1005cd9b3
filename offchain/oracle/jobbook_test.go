package oracle

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/link"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

func TestPlaceOfTask(t *testing.T) {
	slice := func(number, first, count uint32, status jobstypes.SliceStatus) jobstypes.Slice {
		return jobstypes.Slice{Number: number, FirstTask: first, TaskCount: count, Status: status, NodeId: "node1a", Attempt: 2}
	}
	slices := []jobstypes.Slice{
		slice(0, 0, 4, jobstypes.SLICE_STATUS_MATCHED), slice(1, 4, 2, jobstypes.SLICE_STATUS_LOST),
		slice(2, 6, 1, jobstypes.SLICE_STATUS_SETTLED), slice(3, 4, 1, jobstypes.SLICE_STATUS_PENDING),
		slice(4, 5, 1, jobstypes.SLICE_STATUS_MATCHED),
	}
	for task, want := range []link.Place{
		{NodeID: "node1a", Slice: 0, Attempt: 2}, {NodeID: "node1a", Slice: 0, Attempt: 2}, {NodeID: "node1a", Slice: 0, Attempt: 2},
		{NodeID: "node1a", Slice: 0, Attempt: 2}, {}, {NodeID: "node1a", Slice: 4, Attempt: 2}, {Over: true},
	} {
		got, ok := placeOfTask(slices, uint32(task))
		require.True(t, ok)
		require.Equal(t, want, got, "task %d", task)
	}
	_, ok := placeOfTask(slices, 7)
	require.False(t, ok)
}
