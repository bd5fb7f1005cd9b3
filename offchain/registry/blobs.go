package registry

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/foggrid/fogd/offchain/artifact"
)

// stamp is what a file looked like when its content was last seen to have its digest.
type stamp struct {
	size    int64
	modTime int64
}

// verifiedSet remembers which files need no second hashing.
type verifiedSet struct {
	mu     sync.Mutex
	stamps map[artifact.Digest]stamp
}

// maxVerified bounds the memory of the set, at some 100 bytes an entry.
const maxVerified = 1 << 17

func stampOf(info fs.FileInfo) stamp { return stamp{info.Size(), info.ModTime().UnixNano()} }

func (v *verifiedSet) has(d artifact.Digest, info fs.FileInfo) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, ok := v.stamps[d]
	return ok && s == stampOf(info)
}

func (v *verifiedSet) add(d artifact.Digest, info fs.FileInfo) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.stamps) >= maxVerified {
		clear(v.stamps)
	}
	v.stamps[d] = stampOf(info)
}

func (v *verifiedSet) drop(d artifact.Digest) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.stamps, d)
}

// errMissing says that the content is not on disk, or was corrupt and has been set aside.
var errMissing = errors.New("content is missing")

// openContent opens verified content, which comes from a copy if it is missing or corrupt here.
func (r *Registry) openContent(d artifact.Digest) (*os.File, fs.FileInfo, error) {
	f, info, err := r.openHere(context.Background(), d, 0)
	if !errors.Is(err, errMissing) {
		return f, info, err
	}
	if err := r.repair(d); err != nil {
		return nil, nil, err
	}
	return r.openHere(context.Background(), d, 0)
}

// openHere opens verified content of the root, and reads at most so many bytes a second for that; 0 is no limit. The open file stays
// what was verified: files are replaced by renaming, never rewritten.
func (r *Registry) openHere(ctx context.Context, d artifact.Digest, perSecond int) (*os.File, fs.FileInfo, error) {
	f, err := os.Open(r.blobPath(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, errMissing
	}
	if err != nil {
		return nil, nil, err
	}
	info, err := r.verify(ctx, f, d, perSecond)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

func (r *Registry) verify(ctx context.Context, f *os.File, d artifact.Digest, perSecond int) (fs.FileInfo, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if r.verified.has(d, info) {
		return info, nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, newPaced(ctx, f, perSecond)); err != nil {
		return nil, err
	}
	if artifact.Digest(h.Sum(nil)) != d {
		return nil, errors.Join(errMissing, r.setAside(d, info))
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	r.verified.add(d, info)
	return info, nil
}

// setAside moves a corrupt file out of the way, unless a push has replaced it meanwhile.
func (r *Registry) setAside(d artifact.Digest, corrupt fs.FileInfo) error {
	r.placing.Lock()
	defer r.placing.Unlock()
	now, err := os.Stat(r.blobPath(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !os.SameFile(now, corrupt) {
		return nil
	}
	r.opts.Logger.Error("registry blob is corrupt; it is set aside", "digest", d, "size", corrupt.Size())
	r.stats.corrupt.Add(1)
	r.verified.drop(d)
	return os.Rename(r.blobPath(d), filepath.Join(r.corruptDir(), d.Hex())) //nolint:gosec // a digest in hex
}

// openBlob opens a blob that the repository holds; the answer to a missing one is BLOB_UNKNOWN.
func (r *Registry) openBlob(repo string, d artifact.Digest) (*os.File, fs.FileInfo, error) {
	held, err := exists(r.blobMark(repo, d))
	if err != nil {
		return nil, nil, err
	}
	if !held {
		return nil, nil, blobUnknown(d)
	}
	f, info, err := r.openContent(d)
	if errors.Is(err, errMissing) {
		return nil, nil, blobUnknown(d)
	}
	return f, info, err
}

// statBlob is openBlob for callers that need no content; it renews the blob's age, since the caller may rely on it.
func (r *Registry) statBlob(repo string, d artifact.Digest) (fs.FileInfo, error) {
	f, info, err := r.openBlob(repo, d)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	r.gate.RLock()
	defer r.gate.RUnlock()
	err = touch(r.blobMark(repo, d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, blobUnknown(d)
	}
	return info, err
}

// mount lets repo hold a blob that repository from holds.
func (r *Registry) mount(repo, from string, d artifact.Digest) error {
	info, err := r.statBlob(from, d)
	if err != nil {
		return err
	}
	return r.withinQuota(repo, info.Size(), func() error {
		r.gate.RLock()
		defer r.gate.RUnlock()
		if err := r.stillHeld(from, d); err != nil {
			return err
		}
		defer r.noteChange()
		return mark(r.blobMark(repo, d))
	})
}

// stillHeld repeats the cheap half of statBlob under the gate, where GC cannot come between.
func (r *Registry) stillHeld(repo string, d artifact.Digest) error {
	for _, path := range []string{r.blobMark(repo, d), r.blobPath(d)} {
		if ok, err := exists(path); err != nil || !ok {
			return errors.Join(err, blobUnknown(d))
		}
	}
	return nil
}

// commitBlob moves a complete, synced and hashed temporary file into place and lets repo hold it.
func (r *Registry) commitBlob(temp, repo string, d artifact.Digest) error {
	r.gate.RLock()
	defer r.gate.RUnlock()
	if err := r.placeContent(temp, d); err != nil {
		return err
	}
	defer r.noteChange()
	return mark(r.blobMark(repo, d))
}

// placeContent replaces whatever is there: the new file is known to be right.
func (r *Registry) placeContent(temp string, d artifact.Digest) error {
	r.placing.Lock()
	defer r.placing.Unlock()
	if err := place(temp, r.blobPath(d)); err != nil {
		return fmt.Errorf("blob %s: %w", d, err)
	}
	info, err := os.Stat(r.blobPath(d))
	if err != nil {
		return err
	}
	r.verified.add(d, info)
	return nil
}

// deleteBlob takes the blob from the repository; GC removes the content once no repository holds it.
func (r *Registry) deleteBlob(repo string, d artifact.Digest) error {
	r.gate.Lock()
	defer r.gate.Unlock()
	held, err := exists(r.blobMark(repo, d))
	if err != nil {
		return err
	}
	if !held {
		return blobUnknown(d)
	}
	defer r.noteChange()
	return removeIfExists(r.blobMark(repo, d))
}
