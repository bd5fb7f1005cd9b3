package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/foggrid/fogd/offchain/dispatch"
)

const (
	journalSuffix = ".jsonl"
	// journalSegment is the size from which on events go to another file; the two newest are kept.
	journalSegment = 256 << 10
	// journalLook is the pause between two looks for more.
	journalLook = 200 * time.Millisecond
)

// journal keeps the newest events of an attempt in files that are named by how many bytes came before, so that a place in them stays the same place
// for who reads on, also after a restart of the agent.
type journal struct {
	dir   string
	limit uint64 // of a segment
	mu    sync.Mutex
}

func (a *Agent) journalOf(id dispatch.AttemptID) *journal {
	return &journal{limit: journalSegment, dir: filepath.Join(a.cfg.Dir, "events", fmt.Sprintf("%s_s%d_a%d", id.Job, id.Slice, id.Attempt))}
}

// segment is one file of a journal.
type segment struct {
	base, size uint64
}

func (j *journal) path(base uint64) string {
	return filepath.Join(j.dir, strconv.FormatUint(base, 10)+journalSuffix)
}

// segments are the files in order.
func (j *journal) segments() ([]segment, error) {
	entries, err := os.ReadDir(j.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []segment
	for _, e := range entries {
		base, err := strconv.ParseUint(strings.TrimSuffix(e.Name(), journalSuffix), 10, 64)
		if err != nil {
			continue // not ours
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		all = append(all, segment{base, uint64(info.Size())})
	}
	slices.SortFunc(all, func(a, b segment) int {
		return strings.Compare(fmt.Sprintf("%020d", a.base), fmt.Sprintf("%020d", b.base))
	})
	return all, nil
}

// add writes an event down.
func (j *journal) add(e dispatch.Event) (err error) {
	e.Time = time.Now().UTC()
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return err
	}
	all, err := j.segments()
	if err != nil {
		return err
	}
	base := uint64(0)
	if len(all) > 0 {
		last := all[len(all)-1]
		if base = last.base; last.size >= j.limit {
			base += last.size
			for _, old := range all[:len(all)-1] {
				if err := os.Remove(j.path(old.base)); err != nil {
					return err
				}
			}
		}
	}
	f, err := os.OpenFile(j.path(base), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}

// read returns what is there from an offset on, at most as much as fits, and where it begins.
func (j *journal) read(from uint64, buf []byte) (at uint64, n int, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	all, err := j.segments()
	if err != nil {
		return from, 0, err
	}
	for _, s := range all {
		if from >= s.base+s.size {
			continue
		}
		at := max(from, s.base)
		f, err := os.Open(j.path(s.base))
		if err != nil {
			return from, 0, err
		}
		n, err := f.ReadAt(buf[:min(uint64(len(buf)), s.base+s.size-at)], int64(at-s.base))
		return at, n, errors.Join(err, f.Close())
	}
	return from, 0, nil
}

// follow passes events on until over says that there will be no more, or only those that there are.
func (j *journal) follow(ctx context.Context, from uint64, once bool, over func() bool, emit func(uint64, []byte) error) error {
	buf := make([]byte, dispatch.MaxLogPiece)
	for {
		ended := once || over() // before reading, so that nothing is missed
		at, n, err := j.read(from, buf)
		if err != nil {
			return fmt.Errorf("events: %w", err)
		}
		switch {
		case n > 0:
			if err := emit(at, buf[:n]); err != nil {
				return err
			}
			from = at + uint64(n)
		case ended:
			return nil
		default:
			if err := sleep(ctx, journalLook); err != nil {
				return err
			}
		}
	}
}

// note writes an event of a run down; one that cannot be is only missing.
func (r *run) note(e dispatch.Event) {
	if err := r.journal.add(e); err != nil {
		r.log.Warn("an event cannot be written down", "event", e.Event, "error", err)
	}
}

// noteState writes a change of a service down.
func (r *run) noteState(s dispatch.ServiceState) {
	r.note(dispatch.Event{Event: string(s.Phase), Reason: string(s.Reason), ExitCode: s.ExitCode, Restarts: s.Restarts, Message: s.Message})
}

// noteTask writes the end of a task down.
func (r *run) noteTask(t dispatch.TaskOutcome) {
	r.note(dispatch.Event{Event: "ended", Task: &t.Task, Reason: string(t.Reason), ExitCode: t.ExitCode, Message: t.Message})
}

// sweepJournals removes the events of attempts that are not under way.
func (a *Agent) sweepJournals() error {
	root := filepath.Join(a.cfg.Dir, "events")
	entries, err := os.ReadDir(root)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	a.mu.Lock()
	followed := a.followed
	keep := map[string]bool{}
	for id := range a.runs {
		keep[filepath.Base(a.journalOf(id).dir)] = true
	}
	a.mu.Unlock()
	if !followed { // those that go on are not taken up again yet
		return nil
	}
	var failed error
	for _, e := range entries {
		if keep[e.Name()] {
			continue
		}
		failed = errors.Join(failed, os.RemoveAll(filepath.Join(root, e.Name())))
	}
	return failed
}
