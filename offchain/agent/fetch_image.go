package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/image"
	"github.com/foggrid/fogd/offchain/registry/client"
)

// image returns the folder with the image whose manifest is d, as an OCI layout.
func (f fetcher) image(ctx context.Context, repo string, d artifact.Digest) (string, func(), error) {
	if f.registry.Owned() { // see entitled
		if _, err := f.registry.PullImageManifest(ctx, repo, d); err != nil {
			return "", nil, handover.Blame(fmt.Errorf("%s %s: %w", repo, d, err))
		}
	}
	path, release, err := f.cache.acquire(ctx, content{
		kind: kindImage, digest: d,
		check: func(path string) (bool, error) { return imageIs(path, d) },
		fill: func(ctx context.Context, path string, reserve func(int64) error) error {
			return f.pullImage(ctx, repo, d, path, reserve)
		},
	})
	if err != nil {
		return "", nil, handover.Blame(fmt.Errorf("%s %s: %w", repo, d, err))
	}
	return path, release, nil
}

// pullImage makes the layout beside its place; it appears whole or not at all.
func (f fetcher) pullImage(ctx context.Context, repo string, d artifact.Digest, path string, reserve func(int64) error) (err error) {
	temp := path + ".pull"
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	if err := os.RemoveAll(temp); err != nil {
		return err
	}
	raw, err := f.registry.PullImageManifest(ctx, repo, d)
	if err != nil {
		return err
	}
	m, err := image.Create(temp, raw)
	if err != nil {
		return imageFault(err)
	}
	img := image.Image{Dir: temp, Digest: d, Raw: raw, Manifest: m}
	if err := reserve(img.Size() + int64(len(img.Blobs())+8)*(4<<10)); err != nil {
		return err
	}
	for _, b := range img.Blobs() {
		desc := client.Descriptor{MediaType: b.MediaType, Digest: b.Digest, Size: b.Size}
		if err := f.registry.PullFile(ctx, repo, desc, image.BlobPath(temp, b.Digest)); err != nil {
			return err
		}
	}
	if _, err := image.Open(temp, d); err != nil {
		return imageFault(err)
	}
	return os.Rename(temp, path)
}

// imageFault blames the job for an image that has the right digest and cannot be run.
func imageFault(err error) error {
	if errors.Is(err, image.ErrInvalid) {
		return handover.JobFault("%w", err)
	}
	return err
}

// imageIs reports whether a folder holds the image, every blob by its digest.
func imageIs(dir string, d artifact.Digest) (bool, error) {
	img, err := image.Open(dir, d)
	if errors.Is(err, image.ErrInvalid) || errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, b := range img.Blobs() {
		if good, err := fileHas(image.BlobPath(dir, b.Digest), b.Digest); err != nil || !good {
			return false, err
		}
	}
	return true, nil
}
