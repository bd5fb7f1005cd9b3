package inside

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// collect copies what a task left in a folder, and reports whether it had room for nothing more. What cannot be part of a result is the task's
// fault. Nothing of the task runs any more.
func collect(from, to string, limit int64) (full bool, err error) {
	source, err := os.OpenRoot(from)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := os.OpenRoot(to)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	c := collector{source: source, target: target, limit: limit, full: Entries(limit)}
	if err := fs.WalkDir(source.FS(), ".", c.take); err != nil {
		return false, err
	}
	return c.blocks+blockSize > limit || c.entries+1 >= c.full, nil
}

type collector struct {
	source, target        *os.Root
	limit, full           int64
	size, blocks, entries int64
}

func (c *collector) take(name string, e fs.DirEntry, err error) error {
	if name == "." && err == nil {
		return nil
	}
	bad := func(what string) error {
		return dispatch.Failf(dispatch.ReasonOutput, "the output folder cannot be collected: %.200q %s", name, what)
	}
	if errors.Is(err, fs.ErrPermission) {
		return bad("cannot be read")
	}
	if err != nil {
		return err
	}
	if c.entries++; c.entries >= c.full {
		return tooMany(c.full - 1)
	}
	info, err := e.Info()
	if err != nil {
		return err
	}
	switch {
	case info.IsDir():
		return c.target.Mkdir(name, 0o755)
	case !info.Mode().IsRegular():
		return bad("is a link or a special file; write plain files and folders")
	case manyNames(info):
		return bad("has a second name; write a copy")
	}
	c.size += info.Size()
	c.blocks += (info.Size() + blockSize - 1) / blockSize * blockSize
	if c.size > c.limit {
		return dispatch.Failf(dispatch.ReasonOutput, "the output folder holds more than %d MiB", c.limit>>20)
	}
	return c.copy(name)
}

func (c *collector) copy(name string) (err error) {
	in, err := c.source.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := c.target.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func tooMany(most int64) error {
	return dispatch.Failf(dispatch.ReasonOutput, "the output folder has more than %d files and folders", most)
}

// empty removes what a folder holds, but not the folder.
func empty(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("empty %s: %w", folder, err)
	}
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(folder+"/"+e.Name()))
	}
	return err
}
