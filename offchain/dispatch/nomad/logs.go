package nomad

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/runner"
	"github.com/foggrid/fogd/offchain/durable"
)

// part is a piece of a task's log: a batch task has one, a service the newest two.
type part struct {
	base uint64 // bytes before it
	size int64
	name string
	// open reads from an offset within the part on.
	open func(ctx context.Context, offset int64) (io.ReadCloser, error)
}

// parseParts picks those of a log out of a task's folder, oldest first.
func parseParts(sizes map[string]int64) (parts []part) {
	for name, size := range sizes {
		digits, numbered := strings.CutPrefix(name, logName+".")
		base, err := strconv.ParseUint(digits, 10, 64)
		if name == logName {
			base, err, numbered = 0, nil, true
		}
		if numbered && err == nil {
			parts = append(parts, part{base: base, size: size, name: name})
		}
	}
	slices.SortFunc(parts, func(a, b part) int { return strings.Compare(a.name, b.name) })
	return parts
}

// task finds the attempt of a task.
func (d *Dispatcher) task(ctx context.Context, id dispatch.AttemptID, task uint32) (*attempt, error) {
	t, err := d.find(ctx, id)
	if err != nil {
		return nil, err
	}
	if a := t.assignment; task < a.FirstTask || task-a.FirstTask >= a.Tasks {
		return nil, fmt.Errorf("attempt %s has no task %d; it has %d tasks from %d on", id, task, a.Tasks, a.FirstTask)
	}
	return t, nil
}

// parts of a task's log: from here once it has finished, else from its client. A task that has not begun has none.
func (t *attempt) parts(ctx context.Context, task uint32) ([]part, error) {
	if _, finished := t.tasks.Of(task); finished {
		return localParts(taskDir(t.dir, task))
	}
	alloc, ok := t.allocOf(task)
	if !ok || !began(alloc) { // its client may not even have made its folder
		return nil, nil
	}
	running := runner.RunningLog(t.assignment.ID, task)
	for _, folder := range []string{path.Dir(running), path.Dir(runner.LogFile)} {
		list, err := t.region.client.list(ctx, t.fileOf(alloc.ID, folder))
		if errors.Is(err, errNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		parts := parseParts(list)
		for i := range parts {
			f := t.fileOf(alloc.ID, path.Join(folder, parts[i].name))
			left := parts[i].size
			parts[i].open = func(ctx context.Context, offset int64) (io.ReadCloser, error) {
				return t.region.client.readAt(ctx, f, offset, left-offset)
			}
		}
		if len(parts) > 0 {
			return parts, nil
		}
	}
	return nil, nil
}

func localParts(dir string) ([]part, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	sizes := map[string]int64{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		sizes[e.Name()] = info.Size()
	}
	parts := parseParts(sizes)
	for i := range parts {
		parts[i].open = func(_ context.Context, offset int64) (io.ReadCloser, error) {
			f, err := os.Open(filepath.Join(dir, parts[i].name))
			if err == nil {
				_, err = f.Seek(offset, io.SeekStart)
			}
			return f, err
		}
	}
	return parts, nil
}

// keepLog brings the log of a service here before its allocation is forgotten. It is not worth the attempt's end.
func (t *attempt) keepLog(ctx context.Context, task uint32) {
	parts, err := t.parts(ctx, task)
	dir := taskDir(t.dir, task)
	err = errors.Join(err, os.MkdirAll(dir, 0o755))
	for _, p := range parts {
		err = errors.Join(err, durable.ReplaceWith(filepath.Join(dir, p.name), 0o600, func(w io.Writer) (err error) {
			r, err := p.open(ctx, 0)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, r.Close()) }()
			_, err = io.Copy(w, io.LimitReader(r, maxLogBytes))
			return err
		}))
	}
	if err != nil {
		t.log.Warn("the log of a service that has ended cannot be fetched", "error", err)
	}
}

// Logs implements dispatch.Dispatcher.
func (d *Dispatcher) Logs(ctx context.Context, id dispatch.AttemptID, task uint32) (io.ReadCloser, error) {
	t, err := d.task(ctx, id, task)
	if err != nil {
		return nil, err
	}
	parts, err := t.parts(ctx, task)
	if err != nil {
		return nil, err
	}
	all := &logReader{}
	var readers []io.Reader
	for _, p := range parts {
		r, err := p.open(ctx, 0)
		if err != nil {
			return nil, errors.Join(err, all.Close())
		}
		all.opened, readers = append(all.opened, r), append(readers, io.LimitReader(r, p.size))
	}
	all.Reader = io.MultiReader(readers...)
	return all, nil
}

// logReader reads parts one after the other.
type logReader struct {
	io.Reader
	opened []io.Closer
}

func (r *logReader) Close() (err error) {
	for _, c := range r.opened {
		err = errors.Join(err, c.Close())
	}
	return err
}

// Follow implements dispatch.Observer.
func (d *Dispatcher) Follow(
	ctx context.Context, id dispatch.AttemptID, task uint32, from uint64, emit func(offset uint64, piece []byte) error,
) error {
	t, err := d.task(ctx, id, task)
	if err != nil {
		return err
	}
	for {
		ended := t.over(task) // before reading, so that nothing is missed
		parts, err := t.parts(ctx, task)
		if err != nil {
			return fmt.Errorf("log of task %d of attempt %s: %w", task, id, err)
		}
		next, err := emitFrom(ctx, parts, from, emit)
		if err != nil {
			return err
		}
		if next != from {
			from = next
			continue
		}
		if ended {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(t.opts.LookEvery / 5):
		}
	}
}

// emitFrom passes on what parts hold from an offset on, and returns where they end.
func emitFrom(ctx context.Context, parts []part, from uint64, emit func(uint64, []byte) error) (uint64, error) {
	buf := make([]byte, dispatch.MaxLogPiece)
	for _, p := range parts {
		at := max(from, p.base)
		if at >= p.base+uint64(p.size) {
			continue
		}
		r, err := p.open(ctx, int64(at-p.base))
		if err != nil {
			return from, err
		}
		for err == nil {
			var n int
			if n, err = r.Read(buf[:min(uint64(len(buf)), p.base+uint64(p.size)-at)]); n > 0 {
				if emitErr := emit(at, buf[:n]); emitErr != nil {
					return from, errors.Join(emitErr, r.Close())
				}
				at += uint64(n)
				from = at
			}
			if at == p.base+uint64(p.size) {
				break
			}
		}
		if closeErr := r.Close(); err != nil && !errors.Is(err, io.EOF) || closeErr != nil {
			return from, errors.Join(err, closeErr)
		}
	}
	return from, ctx.Err()
}

// over reports whether a task will write nothing more.
func (t *attempt) over(task uint32) bool {
	_, finished := t.tasks.Of(task)
	return finished || t.tasks.Ended()
}
