package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/foggrid/fogd/offchain/artifact"
)

// Registry serves one root folder; it is an http.Handler for everything below /v2/.
type Registry struct {
	root string
	opts Options

	// gate is held shared by whatever adds a name, and exclusively by GC and deletions.
	gate sync.RWMutex
	// placing orders a push of content against setting its corrupt predecessor aside; taken after gate.
	placing sync.Mutex
	// quotas orders pushes that one quota limits, and some others with them; taken before gate.
	quotas   [256]sync.Mutex
	verified verifiedSet
	uploads  uploadTable

	mirrors mirrors
	repairs singleflight.Group
	stats   stats
	life    context.Context
	end     context.CancelFunc
}

// Open prepares the root folder and drops what uploads of an earlier process left behind.
func Open(root string, opts Options) (*Registry, error) {
	r := &Registry{root: root, opts: opts.withDefaults()}
	r.verified.stamps = map[artifact.Digest]stamp{}
	r.uploads.sessions = map[string]*upload{}
	r.mirrors.changed = make(chan struct{}, 1)
	for _, s := range opts.Copies {
		r.mirrors.all = append(r.mirrors.all, &mirrored{store: s, indexes: map[string][]byte{}})
	}
	r.stats.failed, r.stats.fresh = map[string]int64{}, map[string]time.Time{}
	if err := os.RemoveAll(r.uploadDir()); err != nil {
		return nil, fmt.Errorf("registry cannot clear its uploads folder: %w", err)
	}
	for _, dir := range []string{r.uploadDir(), r.corruptDir(), filepath.Join(root, "blobs", "sha256"), r.reposDir()} {
		if err := ensureDir(dir); err != nil {
			return nil, fmt.Errorf("registry cannot prepare its folder: %w", err)
		}
	}
	r.life, r.end = context.WithCancel(context.Background())
	return r, nil
}

// Close ends all upload sessions and repairs; requests that are still running fail.
func (r *Registry) Close() error {
	r.end()
	var errs []error
	for _, u := range r.uploads.takeAll() {
		u.mu.Lock()
		errs = append(errs, u.discard())
		u.mu.Unlock()
	}
	return errors.Join(errs...)
}

func (r *Registry) uploadDir() string  { return filepath.Join(r.root, "uploads") }
func (r *Registry) corruptDir() string { return filepath.Join(r.root, "corrupt") }
func (r *Registry) reposDir() string   { return filepath.Join(r.root, "repos") }

func (r *Registry) blobPath(d artifact.Digest) string {
	return filepath.Join(r.root, "blobs", "sha256", d.Hex()[:2], d.Hex())
}

// repoPath joins names below a repository's folder; repo has passed ref.CheckRepo, so its components are plain names.
func (r *Registry) repoPath(repo string, names ...string) string {
	return filepath.Join(append([]string{r.reposDir(), filepath.FromSlash(repo)}, names...)...)
}

func (r *Registry) blobMark(repo string, d artifact.Digest) string {
	return r.repoPath(repo, blobsDir, d.Hex())
}

func (r *Registry) manifestMark(repo string, d artifact.Digest) string {
	return r.repoPath(repo, manifestsDir, d.Hex())
}

func (r *Registry) referrerMark(repo string, subject, d artifact.Digest) string {
	return r.repoPath(repo, referrersDir, subject.Hex(), d.Hex())
}

func (r *Registry) tagPath(repo, tag string) string {
	return r.repoPath(repo, tagsDir, artifact.DigestOf([]byte(tag)).Hex())
}

// digestOfName reads the name of a file that stands for a digest.
func digestOfName(name string) (artifact.Digest, error) {
	return artifact.ParseDigest("sha256:" + name)
}

const (
	blobsDir     = "_blobs"
	manifestsDir = "_manifests"
	referrersDir = "_referrers"
	tagsDir      = "_tags"
)
