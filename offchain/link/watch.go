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
)

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

// Piece is something that is watched: of a log or of the figures.
type Piece struct {
	// Offset of Log counts bytes from the log's beginning.
	Offset uint64
	Log    []byte
	// Stats is nil in pieces of a log.
	Stats *Stats
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
		if n := len(body.Log.GetData()); kind != WatchLog || n == 0 || n > MaxLogPiece {
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
		return Piece{}, true, nil
	}
	return Piece{}, false, malformed("a piece of a watch without anything in it")
}

func pieceToProto(p Piece) *linkpb.WatchPiece {
	if p.Stats != nil {
		return &linkpb.WatchPiece{Body: &linkpb.WatchPiece_Stats{Stats: statsToProto(*p.Stats)}}
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

// shown is what of a task is shown, and from where on.
type shown struct {
	ref  TaskRef
	kind WatchKind
	from uint64
	each time.Duration // of figures
}

// pass gives take what a source has of it until the task has ended.
func (w shown) pass(ctx context.Context, source Source, take func(context.Context, Piece) error) error {
	if w.kind == WatchLog {
		return source.Follow(ctx, w.ref, w.from, func(offset uint64, log []byte) error {
			for len(log) > 0 {
				n := min(len(log), MaxLogPiece)
				// Who takes it may keep it, and the source uses its buffer again.
				if err := take(ctx, Piece{Offset: offset, Log: append([]byte(nil), log[:n]...)}); err != nil {
					return err
				}
				offset, log = offset+uint64(n), log[n:]
			}
			return nil
		})
	}
	ticker := time.NewTicker(w.each)
	defer ticker.Stop()
	for {
		stats, over, err := source.Stats(ctx, w.ref)
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
