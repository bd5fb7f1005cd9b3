package link

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// runner is an agent's source that runs nothing: it checks the command and sends back what it was given to read.
type runner struct {
	*shower
	owner []byte
	ran   int
}

func (r *runner) Events(ctx context.Context, t TaskRef, from uint64, once bool, emit func(uint64, []byte) error) error {
	if once {
		return emit(from, []byte("{\"event\":\"pulled\"}\n"))
	}
	return r.Follow(ctx, t, from, emit)
}

func (r *runner) Exec(_ context.Context, t TaskRef, e Exec, emit func(uint64, []byte) error) (uint32, error) {
	owner, err := e.Owner(testNode, t, time.Now())
	if err == nil && !bytes.Equal(owner, r.owner) {
		err = ErrExecRefused
	}
	if err != nil {
		return 0, err
	}
	r.ran++
	if err := emit(0, e.Stdin); err != nil {
		return 0, err
	}
	return 3, nil
}

// newExecWorld is a watchWorld whose agent runs commands, for the job that the watcher of it names.
func newExecWorld(t *testing.T) (*watchWorld, *runner) {
	w := newWatchWorldOf(t, "", func(s *shower) Source { return &runner{shower: s, owner: newAccountKey(1).PubKey().Address()} })
	return w, w.source.(*runner)
}

func (w *watchWorld) command(key accountKey) *Exec {
	e := &Exec{
		NodeID: testNode, Slice: 2, Attempt: 3, Args: []string{"/bin/ls", "-l"}, Stdin: []byte("read this"), Nonce: [nonceSize]byte{9},
		Issued: time.Now().Unix(), Key: key.Key(),
	}
	var err error
	e.Signature, err = key.Sign(e.SigningBytes("job1a", 4))
	require.NoError(w.t, err)
	return e
}

func TestExec(t *testing.T) {
	w, agent := newExecWorld(t)
	var out bytes.Buffer
	var exit *uint32
	run := func(key accountKey, e *Exec) error {
		out.Reset()
		exit = nil
		watcher := w.watcher(func(p Piece) error {
			out.Write(p.Log)
			exit = p.Exit
			return nil
		})
		watcher.Kind, watcher.Exec, watcher.Owner = WatchExec, e, key
		return watcher.Watch(watchContext(t), w.oracle)
	}
	require.NoError(t, run(w.owner, w.command(w.owner)))
	require.Equal(t, "read this", out.String())
	require.EqualValues(t, 3, *exit)

	other := newAccountKey(2)
	require.ErrorIs(t, run(other, w.command(other)), ErrMayNotWatch, "another developer, by the oracle")
	require.ErrorIs(t, run(w.owner, w.command(other)), ErrWatchFailed, "and by the agent")
	elsewhere := w.command(w.owner)
	elsewhere.Slice = 7
	require.ErrorIs(t, run(w.owner, elsewhere), ErrMayNotWatch)
	require.ErrorIs(t, run(w.owner, &Exec{}), ErrMayNotWatch)
	require.ErrorIs(t, run(w.owner, nil), ErrMayNotWatch)
	require.Equal(t, 1, agent.ran)

	events := w.watcher(func(p Piece) error { out.Write(p.Log); return nil })
	events.Kind, events.Once = WatchEvents, true
	out.Reset()
	require.NoError(t, events.Watch(watchContext(t), w.oracle))
	require.Equal(t, "{\"event\":\"pulled\"}\n", out.String())

	w.jobs.set(func(b *book) { b.place.NodeID = "node1away" })
	away := w.command(w.owner)
	away.NodeID = "node1away"
	require.ErrorIs(t, run(w.owner, away), ErrNotSent, "another oracle may have the agent")
}

// TestHostileOracle alters what an owner has signed, in every way that there is.
func TestHostileOracleAltersCommands(t *testing.T) {
	w, agent := newExecWorld(t)
	session := sessionOf(t, w.server, testNode)
	ref := TaskRef{JobID: "job1a", Slice: 2, Attempt: 3, Task: 4}
	send := func(ref TaskRef, e *Exec) error {
		return session.Watch(watchContext(t), WatchAsk{Ref: ref, Kind: WatchExec, Exec: e}, func(Piece) error { return nil })
	}
	require.NoError(t, send(ref, w.command(w.owner)))
	for name, change := range map[string]func(*TaskRef, *Exec){
		"a word":          func(_ *TaskRef, e *Exec) { e.Args[1] = "-a" },
		"words joined":    func(_ *TaskRef, e *Exec) { e.Args = []string{"/bin/ls-l"} },
		"one more":        func(_ *TaskRef, e *Exec) { e.Args = append(e.Args, "/") },
		"standard input":  func(_ *TaskRef, e *Exec) { e.Stdin = []byte("read that") },
		"none":            func(_ *TaskRef, e *Exec) { e.Stdin = nil },
		"the nonce":       func(_ *TaskRef, e *Exec) { e.Nonce[0]++ },
		"the time":        func(_ *TaskRef, e *Exec) { e.Issued++ },
		"the node":        func(_ *TaskRef, e *Exec) { e.NodeID = "node1other" },
		"the slice":       func(r *TaskRef, e *Exec) { r.Slice, e.Slice = 8, 8 },
		"the attempt":     func(r *TaskRef, e *Exec) { r.Attempt, e.Attempt = 8, 8 },
		"the task":        func(r *TaskRef, _ *Exec) { r.Task = 5 },
		"the job":         func(r *TaskRef, _ *Exec) { r.JobID = "job1b" },
		"the key":         func(_ *TaskRef, e *Exec) { e.Key = newAccountKey(2).Key() },
		"no key":          func(_ *TaskRef, e *Exec) { e.Key = nil },
		"the signature":   func(_ *TaskRef, e *Exec) { e.Signature[3] ^= 1 },
		"somebody else's": func(_ *TaskRef, e *Exec) { *e = *w.command(newAccountKey(2)) },
		"an old one": func(_ *TaskRef, e *Exec) {
			e.Issued = time.Now().Add(-2 * ExecFresh).Unix()
			e.Signature, _ = w.owner.Sign(e.SigningBytes("job1a", 4)) //nolint:errcheck // a test key signs everything
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, e := ref, w.command(w.owner)
			change(&r, e)
			require.ErrorIs(t, send(r, e), ErrWatchFailed)
		})
	}
	require.Equal(t, 1, agent.ran)
}

// TestExecIsOffByDefault: an agent that does not run commands is not even asked to.
func TestExecIsOffByDefault(t *testing.T) {
	w := newWatchWorld(t, "")
	watcher := w.watcher(func(Piece) error { return nil })
	watcher.Kind, watcher.Exec = WatchExec, w.command(w.owner)
	require.ErrorIs(t, watcher.Watch(watchContext(t), w.oracle), ErrMayNotWatch)
	session := sessionOf(t, w.server, testNode)
	err := session.Watch(watchContext(t), WatchAsk{Ref: TaskRef{JobID: "job1a"}, Kind: WatchExec, Exec: watcher.Exec}, nil)
	require.ErrorIs(t, err, ErrNotShown)
}
