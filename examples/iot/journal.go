package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/foggrid/fogd/examples/iot/reading"
)

// journal keeps the newest readings, a line of JSON each, in two files of at most limit bytes.
type journal struct {
	dir   string
	limit int64

	mu      sync.Mutex
	f       *os.File
	size    int64
	entries int
}

func (j *journal) current() string  { return filepath.Join(j.dir, "readings.jsonl") }
func (j *journal) previous() string { return filepath.Join(j.dir, "readings.old.jsonl") }

// openJournal goes on where an earlier run ended. A line that it had begun is cut off.
func openJournal(dir string, limit int64) (*journal, error) {
	j := &journal{dir: dir, limit: limit}
	raw, err := os.ReadFile(j.current())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	whole := raw[:bytes.LastIndexByte(raw, '\n')+1]
	if j.f, err = os.OpenFile(j.current(), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	j.size, j.entries = int64(len(whole)), bytes.Count(whole, []byte{'\n'})
	if err := j.f.Truncate(j.size); err != nil {
		return nil, errors.Join(err, j.f.Close())
	}
	return j, nil
}

func (j *journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.f.Close()
}

func (j *journal) count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.entries
}

func (j *journal) add(r reading.Reading) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.size+int64(len(line)) > j.limit {
		if err := j.turn(); err != nil {
			return fmt.Errorf("begin another file: %w", err)
		}
	}
	n, err := j.f.WriteAt(line, j.size)
	if err != nil {
		return err // what was written of it is written over by the next
	}
	j.size += int64(n)
	j.entries++
	return nil
}

// turn puts the full file into the place of the one before it.
func (j *journal) turn() error {
	f, err := os.CreateTemp(j.dir, ".new-*")
	if err != nil {
		return err
	}
	if err := errors.Join(os.Rename(j.current(), j.previous()), os.Rename(f.Name(), j.current()), j.f.Close()); err != nil {
		return errors.Join(err, f.Close())
	}
	j.f, j.size, j.entries = f, 0, 0
	return nil
}

// copyTo writes all that is kept, oldest first.
func (j *journal) copyTo(w io.Writer) error {
	old, now, size, err := j.files()
	if err != nil {
		return err
	}
	_, err = io.Copy(w, io.MultiReader(bytes.NewReader(old), io.LimitReader(now, size)))
	return errors.Join(err, now.Close())
}

// files are both files at one moment.
func (j *journal) files() (old []byte, now *os.File, size int64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	old, err = os.ReadFile(j.previous())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, 0, err
	}
	now, err = os.Open(j.current())
	return old, now, j.size, err
}
