package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/foggrid/fogd/offchain/artifact"
)

// GCOptions says what counts as garbage.
type GCOptions struct {
	// MinAge protects what was pushed or asked for lately, such as blobs whose manifest is still to come; 1 hour by default.
	MinAge time.Duration
	// Untagged removes manifests that no tag, kept index or kept subject leads to. Leave it off where digests are kept elsewhere: a
	// chain names what it needs by digest.
	Untagged bool
	// Fate says of a repository what is to become of it; nil means FateUsual for all.
	Fate func(repo string) Fate
}

// Fate of a repository.
type Fate int

const (
	// FateUsual is for repositories of which tags and manifests say what is needed.
	FateUsual Fate = iota
	// FateDead is for those that nothing needs any more, tagged or not; what is young stays.
	FateDead
	// FateKeep is for those of which nothing may go.
	FateKeep
)

// GCReport counts what was removed.
type GCReport struct {
	Uploads    int
	Manifests  int
	Blobs      int
	FreedBytes int64
	// Skipped repositories hold a manifest that cannot be read; nothing of them was removed.
	Skipped []string
}

// GC removes content that no manifest needs. Pushes wait while it runs; pulls go on.
func (r *Registry) GC(ctx context.Context, opts GCOptions) (GCReport, error) {
	if opts.MinAge <= 0 {
		opts.MinAge = time.Hour
	}
	var report GCReport
	n, err := r.expireUploads()
	report.Uploads = n
	if err != nil {
		return report, err
	}
	r.gate.Lock()
	defer r.gate.Unlock()
	c := collector{r: r, opts: opts, limit: r.opts.Now().Add(-opts.MinAge), used: map[string]bool{}, report: &report}
	repos, err := r.repos()
	if err != nil {
		return report, err
	}
	for _, repo := range repos {
		if err := ctx.Err(); err != nil {
			return report, err
		}
		if err := c.collectRepo(repo); err != nil {
			return report, fmt.Errorf("repository %s: %w", repo, err)
		}
	}
	defer r.noteChange()
	return report, c.sweep(ctx)
}

// repos finds all repositories.
func (r *Registry) repos() ([]string, error) {
	var found []string
	err := filepath.WalkDir(r.reposDir(), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() || !strings.HasPrefix(e.Name(), "_") {
			return err
		}
		repo, err := filepath.Rel(r.reposDir(), filepath.Dir(path))
		if err != nil {
			return err
		}
		repo = filepath.ToSlash(repo)
		if len(found) == 0 || found[len(found)-1] != repo {
			found = append(found, repo)
		}
		return fs.SkipDir
	})
	return found, err
}

type collector struct {
	r      *Registry
	opts   GCOptions
	limit  time.Time
	used   map[string]bool // hex digests of content to keep
	report *GCReport
}

type heldManifest struct {
	digest artifact.Digest
	link   manifestLink
	body   manifest
	young  bool
}

