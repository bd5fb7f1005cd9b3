package oracle

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/link"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// TestNurses: a ward is nursed from when it is listed until it is not, once at a time, if it is on Nomad and in a region of this oracle's.
func TestNurses(t *testing.T) {
	var mu sync.Mutex
	nursing, left, asked := map[uint32]int{}, 0, 0
	count := func(of *int) func() int {
		return func() int { mu.Lock(); defer mu.Unlock(); return *of }
	}
	fail := make(chan error, 1)
	n := &nurses{
		place: func(_ context.Context, s jobstypes.Slice) (handover.Place, bool, error) {
			mu.Lock()
			defer mu.Unlock()
			asked++
			switch s.Number {
			case 1, 2:
				return handover.Place{Region: "eu"}, true, nil
			case 3:
				return handover.Place{Region: "elsewhere"}, true, nil
			}
			return handover.Place{}, false, nil
		},
		serves: func(region string) bool { return region == "eu" },
		serve: func(ctx context.Context, s jobstypes.Slice, tell func(link.ProgressState)) error {
			mu.Lock()
			nursing[s.Number]++
			mu.Unlock()
			defer func() { mu.Lock(); nursing[s.Number]--; mu.Unlock() }()
			tell(link.ProgressServing)
			select {
			case err := <-fail:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		},
		tell: func(attempt, link.ProgressState) {}, left: func() { mu.Lock(); left++; mu.Unlock() },
		places: map[attempt]nursed{}, running: map[attempt]context.CancelFunc{},
	}
	are := func(want map[uint32]int) {
		t.Helper()
		require.Eventually(t, func() bool {
			mu.Lock()
			defer mu.Unlock()
			for number := range uint32(5) {
				if nursing[number] != want[number] {
					return false
				}
			}
			return true
		}, time.Minute, time.Millisecond)
	}
	list := []jobstypes.Slice{{JobId: "j", Number: 1}, {JobId: "j", Number: 3}, {JobId: "j", Number: 4}}
	for range 3 {
		require.NoError(t, n.round(t.Context(), list))
	}
	are(map[uint32]int{1: 1})
	require.Equal(t, 3, count(&asked)(), "where an attempt is does not change")
	at, err := n.onNomad(t.Context(), list[2])
	require.NoError(t, err)
	require.False(t, at.served)

	require.NoError(t, n.round(t.Context(), []jobstypes.Slice{{JobId: "j", Number: 2}}))
	are(map[uint32]int{2: 1})
	require.Equal(t, 1, count(&left)())
	fail <- errors.New("the desk is closed")
	are(nil)
	require.Eventually(t, func() bool {
		require.NoError(t, n.round(t.Context(), []jobstypes.Slice{{JobId: "j", Number: 2}}))
		mu.Lock()
		defer mu.Unlock()
		return nursing[2] == 1
	}, time.Minute, time.Millisecond, "it is taken up again")
	require.NoError(t, n.round(t.Context(), nil))
	are(nil)
	require.Empty(t, n.places)
}
