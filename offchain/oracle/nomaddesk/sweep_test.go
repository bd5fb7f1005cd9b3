package nomaddesk

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// steps are what can become of a slice on chain, from each state. A slice that is matched again is in its next attempt.
var steps = map[jobstypes.SliceStatus][]jobstypes.SliceStatus{
	jobstypes.SLICE_STATUS_PENDING: {jobstypes.SLICE_STATUS_MATCHED, jobstypes.SLICE_STATUS_CANCELLED, jobstypes.SLICE_STATUS_EXPIRED},
	jobstypes.SLICE_STATUS_MATCHED: {
		jobstypes.SLICE_STATUS_REPORTED, jobstypes.SLICE_STATUS_SETTLED, jobstypes.SLICE_STATUS_LOST, jobstypes.SLICE_STATUS_CANCELLED,
		jobstypes.SLICE_STATUS_PENDING,
	},
	jobstypes.SLICE_STATUS_REPORTED: {jobstypes.SLICE_STATUS_SETTLED},
}

// TestOverIsForGood: whatever becomes of a slice, an attempt that is over stays over, one that is matched is not, and one that is still to come is not.
func TestOverIsForGood(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := jobstypes.Slice{Status: jobstypes.SLICE_STATUS_PENDING}
		ended := map[uint32]bool{}
		for next := steps[s.Status]; len(next) > 0; next = steps[s.Status] {
			s.Status = rapid.SampledFrom(next).Draw(t, "status")
			if s.Status == jobstypes.SLICE_STATUS_MATCHED {
				s.Attempt++
				if s.Attempt > 5 {
					break
				}
				require.False(t, over(s, s.Attempt))
			}
			for attempt := range uint32(8) {
				now := over(s, attempt)
				require.True(t, now || !ended[attempt], "attempt %d is not over any more in %s of attempt %d", attempt, s.Status, s.Attempt)
				require.False(t, now && attempt > s.Attempt, "attempt %d is over before it was", attempt)
				ended[attempt] = now
			}
		}
		if len(steps[s.Status]) == 0 {
			require.True(t, over(s, s.Attempt))
		}
	})
}
