package challenge

import (
	"context"
	"crypto/rand"
	"math/big"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// One modulus for the package: making it takes longer than most tests.
var testExaminer = sync.OnceValue(func() *Examiner {
	e, err := NewExaminer()
	if err != nil {
		panic(err)
	}
	return e
})

func TestSquareMatchesOneByOne(t *testing.T) {
	d := testExaminer().trapdoor
	x := big.NewInt(3)
	want := new(big.Int).Set(x)
	done := uint64(0)
	for _, upTo := range []uint64{0, 1, 2, 63, 64, 65, squaringsPerCall - 1, squaringsPerCall, squaringsPerCall + 1} {
		for ; done < upTo; done++ {
			want.Mod(want.Mul(want, want), d.n)
		}
		got, err := Square(t.Context(), x, d.n, upTo)
		require.NoError(t, err)
		require.Equal(t, want, got, "%d squarings", upTo)
		require.Equal(t, want, d.squared(x, upTo), "%d squarings by the factors", upTo)
	}
	require.Equal(t, big.NewInt(3), x, "Square must not change its argument")
}

func TestSquareStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Square(ctx, big.NewInt(3), testExaminer().trapdoor.n, 1<<40)
	require.ErrorIs(t, err, context.Canceled)
}

func TestCPUAnswers(t *testing.T) {
	d := testExaminer().trapdoor
	worker := NewWorker(Limits{Cores: 3})
	answer := func(t *testing.T, cores int) (CPUTask, [][]byte) {
		task, err := d.task(rand.Reader, cores, 5000)
		require.NoError(t, err)
		values, err := worker.Do(t.Context(), task)
		require.NoError(t, err)
		return task, values
	}
	for _, cores := range []int{1, 3} {
		task, values := answer(t, cores)
		require.NoError(t, d.verify(rand.Reader, task, values))

		_, old := answer(t, cores)
		require.ErrorIs(t, d.verify(rand.Reader, task, old), ErrWrongAnswer, "an answer to an older task")

		less := task
		less.Squarings--
		skipped, err := worker.Do(t.Context(), less)
		require.NoError(t, err)
		require.ErrorIs(t, d.verify(rand.Reader, task, skipped), ErrWrongAnswer, "one squaring skipped")

		require.ErrorIs(t, d.verify(rand.Reader, task, values[:cores-1]), ErrWrongAnswer, "a core missing")
		require.ErrorIs(t, d.verify(rand.Reader, task, nil), ErrWrongAnswer)

		last := values[cores-1]
		for name, bad := range map[string][]byte{
			"bit":         append(append([]byte{}, last[:modulusSize-1]...), last[modulusSize-1]^1),
			"zero":        make([]byte, modulusSize),
			"short":       last[1:],
			"empty":       nil,
			"not reduced": new(big.Int).Add(d.n, big.NewInt(1)).FillBytes(make([]byte, modulusSize)),
			"long":        append([]byte{0}, last...),
		} {
			changed := append(append([][]byte{}, values[:cores-1]...), bad)
			require.ErrorIs(t, d.verify(rand.Reader, task, changed), ErrWrongAnswer, name)
		}
	}

	task, values := answer(t, 3)
	values[0], values[1] = values[1], values[0]
	require.ErrorIs(t, d.verify(rand.Reader, task, values), ErrWrongAnswer, "two cores exchanged")
}

func BenchmarkSquare(b *testing.B) {
	d := testExaminer().trapdoor
	x := big.NewInt(3)
	for b.Loop() {
		if _, err := Square(b.Context(), x, d.n, squaringsPerCall); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*squaringsPerCall/b.Elapsed().Seconds(), "squarings/s")
}

// BenchmarkVerifyCPU is the oracle's cost for half a second of a fast core's work.
func BenchmarkVerifyCPU(b *testing.B) {
	for _, cores := range []int{1, 2, 64} {
		b.Run(big.NewInt(int64(cores)).String()+"cores", func(b *testing.B) {
			d := testExaminer().trapdoor
			task, err := d.task(rand.Reader, cores, 500_000)
			if err != nil {
				b.Fatal(err)
			}
			values := make([][]byte, cores)
			for i, base := range task.Bases {
				values[i] = d.squared(new(big.Int).SetBytes(base), task.Squarings).FillBytes(make([]byte, modulusSize))
			}
			for b.Loop() {
				if err := d.verify(rand.Reader, task, values); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
