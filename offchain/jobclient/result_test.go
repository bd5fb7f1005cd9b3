package jobclient

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry/client"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

func failure(task uint32, reason jobstypes.FailureReason, code uint32) jobstypes.TaskFailure {
	return jobstypes.TaskFailure{Task: task, Reason: reason, ExitCode: code}
}

// One repository for all results of a job, or one for each slice, makes no difference to who fetches them.
func TestFetchWritesEachTasksOutput(t *testing.T) {
	t.Run("shared", func(t *testing.T) { fetchEach(t, newWorld(t)) })
	t.Run("owned", func(t *testing.T) { fetchEach(t, newWorld(t, client.WithOwnedRepos())) })
}

func fetchEach(t *testing.T, w *world) {
	id := w.job("a", 4)
	w.run(id, 0, []string{"zero", "one"})
	w.run(id, 2, []string{"two", ""})
	dir := filepath.Join(t.TempDir(), "out")
	var last, total int64
	res, err := w.client.Fetch(t.Context(), id, FetchOptions{Dir: dir, Progress: func(done, all int64) { last, total = done, all }})
	require.NoError(t, err)
	require.Equal(t, []string{"0", "1", "2", "3"}, names(t, dir), "nothing temporary is left")
	require.Equal(t, "zero", read(t, dir, "0", "out.txt"))
	require.Equal(t, "two", read(t, dir, "2", "out.txt"))
	require.Empty(t, names(t, filepath.Join(dir, "3")))
	require.Empty(t, res.Missing)
	require.Equal(t, 2, res.Slices)
	require.Equal(t, total, last)
	require.Positive(t, res.Bytes)

	again, err := w.client.Fetch(t.Context(), id, FetchOptions{Dir: dir})
	require.NoError(t, err)
	require.Zero(t, again.Bytes, "what is there is not fetched again")

	require.NoError(t, os.RemoveAll(filepath.Join(dir, "1")))
	_, err = w.client.Fetch(t.Context(), id, FetchOptions{Dir: dir})
	require.NoError(t, err)
	require.Equal(t, "one", read(t, dir, "1", "out.txt"))

	outputs, err := w.client.Outputs(t.Context(), id, nil)
	require.NoError(t, err)
	require.Len(t, outputs, 4)
	for i, o := range outputs {
		var archive bytes.Buffer
		require.NoError(t, w.client.WriteOutput(t.Context(), o, &archive))
		require.Equal(t, o.Digest, artifact.DigestOf(archive.Bytes()))
		require.Equal(t, o.Size, int64(archive.Len()))
		require.EqualValues(t, i, o.Task)
	}
	number := uint32(4)
	_, err = w.client.Outputs(t.Context(), id, &number)
	require.ErrorIs(t, err, ErrNoSuchTask)
}

func TestFetchRefusesAResultThatWasNotAttested(t *testing.T) {
	w := newWorld(t)
	id := w.job("a", 3)
	w.run(id, 0, []string{"zero"})
	number := w.run(id, 1, []string{"one", "two"})
	w.slices[id][number].Attempt = 2
	forged := []client.TaskOutput{{Task: 1, Result: w.output("one")}, {Task: 2, Result: w.output("forged")}}
	_, err := w.registry.PushArtifact(t.Context(), client.ResultRepo(id), client.ResultTag(number, 2), client.Result(forged))
	require.NoError(t, err)

	dir := filepath.Join(t.TempDir(), "out")
	_, err = w.client.Fetch(t.Context(), id, FetchOptions{Dir: dir})
	var mismatch *MismatchError
	require.ErrorAs(t, err, &mismatch)
	require.Equal(t, number, mismatch.Slice)
	require.Equal(t, [32]byte(w.slices[id][number].Outcome.ResultRoot), mismatch.Chain)
	require.Equal(t, artifact.MerkleRoot([][32]byte{forged[0].Result.Digest, forged[1].Result.Digest}), mismatch.Registry)
	require.NoDirExists(t, dir, "nothing is written before all slices are checked")
}

func TestFetchRefusesSwappedTasks(t *testing.T) {
	w := newWorld(t)
	id := w.job("a", 2)
	number := w.run(id, 0, []string{"zero", "one"})
	w.slices[id][number].Attempt = 2
	swapped := []client.TaskOutput{{Task: 1, Result: w.output("one")}, {Task: 0, Result: w.output("zero")}}
	_, err := w.registry.PushArtifact(t.Context(), client.ResultRepo(id), client.ResultTag(number, 2), client.Result(swapped))
	require.NoError(t, err)
	_, err = w.client.Fetch(t.Context(), id, FetchOptions{Dir: t.TempDir()})
	require.ErrorIs(t, err, client.ErrNotArtifact)
}

func TestFetchTakesTheRunThatCounts(t *testing.T) {
	w := newWorld(t)
	id := w.job("a", 4)
	w.run(id, 0, []string{"zero", "bad one", "bad two", ""},
		failure(1, jobstypes.FAILURE_REASON_EXIT, 3), failure(2, jobstypes.FAILURE_REASON_EXIT, 4), failure(3, jobstypes.FAILURE_REASON_NODE, 0))
	w.run(id, 1, []string{"good one"})                                                // the rerun succeeds
	w.run(id, 2, []string{"bad again"}, failure(2, jobstypes.FAILURE_REASON_EXIT, 4)) // the rerun fails alike
	w.run(id, 3, []string{""}, failure(3, jobstypes.FAILURE_REASON_NOT_STARTED, 0))   // and nobody could run the last one
	w.close(id, jobstypes.CLOSE_REASON_FAILED)

	dir := t.TempDir()
	res, err := w.client.Fetch(t.Context(), id, FetchOptions{Dir: dir})
	require.NoError(t, err)
	require.Equal(t, []uint32{3}, res.Missing)
	require.Equal(t, "good one", read(t, dir, "1", "out.txt"))
	require.Equal(t, "bad again", read(t, dir, "2", "out.txt"))
	require.True(t, res.Tasks[1].Succeeded)
	require.Equal(t, TaskResult{
		Task: 2, Slice: 2, Attempt: 1, Digest: res.Tasks[2].Digest, ExitCode: 4, Failure: "FAILURE_REASON_EXIT", Dir: filepath.Join(dir, "2"),
	}, res.Tasks[2])
}

