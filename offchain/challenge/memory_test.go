package challenge

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
)

func seedOf(b byte) []byte { return bytes.Repeat([]byte{b}, SeedSize) }

// Agents and oracles of different builds must agree on every byte.
func TestGoldenContent(t *testing.T) {
	block := make([]byte, MemoryBlockSize)
	fillBlock(block, seedOf(1), 7)
	sum := sha256.Sum256(block)
	require.Equal(t, "554fdfd60c8ec900bcfface59b5532edbb14fdad538094486782088da41c06b5", hex.EncodeToString(sum[:]))
	require.Equal(t, "b78fb78576c6c047c92168cef88e65a7", hex.EncodeToString(MemoryWalkTask{Start: seedOf(2), Steps: 16}.segment(3, seedOf(4)[:checkpointSize], 1024, recompute(seedOf(1)))))

	content, err := newDiskContent(seedOf(1))
	require.NoError(t, err)
	buf := bytes.Repeat([]byte{9}, DiskBlockSize)
	content.fill(buf, 7)
	sum = sha256.Sum256(buf)
	require.Equal(t, "b07caf4f00f2a92162df311045deb8f5d67fc30d75b497aab27883275dff175b", hex.EncodeToString(sum[:]))
	start := laneStart(seedOf(2), 3)
	require.Equal(t, "463a87aa826ba0e312964d10fac95b58a5eddb2da8abfad2302cf38367e450c7", hex.EncodeToString(start))
	require.Equal(t, "c19d934c7d52970b49fbbfcc4db9aaa7095a099ec056a9bef4a8d79efde6f94d", hex.EncodeToString(readDigest(seedOf(2), start, buf)))
	require.Equal(t, uint64(0), readIndex(start, 1))
	require.Equal(t, uint64(561), readIndex(start, 2048))
}

func all(n int) []int {
	picks := make([]int, n)
	for i := range picks {
		picks[i] = i
	}
	return picks
}

func TestMemoryAnswers(t *testing.T) {
	ctx := t.Context()
	w := NewWorker(Limits{Cores: 2, MemoryMiB: 1})
	fill := MemoryFillTask{Seed: seedOf(1), Blocks: memoryBlocksPerMiB}
	walk := MemoryWalkTask{Start: seedOf(2), Segments: 8, Steps: 4}
	_, err := w.Do(ctx, walk)
	require.ErrorIs(t, err, ErrBadTask, "walked before filled")
	_, err = w.Do(ctx, fill)
	require.NoError(t, err)
	values, err := w.Do(ctx, walk)
	require.NoError(t, err)
	require.NoError(t, verifyWalk(ctx, fill, walk, values, all(8)))

	other := walk
	other.Start = seedOf(3)
	require.ErrorIs(t, verifyWalk(ctx, fill, other, values, []int{5}), ErrWrongAnswer, "an answer to an older start")
	otherFill := fill
	otherFill.Seed = seedOf(4)
	require.ErrorIs(t, verifyWalk(ctx, otherFill, walk, values, []int{5}), ErrWrongAnswer, "memory of an older seed")
	require.ErrorIs(t, verifyWalk(ctx, fill, walk, values[:7], nil), ErrWrongAnswer)
	short := append(append([][]byte{}, values[:7]...), values[7][:8])
	require.ErrorIs(t, verifyWalk(ctx, fill, walk, short, nil), ErrWrongAnswer)

	// A segment that was made up is found where it is, and in the next one.
	values[3] = bytes.Repeat([]byte{7}, checkpointSize)
	require.NoError(t, verifyWalk(ctx, fill, walk, values, []int{2, 5}))
	require.ErrorIs(t, verifyWalk(ctx, fill, walk, values, []int{3}), ErrWrongAnswer)
	require.ErrorIs(t, verifyWalk(ctx, fill, walk, values, []int{4}), ErrWrongAnswer)

	require.NoError(t, w.Close())
	_, err = w.Do(ctx, walk)
	require.ErrorIs(t, err, ErrBadTask, "closed")
}

// A walk of steps is spread over all blocks; if it were not, a part of the memory would do.
func TestWalkVisitsAllParts(t *testing.T) {
	const parts, steps = 16, 4096
	var visits [parts]int
	s := newWalkState(seedOf(5), 0, nil)
	source := recompute(seedOf(1))
	for range steps {
		i := s.next(256)
		visits[i*parts/256]++
		s.absorb(source(i))
	}
	for p, n := range visits {
		require.InDelta(t, steps/parts, n, 80, "part %d", p) // five standard deviations
	}
}

// BenchmarkWalk compares what an honest agent needs for a step with what it costs to make the block anew; the challenge
// stands on the ratio. The walk is as in a challenge, over the largest default portion.
func BenchmarkWalk(b *testing.B) {
	fill := MemoryFillTask{Seed: seedOf(1), Blocks: 256 * memoryBlocksPerMiB}
	var resident, recomputed float64
	b.Run("resident", func(b *testing.B) {
		data, err := fill.run(b.Context(), 2)
		if err != nil {
			b.Fatal(err)
		}
		b.ResetTimer()
		resident = benchmarkWalk(b, 64, blocksOf(data), fill.Blocks)
	})
	b.Run("recomputed", func(b *testing.B) {
		recomputed = benchmarkWalk(b, 1, recompute(fill.Seed), fill.Blocks)
		if resident > 0 {
			b.ReportMetric(recomputed/resident, "times-resident")
		}
	})
}

func benchmarkWalk(b *testing.B, segments uint32, source func(uint64) []byte, blocks uint64) float64 {
	walk := MemoryWalkTask{Start: seedOf(2), Segments: segments, Steps: stepsPerSegment}
	for b.Loop() {
		if _, err := walk.run(b.Context(), blocks, source); err != nil {
			b.Fatal(err)
		}
	}
	perStep := float64(b.Elapsed().Nanoseconds()) / float64(b.N) / float64(segments) / stepsPerSegment
	b.ReportMetric(perStep, "ns/step")
	return perStep
}

func BenchmarkVerifyWalk(b *testing.B) {
	fill := MemoryFillTask{Seed: seedOf(1), Blocks: memoryBlocksPerMiB}
	walk := walkFor(0)
	walk.Start = seedOf(2)
	data, err := fill.run(b.Context(), 2)
	if err != nil {
		b.Fatal(err)
	}
	values, err := walk.run(b.Context(), fill.Blocks, blocksOf(data))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := verifyWalk(b.Context(), fill, walk, values, all(checkedSteps/stepsPerSegment)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFill(b *testing.B) {
	fill := MemoryFillTask{Seed: seedOf(1), Blocks: 16 * memoryBlocksPerMiB}
	b.SetBytes(16 << 20)
	for b.Loop() {
		if _, err := fill.run(b.Context(), 2); err != nil {
			b.Fatal(err)
		}
	}
}
