package registry

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/foggrid/fogd/offchain/artifact"
)

// upload is one session: a temporary file and the running hash of what is in it. Chunks are accepted whole or not at all.
type upload struct {
	id    string
	repo  string
	apart bool // see Quota

	mu   sync.Mutex
	file *os.File
	hash hash.Hash
	size int64
	done bool
	used time.Time

	held int64 // as uploadTable.hold counts it, under the table's lock
}

type uploadTable struct {
	mu       sync.Mutex
	sessions map[string]*upload
}

func (t *uploadTable) find(id string) *upload {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sessions[id]
}

func (t *uploadTable) add(u *upload, limit int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !u.apart {
		open := 0
		for _, other := range t.sessions {
			if !other.apart {
				open++
			}
		}
		if open >= limit {
			return false
		}
	}
	t.sessions[u.id] = u
	return true
}

func (t *uploadTable) remove(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.sessions, id)
}

func (t *uploadTable) all() []*upload {
	t.mu.Lock()
	defer t.mu.Unlock()
	us := make([]*upload, 0, len(t.sessions))
	for _, u := range t.sessions {
		us = append(us, u)
	}
	return us
}

func (t *uploadTable) takeAll() []*upload {
	us := t.all()
	for _, u := range us {
		t.remove(u.id)
	}
	return us
}

// startUpload opens a session in repo, after dropping those that have rested too long.
func (r *Registry) startUpload(repo string, apart bool) (*upload, error) {
	if _, err := r.expireUploads(); err != nil {
		return nil, err
	}
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(r.uploadDir(), "upload-*")
	if err != nil {
		return nil, err
	}
	u := &upload{id: hex.EncodeToString(raw), repo: repo, apart: apart, file: f, hash: sha256.New(), used: r.opts.Now()}
	if !r.uploads.add(u, r.opts.MaxUploads) {
		return nil, errors.Join(
			refuse(http.StatusTooManyRequests, "TOOMANYREQUESTS", "%d uploads are open; retry later", r.opts.MaxUploads), u.discard())
	}
	return u, nil
}

// expireUploads drops idle sessions and counts them; a session in use is not idle.
func (r *Registry) expireUploads() (int, error) {
	now := r.opts.Now()
	dropped := 0
	var errs []error
	for _, u := range r.uploads.all() {
		if !u.mu.TryLock() {
			continue
		}
		if now.Sub(u.used) > r.opts.UploadIdle {
			r.uploads.remove(u.id)
			errs = append(errs, u.discard())
			dropped++
		}
		u.mu.Unlock()
	}
	return dropped, errors.Join(errs...)
}

// acquire locks a session of repo; the caller unlocks u.mu.
func (r *Registry) acquire(repo, id string) (*upload, error) {
	u := r.uploads.find(id)
	if u == nil || u.repo != repo {
		return nil, uploadUnknown()
	}
	if !u.mu.TryLock() {
		return nil, refuse(http.StatusConflict, "BLOB_UPLOAD_INVALID", "another request writes to this upload; wait for it")
	}
	if u.done {
		u.mu.Unlock()
		return nil, uploadUnknown()
	}
	u.used = r.opts.Now()
	return u, nil
}

// discard closes and removes the temporary file; u.mu is held, or u is not yet shared.
func (u *upload) discard() error {
	if u.done {
		return nil
	}
	u.done = true
	return errors.Join(u.file.Close(), removeIfExists(u.file.Name()))
}

// bodyReader remembers that it was the client who failed, not the disk.
type bodyReader struct {
	io.Reader
	err error
}

func (b *bodyReader) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

// appendChunk adds a body to a session, as far as there is room for it.
func (r *Registry) appendChunk(u *upload, body io.Reader, want int64) error {
	body, err := r.roomFor(u, body)
	if err != nil {
		return err
	}
	err = u.appendChunk(body, want, r.opts.MaxBlobBytes)
	r.uploads.holds(u)
	return err
}

// appendChunk adds all of body, of which want bytes are expected (-1: unknown), or leaves the session as it was.
func (u *upload) appendChunk(body io.Reader, want, limit int64) error {
	before, err := cloneHash(u.hash)
	if err != nil {
		return err
	}
	src := &bodyReader{Reader: io.LimitReader(body, limit-u.size+1)}
	n, err := io.Copy(io.MultiWriter(u.file, u.hash), src)
	var full *noRoom
	switch {
	case errors.As(src.err, &full):
		err = full.error
	case src.err != nil:
		err = refuse(http.StatusBadRequest, "BLOB_UPLOAD_INVALID", "the body ended early; send the chunk again")
	case err != nil:
	case u.size+n > limit:
		err = tooLarge(limit)
	case want >= 0 && n != want:
		err = refuse(http.StatusBadRequest, "SIZE_INVALID", "Content-Range announces %d bytes, the body has %d", want, n)
	}
	if err == nil {
		u.size += n
		return nil
	}
	u.hash = before
	_, seekErr := u.file.Seek(u.size, io.SeekStart)
	return errors.Join(err, u.file.Truncate(u.size), seekErr)
}

// cloneHash copies a running SHA-256, so that a refused chunk can be taken back.
func cloneHash(h hash.Hash) (hash.Hash, error) {
	c, ok := h.(hash.Cloner)
	if !ok {
		return nil, errors.New("the hash cannot be cloned")
	}
	return c.Clone()
}

// finish checks the digest and turns the session into a blob; a wrong digest ends the session too.
func (r *Registry) finish(u *upload, d artifact.Digest) error {
	r.uploads.remove(u.id)
	if got := artifact.Digest(u.hash.Sum(nil)); got != d {
		return errors.Join(
			refuse(http.StatusBadRequest, "DIGEST_INVALID", "content has digest %s, not %s; upload it again", got, d), u.discard())
	}
	if err := u.file.Sync(); err != nil {
		return errors.Join(err, u.discard())
	}
	u.done = true
	if err := u.file.Close(); err != nil {
		return errors.Join(err, removeIfExists(u.file.Name()))
	}
	err := r.withinQuota(u.repo, u.size, func() error { return r.commitBlob(u.file.Name(), u.repo, d) })
	if err != nil {
		return errors.Join(err, removeIfExists(u.file.Name()))
	}
	return nil
}
