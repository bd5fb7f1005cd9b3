package image

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/foggrid/fogd/offchain/artifact"
)

// maxIndexes is how deep indexes may name each other.
const maxIndexes = 3

// Import copies an image from an OCI layout (a folder or a tar) or from what `docker save` writes into the new layout dir. Of an image
// for several platforms it takes the one for linux/arch.
func Import(from, dir, arch string) (_ Image, err error) {
	info, err := os.Stat(from)
	if err != nil {
		return Image{}, err
	}
	if info.IsDir() {
		return importFolder(from, dir, arch)
	}
	temp := dir + ".unpacked"
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	if err := untar(from, temp); err != nil {
		return Image{}, fmt.Errorf("read %s: %w", from, err)
	}
	return importFolder(temp, dir, arch)
}

func importFolder(from, dir, arch string) (_ Image, err error) {
	root, err := os.OpenRoot(from)
	if err != nil {
		return Image{}, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	named, err := readRoot(root, indexFile)
	if err == nil {
		return importLayout(root, dir, named, arch)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return Image{}, err
	}
	list, err := readRoot(root, "manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		return Image{}, invalid("%s holds neither %s nor manifest.json; write it with `docker save` or as an OCI layout", from, indexFile)
	}
	if err != nil {
		return Image{}, err
	}
	return importSaved(root, dir, list, arch)
}

func readRoot(root *os.Root, name string) (raw []byte, err error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	raw, err = io.ReadAll(io.LimitReader(f, MaxJSON+1))
	if err == nil && len(raw) > MaxJSON {
		err = invalid("%s has more than %d MiB", name, MaxJSON>>20)
	}
	return raw, err
}

func readRootBlob(root *os.Root, d artifact.Digest) ([]byte, error) {
	raw, err := readRoot(root, path.Join(blobsDir, d.Hex()))
	if err == nil && artifact.DigestOf(raw) != d {
		err = fmt.Errorf("%w: %w: the blob %s", ErrInvalid, artifact.ErrDigestMismatch, d)
	}
	return raw, err
}

// importLayout takes an OCI layout.
func importLayout(root *os.Root, dir string, named []byte, arch string) (Image, error) {
	raw, err := choose(root, named, arch, maxIndexes)
	if err != nil {
		return Image{}, err
	}
	m, err := Create(dir, raw)
	if err != nil {
		return Image{}, err
	}
	img := Image{Dir: dir, Digest: artifact.DigestOf(raw), Raw: raw, Manifest: m}
	for _, b := range img.Blobs() {
		got, _, err := copyFrom(root, path.Join(blobsDir, b.Digest.Hex()), dir)
		if err != nil {
			return Image{}, err
		}
		if got != b.Digest {
			return Image{}, fmt.Errorf("%w: %w: a blob is %s, expected %s", ErrInvalid, artifact.ErrDigestMismatch, got, b.Digest)
		}
	}
	return open(dir, img.Digest, arch)
}

func copyFrom(root *os.Root, name, dir string) (d artifact.Digest, size int64, err error) {
	f, err := root.Open(filepath.FromSlash(name))
	if errors.Is(err, fs.ErrNotExist) {
		return d, 0, invalid("%s is missing", name)
	}
	if err != nil {
		return d, 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return putFile(dir, f)
}

// open is Open of an image that must be for an architecture.
func open(dir string, d artifact.Digest, arch string) (Image, error) {
	img, err := Open(dir, d)
	if err == nil && img.Config.Architecture != arch {
		err = invalid("it is for %s, not for %s", img.Config.Architecture, arch)
	}
	return img, err
}

// choose follows indexes to the one manifest for linux/arch.
func choose(root *os.Root, raw []byte, arch string, depth int) ([]byte, error) {
	var list index
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, invalid("the index is not JSON: %v", err)
	}
	var fits []Descriptor
	var others []string
	for _, d := range list.Manifests {
		if p := d.Platform; p == nil || p.OS == "linux" && p.Architecture == arch {
			fits = append(fits, d)
		} else {
			others = append(others, p.OS+"/"+p.Architecture)
		}
	}
	if len(fits) == 0 {
		return nil, invalid("it has nothing for linux/%s; it is for %s", arch, strings.Join(others, ", "))
	}
	if len(fits) > 1 {
		return nil, invalid("it holds %d images for linux/%s; keep one", len(fits), arch)
	}
	next, err := readRootBlob(root, fits[0].Digest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, invalid("the blob %s is missing", fits[0].Digest)
	}
	if err != nil || fits[0].MediaType != MediaIndex && fits[0].MediaType != dockerList {
		return next, err
	}
	if depth == 0 {
		return nil, invalid("its indexes name each other too deeply")
	}
	return choose(root, next, arch, depth-1)
}

// importSaved takes the older form of `docker save`, which has no manifest: one is made, so that the same image always has the same.
func importSaved(root *os.Root, dir string, list []byte, arch string) (Image, error) {
	var entries []dockerEntry
	if err := json.Unmarshal(list, &entries); err != nil || len(entries) != 1 {
		return Image{}, invalid("manifest.json holds %d images; save one", len(entries))
	}
	if err := create(dir); err != nil {
		return Image{}, err
	}
	config, err := readRoot(root, filepath.FromSlash(entries[0].Config))
	if err != nil {
		return Image{}, err
	}
	var layers []Descriptor
	for _, name := range entries[0].Layers {
		d, size, err := copyFrom(root, name, dir)
		if err != nil {
			return Image{}, err
		}
		layers = append(layers, Descriptor{MediaType: MediaLayer, Digest: d, Size: size})
	}
	img, err := assemble(dir, config, layers)
	if err != nil {
		return Image{}, err
	}
	return open(dir, img.Digest, arch)
}

// untar unpacks the plain files, folders and inner links of an archive below dir.
func untar(file, dir string) (err error) {
	f, err := os.Open(file) //nolint:gosec // the file that the user named
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	entries, left := 0, info.Size() // sparse entries could hold more than the archive
	for tr := tar.NewReader(f); ; entries++ {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) && entries > 0 {
			return nil
		}
		if err != nil {
			return invalid("it is not a tar archive: %v; write it with `docker save`, uncompressed", err)
		}
		if left -= h.Size; left < 0 {
			return invalid("its entries hold more than the archive itself; write it with `docker save`")
		}
		if err := untarEntry(root, h, tr); err != nil {
			return err
		}
	}
}

func untarEntry(root *os.Root, h *tar.Header, content io.Reader) error {
	name := filepath.FromSlash(path.Clean(h.Name))
	if name == "." {
		return nil
	}
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg:
		f, err := root.Create(name)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, content)
		return errors.Join(err, f.Close())
	case tar.TypeSymlink: // older releases of Docker link layers that they saved before
		return root.Symlink(h.Linkname, name)
	default:
		return root.MkdirAll(name, 0o755)
	}
}
