package classify

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/foggrid/fogd/offchain/classify/gen"
)

func TestX(t *testing.T) {
	for _, n := range []int{100_000, 1_000_000} {
		set := gen.B(n, 8, 8, 2)
		d := &Data{Rows: n, Dim: 8, X: set.X}
		for seed := range 4 {
			src := SplitMix64(seed)
			t0 := time.Now()
			m, err := FitKMeans(context.Background(), d, KMeansOptions{K: 8}, &src)
			fmt.Println(n, seed, m.Inertia, m.Iterations, m.Converged, time.Since(t0), err)
		}
	}
}
