package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"slices"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/image"
)

// Image is an image that the daemon has.
type Image struct {
	id       string // by which the daemon names it: a digest of its content
	hold     string // the holder's
	defaults image.Defaults
	tag      string
}

const maxVolumes = 16

// volumes are the folders that the image wants to be writable and that are not so anyway.
func (i Image) volumes() []string {
	var all []string
	for v := range i.defaults.Volumes {
		if v = path.Clean("/" + v); v != inPath && v != outPath && v != tmpPath && !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	slices.Sort(all)
	return all
}

// imageUse is an image that this process has used.
type imageUse struct {
	last  time.Time
	users int
}

// Load brings an image from local content into the daemon, unless it is there, and keeps it until release is called. The error is a
// *dispatch.Failure or that of the context.
func (e *Engine) Load(ctx context.Context, dir string, digest artifact.Digest) (_ Image, release func(), err error) {
	if err := e.Probe(ctx); err != nil {
		return Image{}, nil, dispatch.NodeFailure("reach the Docker Engine", err)
	}
	img, err := image.Open(dir, digest)
	if err != nil {
		return Image{}, nil, contentFailure(err)
	}
	c := img.Config
	switch {
	case c.Architecture != runtime.GOARCH:
		return Image{}, nil, dispatch.Failf(dispatch.ReasonBadImage, "the image is for %s, this machine is %s", c.Architecture, runtime.GOARCH)
	case len(c.Config.Entrypoint)+len(c.Config.Cmd) == 0:
		return Image{}, nil, dispatch.Failf(dispatch.ReasonBadImage, "the image names no program; set its ENTRYPOINT or CMD")
	case len(c.Config.Volumes) > maxVolumes:
		return Image{}, nil, dispatch.Failf(dispatch.ReasonBadImage, "the image has %d volumes; at most %d are allowed", len(c.Config.Volumes), maxVolumes)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, loadLimit, dispatch.Failf(dispatch.ReasonNode, "loading the image took longer than %s", loadLimit))
	defer cancel()
	e.mu.Lock()
	defer e.mu.Unlock()
	out := Image{defaults: c.Config, tag: e.tag(digest.Hex())}
	if out.id, err = e.ensure(ctx, img, out.tag); err != nil {
		return Image{}, nil, e.blame(ctx, "load the image", err)
	}
	err = withHold(func(hold image.Image) (err error) {
		out.hold, err = e.ensure(ctx, hold, e.tag("hold"))
		return err
	})
	if err != nil {
		return Image{}, nil, e.blame(ctx, "load the holder", err)
	}
	use := e.used[out.tag]
	e.used[out.tag] = imageUse{last: time.Now(), users: use.users + 1}
	return out, func() { e.release(out.tag) }, nil
}

func contentFailure(err error) *dispatch.Failure {
	if errors.Is(err, image.ErrInvalid) {
		return dispatch.Failf(dispatch.ReasonBadImage, "the image cannot run: %v", err)
	}
	return dispatch.NodeFailure("read the image", err)
}

// blame turns an error of the daemon into a failure of the node, unless the context has ended for a reason of its own.
func (e *Engine) blame(ctx context.Context, doing string, err error) error {
	var f *dispatch.Failure
	switch {
	case errors.As(err, &f):
		return f
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return dispatch.NodeFailure(doing, err)
}

// tag is the name under which an image of this dispatcher is kept.
func (e *Engine) tag(name string) string { return "fog-" + e.scope + ":" + name }

// ensure returns the daemon's id of an image, which it loads if needed. The id is the digest of the image's config or, where the daemon
// stores images with containerd, of its manifest: either way the daemon has checked the content by it.
func (e *Engine) ensure(ctx context.Context, img image.Image, tag string) (string, error) {
	id, err := e.find(ctx, img)
	if err == nil || !cerrdefs.IsNotFound(err) {
		if err == nil {
			_, err = e.api.ImageTag(ctx, client.ImageTagOptions{Source: id, Target: tag})
		}
		return id, err
	}
	if err := img.Verify(e.limit); err != nil {
		return "", contentFailure(err)
	}
	pr, pw := io.Pipe()
	go func() { pw.CloseWithError(img.WriteArchive(pw, tag)) }()
	answer, err := e.api.ImageLoad(ctx, pr, client.ImageLoadWithQuiet(true))
	if err = errors.Join(err, pr.Close()); err != nil {
		return "", err
	}
	said, err := io.ReadAll(io.LimitReader(answer, 64<<10))
	if err = errors.Join(err, answer.Close()); err != nil {
		return "", err
	}
	if id, err = e.find(ctx, img); cerrdefs.IsNotFound(err) {
		return "", fmt.Errorf("the Docker Engine did not take the image %s; it said: %.300s", img.Digest, said)
	}
	return id, err
}

func (e *Engine) find(ctx context.Context, img image.Image) (string, error) {
	var missing error
	for _, d := range []artifact.Digest{img.Manifest.Config.Digest, img.Digest} {
		found, err := e.api.ImageInspect(ctx, d.String())
		if err == nil {
			return found.ID, nil
		}
		if !cerrdefs.IsNotFound(err) {
			return "", err
		}
		missing = err
	}
	return "", missing
}

func (e *Engine) release(tag string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	use := e.used[tag]
	e.used[tag] = imageUse{last: time.Now(), users: use.users - 1}
}

// Prune removes images that no attempt uses, the longest unused first, until the rest is within the limit; all of them if all is true.
func (e *Engine) Prune(ctx context.Context, all bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	list, err := e.api.ImageList(ctx, client.ImageListOptions{Filters: make(client.Filters).Add("reference", e.tag("*"))})
	if err != nil {
		return fmt.Errorf("list images: %w", err)
	}
	type kept struct {
		tag  string
		size int64
		use  imageUse
	}
	var images []kept
	var total int64
	for _, i := range list.Items {
		for _, tag := range i.RepoTags {
			if tag != e.tag("hold") || all {
				images = append(images, kept{tag, i.Size, e.used[tag]})
				total += i.Size
			}
		}
	}
	slices.SortFunc(images, func(a, b kept) int { return a.use.last.Compare(b.use.last) })
	var failed error
	for _, i := range images {
		if i.use.users > 0 || total <= e.limit && !all {
			continue
		}
		if _, err := e.api.ImageRemove(ctx, i.tag, client.ImageRemoveOptions{PruneChildren: true}); err != nil && !cerrdefs.IsNotFound(err) {
			failed = errors.Join(failed, fmt.Errorf("remove image %s: %w", i.tag, err))
			continue
		}
		delete(e.used, i.tag)
		total -= i.size
	}
	return failed
}
