package image

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path"
	"time"
)

// containerdName is the annotation by which containerd names what it imports.
const containerdName = "io.containerd.image.name"

// dockerEntry is an image in the manifest.json of what `docker load` reads.
type dockerEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// WriteArchive writes the image as a tar that every Docker Engine loads: an OCI layout, and beside it the older manifest.json whose
// paths point into the layout. The image gets the name tag.
func (img Image) WriteArchive(w io.Writer, tag string) error {
	tw := tar.NewWriter(w)
	entry := dockerEntry{Config: blobName(img.Manifest.Config), RepoTags: []string{tag}}
	for _, l := range img.Manifest.Layers {
		entry.Layers = append(entry.Layers, blobName(l))
	}
	list, err := canonicalJSON([]dockerEntry{entry})
	if err != nil {
		return err
	}
	own := Descriptor{MediaType: img.Manifest.MediaType, Digest: img.Digest, Size: int64(len(img.Raw)), Annotations: map[string]string{containerdName: tag}}
	named, err := canonicalJSON(index{SchemaVersion: 2, MediaType: MediaIndex, Manifests: []Descriptor{own}})
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		data []byte
	}{
		{layoutFile, layoutVersion}, {indexFile, named}, {"manifest.json", list}, {blobName(own), img.Raw},
	} {
		if err := writeEntry(tw, f.name, int64(len(f.data))); err != nil {
			return err
		}
		if _, err := tw.Write(f.data); err != nil {
			return err
		}
	}
	for _, b := range img.Blobs() {
		if err := copyBlob(tw, img.Dir, b); err != nil {
			return err
		}
	}
	return tw.Close()
}

func blobName(d Descriptor) string { return path.Join(blobsDir, d.Digest.Hex()) }

func writeEntry(tw *tar.Writer, name string, size int64) error {
	return tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, ModTime: time.Unix(0, 0)})
}

func copyBlob(tw *tar.Writer, dir string, b Descriptor) (err error) {
	f, err := os.Open(BlobPath(dir, b.Digest))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := writeEntry(tw, blobName(b), b.Size); err != nil {
		return err
	}
	_, err = io.CopyN(tw, f, b.Size)
	return err
}
