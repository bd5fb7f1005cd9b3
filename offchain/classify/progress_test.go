package classify

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/classify/gen"
)

// A fit reports its passes, those over all rows last, and ends at the pass before which its context did.
func TestProgress(t *testing.T) {
	set := gen.B(20_000, 4, 3, 1)
	d := &Data{Rows: 20_000, Dim: set.Dim, X: set.X}
	for name, fit := range map[string]func(context.Context, *SplitMix64) error{
		"kmeans": func(ctx context.Context, src *SplitMix64) error {
			_, err := FitKMeans(ctx, d, KMeansOptions{K: 4}, src)
			return err
		},
		"gmm": func(ctx context.Context, src *SplitMix64) error {
			_, err := FitGMM(ctx, d, GMMOptions{K: 4}, src)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			var steps []Step
			src := SplitMix64(1)
			require.NoError(t, fit(WithProgress(t.Context(), func(s Step) { steps = append(steps, s) }), &src))
			require.Greater(t, len(steps), 10)
			require.Less(t, steps[0].Rows, d.Rows, "it begins with a sample")
			last := steps[len(steps)-1]
			require.Equal(t, Step{K: 4, Rows: d.Rows, Pass: last.Pass}, last)

			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			passes := 0
			ctx = WithProgress(ctx, func(Step) {
				if passes++; passes == 5 {
					cancel()
				}
			})
			src = SplitMix64(1)
			require.ErrorIs(t, fit(ctx, &src), context.Canceled)
			require.Equal(t, 5, passes)
		})
	}
}