func TestFetchOfAnUnfinishedJob(t *testing.T) {
	w := newWorld(t)
	id := w.job("a", 2)
	dir := t.TempDir()
	_, err := w.client.Fetch(t.Context(), id, FetchOptions{Dir: dir, Partial: true})
	require.ErrorIs(t, err, ErrNotFinished)
	w.run(id, 1, []string{"one"})
	_, err = w.client.Fetch(t.Context(), id, FetchOptions{Dir: dir})
	require.ErrorIs(t, err, ErrNotFinished)
	res, err := w.client.Fetch(t.Context(), id, FetchOptions{Dir: dir, Partial: true})
	require.NoError(t, err)
	require.Equal(t, []uint32{0}, res.Missing)
	require.Equal(t, []string{"1"}, names(t, dir))

	expired := w.job("b", 2)
	w.close(expired, jobstypes.CLOSE_REASON_EXPIRED)
	_, err = w.client.Fetch(t.Context(), expired, FetchOptions{Dir: dir})
	require.ErrorIs(t, err, ErrNoResult)
	_, err = w.client.Fetch(t.Context(), id+"x", FetchOptions{Dir: dir})
	require.ErrorContains(t, err, "not the id of a job")
	delete(w.jobs, id)
	_, err = w.client.Fetch(t.Context(), id, FetchOptions{Dir: dir})
	require.ErrorIs(t, err, ErrNoSuchJob)
}

func TestFetchLeavesOtherFilesAlone(t *testing.T) {
	w := newWorld(t)
	id := w.job("a", 1)
	w.run(id, 0, []string{"zero"})
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "0"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "0", "mine"), nil, 0o600))
	_, err := w.client.Fetch(t.Context(), id, FetchOptions{Dir: dir})
	require.ErrorIs(t, err, ErrOtherContent)
	require.Equal(t, []string{"mine"}, names(t, filepath.Join(dir, "0")))
}

// Tasks that left nothing need no result in the registry: the oracles attest the digest of the empty archive.
func TestFetchWithoutAnyOutput(t *testing.T) {
	w := newWorld(t)
	id := w.job("a", 2)
	root := artifact.MerkleRoot([][32]byte{artifact.EmptyDigest, artifact.EmptyDigest})
	w.slices[id] = []jobstypes.Slice{{JobId: id, TaskCount: 2, Attempt: 1, Outcome: &jobstypes.Outcome{
		ResultRoot: root[:], Failures: []jobstypes.TaskFailure{failure(0, jobstypes.FAILURE_REASON_BAD_IMAGE, 0), failure(1, jobstypes.FAILURE_REASON_BAD_IMAGE, 0)},
	}}}
	dir := t.TempDir()
	res, err := w.client.Fetch(t.Context(), id, FetchOptions{Dir: dir})
	require.NoError(t, err)
	require.Equal(t, []string{"0", "1"}, names(t, dir))
	require.Equal(t, "FAILURE_REASON_BAD_IMAGE", res.Tasks[0].Failure)

	root = artifact.MerkleRoot([][32]byte{artifact.EmptyDigest, artifact.DigestOf(nil)})
	_, err = w.client.Fetch(t.Context(), id, FetchOptions{Dir: t.TempDir()})
	require.ErrorIs(t, err, client.ErrNotFound, "with output there must be a result")
}

func TestFetchBoundsWhatATaskMayBring(t *testing.T) {
	w := newWorld(t)
	id := w.job("a", 1)
	w.run(id, 0, []string{string(bytes.Repeat([]byte{'x'}, 5<<20))}) // the job allows 1 MiB
	dir := filepath.Join(t.TempDir(), "out")
	_, err := w.client.Fetch(t.Context(), id, FetchOptions{Dir: dir})
	require.ErrorIs(t, err, client.ErrTooLarge)
	require.Empty(t, names(t, dir))
}

func TestLogs(t *testing.T) {
	w := newWorld(t)
	id := w.job("a", 2)
	_, err := w.client.Logs(t.Context(), id, nil)
	require.ErrorIs(t, err, ErrNotFinished)
	w.run(id, 0, []string{"zero", "bad"}, failure(1, jobstypes.FAILURE_REASON_EXIT, 1))
	w.run(id, 1, []string{"good"})
	logs, err := w.client.Logs(t.Context(), id, nil)
	require.NoError(t, err)
	var text bytes.Buffer
	for _, l := range logs {
		require.True(t, l.Present)
		require.NoError(t, w.client.WriteLog(t.Context(), l, &text))
	}
	require.Equal(t, "log of 0 in slice 0\nlog of 1 in slice 1\n", text.String())

	one := uint32(1)
	logs, err = w.client.Logs(t.Context(), id, &one)
	require.NoError(t, err)
	require.Len(t, logs, 1)
	require.Equal(t, uint32(1), logs[0].Task)
	two := uint32(2)
	_, err = w.client.Logs(t.Context(), id, &two)
	require.ErrorIs(t, err, ErrNoSuchTask)
}
