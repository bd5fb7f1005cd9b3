// Command thumbnails is a task that makes small pictures of large ones.
//
// Task i of n takes the pictures number i, i+n, i+2n, … by name. The small pictures are written as BMP, because bytes that no
// compressor chose are the same with every release of the libraries.
package main

import (
	"errors"
	"flag"
	"fmt"
	"image"
	_ "image/jpeg" // for your own pictures; ours are PNG, whose decoding leaves no choice to the library
	_ "image/png"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/image/bmp"
	"golang.org/x/image/draw"
)

func main() {
	size := flag.Int("size", 128, "longest side of a thumbnail in pixels")
	flag.Parse()
	if err := run(*size); err != nil {
		fmt.Fprintln(os.Stderr, "thumbnails:", err)
		os.Exit(1)
	}
}

func run(size int) error {
	task, err1 := strconv.Atoi(os.Getenv("FOG_TASK_INDEX"))
	tasks, err2 := strconv.Atoi(os.Getenv("FOG_TASK_COUNT"))
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("which task is this? %w", err)
	}
	files, err := filepath.Glob("/in/pictures/*") // in order of their names
	if err != nil {
		return err
	}
	for i := task; i < len(files); i += tasks {
		base := filepath.Base(files[i])
		name := strings.TrimSuffix(base, filepath.Ext(base)) + ".bmp"
		bounds, err := shrink(files[i], "/out/"+name, size)
		if err != nil {
			return fmt.Errorf("%s: %w", base, err)
		}
		fmt.Printf("%s: %d × %d\n", name, bounds.Dx(), bounds.Dy())
	}
	return nil
}

func shrink(from, to string, size int) (bounds image.Rectangle, err error) {
	in, err := os.Open(from)
	if err != nil {
		return bounds, err
	}
	picture, _, err := image.Decode(in)
	if err = errors.Join(err, in.Close()); err != nil {
		return bounds, err
	}
	bounds = fit(picture.Bounds(), size)
	small := image.NewRGBA(bounds)
	draw.CatmullRom.Scale(small, bounds, picture, picture.Bounds(), draw.Src, nil)
	out, err := os.Create(to)
	if err != nil {
		return bounds, err
	}
	return bounds, errors.Join(bmp.Encode(out, small), out.Close())
}

// fit returns the largest bounds of r's proportions whose sides are at most size; a picture that is small enough keeps its own.
func fit(r image.Rectangle, size int) image.Rectangle {
	w, h := r.Dx(), r.Dy()
	if long := max(w, h); long > size {
		w, h = max(1, w*size/long), max(1, h*size/long)
	}
	return image.Rect(0, 0, w, h)
}
