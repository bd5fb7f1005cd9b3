package jobclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/moby/moby/client"

	"github.com/foggrid/fogd/offchain/image"
	"github.com/foggrid/fogd/offchain/jobfile"
)

// packImage brings the image of a job into a new layout below temp: built from a Go package, read from a file or folder, or taken from
// the local Docker Engine.
func packImage(ctx context.Context, f *jobfile.File, temp string) (image.Image, error) {
	dir, arch := filepath.Join(temp, "image"), f.ImageArch()
	if f.Build != "" {
		program, err := f.BuildProgram(ctx, temp)
		if err != nil {
			return image.Image{}, err
		}
		img, err := image.BuildFile(dir, program, arch)
		if err != nil {
			return img, f.Problem("build", err)
		}
		return img, nil
	}
	from := f.ImagePath()
	if _, err := os.Stat(from); errors.Is(err, os.ErrNotExist) {
		from = filepath.Join(temp, "saved.tar")
		if err := saveImage(ctx, f.Image, from); err != nil {
			return image.Image{}, f.Problem("image", fmt.Errorf("is %q, which is no file here, and the Docker Engine does not give it: %w", f.Image, err))
		}
	}
	img, err := image.Import(from, dir, arch)
	if err != nil {
		return img, f.Problem("image", fmt.Errorf("cannot be used: %w", err))
	}
	if len(img.Config.Config.Entrypoint)+len(img.Config.Config.Cmd) == 0 {
		return img, f.Problem("image", errors.New("names no program; set its ENTRYPOINT or CMD"))
	}
	return img, nil
}

// saveImage writes an image of the local Docker Engine to a file.
func saveImage(ctx context.Context, name, file string) (err error) {
	api, err := client.New(client.FromEnv)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, api.Close()) }()
	stream, err := api.ImageSave(ctx, []string{name})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	out, err := os.Create(file) //nolint:gosec // a name in a folder of our own
	if err != nil {
		return err
	}
	_, err = io.Copy(out, stream)
	return errors.Join(err, out.Close())
}
