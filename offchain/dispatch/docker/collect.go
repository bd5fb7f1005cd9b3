package docker

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/moby/moby/client"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// collect brings what is in /out to the task's folder, and reports whether /out was full. What cannot be part of a result is the task's
// fault.
func (e *Engine) collect(ctx context.Context, t Task) (full bool, err error) {
	answer, err := e.api.CopyFromContainer(ctx, e.name(t)+"-hold", client.CopyFromContainerOptions{SourcePath: outPath})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, answer.Content.Close()) }()
	root, err := os.OpenRoot(t.OutDir)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	c := &collector{root: root, limit: int64(t.Assignment.StorageMiB) << 20}
	for tr := tar.NewReader(answer.Content); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return c.full(), nil
		}
		if err != nil {
			return false, err
		}
		if err := c.take(h, tr); err != nil {
			return false, err
		}
	}
}

// collector writes entries below root and counts what they take.
type collector struct {
	root          *os.Root
	limit         int64
	size, entries int64 // sum of sizes, number of names
	blocks        int64 // bytes that a tmpfs takes for the files
}

func (c *collector) take(h *tar.Header, content io.Reader) error {
	name := strings.TrimSuffix(strings.TrimPrefix(h.Name, outPath[1:]), "/")
	name = strings.TrimPrefix(name, "/")
	if name == "" {
		return nil // /out itself
	}
	bad := func(format string, args ...any) error {
		return dispatch.Failf(dispatch.ReasonOutput, "the output folder cannot be collected: %.200q %s", name, fmt.Sprintf(format, args...))
	}
	c.entries++
	switch h.Typeflag {
	case tar.TypeDir:
		if err := c.root.Mkdir(name, 0o755); err != nil {
			return dispatch.NodeFailure("collect the output", err)
		}
	case tar.TypeReg:
		c.size += h.Size
		c.blocks += (h.Size + blockSize - 1) / blockSize * blockSize
		if c.size > c.limit {
			return dispatch.Failf(dispatch.ReasonOutput, "the output folder holds more than %d MiB", c.limit>>20)
		}
		if err := c.copy(name, content); err != nil {
			return dispatch.NodeFailure("collect the output", err)
		}
	case tar.TypeLink:
		return bad("has a second name; write a copy")
	default:
		return bad("is a link or a special file; write plain files and folders")
	}
	return nil
}

func (c *collector) copy(name string, content io.Reader) error {
	f, err := c.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

// full reports whether /out had no room for another block or another name.
func (c *collector) full() bool {
	return c.blocks+blockSize > c.limit || c.entries+1 >= outInodes(c.limit)
}
