package dispatchtest

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// waitFor watches an attempt until n tasks have finished.
func waitFor(t *testing.T, d dispatch.Dispatcher, id dispatch.AttemptID, n int) []dispatch.TaskOutcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var seen []dispatch.TaskOutcome
	_, err := d.Watch(ctx, id, func(o dispatch.TaskOutcome) {
		if seen = append(seen, o); len(seen) == n {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, seen, n)
	return seen
}

func (s *suite) testStop(t *testing.T) {
	dir := t.TempDir()
	d, closeIt := s.open(t, dir)
	a := WithInputs(t, Assignment(s.guest, 4, "wait", "1"))
	require.NoError(t, d.Start(context.Background(), a))
	waitFor(t, d, a.ID, 1)

	began := time.Now()
	require.NoError(t, d.Stop(context.Background(), a.ID))
	require.Less(t, time.Since(began), 10*time.Second)
	want := []dispatch.Reason{dispatch.ReasonOK, dispatch.ReasonStopped, dispatch.ReasonStopped, dispatch.ReasonStopped}
	stopped := RunToEnd(t, d, a)
	require.Equal(t, want, reasons(stopped))
	require.NoError(t, d.Stop(context.Background(), a.ID))

	ended := Assignment(s.guest, 1, "exit", "0")
	ended.ID.Slice = 2
	RunToEnd(t, d, ended)
	require.NoError(t, d.Stop(context.Background(), ended.ID))
	require.Equal(t, []dispatch.Reason{dispatch.ReasonOK}, reasons(RunToEnd(t, d, ended)))
	closeIt()

	// A stop outlives the process, even if the tasks could go on now.
	s.release(t, a)
	d, closeIt = s.open(t, dir)
	defer closeIt()
	require.Equal(t, stopped, RunToEnd(t, d, a))
}

func (s *suite) testRestart(t *testing.T) {
	dir := t.TempDir()
	d, closeIt := s.open(t, dir)
	a := WithInputs(t, Assignment(s.guest, 4, "wait", "2"))
	require.NoError(t, d.Start(context.Background(), a))
	before := waitFor(t, d, a.ID, 2)

	watched := make(chan error, 1)
	go func() {
		_, err := d.Watch(context.Background(), a.ID, nil)
		watched <- err
	}()
	closeIt()
	require.ErrorIs(t, <-watched, dispatch.ErrClosed)
	require.ErrorIs(t, d.Start(context.Background(), Assignment(s.guest, 1, "exit", "0")), dispatch.ErrClosed)

	s.release(t, a)
	d, closeIt = s.open(t, dir)
	_, err := d.Watch(context.Background(), a.ID, nil)
	require.ErrorIs(t, err, dispatch.ErrUnknownAttempt)
	changed := a
	changed.Args = []string{"wait", "3"}
	require.ErrorIs(t, d.Start(context.Background(), changed), dispatch.ErrConflict)
	out := RunToEnd(t, d, a)
	for _, old := range before {
		require.Equal(t, old, out.Tasks[old.Task], "a finished task ran again")
	}
	for i, task := range out.Tasks {
		require.Equal(t, dispatch.ReasonOK, task.Reason, task.Message)
		require.Equal(t, map[string]string{"task.txt": string(rune('0' + i))}, ResultFiles(t, task))
	}
	closeIt()

	d, closeIt = s.open(t, dir)
	defer closeIt()
	require.Equal(t, out, RunToEnd(t, d, a), "a finished attempt ran again")
}

func (s *suite) testWatch(t *testing.T) {
	d := s.start(t)
	a := WithInputs(t, Assignment(s.guest, 5, "wait", "3"))
	require.NoError(t, d.Start(context.Background(), a))
	waitFor(t, d, a.ID, 3)
	require.Contains(t, []string{"", "task 4 began\n"}, ReadLog(t, d, a.ID, 4))
	require.Equal(t, "task 0 began\n", ReadLog(t, d, a.ID, 0))
	require.ErrorIs(t, d.Remove(context.Background(), a.ID), dispatch.ErrRunning)

	s.release(t, a)
	seen := map[uint32]int{}
	out, err := d.Watch(context.Background(), a.ID, func(o dispatch.TaskOutcome) { seen[o.Task]++ })
	require.NoError(t, err)
	require.Len(t, out.Tasks, 5)
	require.Equal(t, map[uint32]int{0: 1, 1: 1, 2: 1, 3: 1, 4: 1}, seen)
	_, err = d.Logs(context.Background(), a.ID, 5)
	require.Error(t, err)
}

func (s *suite) testRemove(t *testing.T) {
	dir := t.TempDir()
	d, closeIt := s.open(t, dir)
	a := Assignment(s.guest, 1, "exit", "0")
	first := RunToEnd(t, d, a)
	require.NoError(t, d.Remove(context.Background(), a.ID))
	require.NoFileExists(t, first.Tasks[0].ResultPath)
	require.NoError(t, d.Remove(context.Background(), a.ID))
	_, err := d.Watch(context.Background(), a.ID, nil)
	require.ErrorIs(t, err, dispatch.ErrUnknownAttempt)

	changed := a
	changed.Args = []string{"exit", "1"}
	require.Equal(t, []dispatch.Reason{dispatch.ReasonExit}, reasons(RunToEnd(t, d, changed)))
	closeIt()

	// Also what an earlier process left.
	d, closeIt = s.open(t, dir)
	defer closeIt()
	require.NoError(t, d.Remove(context.Background(), a.ID))
	require.Equal(t, []dispatch.Reason{dispatch.ReasonOK}, reasons(RunToEnd(t, d, a)))
}

func (s *suite) testUnknown(t *testing.T) {
	d := s.start(t)
	id := dispatch.AttemptID{Job: "job1none"}
	require.ErrorIs(t, d.Stop(context.Background(), id), dispatch.ErrUnknownAttempt)
	_, err := d.Watch(context.Background(), id, nil)
	require.ErrorIs(t, err, dispatch.ErrUnknownAttempt)
	_, err = d.Logs(context.Background(), id, 0)
	require.ErrorIs(t, err, dispatch.ErrUnknownAttempt)
	require.NoError(t, d.Remove(context.Background(), id))
	require.ErrorIs(t, d.Remove(context.Background(), dispatch.AttemptID{Job: "../x"}), dispatch.ErrInvalidAssignment)
}

// testObserve follows the log of a task that has ended and of one that is stopped while it is followed, where the dispatcher can show them.
func (s *suite) testObserve(t *testing.T) {
	d := s.start(t)
	o, ok := d.(dispatch.Observer)
	if !ok {
		t.Skip("the dispatcher does not show running tasks")
	}
	a := WithInputs(t, Assignment(s.guest, 2, "wait", "1"))
	require.NoError(t, d.Start(context.Background(), a))
	waitFor(t, d, a.ID, 1)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	text := ""
	keep := func(offset uint64, piece []byte) error {
		require.EqualValues(t, len(text), offset)
		text += string(piece)
		return nil
	}
	require.NoError(t, o.Follow(ctx, a.ID, 0, 0, keep))
	require.Equal(t, "task 0 began\n", text)
	stats, err := o.Stats(ctx, a.ID, 0)
	require.NoError(t, err)
	require.True(t, stats.Over && !stats.Running)

	text = ""
	require.NoError(t, o.Follow(ctx, a.ID, 1, 0, func(offset uint64, piece []byte) error {
		stats, err := o.Stats(ctx, a.ID, 1)
		require.NoError(t, err)
		require.True(t, stats.Running && !stats.Over)
		require.False(t, stats.Started.IsZero())
		if err := keep(offset, piece); err != nil {
			return err
		}
		return d.Stop(ctx, a.ID)
	}))
	require.Equal(t, "task 1 began\n", text)
	require.Error(t, o.Follow(ctx, a.ID, 2, 0, keep))
	require.ErrorIs(t, o.Follow(ctx, dispatch.AttemptID{Job: "job1none"}, 0, 0, keep), dispatch.ErrUnknownAttempt)
}

func reasons(o dispatch.Outcome) (list []dispatch.Reason) {
	for _, t := range o.Tasks {
		list = append(list, t.Reason)
	}
	return list
}

// release lets the guest's "wait" go on.
func release(t *testing.T, a dispatch.Assignment) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(a.InputsDir, "release"), nil, 0o644))
}
