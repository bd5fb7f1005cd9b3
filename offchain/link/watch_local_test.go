package link

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestOracleShowsItself: what no agent shows comes from the oracle, to the owner and nobody else, and who cannot show it sends the owner on.
func TestOracleShowsItself(t *testing.T) {
	w := newWatchWorld(t, "of the agent\n")
	own := newShower("of the oracle\n")
	own.over = true
	local := Local{Served: true, Source: own}
	w.server.opts.Local = func(_ context.Context, task TaskRef) (Local, error) {
		require.Equal(t, TaskRef{JobID: "job1a", Slice: 2, Attempt: 3, Task: 4}, task)
		return local, nil
	}
	stranger := w.watcher(func(Piece) error { t.Error("it was shown"); return nil })
	stranger.Owner = newAccountKey(2)
	require.ErrorIs(t, stranger.Watch(watchContext(t), w.oracle), ErrMayNotWatch)

	var text bytes.Buffer
	require.NoError(t, w.watcher(func(p Piece) error { text.Write(p.Log); return nil }).Watch(watchContext(t), w.oracle))
	require.Equal(t, "of the oracle\n", text.String())
	figures := w.watcher(func(p Piece) error {
		require.NotNil(t, p.Stats)
		return nil
	})
	figures.Kind = WatchStats
	require.NoError(t, figures.Watch(watchContext(t), w.oracle))
	require.Empty(t, w.shows.asked, "the agent was not asked")

	local.Source, w.server.opts.Absence = nil, time.Millisecond
	require.ErrorContains(t, stranger.Watch(watchContext(t), w.oracle), "only the owner")
	require.ErrorContains(t, w.watcher(func(Piece) error { return nil }).Watch(watchContext(t), w.oracle), "ask another one")
	local.Served = false
	text.Reset()
	w.shows.over = true
	require.NoError(t, w.watcher(func(p Piece) error { text.Write(p.Log); return nil }).Watch(watchContext(t), w.oracle))
	require.Equal(t, "of the agent\n", text.String())
}

// TestNotShownIsSaidOnce: what nobody can show ends the watch with one reason, in place of waiting for it.
func TestNotShownIsSaidOnce(t *testing.T) {
	w := newWatchWorld(t, "")
	events := w.watcher(func(Piece) error { t.Error("it was shown"); return nil })
	events.Kind, events.Note = WatchEvents, func(text string) { t.Error("it is waited for: ", text) }
	require.ErrorIs(t, events.Watch(watchContext(t), w.oracle), ErrNotShown, "the agent has no events")
	w.server.opts.Local = func(context.Context, TaskRef) (Local, error) { return Local{Served: true, Source: newShower("")}, nil }
	err := events.Watch(watchContext(t), w.oracle)
	require.ErrorIs(t, err, ErrNotShown)
	require.ErrorContains(t, err, testNode)
}

// chronicler is a shower with events.
type chronicler struct{ *shower }

func (c chronicler) Events(ctx context.Context, t TaskRef, from uint64, _ bool, emit func(uint64, []byte) error) error {
	return c.Follow(ctx, t, from, emit)
}

// TestOracleShowsEventsItself: to the owner and nobody else, until the task has ended.
func TestOracleShowsEventsItself(t *testing.T) {
	w := newWatchWorld(t, "")
	own := chronicler{newShower("{}\n")}
	w.server.opts.Local = func(context.Context, TaskRef) (Local, error) { return Local{Served: true, Source: own}, nil }
	stranger := w.watcher(func(Piece) error { t.Error("it was shown"); return nil })
	stranger.Kind, stranger.Owner = WatchEvents, newAccountKey(2)
	require.ErrorIs(t, stranger.Watch(watchContext(t), w.oracle), ErrMayNotWatch)
	require.Empty(t, own.asked)
	var text bytes.Buffer
	events := w.watcher(func(p Piece) error {
		text.Write(p.Log)
		if text.Len() == len("{}\n") {
			own.write("[]\n", true)
		}
		return nil
	})
	events.Kind = WatchEvents
	require.NoError(t, events.Watch(watchContext(t), w.oracle))
	require.Equal(t, "{}\n[]\n", text.String())
}
