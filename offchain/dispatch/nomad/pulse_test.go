package nomad

import (
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// TestPulse: a service is healthy after each success, unhealthy after three failures in a row of which none before the first success was within the
// grace, and however often a check is seen, it counts once.
func TestPulse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p pulse
		run := time.Unix(1_800_000_000, 0).UTC()
		grace := time.Duration(rapid.IntRange(0, 10).Draw(t, "grace")) * time.Second
		s := dispatch.ServiceState{Phase: dispatch.ServiceRunning, Since: run}
		want, row := dispatch.ServiceRunning, 0
		at := run
		for range rapid.IntRange(0, 30).Draw(t, "checks") {
			at = at.Add(time.Duration(rapid.IntRange(1, 4).Draw(t, "pause")) * time.Second)
			check := &api.AllocCheckStatus{Check: checkName, Timestamp: at.Unix(), Status: rapid.SampledFrom([]string{checkSuccess, checkFailure, "pending"}).Draw(t, "status")}
			switch {
			case check.Status == checkSuccess:
				want, row = dispatch.ServiceHealthy, 0
			case check.Status == checkFailure && (want != dispatch.ServiceRunning || at.Sub(run) >= grace):
				if row++; row >= 3 {
					want = dispatch.ServiceUnhealthy
				}
			}
			for range rapid.IntRange(1, 3).Draw(t, "looks") {
				got := p.take(s, check, grace)
				require.Equal(t, want, got.Phase)
				require.Equal(t, want == dispatch.ServiceUnhealthy, got.Message != "")
				require.False(t, got.Since.Before(run))
			}
		}
		next := dispatch.ServiceState{Phase: dispatch.ServiceRunning, Restarts: 1, Since: at.Add(time.Hour)}
		old := &api.AllocCheckStatus{Check: checkName, Timestamp: at.Unix(), Status: checkSuccess}
		require.Equal(t, next, p.take(next, old, grace), "a check of the run before says nothing")
	})
}

// FuzzParseParts: parts are in order, and nothing else is taken for one.
func FuzzParseParts(f *testing.F) {
	f.Add("log", "log.00000000000000000010")
	f.Add("done.json", "log.x")
	f.Fuzz(func(t *testing.T, a, b string) {
		parts := parseParts(map[string]int64{a: 1, b: 2})
		require.LessOrEqual(t, len(parts), 2)
		for _, p := range parts {
			require.Contains(t, []string{a, b}, p.name)
			require.Contains(t, p.name, logName)
		}
	})
}
