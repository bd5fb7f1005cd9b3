package challenge

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDiskAnswers(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	w := NewWorker(Limits{DiskMiB: 2, Dir: dir})
	prepare := DiskPrepareTask{Seed: seedOf(1), Blocks: 2 * diskBlocksPerMiB}
	read := DiskReadTask{Start: seedOf(2), Lanes: 3, Reads: 5}
	_, err := w.Do(ctx, read)
	require.ErrorIs(t, err, ErrBadTask, "read before prepared")
	_, err = w.Do(ctx, prepare)
	require.NoError(t, err)
	values, err := w.Do(ctx, read)
	require.NoError(t, err)
	require.NoError(t, verifyReads(ctx, prepare, read, values, all(15)))

	other := read
	other.Start = seedOf(3)
	require.ErrorIs(t, verifyReads(ctx, prepare, other, values, []int{6}), ErrWrongAnswer, "an answer to an older start")
	otherPrepare := prepare
	otherPrepare.Seed = seedOf(4)
	require.ErrorIs(t, verifyReads(ctx, otherPrepare, read, values, []int{7}), ErrWrongAnswer, "a file of an older seed")
	require.ErrorIs(t, verifyReads(ctx, prepare, read, values[1:], nil), ErrWrongAnswer)
	values[6] = bytes.Repeat([]byte{7}, 32)
	require.NoError(t, verifyReads(ctx, prepare, read, values, []int{5, 8, 10}))
	require.ErrorIs(t, verifyReads(ctx, prepare, read, values, []int{6}), ErrWrongAnswer)
	require.ErrorIs(t, verifyReads(ctx, prepare, read, values, []int{7}), ErrWrongAnswer)
	values[6] = nil
	require.ErrorIs(t, verifyReads(ctx, prepare, read, values, nil), ErrWrongAnswer)

	// A second file takes the place of the first; nothing is left at the end.
	_, err = w.Do(ctx, prepare)
	require.NoError(t, err)
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.NoError(t, w.Close())
	require.NoError(t, w.Close())
	files, err = os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, files)
}

func TestDiskPrepareFailsClean(t *testing.T) {
	dir := t.TempDir()
	w := NewWorker(Limits{DiskMiB: 2, Dir: dir})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.Do(ctx, DiskPrepareTask{Seed: seedOf(1), Blocks: 4})
	require.ErrorIs(t, err, context.Canceled)
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, files, "a file that was not finished must go")

	w = NewWorker(Limits{DiskMiB: 2, Dir: dir + "/missing"})
	_, err = w.Do(t.Context(), DiskPrepareTask{Seed: seedOf(1), Blocks: 4})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, w.Close())
}

func BenchmarkDiskRead(b *testing.B) {
	w := NewWorker(Limits{DiskMiB: 64, Dir: b.TempDir()})
	if _, err := w.Do(b.Context(), DiskPrepareTask{Seed: seedOf(1), Blocks: 64 * diskBlocksPerMiB}); err != nil {
		b.Fatal(err)
	}
	read := DiskReadTask{Start: seedOf(2), Lanes: diskLanes, Reads: laneReads}
	b.SetBytes(diskLanes * laneReads * DiskBlockSize)
	for b.Loop() {
		if _, err := w.Do(b.Context(), read); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkVerifyReads is the oracle's cost for one try.
func BenchmarkVerifyReads(b *testing.B) {
	prepare := DiskPrepareTask{Seed: seedOf(1), Blocks: diskBlocksPerMiB}
	read := DiskReadTask{Start: seedOf(2), Lanes: diskLanes, Reads: laneReads}
	w := NewWorker(Limits{DiskMiB: 1, Dir: b.TempDir()})
	if _, err := w.Do(b.Context(), prepare); err != nil {
		b.Fatal(err)
	}
	values, err := w.Do(b.Context(), read)
	if err != nil {
		b.Fatal(err)
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := verifyReads(b.Context(), prepare, read, values, all(pickedReads)); err != nil {
			b.Fatal(err)
		}
	}
}
