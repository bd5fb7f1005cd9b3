package jobfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

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
			return artifact.Digest{}, 0, &Problem{File: f.path, Line: f.lines[field], Field: field, Err: fmt.Errorf("cannot be read: %w", err)}
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
	if f.Build == "" {
		path := f.resolve(f.Module)
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			if err == nil {
				err = fmt.Errorf("%s is not a file", path)
			}
			return "", &Problem{File: f.path, Line: f.lines["module"], Field: "module", Err: fmt.Errorf("cannot be read: %w; build it first, or use build", err)}
		}
		return path, nil
	}
	out, err := filepath.Abs(filepath.Join(temp, f.Name+".wasm"))
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", out, ".")
	cmd.Dir = f.resolve(f.Build)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=")
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", &Problem{File: f.path, Line: f.lines["build"], Field: "build", Err: fmt.Errorf("failed: %w\n%s", err, output)}
	}
	return out, nil
}
