package image

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/foggrid/fogd/offchain/artifact"
)

const (
	blobsDir   = "blobs/sha256"
	indexFile  = "index.json"
	layoutFile = "oci-layout"
)

var layoutVersion = []byte(`{"imageLayoutVersion":"1.0.0"}`)

// Image is an image in a folder. Manifest and config have been checked, the layers only by Verify.
type Image struct {
	Dir      string
	Digest   artifact.Digest // of the manifest
	Raw      []byte          // the manifest's bytes
	Manifest Manifest
	Config   Config
}

// Open reads the image with this digest from a layout.
func Open(dir string, digest artifact.Digest) (Image, error) {
	img := Image{Dir: dir, Digest: digest}
	var err error
	if img.Raw, err = readBlob(dir, digest); err != nil {
		return Image{}, err
	}
	img.Manifest, img.Config, err = Read(img.Raw, func(d Descriptor) ([]byte, error) { return readBlob(dir, d.Digest) })
	return img, err
}

// Read checks the manifest of an image and its config, which blob reads.
func Read(manifest []byte, blob func(Descriptor) ([]byte, error)) (Manifest, Config, error) {
	m, err := parseManifest(manifest)
	if err != nil {
		return Manifest{}, Config{}, err
	}
	raw, err := blob(m.Config)
	if err != nil {
		return Manifest{}, Config{}, err
	}
	c, err := parseConfig(raw, m)
	return m, c, err
}

// BlobPath is where a layout keeps a blob.
func BlobPath(dir string, d artifact.Digest) string {
	return filepath.Join(dir, filepath.FromSlash(blobsDir), d.Hex())
}

// readBlob reads a small blob and checks its digest.
func readBlob(dir string, d artifact.Digest) ([]byte, error) {
	raw, err := readSmall(BlobPath(dir, d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, invalid("the blob %s is missing", d)
	}
	if err != nil {
		return nil, err
	}
	if got := artifact.DigestOf(raw); got != d {
		return nil, fmt.Errorf("%w: %w: a blob is %s, expected %s", ErrInvalid, artifact.ErrDigestMismatch, got, d)
	}
	return raw, nil
}

func readSmall(path string) (raw []byte, err error) {
	f, err := os.Open(path) //nolint:gosec // the blob of a digest in hex
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	raw, err = io.ReadAll(io.LimitReader(f, MaxJSON+1))
	if err == nil && len(raw) > MaxJSON {
		err = invalid("%s has more than %d MiB", filepath.Base(path), MaxJSON>>20)
	}
	return raw, err
}

// Blobs are all that the manifest names, each once: the config, then the layers.
func (img Image) Blobs() []Descriptor {
	blobs := []Descriptor{img.Manifest.Config}
	seen := map[artifact.Digest]bool{img.Manifest.Config.Digest: true}
	for _, l := range img.Manifest.Layers {
		if !seen[l.Digest] {
			seen[l.Digest] = true
			blobs = append(blobs, l)
		}
	}
	return blobs
}

// Size is what the manifest and all blobs have together, as they are stored.
func (img Image) Size() int64 {
	sum := int64(len(img.Raw))
	for _, b := range img.Blobs() {
		sum += b.Size
	}
	return sum
}

// Verify reads every layer and checks it by both of its digests. Unpacked, the layers may have limit bytes together, so that a small
// download cannot fill a disk.
func (img Image) Verify(limit int64) error {
	for i, l := range img.Manifest.Layers {
		size, err := img.verifyLayer(l, img.Config.RootFS.DiffIDs[i], limit)
		if err != nil {
			return err
		}
		limit -= size
	}
	return nil
}

func (img Image) verifyLayer(l Descriptor, diffID artifact.Digest, limit int64) (size int64, err error) {
	f, err := os.Open(BlobPath(img.Dir, l.Digest))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, invalid("the layer %s is missing", l.Digest)
	}
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	stored, unpacked := sha256.New(), sha256.New()
	content := io.TeeReader(f, stored)
	if isGzip(l.MediaType) {
		if content, err = gzip.NewReader(content); err != nil {
			return 0, layerError(l, err)
		}
	}
	size, err = io.Copy(unpacked, io.LimitReader(content, limit+1))
	if err != nil {
		return 0, layerError(l, err)
	}
	if size > limit {
		return 0, invalid("its layers hold more than is allowed when they are unpacked")
	}
	if _, err := io.Copy(stored, f); err != nil { // what follows a compressed stream
		return 0, err
	}
	if got := artifact.Digest(stored.Sum(nil)); got != l.Digest {
		return 0, fmt.Errorf("%w: %w: a layer is %s, expected %s", ErrInvalid, artifact.ErrDigestMismatch, got, l.Digest)
	}
	if got := artifact.Digest(unpacked.Sum(nil)); got != diffID {
		return 0, invalid("the layer %s unpacks to %s, but the config names %s", l.Digest, got, diffID)
	}
	return size, nil
}

// layerError tells damaged content from a disk that fails.
func layerError(l Descriptor, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return err
	}
	return invalid("the layer %s cannot be unpacked: %v", l.Digest, err)
}

// create makes an empty layout.
func create(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(blobsDir)), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, layoutFile), layoutVersion, 0o644)
}

// Create makes the layout of one image around its manifest; the other blobs are for the caller to put at their BlobPath.
func Create(dir string, raw []byte) (Manifest, error) {
	m, err := parseManifest(raw)
	if err != nil {
		return m, err
	}
	if err := create(dir); err != nil {
		return m, err
	}
	d, err := putBlob(dir, raw)
	if err != nil {
		return m, err
	}
	named, err := json.Marshal(index{
		SchemaVersion: 2, MediaType: MediaIndex, Manifests: []Descriptor{{MediaType: m.MediaType, Digest: d, Size: int64(len(raw))}},
	})
	if err != nil {
		return m, err
	}
	return m, os.WriteFile(filepath.Join(dir, indexFile), named, 0o644)
}

func putBlob(dir string, raw []byte) (artifact.Digest, error) {
	d := artifact.DigestOf(raw)
	return d, os.WriteFile(BlobPath(dir, d), raw, 0o644) //nolint:gosec // a digest in hex
}

// putFile copies content into the layout.
func putFile(dir string, from io.Reader) (d artifact.Digest, size int64, err error) {
	tmp, err := os.CreateTemp(dir, ".blob-*")
	if err != nil {
		return d, 0, err
	}
	h := sha256.New()
	size, err = io.Copy(io.MultiWriter(tmp, h), from)
	if err = errors.Join(err, tmp.Close()); err != nil {
		return d, 0, errors.Join(err, os.Remove(tmp.Name()))
	}
	d = artifact.Digest(h.Sum(nil))
	return d, size, os.Rename(tmp.Name(), BlobPath(dir, d))
}

// canonicalJSON is what this package writes: no spaces, fields in the order of their types.
func canonicalJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
