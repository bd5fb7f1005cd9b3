package jobfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/foggrid/fogd/offchain/artifact"
)

// PackInputs writes the archive of the file's inputs to path and returns its digest and size; without inputs it writes nothing and the
// digest is zero. Links inside folders are refused; an input that is itself a link is followed.
func (f *File) PackInputs(path string) (artifact.Digest, int64, error) {
	if len(f.Inputs) == 0 {
		return artifact.Digest{}, 0, nil
	}
	stage, err := os.MkdirTemp(filepath.Dir(path), ".inputs-*")
	if err != nil {
		return artifact.Digest{}, 0, err
	}
	digest, size, err := f.packInputs(path, stage)
	return digest, size, errors.Join(err, os.RemoveAll(stage))
}

func (f *File) packInputs(path, stage string) (artifact.Digest, int64, error) {
	for i, in := range f.Inputs {
		if err := copyInput(f.resolve(in), filepath.Join(stage, inputName(in))); err != nil {
			field := fmt.Sprintf("inputs[%d]", i)
			return artifact.Digest{}, 0, f.Problem(field, fmt.Errorf("cannot be read: %w", err))
		}
	}
	return artifact.PackFile(path, stage, artifact.Limits{})
}

func copyInput(from, to string) error {
	info, err := os.Stat(from)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return os.CopyFS(to, os.DirFS(from))
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is %w", from, artifact.ErrUnsupportedFile)
	}
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	dst, err := os.Create(to)
	if err != nil {
		return errors.Join(err, src.Close())
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close(), src.Close())
}

// ModulePath returns the path of the module. With build, the Go package is built into folder temp first, so that equal sources give
// equal bytes with the same Go release.
func (f *File) ModulePath(ctx context.Context, temp string) (string, error) {
	if f.Build != "" {
		return f.build(ctx, temp, f.Name+".wasm", "GOOS=wasip1", "GOARCH=wasm")
	}
	path := f.resolve(f.Module)
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		if err == nil {
			err = fmt.Errorf("%s is not a file", path)
		}
		return "", f.Problem("module", fmt.Errorf("cannot be read: %w; build it first, or use build", err))
	}
	return path, nil
}

// BuildProgram builds the Go package of a container job into a statically linked Linux program in folder temp.
func (f *File) BuildProgram(ctx context.Context, temp string) (string, error) {
	return f.build(ctx, temp, f.Name, "GOOS=linux", "GOARCH="+f.ImageArch())
}

func (f *File) build(ctx context.Context, temp, name string, target ...string) (string, error) {
	out, err := filepath.Abs(filepath.Join(temp, name))
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", out, ".") //nolint:gosec // the Go compiler on the user's own package; there is no shell
	cmd.Dir = f.resolve(f.Build)
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS="), target...)
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", f.Problem("build", fmt.Errorf("failed: %w\n%s", err, output))
	}
	return out, nil
}

// Problem is a problem with a field of this file.
func (f *File) Problem(field string, err error) *Problem {
	return &Problem{File: f.path, Line: f.lines[field], Field: field, Err: err}
}

// ImagePath is where the image of a container job lies, if it is a file or folder.
func (f *File) ImagePath() string { return f.resolve(f.Image) }

// ImageArch is the architecture that a container image must be for: the one that is asked for, else this machine's.
func (f *File) ImageArch() string {
	if len(f.Constraints.Arch) > 0 {
		return f.Constraints.Arch[0]
	}
	return runtime.GOARCH
}
