package limits

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The machine is in use from when something tells so until nothing has for ten minutes.
func TestPresence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p Presence
		now := time.Unix(1_700_000_000, 0)
		var lastUse time.Time
		row := 0
		for range rapid.IntRange(1, 60).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(1, 400).Draw(t, "seconds")) * time.Second)
			s := Sample{Desktop: rapid.IntRange(0, 9).Draw(t, "desktop") == 0, Others: rapid.SampledFrom([]int{0, 249, 250, 1000}).Draw(t, "others")}
			if rapid.Bool().Draw(t, "terminal") {
				s.Input = now.Add(-time.Duration(rapid.IntRange(0, 900).Draw(t, "idle")) * time.Second)
			}
			if row++; s.Others < 250 {
				row = 0
			}
			if s.Desktop || row >= 2 || !s.Input.IsZero() && now.Sub(s.Input) < 5*time.Minute {
				lastUse = now
			}
			inUse, reason := p.Observe(s, now)
			require.Equal(t, !lastUse.IsZero() && now.Sub(lastUse) < 10*time.Minute, inUse)
			require.Equal(t, lastUse.Equal(now), reason != "")
		}
	})
}
