// Package durable writes files that a crash leaves as they were before or as they are after, and never in between.
package durable

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// Replace puts a file with these contents and this mode in the place of the one at a path, or makes it. It is on disk before it has the name; the name itself
// survives a power cut after SyncDir.
func Replace(path string, data []byte, mode os.FileMode) error {
	return ReplaceWith(path, mode, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// ReplaceWith is Replace with what fill writes; if that fails, nothing has changed.
func ReplaceWith(path string, mode os.FileMode, fill func(io.Writer) error) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	if err = fill(temp); err == nil {
		err = errors.Join(chmod(temp, mode), temp.Sync())
	}
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}

// chmod gives a new file, which is its owner's alone, another mode. Windows knows no modes.
func chmod(f *os.File, mode os.FileMode) error {
	if mode == 0o600 || runtime.GOOS == "windows" {
		return nil
	}
	return f.Chmod(mode)
}

// SyncDir makes the names in a folder survive a power cut. Windows cannot sync a folder and journals names itself.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
