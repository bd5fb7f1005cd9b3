package direct

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// segmentPrefix and the number of bytes before it name a file of a service's log.
const segmentPrefix = logName + "."

// segments is the log of a service, which has no end: the newest bytes, in two files of half the limit each. It takes all that it is
// given, because a service outlives a full disk; what could not be written is missing.
type segments struct {
	dir   string
	limit int64

	mu   sync.Mutex
	f    *os.File
	size int64 // of f
}

func openSegments(dir string, limit int64) (*segments, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	s := &segments{dir: dir, limit: max(limit/2, 1)}
	kept, err := logFiles(dir)
	if err != nil {
		return nil, err
	}
	if len(kept) == 0 {
		return s, s.next(0)
	}
	last := kept[len(kept)-1]
	if s.f, err = os.OpenFile(last.path, os.O_WRONLY|os.O_APPEND, 0o644); err != nil {
		return nil, err
	}
	s.size = last.size
	return s, nil
}

// newest is when the log was written to; zero if it never was.
func (s *segments) newest() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := s.f.Stat()
	if err != nil || info.Size() == 0 {
		return time.Time{}
	}
	return info.ModTime()
}

// next begins a file, of which base bytes were written before, and keeps only the one before it.
func (s *segments) next(base uint64) error {
	f, err := os.Create(filepath.Join(s.dir, segmentPrefix+fmt.Sprintf("%020d", base)))
	if err != nil {
		return err
	}
	old := s.f
	s.f, s.size = f, 0
	if old == nil {
		return nil
	}
	kept, err := logFiles(s.dir)
	for i := 0; i < len(kept)-2; i++ {
		err = errors.Join(err, os.Remove(kept[i].path))
	}
	return errors.Join(err, old.Close())
}

// Write implements io.Writer; it never fails.
func (s *segments) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for rest := p; len(rest) > 0; {
		if s.size >= s.limit {
			if base, ok := baseOf(s.f.Name()); !ok || s.next(base+uint64(s.size)) != nil {
				return len(p), nil
			}
		}
		n, err := s.f.Write(rest[:min(int64(len(rest)), s.limit-s.size)])
		s.size += int64(n)
		if err != nil {
			return len(p), nil
		}
		rest = rest[n:]
	}
	// The kernel's own times lag by a tick, and what was copied shall not be copied again.
	now := time.Now()
	os.Chtimes(s.f.Name(), now, now) //nolint:errcheck // at worst a line comes twice after a crash
	return len(p), nil
}

func (s *segments) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.f.Close()
}

// logFile is a part of a task's log.
type logFile struct {
	base uint64 // bytes before it
	size int64
	path string
}

func baseOf(path string) (uint64, bool) {
	digits, ok := strings.CutPrefix(filepath.Base(path), segmentPrefix)
	if !ok {
		return 0, false
	}
	base, err := strconv.ParseUint(digits, 10, 64)
	return base, err == nil
}

// logFiles are the parts of the log in a task's folder, oldest first. That of a batch task is one file.
func logFiles(dir string) (files []logFile, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		base, ok := baseOf(e.Name())
		if !ok && e.Name() != logName {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was dropped meanwhile
		}
		if err != nil {
			return nil, err
		}
		files = append(files, logFile{base: base, size: info.Size(), path: filepath.Join(dir, e.Name())})
	}
	slices.SortFunc(files, func(a, b logFile) int { return strings.Compare(a.path, b.path) })
	return files, nil
}

// readLog reads some of a task's log from an offset on, and returns the offset of what it read, which is later if less is kept.
func readLog(dir string, from uint64, buf []byte) (at uint64, n int, err error) {
	files, err := logFiles(dir)
	if err != nil {
		return from, 0, err
	}
	for i, f := range files {
		if i+1 < len(files) && files[i+1].base <= from {
			continue
		}
		at = max(from, f.base)
		n, err = readAt(f.path, at-f.base, buf)
		if errors.Is(err, fs.ErrNotExist) || n == 0 && err == nil && i+1 < len(files) {
			continue // dropped meanwhile, or read to its end
		}
		return at, n, err
	}
	return from, 0, nil
}

func readAt(path string, offset uint64, buf []byte) (n int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	n, err = f.ReadAt(buf, int64(offset))
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// openLog is the whole log that is kept.
func openLog(dir string) (io.ReadCloser, error) {
	files, err := logFiles(dir)
	if err != nil {
		return nil, err
	}
	all := &logReader{}
	var readers []io.Reader
	for _, file := range files {
		f, err := os.Open(file.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, errors.Join(err, all.Close())
		}
		all.files, readers = append(all.files, f), append(readers, f)
	}
	all.Reader = io.MultiReader(readers...)
	return all, nil
}

type logReader struct {
	io.Reader
	files []*os.File
}

func (r *logReader) Close() (err error) {
	for _, f := range r.files {
		err = errors.Join(err, f.Close())
	}
	return err
}