// collectRepo removes the marks of a repository that nothing needs, and notes the content of those that stay.
func (c *collector) collectRepo(repo string) error {
	fate := FateUsual
	if c.opts.Fate != nil {
		fate = c.opts.Fate(repo)
	}
	if fate == FateKeep {
		return c.keepAll(repo)
	}
	held, err := c.manifests(repo)
	if errors.Is(err, errMissing) {
		c.report.Skipped = append(c.report.Skipped, repo)
		return c.keepAll(repo)
	}
	if err != nil {
		return err
	}
	keep, err := c.reachable(repo, held, fate == FateDead)
	if err != nil {
		return err
	}
	needed, gone := map[string]bool{}, map[artifact.Digest]bool{}
	for _, m := range held {
		if !keep[m.digest] {
			if err := c.r.unlinkManifest(repo, m.digest, m.link); err != nil {
				return err
			}
			gone[m.digest] = true
			c.report.Manifests++
			continue
		}
		c.used[m.digest.Hex()] = true
		for _, d := range m.body.blobs() {
			needed[d.Digest.Hex()] = true
		}
	}
	if fate == FateDead {
		if err := c.r.dropTags(repo, gone); err != nil {
			return err
		}
	}
	entries, err := list(c.r.repoPath(repo, blobsDir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		young, err := c.young(e)
		if err != nil {
			return err
		}
		if needed[e.Name()] || young {
			c.used[e.Name()] = true
			continue
		}
		if err := removeIfExists(c.r.repoPath(repo, blobsDir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// manifests reads all that the repository holds; errMissing means that one cannot be read.
func (c *collector) manifests(repo string) ([]heldManifest, error) {
	entries, err := list(c.r.repoPath(repo, manifestsDir))
	if err != nil {
		return nil, err
	}
	held := make([]heldManifest, 0, len(entries))
	for _, e := range entries {
		d, err := digestOfName(e.Name())
		if err != nil {
			return nil, err
		}
		m := heldManifest{digest: d}
		if _, err := readJSON(c.r.manifestMark(repo, d), &m.link); err != nil {
			return nil, err
		}
		data, err := c.r.readManifest(d)
		if err != nil {
			return nil, err
		}
		if m.body, err = parseManifest(m.link.MediaType, data); err != nil {
			return nil, err
		}
		if m.young, err = c.young(e); err != nil {
			return nil, err
		}
		held = append(held, m)
	}
	return held, nil
}

// reachable follows tags, in a dead repository only what is young, to indexes to manifests, and subjects to their referrers.
func (c *collector) reachable(repo string, held []heldManifest, dead bool) (map[artifact.Digest]bool, error) {
	byDigest := map[artifact.Digest]heldManifest{}
	referrers := map[artifact.Digest][]artifact.Digest{}
	var queue []artifact.Digest
	for _, m := range held {
		byDigest[m.digest] = m
		if !m.link.Subject.IsZero() {
			referrers[m.link.Subject] = append(referrers[m.link.Subject], m.digest)
		}
		if !c.opts.Untagged && !dead || m.young {
			queue = append(queue, m.digest)
		}
	}
	tags, err := c.r.tags(repo)
	if err != nil {
		return nil, err
	}
	for _, t := range tags {
		if !dead {
			queue = append(queue, t.Digest)
		}
	}
	keep := map[artifact.Digest]bool{}
	for len(queue) > 0 {
		d := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if keep[d] {
			continue
		}
		keep[d] = true
		queue = append(queue, referrers[d]...)
		for _, child := range byDigest[d].body.Manifests {
			queue = append(queue, child.Digest)
		}
	}
	return keep, nil
}

func (c *collector) keepAll(repo string) error {
	for _, dir := range []string{blobsDir, manifestsDir} {
		entries, err := list(c.r.repoPath(repo, dir))
		if err != nil {
			return err
		}
		for _, e := range entries {
			c.used[e.Name()] = true
		}
	}
	return nil
}

func (c *collector) young(e fs.DirEntry) (bool, error) {
	info, err := e.Info()
	if err != nil {
		return false, err
	}
	return info.ModTime().After(c.limit), nil
}

// sweep removes content that no repository needs, and old corrupt files.
func (c *collector) sweep(ctx context.Context) error {
	unused := func(name string) bool { return !c.used[name] }
	always := func(string) bool { return true }
	return errors.Join(
		c.sweepDir(ctx, filepath.Join(c.r.root, "blobs"), unused, func(name string) {
			if d, err := digestOfName(name); err == nil {
				c.r.verified.drop(d)
			}
			c.report.Blobs++
		}),
		c.sweepDir(ctx, c.r.corruptDir(), always, func(string) {}),
	)
}

func (c *collector) sweepDir(ctx context.Context, dir string, garbage func(name string) bool, removed func(name string)) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if !garbage(e.Name()) || info.ModTime().After(c.limit) {
			return nil
		}
		if err := removeIfExists(path); err != nil {
			return err
		}
		removed(e.Name())
		c.report.FreedBytes += info.Size()
		return nil
	})
}

// dropTags removes the tags of manifests that are gone.
func (r *Registry) dropTags(repo string, gone map[artifact.Digest]bool) error {
	tags, err := r.tags(repo)
	if err != nil {
		return err
	}
	for _, t := range tags {
		if gone[t.Digest] {
			if err := removeIfExists(r.tagPath(repo, t.Tag)); err != nil {
				return err
			}
		}
	}
	return nil
}
