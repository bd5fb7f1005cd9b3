package registry

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/foggrid/fogd/offchain/durable"
)

// ensureDir creates dir and its missing parents, each synced into its own parent.
func ensureDir(dir string) error {
	if info, err := os.Stat(dir); err == nil { //nolint:gosec // ref and digest were parsed before they became a path
		if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: fs.ErrExist}
		}
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := ensureDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) { //nolint:gosec // ref and digest were parsed before they became a path
		return err
	}
	return durable.SyncDir(parent)
}

// place renames a synced temporary file to its final name.
func place(temp, final string) error {
	dir := filepath.Dir(final)
	if err := ensureDir(dir); err != nil {
		return err
	}
	if err := os.Rename(temp, final); err != nil { //nolint:gosec // ref and digest were parsed before they became a path
		return err
	}
	return durable.SyncDir(dir)
}

// writeFile replaces path with data, or leaves it as it was. temp is the folder for the temporary file, on the same file system.
func writeFile(temp, path string, data []byte) (err error) {
	f, err := os.CreateTemp(temp, "file-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeIfExists(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return place(f.Name(), path)
}

// mark creates an empty file, or renews the time of one that exists.
func mark(path string) error {
	dir := filepath.Dir(path)
	if err := ensureDir(dir); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // ref and digest were parsed before they became a path
	if errors.Is(err, fs.ErrExist) {
		return touch(path)
	}
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}

func removeIfExists(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path) //nolint:gosec // ref and digest were parsed before they became a path
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// list returns the names in dir, sorted; a missing folder is empty.
func list(dir string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}

// touch renews the time of a marker, from which GC counts its age.
func touch(path string) error {
	now := time.Now()
	return os.Chtimes(path, now, now)
}
