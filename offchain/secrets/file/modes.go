package file

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
)

// checkModes returns an error for the first directory that is not 0700 or file that is not 0600 or stricter.
func checkModes(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // the mode bits say nothing there; the directory inherits the user's access list
	}
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // another process renamed its new file meanwhile
		}
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if mode := info.Mode(); mode.Perm()&0o077 != 0 && mode.Type()&fs.ModeSymlink == 0 {
			want := "0600"
			if entry.IsDir() {
				want = "0700"
			}
			return fmt.Errorf("%s has mode %04o, so others can use it; run: chmod %s %s", path, mode.Perm(), want, path)
		}
		return nil
	})
}
