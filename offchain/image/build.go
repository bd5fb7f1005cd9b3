package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/foggrid/fogd/offchain/artifact"
)

// ProgramPath is where an image that was built here has its program.
const ProgramPath = "/task"

// builtConfig has its fields in the order in which they are written; the same program always makes the same image.
type builtConfig struct {
	Architecture string   `json:"architecture"`
	OS           string   `json:"os"`
	Config       Defaults `json:"config"`
	RootFS       RootFS   `json:"rootfs"`
}

// Build makes an image from scratch in the new layout dir: one statically linked Linux program and nothing else.
func Build(dir string, program io.Reader, size int64, arch string) (Image, error) {
	if err := create(dir); err != nil {
		return Image{}, err
	}
	layer, layerSize, err := putLayer(dir, program, size)
	if err != nil {
		return Image{}, fmt.Errorf("build the image: %w", err)
	}
	config, err := canonicalJSON(builtConfig{
		Architecture: arch, OS: "linux",
		Config: Defaults{Entrypoint: []string{ProgramPath}, WorkingDir: "/out"},
		RootFS: RootFS{Type: "layers", DiffIDs: []artifact.Digest{layer}},
	})
	if err != nil {
		return Image{}, err
	}
	return assemble(dir, config, []Descriptor{{MediaType: MediaLayer, Digest: layer, Size: layerSize}})
}

// putLayer writes a layer with the program in it.
func putLayer(dir string, program io.Reader, size int64) (artifact.Digest, int64, error) {
	pr, pw := io.Pipe()
	go func() { pw.CloseWithError(writeLayer(pw, program, size)) }()
	d, n, err := putFile(dir, pr)
	return d, n, errors.Join(err, pr.Close())
}

func writeLayer(w io.Writer, program io.Reader, size int64) error {
	tw := tar.NewWriter(w)
	err := tw.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: ProgramPath[1:], Mode: 0o755, Size: size, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR,
	})
	if err != nil {
		return err
	}
	if _, err := io.CopyN(tw, program, size); err != nil {
		return err
	}
	return tw.Close()
}

// BuildFile is Build of a program on disk.
func BuildFile(dir, program, arch string) (_ Image, err error) {
	f, err := os.Open(program) //nolint:gosec // the program that the user built
	if err != nil {
		return Image{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return Image{}, err
	}
	return Build(dir, f, info.Size(), arch)
}

// BuildBytes is Build of a program in memory.
func BuildBytes(dir string, program []byte, arch string) (Image, error) {
	return Build(dir, bytes.NewReader(program), int64(len(program)), arch)
}

// assemble makes the manifest of a config and layers that are in the layout, or go there.
func assemble(dir string, config []byte, layers []Descriptor) (Image, error) {
	d, err := putBlob(dir, config)
	if err != nil {
		return Image{}, err
	}
	raw, err := canonicalJSON(Manifest{
		SchemaVersion: 2, MediaType: MediaManifest,
		Config: Descriptor{MediaType: MediaConfig, Digest: d, Size: int64(len(config))}, Layers: layers,
	})
	if err != nil {
		return Image{}, err
	}
	if _, err := Create(dir, raw); err != nil {
		return Image{}, err
	}
	return Open(dir, artifact.DigestOf(raw))
}
