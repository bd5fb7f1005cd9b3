package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry/ref"
)

const (
	mediaManifest = "application/vnd.oci.image.manifest.v1+json"
	mediaEmpty    = "application/vnd.oci.empty.v1+json"
)

// emptyConfig stands for "no config", as the image specification says.
var emptyConfig = BytesBlob(mediaEmpty, []byte("{}"))

// pushedManifest has its fields in the order in which they are written; the same artifact always gets the same digest.
type pushedManifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        Descriptor        `json:"config"`
	Layers        []Descriptor      `json:"layers"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

func (b Blob) descriptor() Descriptor {
	return Descriptor{MediaType: b.MediaType, Digest: b.Digest, Size: b.Size, Annotations: b.Annotations}
}

// encode builds the manifest of an artifact; without layers the empty descriptor stands in, as the specification asks.
func (a Artifact) encode() ([]byte, []Blob, error) {
	if !strings.Contains(a.Type, "/") {
		return nil, nil, fmt.Errorf("artifact type %q; use a media type", a.Type)
	}
	layers := a.Layers
	if len(layers) == 0 {
		layers = []Blob{emptyConfig}
	}
	m := pushedManifest{
		SchemaVersion: 2, MediaType: mediaManifest, ArtifactType: a.Type, Config: emptyConfig.descriptor(), Annotations: a.Annotations,
	}
	blobs := []Blob{emptyConfig}
	seen := map[artifact.Digest]bool{emptyConfig.Digest: true}
	for _, l := range layers {
		m.Layers = append(m.Layers, l.descriptor())
		if !seen[l.Digest] {
			seen[l.Digest] = true
			blobs = append(blobs, l)
		}
	}
	data, err := json.Marshal(m)
	return data, blobs, err
}

// PushArtifact pushes the layers, then the manifest under the tag ("" for none), and returns the manifest's digest. What the
// repository already holds is not sent again.
func (c *Client) PushArtifact(ctx context.Context, repo, tag string, a Artifact) (artifact.Digest, error) {
	if err := ref.CheckRepo(repo); err != nil {
		return artifact.Digest{}, err
	}
	if tag != "" {
		if err := ref.CheckTag(tag); err != nil {
			return artifact.Digest{}, err
		}
	}
	data, blobs, err := a.encode()
	if err != nil {
		return artifact.Digest{}, err
	}
	d := artifact.DigestOf(data)
	target := d.String()
	if tag != "" {
		target = tag
	}
	return d, c.pushAll(ctx, repo, target, blobs, BytesBlob(mediaManifest, data))
}

// pushAll pushes blobs, several at a time, and then the manifest that names them.
func (c *Client) pushAll(ctx context.Context, repo, target string, blobs []Blob, manifest Blob) error {
	var total int64
	for _, b := range blobs {
		total += b.Size
	}
	meter := newMeter(c.progress, total)
	err := each(ctx, c.parallel, len(blobs), func(ctx context.Context, i int) error {
		return c.pushBlob(ctx, repo, blobs[i], meter.part())
	})
	if err != nil {
		return err
	}
	return c.putManifest(ctx, repo, target, manifest)
}

func (c *Client) putManifest(ctx context.Context, repo, target string, manifest Blob) error {
	return c.retry(ctx, func() error {
		src, err := manifest.Open()
		if err != nil {
			return &permanent{err}
		}
		resp, err := c.do(ctx, http.MethodPut, c.at(repo, "manifests", target), &content{src, manifest.Size}, http.Header{"Content-Type": {manifest.MediaType}})
		if err != nil {
			return err
		}
		return drain(resp)
	})
}

// PushBlob pushes one blob, unless the repository holds it. A blob that no manifest names is garbage to a registry: use PushArtifact
// for what has to stay.
func (c *Client) PushBlob(ctx context.Context, repo string, b Blob) error {
	if err := ref.CheckRepo(repo); err != nil {
		return err
	}
	return c.pushBlob(ctx, repo, b, newMeter(c.progress, b.Size).part())
}

func (c *Client) pushBlob(ctx context.Context, repo string, b Blob, p *part) error {
	return c.retry(ctx, func() error {
		p.reset()
		held, err := c.hasBlob(ctx, repo, b.Digest)
		if err != nil {
			return err
		}
		if held {
			p.add(b.Size)
			return nil
		}
		return c.upload(ctx, repo, b, p)
	})
}

func (c *Client) hasBlob(ctx context.Context, repo string, d artifact.Digest) (bool, error) {
	resp, err := c.do(ctx, http.MethodHead, c.at(repo, "blobs", d.String()), nil, nil)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, drain(resp)
}

// upload opens a session and sends the blob in one piece; a failed session is left to expire.
func (c *Client) upload(ctx context.Context, repo string, b Blob, p *part) error {
	resp, err := c.do(ctx, http.MethodPost, c.at(repo, "blobs", "uploads")+"/", &content{http.NoBody, 0}, nil)
	if err != nil {
		return err
	}
	target, err := uploadTarget(resp, b.Digest)
	if err = errors.Join(err, drain(resp)); err != nil {
		return err
	}
	src, err := b.Open()
	if err != nil {
		return &permanent{err}
	}
	body := &sendBody{src: src, v: newVerifier(src, b.Digest, b.Size, p)}
	resp, err = c.do(ctx, http.MethodPut, target, &content{body, b.Size}, http.Header{"Content-Type": {"application/octet-stream"}})
	closeErr := body.Close()
	if err == nil {
		err = errors.Join(closeErr, drain(resp))
	}
	if mismatch := body.failure(); mismatch != nil {
		return mismatch
	}
	return err
}

// uploadTarget is the session's location, which may be relative, with the digest added to its query.
func uploadTarget(resp *http.Response, d artifact.Digest) (string, error) {
	location, err := resp.Location()
	if err != nil {
		return "", &permanent{fmt.Errorf("registry opened an upload but did not say where: %w", err)}
	}
	query := location.Query()
	query.Set("digest", d.String())
	location.RawQuery = query.Encode()
	return location.String(), nil
}
