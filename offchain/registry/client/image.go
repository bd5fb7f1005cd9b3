package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/image"
	"github.com/foggrid/fogd/offchain/registry/ref"
)

// PushImage pushes a container image from its layout: config and layers as they are, then the manifest, by whose digest it is found.
func (c *Client) PushImage(ctx context.Context, repo string, img image.Image) error {
	if err := ref.CheckRepo(repo); err != nil {
		return err
	}
	var blobs []Blob
	for _, d := range img.Blobs() {
		b, err := FileBlob(d.MediaType, image.BlobPath(img.Dir, d.Digest))
		if err != nil {
			return err
		}
		if b.Digest != d.Digest {
			return fmt.Errorf("%w: a blob of image %s is %s, expected %s", ErrDigestMismatch, img.Digest, b.Digest, d.Digest)
		}
		blobs = append(blobs, b)
	}
	return c.pushAll(ctx, repo, img.Digest.String(), blobs, BytesBlob(img.Manifest.MediaType, img.Raw))
}

// PullImageManifest fetches the bytes of an image's manifest and checks them against the digest.
func (c *Client) PullImageManifest(ctx context.Context, repo string, d artifact.Digest) ([]byte, error) {
	if err := ref.CheckRepo(repo); err != nil {
		return nil, err
	}
	raw, err := c.readManifest(ctx, repo, d.String(), image.ManifestTypes()...)
	if err != nil {
		return nil, err
	}
	if got := artifact.DigestOf(raw); got != d {
		return nil, fmt.Errorf("%w: manifest %s arrived as %s", ErrDigestMismatch, d, got)
	}
	return raw, nil
}

// HasImage reports whether the registry holds an image, which it takes only with all of its blobs.
func (c *Client) HasImage(ctx context.Context, repo string, d artifact.Digest) (bool, error) {
	_, err := c.PullImageManifest(ctx, repo, d)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
