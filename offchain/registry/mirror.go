package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry/copies"
)

const (
	contentPrefix = "blobs/"
	repoPrefix    = "repos/"
	repoSuffix    = ".json"
)

func contentKey(d artifact.Digest) string {
	return contentPrefix + "sha256/" + d.Hex()[:2] + "/" + d.Hex()
}

func digestOfKey(key string) (artifact.Digest, error) {
	return digestOfName(key[strings.LastIndexByte(key, '/')+1:])
}

// repoIndex is all that a repository holds, as a copy keeps it.
type repoIndex struct {
	Blobs     []artifact.Digest                `json:"blobs"`
	Manifests map[artifact.Digest]manifestLink `json:"manifests"`
	Tags      []tagLink                        `json:"tags"`
}

// holds lists the content that the repository needs.
func (x repoIndex) holds(each func(artifact.Digest)) {
	for _, d := range x.Blobs {
		each(d)
	}
	for d := range x.Manifests {
		each(d)
	}
}

// indexOf reads what a repository holds.
func (r *Registry) indexOf(repo string) (repoIndex, error) {
	x := repoIndex{Blobs: []artifact.Digest{}, Manifests: map[artifact.Digest]manifestLink{}}
	names := func(dir string, each func(artifact.Digest) error) error {
		entries, err := list(r.repoPath(repo, dir))
		if err != nil {
			return err
		}
		for _, e := range entries {
			d, err := digestOfName(e.Name())
			if err == nil {
				err = each(d)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	err := names(blobsDir, func(d artifact.Digest) error {
		x.Blobs = append(x.Blobs, d)
		return nil
	})
	if err != nil {
		return x, err
	}
	err = names(manifestsDir, func(d artifact.Digest) error {
		var link manifestLink
		found, err := readJSON(r.manifestMark(repo, d), &link)
		if found {
			x.Manifests[d] = link
		}
		return err
	})
	if err != nil {
		return x, err
	}
	x.Tags, err = r.tags(repo)
	return x, err
}

// MirrorReport counts what a pass did to one copy.
type MirrorReport struct {
	Copied  int
	Removed int
	Bytes   int64
}

// mirrored is what is known of one copy.
type mirrored struct {
	store   copies.Store
	claimed bool
	indexes map[string][]byte // by key, what the copy's index holds
}

// mirrors are the copies; one pass at a time.
type mirrors struct {
	mu  sync.Mutex
	all []*mirrored
	// changed wakes Keep; it holds one word at most.
	changed chan struct{}
}

// noteChange says that there is something to copy.
func (r *Registry) noteChange() {
	select {
	case r.mirrors.changed <- struct{}{}:
	default:
	}
}

// Mirror brings every copy to what the root holds: content and repositories that are missing there are written, what no repository
// here holds any more is removed. A copy that fails leaves the others alone.
func (r *Registry) Mirror(ctx context.Context) error {
	r.mirrors.mu.Lock()
	defer r.mirrors.mu.Unlock()
	var errs []error
	for _, m := range r.mirrors.all {
		report, err := r.mirrorTo(ctx, m)
		r.stats.copied(m.store.Name(), report, err)
		if err != nil {
			errs = append(errs, fmt.Errorf("copy at %s: %w", m.store.Name(), err))
		}
	}
	return errors.Join(errs...)
}

func (r *Registry) mirrorTo(ctx context.Context, m *mirrored) (report MirrorReport, err error) {
	if !m.claimed {
		if err := r.claim(ctx, m.store); err != nil {
			return report, err
		}
		m.claimed = true
	}
	held := map[string]int64{}
	if err := m.store.List(ctx, contentPrefix, func(o copies.Object) error {
		held[o.Key] = o.Size
		return nil
	}); err != nil {
		return report, err
	}
	repos, err := r.repos()
	if err != nil {
		return report, err
	}
	needed, indexes := map[string]bool{}, map[string]bool{}
	for _, repo := range repos {
		if err := r.mirrorRepo(ctx, m, repo, held, needed, &report); err != nil {
			return report, fmt.Errorf("repository %s: %w", repo, err)
		}
		indexes[repoPrefix+repo+repoSuffix] = true
	}
	return report, r.prune(ctx, m, held, needed, indexes, &report)
}

// mirrorRepo copies the content of a repository first and then its index, so that a copy's index names nothing that the copy has not.
func (r *Registry) mirrorRepo(ctx context.Context, m *mirrored, repo string, held map[string]int64, needed map[string]bool, report *MirrorReport) error {
	x, err := r.indexOf(repo)
	if err != nil {
		return err
	}
	var errs []error
	x.holds(func(d artifact.Digest) {
		key := contentKey(d)
		if needed[key] || ctx.Err() != nil {
			return
		}
		needed[key] = true
		size, err := r.copyContent(ctx, m.store, d, held)
		if err != nil {
			errs = append(errs, fmt.Errorf("content %s: %w", d, err))
			return
		}
		if size >= 0 {
			report.Copied++
			report.Bytes += size
		}
	})
	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return err
	}
	data, err := json.Marshal(x)
	if err != nil {
		return err
	}
	key := repoPrefix + repo + repoSuffix
	if bytes.Equal(m.indexes[key], data) {
		return nil
	}
	if err := m.store.Put(ctx, key, bytes.NewReader(data), int64(len(data))); err != nil {
		return err
	}
	m.indexes[key] = data
	return nil
}

// copyContent writes content that the copy has not, or in another size, and returns its size; −1 if there was nothing to do. Content
// that is missing here has been looked for on the copies.
func (r *Registry) copyContent(ctx context.Context, s copies.Store, d artifact.Digest, held map[string]int64) (int64, error) {
	f, info, err := r.openContent(d)
	if errors.Is(err, errMissing) {
		return -1, nil // scrubbing says so
	}
	if err != nil {
		return -1, err
	}
	defer func() { _ = f.Close() }()
	if size, there := held[contentKey(d)]; there && size == info.Size() {
		return -1, nil
	}
	return info.Size(), s.Put(ctx, contentKey(d), f, info.Size())
}

// prune removes from a copy what no repository holds any more.
func (r *Registry) prune(
	ctx context.Context, m *mirrored, held map[string]int64, needed, indexes map[string]bool, report *MirrorReport,
) error {
	for key := range held {
		if needed[key] {
			continue
		}
		if d, err := digestOfKey(key); err == nil {
			here, err := exists(r.blobPath(d))
			if err != nil {
				return err
			}
			if here { // a push, or garbage that GC has not yet collected
				continue
			}
		}
		if err := m.store.Delete(ctx, key); err != nil {
			return err
		}
		report.Removed++
	}
	var gone []string
	if err := m.store.List(ctx, repoPrefix, func(o copies.Object) error {
		if !indexes[o.Key] {
			gone = append(gone, o.Key)
		}
		return nil
	}); err != nil {
		return err
	}
	for _, key := range gone {
		if err := m.store.Delete(ctx, key); err != nil {
			return err
		}
		delete(m.indexes, key)
	}
	return nil
}

// settleTime is how long changes are gathered before a pass.
const settleTime = time.Second

// Keep mirrors soon after each change and scrubs at each interval, until the context ends. What fails is logged, counted, and tried again.
func (r *Registry) Keep(ctx context.Context, scrubEvery time.Duration, scrub ScrubOptions) {
	var tick <-chan time.Time // never, if the interval is zero
	if scrubEvery > 0 {
		ticker := time.NewTicker(scrubEvery)
		defer ticker.Stop()
		tick = ticker.C
	}
	r.noteChange() // what an earlier process did not get to
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
			r.scrubAndSay(ctx, scrub)
			r.noteChange()
		case <-r.mirrors.changed:
			select {
			case <-ctx.Done():
				return
			case <-time.After(settleTime):
			}
			if err := r.Mirror(ctx); err != nil && ctx.Err() == nil {
				r.opts.Logger.Error("registry cannot bring its copies up to date; it tries again after the next change or scrub", "error", err)
			}
		}
	}
}

func (r *Registry) scrubAndSay(ctx context.Context, opts ScrubOptions) {
	report, err := r.Scrub(ctx, opts)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		r.opts.Logger.Error("registry cannot scrub its content", "error", err)
	case len(report.Lost) > 0:
		r.opts.Logger.Error("registry has lost content that no copy has; push it again", "digests", report.Lost)
	default:
		r.opts.Logger.Info("registry scrubbed its content", "contents", report.Contents, "bytes", report.Bytes, "repaired", report.Repaired)
	}
}
