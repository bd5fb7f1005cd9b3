package link

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/foggrid/fogd/offchain/link/linkpb"
)

// WatchKind is what is shown of a task.
type WatchKind uint32

// The kinds.
const (
	WatchLog WatchKind = iota + 1
	WatchStats
	WatchEvents
	WatchExec
)

// shown reports whether there is such a kind.
func (k WatchKind) shown() bool { return k >= WatchLog && k <= WatchExec }

// WatchAsk is what is asked of an agent.
type WatchAsk struct {
	Ref  TaskRef
	Kind WatchKind
	// From is where in the log or the events to begin.
	From uint64
	// Once ends a watch of events when all that there are have been sent.
	Once bool
	// Exec is the command of WatchExec.
	Exec *Exec
}

const (
	watchIDSize = 16

	// MaxLogPiece is the most of a log in one message.
	MaxLogPiece = 32 << 10

	// watchWindow is how many pieces may be under way to who reads them.
	watchWindow = 4
	// maxWatches are those of one agent at a time that one oracle may ask for.
	maxWatches = 8

	// What an agent sends to all who watch, on one link; a piece counts leastPiece at least. Pings and reports have room beside it.
	watchBytes = 256 << 10
	leastPiece = 16 << 10
)

// ErrNotShown means that what is asked for is not shown where the task runs, whoever is asked.
var ErrNotShown = errors.New("where the task runs, this is not shown")

// ErrWatchFailed is wrapped by the reason that the other side gives for the end of a watch.
var ErrWatchFailed = errors.New("the task cannot be watched")

// TaskRef names a task of an attempt.
type TaskRef struct {
	JobID                string
	Slice, Attempt, Task uint32
}

// Stats is what a task takes; see dispatch.Stats.
type Stats struct {
	At, Started                   time.Time
	Running, Measured             bool
	CPUNanos, Memory, MemoryLimit uint64
	Processes, Received, Sent     uint64
}

// Source is what an agent shows of the tasks on its machine.
type Source interface {
	// Follow passes a task's log from an offset on until the task has ended.
	Follow(ctx context.Context, t TaskRef, from uint64, emit func(offset uint64, piece []byte) error) error
	// Stats tells what a task takes now, and whether it is over for good.
	Stats(ctx context.Context, t TaskRef) (stats Stats, over bool, err error)
}

// EventSource is a Source that shows what happened to an attempt, too.
type EventSource interface {
	// Events passes lines from an offset on, until the attempt has ended, or only those that there are.
	Events(ctx context.Context, t TaskRef, from uint64, once bool, emit func(offset uint64, piece []byte) error) error
}

// ExecSource is a Source that runs commands for owners. Who they are is its own to check: see Exec.Owner.
type ExecSource interface {
	// Exec runs a command and passes its output on.
	Exec(ctx context.Context, t TaskRef, e Exec, emit func(offset uint64, piece []byte) error) (exitCode uint32, err error)
}

