package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/foggrid/fogd/offchain/artifact"
)

// Kinds of cached content; each is a folder of the cache.
const (
	kindBlob  = "blobs"  // files as they came
	kindTree  = "trees"  // unpacked archives
	kindImage = "images" // container images as OCI layouts
)

var (
	// errTooBig is content that this node's cache can never hold.
	errTooBig = errors.New("content is larger than the node's cache; raise the cache's limit")
	// errCacheFull is a cache whose content is all in use.
	errCacheFull = errors.New("the cache is full of content in use; trying again when work has ended")
)

// cache keeps content by digest on disk. What is not in use is removed, the longest unused first, when room is needed.
type cache struct {
	dir      string
	capacity int64

	mu      sync.Mutex
	total   int64 // bytes of entries and of reservations
	entries map[string]*cached
}

// cached is one file or folder. The lock is held while it is filled or checked; refs counts who uses it or waits for it.
type cached struct {
	kind   string
	digest artifact.Digest
	lock   chan struct{}
	refs   int
	size   int64
	used   time.Time
	// present says that it is on disk; known that this process has seen its content.
	present, known bool
}

// openCache takes up what an earlier process left, and removes what it did not finish.
func openCache(dir string, capacity int64) (*cache, error) {
	c := &cache{dir: dir, capacity: capacity, entries: map[string]*cached{}}
	for _, kind := range []string{kindBlob, kindTree, kindImage} {
		if err := os.MkdirAll(filepath.Join(dir, kind), 0o700); err != nil {
			return nil, fmt.Errorf("make the cache: %w", err)
		}
		found, err := os.ReadDir(filepath.Join(dir, kind))
		if err != nil {
			return nil, fmt.Errorf("read the cache: %w", err)
		}
		for _, f := range found {
			if err := c.takeUp(kind, f.Name()); err != nil {
				return nil, fmt.Errorf("read the cache: %w", err)
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.evict(0); err != nil && !errors.Is(err, errCacheFull) {
		return nil, err
	}
	return c, nil
}

func (c *cache) takeUp(kind, name string) error {
	path := filepath.Join(c.dir, kind, name)
	digest, err := artifact.ParseDigest("sha256:" + name)
	if err != nil {
		return os.RemoveAll(path) // half a download
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	size, err := diskSize(path)
	if err != nil {
		return err
	}
	e := c.entry(kind, digest)
	e.present, e.size, e.used = true, size, info.ModTime()
	c.total += size
	return nil
}

// diskSize is the sum of the sizes of all files; every file and folder counts 4 KiB besides.
func diskSize(path string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		sum += 4 << 10
		if d.Type().IsRegular() {
			info, err := d.Info()
			if err != nil {
				return err
			}
			sum += info.Size()
		}
		return nil
	})
	return sum, err
}

func (c *cache) entry(kind string, d artifact.Digest) *cached {
	fresh := &cached{kind: kind, digest: d, lock: make(chan struct{}, 1)}
	if e, ok := c.entries[fresh.key()]; ok {
		return e
	}
	c.entries[fresh.key()] = fresh
	return fresh
}

func (e *cached) key() string { return e.kind + "/" + e.digest.Hex() }

func (c *cache) path(e *cached) string { return filepath.Join(c.dir, e.kind, e.digest.Hex()) }

// content is how an entry is made and checked.
type content struct {
	kind   string
	digest artifact.Digest
	// check tells whether what lies at path is the content; called before each use of a file, once a process for folders.
	check func(path string) (bool, error)
	// fill makes it at path, after it has asked for room by calling reserve with an upper bound in bytes.
	fill func(ctx context.Context, path string, reserve func(bytes int64) error) error
}

// acquire returns the path of content that stays until release is called. Callers that want the same wait for one download.
func (c *cache) acquire(ctx context.Context, want content) (path string, release func(), err error) {
	c.mu.Lock()
	e := c.entry(want.kind, want.digest)
	e.refs++
	c.mu.Unlock()
	done := sync.OnceFunc(func() { c.release(e) })
	defer func() {
		if err != nil {
			done()
		}
	}()
	select {
	case e.lock <- struct{}{}:
	case <-ctx.Done():
		return "", nil, context.Cause(ctx)
	}
	defer func() { <-e.lock }()
	path = c.path(e)
	if e.present && (e.kind == kindBlob || !e.known) {
		good, err := want.check(path)
		if err != nil {
			return "", nil, fmt.Errorf("check cached %s: %w", want.digest, err)
		}
		if !good {
			if err := c.drop(e); err != nil {
				return "", nil, err
			}
		}
	}
	if !e.present {
		if err := c.fill(ctx, e, want); err != nil {
			return "", nil, err
		}
	}
	e.known = true
	return path, done, nil
}

// fill makes an entry whose lock is held.
func (c *cache) fill(ctx context.Context, e *cached, want content) (err error) {
	var reserved int64
	reserve := func(bytes int64) error {
		if err := c.reserve(bytes); err != nil {
			return err
		}
		reserved += bytes
		return nil
	}
	err = want.fill(ctx, c.path(e), reserve)
	size := int64(0)
	if err == nil {
		size, err = diskSize(c.path(e))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total += size - reserved
	if err == nil {
		e.present, e.size, e.used = true, size, time.Now()
	}
	return err
}

// reserve makes room for bytes that are not the cache's until unreserve.
func (c *cache) reserve(bytes int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.evict(bytes); err != nil {
		return err
	}
	c.total += bytes
	return nil
}

func (c *cache) unreserve(bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total -= bytes
}

// drop removes an entry that is in use by the caller alone, or by nobody.
func (c *cache) drop(e *cached) error {
	if err := os.RemoveAll(c.path(e)); err != nil {
		return fmt.Errorf("clear the cache: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total -= e.size
	e.present, e.known, e.size = false, false, 0
	return nil
}

func (c *cache) release(e *cached) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	e.refs--
	e.used = now
	if !e.present {
		if e.refs == 0 {
			delete(c.entries, e.key())
		}
		return
	}
	// The time of last use outlives the process; without it the order of removal is only a little worse.
	if err := os.Chtimes(c.path(e), now, now); err != nil && !errors.Is(err, fs.ErrNotExist) {
		e.used = time.Time{}
	}
}

// evict makes room for bytes more. The caller holds mu.
func (c *cache) evict(bytes int64) error {
	if bytes > c.capacity {
		return fmt.Errorf("%w: %d of %d bytes", errTooBig, bytes, c.capacity)
	}
	for c.total+bytes > c.capacity {
		var oldest *cached
		for _, e := range c.entries {
			if e.present && e.refs == 0 && (oldest == nil || e.used.Before(oldest.used)) {
				oldest = e
			}
		}
		if oldest == nil {
			return fmt.Errorf("%w: %d bytes are needed, %d of %d are taken", errCacheFull, bytes, c.total, c.capacity)
		}
		if err := os.RemoveAll(c.path(oldest)); err != nil {
			return fmt.Errorf("clear the cache: %w", err)
		}
		c.total -= oldest.size
		delete(c.entries, oldest.key())
	}
	return nil
}

// clear removes all that is not in use, for when the disk is full.
func (c *cache) clear() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var failed error
	for key, e := range c.entries {
		if !e.present || e.refs > 0 {
			continue
		}
		if err := os.RemoveAll(c.path(e)); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		c.total -= e.size
		delete(c.entries, key)
	}
	return failed
}
