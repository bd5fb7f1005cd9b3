package oracle

import (
	"testing"

	"github.com/stretchr/testify/require"

	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

func TestDifferenceNamesTheFirst(t *testing.T) {
	item := func(node uint32) jobstypes.MatchItem {
		return jobstypes.MatchItem{JobId: testJob, Count: 1, NodeIndex: node}
	}
	batch := func(nodes ...uint32) jobstypes.MatchBatch {
		var b jobstypes.MatchBatch
		for _, n := range nodes {
			b.Items = append(b.Items, item(n))
		}
		return b
	}
	for _, tt := range []struct {
		theirs, ours jobstypes.MatchBatch
		want         string
	}{
		{batch(1, 2), batch(1, 3), "item 1: accepted"},
		{batch(1), batch(1, 3), "item 1: not in the accepted batch"},
		{batch(1, 2), batch(1), "item 1: accepted"},
	} {
		require.Contains(t, difference(tt.theirs, tt.ours), tt.want)
	}
}
