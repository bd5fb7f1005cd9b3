package classify

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/foggrid/fogd/offchain/classify/gen"
)

func cpu() time.Duration {
	var ru syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

func TestY(t *testing.T) {
	ns := []int{100_000, 1_000_000}
	if os.Getenv("NS") != "" {
		n, _ := strconv.Atoi(os.Getenv("NS"))
		ns = []int{n}
	}
	for _, n := range ns {
		set := gen.B(n, 8, 8, 2)
		d := &Data{Rows: n, Dim: 8, X: set.X}
		if os.Getenv("TRUTH") != "" {
			km := &KMeans{K: 8, Dim: 8, Labels: make([]int32, n)}
			for i, l := range set.Labels {
				km.Labels[i] = int32(l)
			}
			km.Centres = make([]float64, 64)
			for _, prior := range []float64{1, 0.1, -1} {
				p := newPrior(d, 8, Full, max(0, prior))
				mean, _, _ := d.moments()
				r, err := newEM(d, p).run(context.Background(), d.moulded(km, mean, p, Full, 8), 200, 1e-8)
				fmt.Println("truth", prior, r.x.logLikelihood/float64(n), r.iterations, r.converged, err)
			}
		}
		for seed := range 6 {
			src := SplitMix64(seed)
			t0 := cpu()
			m, err := FitGMM(context.Background(), d, GMMOptions{K: 8}, &src)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Println(n, seed, m.LogLikelihood, m.Iterations, m.Converged, cpu()-t0, err)
		}
	}
}

func TestZ(t *testing.T) {
	for i, k := range []int{3, 5, 8, 12} {
		set := gen.B(20000, k, 8, uint64(100+i))
		d := &Data{Rows: 20000, Dim: 8, X: set.X}
		src := SplitMix64(1)
		t0 := cpu()
		m, err := ChooseGMM(context.Background(), d, GMMOptions{}, BIC, Range{}, &src)
		fmt.Println(k, m.K, m.BIC, m.Iterations, cpu()-t0, err)
		km := &KMeans{K: k, Dim: 8, Labels: make([]int32, d.Rows)}
		for i, l := range set.Labels {
			km.Labels[i] = int32(l)
		}
		km.Centres = make([]float64, 8*k)
		for _, prior := range []float64{0, -1} {
			p := newPrior(d, k, Full, prior)
			mean, _, _ := d.moments()
			w := d.moulded(km, mean, p, Full, k)
			g, err := FitGMM(context.Background(), d, GMMOptions{K: k, Prior: prior, Warm: w, Tolerance: 1e-9}, &src)
			fmt.Println("truth", g.BIC, err)
		}
	}
}
