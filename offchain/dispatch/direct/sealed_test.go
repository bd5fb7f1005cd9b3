package direct

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/seal"
)

const plantedArgument = "planted-argument-51e0c2"

// hasText lists the files below a folder that hold a text.
func hasText(t *testing.T, dir, text string) (found []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if bytes.Contains(raw, []byte(text)) {
			found = append(found, path)
		}
		return err
	}))
	return found
}

// opened unpacks a result that was encrypted.
func opened(t *testing.T, out dispatch.TaskOutcome, job string, keys seal.Keys) (string, error) {
	t.Helper()
	f, err := os.Open(out.ResultPath)
	require.NoError(t, err)
	defer f.Close()
	d, size, err := artifact.DigestReader(f)
	require.NoError(t, err)
	require.Equal(t, out.Result, d, "the digest that is attested is that of what is pushed")
	require.Equal(t, out.ResultSize, size)
	_, err = f.Seek(0, 0)
	require.NoError(t, err)
	r, err := seal.NewReader(f, seal.Result(job, out.Task), keys.Identities()...)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(t.TempDir(), "out")
	return dir, artifact.UnpackIf(r, dir, artifact.Limits{}, func(artifact.Digest) error { return nil })
}

func sealedRun(t *testing.T, d *Dispatcher, dir string, guest dispatchtest.Module) {
	key, err := seal.NewKey()
	require.NoError(t, err)
	other, err := seal.NewKey()
	require.NoError(t, err)
	a := dispatchtest.Assignment(guest, 2, "report", plantedArgument)
	a.SealTo = key.Recipient().String()
	out := dispatchtest.RunToEnd(t, d, a)
	for _, task := range out.Tasks {
		require.Equal(t, dispatch.ReasonOK, task.Reason, task.Message)
		got, err := opened(t, task, a.ID.Job, seal.Keys{key})
		require.NoError(t, err)
		require.Len(t, hasText(t, got, plantedArgument), 1)
		_, err = opened(t, task, a.ID.Job, seal.Keys{other})
		require.ErrorIs(t, err, seal.ErrKey)
		_, err = opened(t, task, "job1other", seal.Keys{key})
		require.ErrorIs(t, err, seal.ErrOther, "the result of another job")
	}
	require.NotEqual(t, out.Tasks[0].Result, out.Tasks[1].Result)
	require.Empty(t, hasText(t, dir, plantedArgument), "no result is left in the clear")

	a.ID.Attempt, a.Args = 2, []string{"exit", "3"}
	failed := dispatchtest.RunToEnd(t, d, a).Tasks[0]
	require.Equal(t, dispatch.ReasonExit, failed.Reason)
	got, err := opened(t, failed, a.ID.Job, seal.Keys{key})
	require.NoError(t, err)
	require.Len(t, hasText(t, got, "partial"), 1, "what a task that failed has left is encrypted, too")
	require.Empty(t, hasText(t, filepath.Dir(failed.ResultPath), "partial"))
}

func TestSealedResults(t *testing.T) {
	dir := t.TempDir()
	sealedRun(t, openDirect(t, Options{Dir: dir}), dir, dispatchtest.BuildGuest(t))
}

func TestDockerSealedResults(t *testing.T) {
	needDocker(t)
	dir := t.TempDir()
	d, closeIt := openDocker(t, dir)
	t.Cleanup(closeIt)
	sealedRun(t, d.(*Dispatcher), dir, dispatchtest.BuildGuestImage(t))
}

// A result that was encrypted is not encrypted anew by a process that takes the attempt up: it may have been reported.
func TestSealedResultsOutliveRestarts(t *testing.T) {
	dir := t.TempDir()
	key, err := seal.NewKey()
	require.NoError(t, err)
	a := dispatchtest.Assignment(dispatchtest.BuildGuest(t), 1, "report", "x")
	a.SealTo = key.Recipient().String()
	d := openDirect(t, Options{Dir: dir})
	want := dispatchtest.RunToEnd(t, d, a)
	require.NoError(t, d.Close())
	d = openDirect(t, Options{Dir: dir})
	require.Equal(t, want.ResultRoot(), dispatchtest.RunToEnd(t, d, a).ResultRoot())
	open := a
	open.SealTo = ""
	require.ErrorIs(t, d.Start(t.Context(), open), dispatch.ErrConflict, "in the clear it is another assignment")
}

func TestSealedAssignments(t *testing.T) {
	a := dispatchtest.Assignment(dispatchtest.BuildGuest(t), 1, "report", "x")
	for _, to := range []string{"age1", "AGE-SECRET-KEY-1QQQ", "x"} {
		a.SealTo = to
		require.ErrorIs(t, a.Validate(), dispatch.ErrInvalidAssignment, to)
	}
}
