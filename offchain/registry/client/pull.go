package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry/ref"
)

// maxManifest is the most that is read of a manifest.
const maxManifest = 4 << 20

// PullManifest fetches the manifest behind a tag or digest. With a digest the content is checked against it.
func (c *Client) PullManifest(ctx context.Context, repo, reference string) (Manifest, error) {
	var m Manifest
	if err := ref.CheckRepo(repo); err != nil {
		return m, err
	}
	at, err := ref.Parse(reference)
	if err != nil {
		return m, err
	}
	data, err := c.readManifest(ctx, repo, reference, mediaManifest)
	if err != nil {
		return m, err
	}
	m.Raw, m.Digest = data, artifact.DigestOf(data)
	if !at.Digest.IsZero() && at.Digest != m.Digest {
		return Manifest{}, fmt.Errorf("%w: manifest %s arrived as %s", ErrDigestMismatch, at.Digest, m.Digest)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return Manifest{}, fmt.Errorf("%w: manifest %s: %w", ErrNotArtifact, reference, err)
	}
	if m.MediaType != mediaManifest {
		return Manifest{}, fmt.Errorf("%w: manifest %s has media type %q, want %q", ErrNotArtifact, reference, m.MediaType, mediaManifest)
	}
	for i, l := range m.Layers {
		if l.Digest.IsZero() || l.Size < 0 {
			return Manifest{}, fmt.Errorf("%w: manifest %s: layer %d has digest %s and size %d", ErrNotArtifact, reference, i, l.Digest, l.Size)
		}
	}
	return m, nil
}

// readManifest fetches the bytes behind a tag or digest, unchecked.
func (c *Client) readManifest(ctx context.Context, repo, reference string, accept ...string) ([]byte, error) {
	var data []byte
	err := c.retry(ctx, func() error {
		resp, err := c.do(ctx, http.MethodGet, c.at(repo, "manifests", reference), nil, http.Header{"Accept": accept})
		if err != nil {
			return err
		}
		data, err = io.ReadAll(io.LimitReader(resp.Body, maxManifest+1))
		return errors.Join(err, resp.Body.Close())
	})
	if err == nil && len(data) > maxManifest {
		err = fmt.Errorf("%w: manifest %s has over %d bytes", ErrTooLarge, reference, maxManifest)
	}
	return data, err
}

// PullArtifact fetches a manifest and all its layers into dir, one file a layer named by LayerPath; equal layers share a file.
func (c *Client) PullArtifact(ctx context.Context, repo, reference, dir string) (Manifest, error) {
	m, err := c.PullManifest(ctx, repo, reference)
	if err != nil {
		return m, err
	}
	return m, c.PullLayers(ctx, repo, m.Layers, dir)
}

// LayerPath is where PullArtifact puts a layer.
func LayerPath(dir string, d artifact.Digest) string { return filepath.Join(dir, d.Hex()) }

// PullLayers fetches layers into dir as PullArtifact does.
func (c *Client) PullLayers(ctx context.Context, repo string, layers []Descriptor, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var wanted []Descriptor
	var total int64
	seen := map[artifact.Digest]bool{}
	for _, l := range layers {
		if !seen[l.Digest] {
			seen[l.Digest] = true
			wanted = append(wanted, l)
			total += l.Size
		}
	}
	meter := newMeter(c.progress, total)
	return each(ctx, c.parallel, len(wanted), func(ctx context.Context, i int) error {
		return c.pullFile(ctx, repo, wanted[i], LayerPath(dir, wanted[i].Digest), meter.part())
	})
}

// PullFile fetches a blob to path; the file appears whole and verified, or not at all.
func (c *Client) PullFile(ctx context.Context, repo string, d Descriptor, path string) error {
	return c.pullFile(ctx, repo, d, path, newMeter(c.progress, d.Size).part())
}

func (c *Client) pullFile(ctx context.Context, repo string, d Descriptor, path string, p *part) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".pull-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	err = c.pull(ctx, repo, d, f, p)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// PullBlob writes a blob to w. If it fails, what w got must not be used.
func (c *Client) PullBlob(ctx context.Context, repo string, d Descriptor, w io.Writer) error {
	return c.pull(ctx, repo, d, w, newMeter(c.progress, d.Size).part())
}

// ReadBlob fetches a blob of which only the digest is known, such as a spec named on chain; over limit bytes are refused.
func (c *Client) ReadBlob(ctx context.Context, repo string, d artifact.Digest, limit int64) ([]byte, error) {
	desc, err := c.StatBlob(ctx, repo, d)
	if err != nil {
		return nil, err
	}
	if desc.Size > limit {
		return nil, fmt.Errorf("%w: blob %s has %d bytes, the limit is %d", ErrTooLarge, d, desc.Size, limit)
	}
	var buf bytes.Buffer
	if err := c.PullBlob(ctx, repo, desc, &buf); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// StatBlob asks for the size of a blob.
func (c *Client) StatBlob(ctx context.Context, repo string, d artifact.Digest) (Descriptor, error) {
	if err := ref.CheckRepo(repo); err != nil {
		return Descriptor{}, err
	}
	desc := Descriptor{Digest: d}
	err := c.retry(ctx, func() error {
		resp, err := c.do(ctx, http.MethodHead, c.at(repo, "blobs", d.String()), nil, nil)
		if err != nil {
			return err
		}
		desc.Size = resp.ContentLength
		return drain(resp)
	})
	if err == nil && desc.Size < 0 {
		err = fmt.Errorf("registry did not tell the size of blob %s", d)
	}
	return desc, err
}

// pull streams a blob through its verification; after a broken connection it goes on where it was.
func (c *Client) pull(ctx context.Context, repo string, d Descriptor, w io.Writer, p *part) error {
	if err := ref.CheckRepo(repo); err != nil {
		return err
	}
	sink := &sink{w: w}
	v := newVerifier(nil, d.Digest, d.Size, p)
	return c.retry(ctx, func() error {
		if v.done > 0 && v.done == d.Size {
			return nil // verified when its last byte came
		}
		header := http.Header{"Accept-Encoding": {"identity"}}
		if v.done > 0 {
			header.Set("Range", fmt.Sprintf("bytes=%d-", v.done))
		}
		resp, err := c.do(ctx, http.MethodGet, c.at(repo, "blobs", d.Digest.String()), nil, header)
		if err != nil {
			return err
		}
		v.src = resp.Body
		if v.done > 0 && !continues(resp, v.done) {
			_, err = io.CopyN(io.Discard, resp.Body, v.done)
		}
		if err == nil {
			_, err = io.Copy(sink, v)
		}
		closeErr := resp.Body.Close()
		switch {
		case sink.err != nil:
			return &permanent{sink.err}
		case v.err != nil:
			return v.err
		case err != nil:
			return err
		}
		return closeErr
	})
}

// continues says whether the answer starts at offset; a registry may ignore the wish and send everything.
func continues(resp *http.Response, offset int64) bool {
	return resp.StatusCode == http.StatusPartialContent &&
		strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", offset))
}

// sink remembers that it was the destination that failed, which no repetition mends.
type sink struct {
	w   io.Writer
	err error
}

func (s *sink) Write(b []byte) (int, error) {
	n, err := s.w.Write(b)
	if err != nil {
		s.err = err
	}
	return n, err
}