// Piece is something that is watched: of a log or of the figures.
type Piece struct {
	// Offset of Log counts bytes from the log's beginning.
	Offset uint64
	Log    []byte
	// Stats is nil in pieces of a log.
	Stats *Stats
	// Exit is the exit code of a command, and the last of its pieces.
	Exit *uint32
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func statsToProto(s Stats) *linkpb.WatchStats {
	return &linkpb.WatchStats{
		At: millis(s.At), Started: millis(s.Started), Running: s.Running, Measured: s.Measured, CpuNs: s.CPUNanos,
		Memory: s.Memory, MemoryLimit: s.MemoryLimit, Processes: s.Processes, Received: s.Received, Sent: s.Sent,
	}
}

func statsFromProto(m *linkpb.WatchStats) *Stats {
	return &Stats{
		At: fromMillis(m.GetAt()), Started: fromMillis(m.GetStarted()), Running: m.GetRunning(), Measured: m.GetMeasured(),
		CPUNanos: m.GetCpuNs(), Memory: m.GetMemory(), MemoryLimit: m.GetMemoryLimit(), Processes: m.GetProcesses(),
		Received: m.GetReceived(), Sent: m.GetSent(),
	}
}

// pieceFromProto reads a piece of the kind that was asked for; end is true for the last, with why there is no more.
func pieceFromProto(m *linkpb.WatchPiece, kind WatchKind) (piece Piece, end bool, err error) {
	switch body := m.GetBody().(type) {
	case *linkpb.WatchPiece_Log:
		if n := len(body.Log.GetData()); kind == WatchStats || n == 0 || n > MaxLogPiece {
			return Piece{}, false, malformed("a piece of a log of %d bytes to a watch of kind %d", n, kind)
		}
		return Piece{Offset: body.Log.GetOffset(), Log: body.Log.GetData()}, false, nil
	case *linkpb.WatchPiece_Stats:
		if kind != WatchStats {
			return Piece{}, false, malformed("figures to a watch of kind %d", kind)
		}
		return Piece{Stats: statsFromProto(body.Stats)}, false, nil
	case *linkpb.WatchPiece_End:
		if failed := body.End.GetFailed(); failed != "" {
			return Piece{}, true, fmt.Errorf("%w: %s", ErrWatchFailed, printable(failed))
		}
		if body.End.GetExited() != (kind == WatchExec) {
			return Piece{}, true, malformed("an end with or without an exit code of a watch of kind %d", kind)
		}
		if body.End.GetExited() {
			code := body.End.GetExitCode()
			return Piece{Exit: &code}, true, nil
		}
		return Piece{}, true, nil
	}
	return Piece{}, false, malformed("a piece of a watch without anything in it")
}

func pieceToProto(p Piece) *linkpb.WatchPiece {
	if p.Stats != nil {
		return &linkpb.WatchPiece{Body: &linkpb.WatchPiece_Stats{Stats: statsToProto(*p.Stats)}}
	}
	if p.Exit != nil {
		return &linkpb.WatchPiece{Body: &linkpb.WatchPiece_End{End: &linkpb.WatchEnd{Exited: true, ExitCode: *p.Exit}}}
	}
	return &linkpb.WatchPiece{Body: &linkpb.WatchPiece_Log{Log: &linkpb.WatchLog{Offset: p.Offset, Data: p.Log}}}
}

func endToProto(err error) *linkpb.WatchPiece {
	failed := ""
	if err != nil {
		failed = printable(err.Error())
	}
	return &linkpb.WatchPiece{Body: &linkpb.WatchPiece_End{End: &linkpb.WatchEnd{Failed: failed}}}
}

// shows reports whether an agent answers a kind of watch.
func (h Hello) shows(kind WatchKind) bool {
	switch kind {
	case WatchLog, WatchStats:
		return h.Watch
	case WatchEvents:
		return h.Events
	case WatchExec:
		return h.Exec
	}
	return false
}

// pass gives take what a source has of what is asked, until the task, or the command, has ended. Figures come each so often.
func (w WatchAsk) pass(ctx context.Context, source Source, each time.Duration, take func(context.Context, Piece) error) (exit *uint32, err error) {
	emit := func(offset uint64, log []byte) error {
		for len(log) > 0 {
			n := min(len(log), MaxLogPiece)
			// Who takes it may keep it, and the source uses its buffer again.
			if err := take(ctx, Piece{Offset: offset, Log: append([]byte(nil), log[:n]...)}); err != nil {
				return err
			}
			offset, log = offset+uint64(n), log[n:]
		}
		return nil
	}
	switch w.Kind {
	case WatchLog:
		return nil, source.Follow(ctx, w.Ref, w.From, emit)
	case WatchStats:
		return nil, w.passStats(ctx, source, each, take)
	case WatchEvents:
		if s, ok := source.(EventSource); ok {
			return nil, s.Events(ctx, w.Ref, w.From, w.Once, emit)
		}
	case WatchExec:
		if s, ok := source.(ExecSource); ok {
			code, err := s.Exec(ctx, w.Ref, *w.Exec, emit)
			return &code, err
		}
	}
	return nil, ErrNotShown
}

func (w WatchAsk) passStats(ctx context.Context, source Source, each time.Duration, take func(context.Context, Piece) error) error {
	ticker := time.NewTicker(each)
	defer ticker.Stop()
	for {
		stats, over, err := source.Stats(ctx, w.Ref)
		if err != nil {
			return err
		}
		if err := take(ctx, Piece{Stats: &stats}); err != nil {
			return err
		}
		if over {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
