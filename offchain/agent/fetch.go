package agent

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/registry/client"
)

// fetcher brings content from the registry into the cache.
type fetcher struct {
	registry *client.Client
	cache    *cache
}

// blob returns the path of a blob; over limit bytes (0: none) it is refused as the job's fault.
func (f fetcher) blob(ctx context.Context, repo string, d artifact.Digest, limit int64) (string, func(), error) {
	if err := f.entitled(ctx, repo, d); err != nil {
		return "", nil, err
	}
	path, release, err := f.cache.acquire(ctx, content{
		kind: kindBlob, digest: d,
		check: func(path string) (bool, error) { return fileHas(path, d) },
		fill: func(ctx context.Context, path string, reserve func(int64) error) error {
			return f.pull(ctx, repo, d, limit, path, reserve)
		},
	})
	if err != nil {
		return "", nil, handover.Blame(fmt.Errorf("%s %s: %w", repo, d, err))
	}
	return path, release, nil
}

// tree returns the folder into which the archive d is unpacked.
func (f fetcher) tree(ctx context.Context, repo string, d artifact.Digest) (string, func(), error) {
	if err := f.entitled(ctx, repo, d); err != nil {
		return "", nil, err
	}
	path, release, err := f.cache.acquire(ctx, content{
		kind: kindTree, digest: d,
		check: func(path string) (bool, error) { return folderHas(path, d) },
		fill: func(ctx context.Context, path string, reserve func(int64) error) error {
			return f.pullTree(ctx, repo, d, path, reserve)
		},
	})
	if err != nil {
		return "", nil, handover.Blame(fmt.Errorf("%s %s: %w", repo, d, err))
	}
	return path, release, nil
}

// entitled asks a registry that keeps owners apart whether the repository holds the blob, whatever the cache holds: a job that names the
// content of another's by its digest must not get it because that job ran here.
func (f fetcher) entitled(ctx context.Context, repo string, d artifact.Digest) error {
	if !f.registry.Owned() {
		return nil
	}
	if _, err := f.registry.StatBlob(ctx, repo, d); err != nil {
		return handover.Blame(fmt.Errorf("%s %s: %w", repo, d, err))
	}
	return nil
}

func (f fetcher) pull(ctx context.Context, repo string, d artifact.Digest, limit int64, path string, reserve func(int64) error) error {
	desc, err := f.registry.StatBlob(ctx, repo, d)
	if err != nil {
		return err
	}
	if limit > 0 && desc.Size > limit {
		return fmt.Errorf("%w: %d bytes, the limit is %d", client.ErrTooLarge, desc.Size, limit)
	}
	if err := reserve(desc.Size); err != nil {
		return err
	}
	return f.registry.PullFile(ctx, repo, desc, path)
}

func (f fetcher) pullTree(ctx context.Context, repo string, d artifact.Digest, path string, reserve func(int64) error) (err error) {
	archive := filepath.Join(filepath.Dir(path), ".archive-"+d.Hex())
	defer func() {
		if e := os.Remove(archive); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}()
	// The archive and what is unpacked from it lie side by side for a moment.
	if err := f.pull(ctx, repo, d, 0, archive, func(size int64) error { return reserve(2 * size) }); err != nil {
		return err
	}
	in, err := os.Open(archive)
	if err != nil {
		return err
	}
	err = artifact.Unpack(in, path, d, artifact.Limits{})
	if err != nil && !isHostError(err) {
		err = handover.JobFault("unpack: %w", err) // its bytes are the right ones, so it was packed wrongly
	}
	return errors.Join(err, in.Close())
}

// fileHas reports whether a file has the digest.
func fileHas(path string, d artifact.Digest) (_ bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	got, _, err := artifact.DigestReader(f)
	return got == d, err
}

// folderHas reports whether the archive of a folder has the digest. A folder from an archive that was packed otherwise has not, and
// is fetched again by each process; that is rare and harmless.
func folderHas(path string, d artifact.Digest) (bool, error) {
	h := sha256.New()
	err := artifact.Pack(h, path, artifact.Limits{})
	if err != nil && isHostError(err) && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return err == nil && artifact.Digest(h.Sum(nil)) == d, nil
}

// isHostError tells errors of this machine's files from errors of content.
func isHostError(err error) bool {
	if errors.Is(err, artifact.ErrUnsafeArchive) || errors.Is(err, artifact.ErrLimit) {
		return false
	}
	var number syscall.Errno
	return errors.As(err, &number)
}

// isDiskFull tells a disk without room from other errors.
func isDiskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
