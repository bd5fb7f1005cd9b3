package registry

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/foggrid/fogd/offchain/artifact"
)

// Usage is how many bytes the repositories below a name hold together, equal content counted once.
func (r *Registry) Usage(below string) (int64, error) {
	seen, total := map[artifact.Digest]bool{}, int64(0)
	err := filepath.WalkDir(r.repoPath(below), func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // nothing was pushed, or it has just been removed
		}
		if err != nil || e.IsDir() {
			return err
		}
		if dir := filepath.Base(filepath.Dir(path)); dir != blobsDir && dir != manifestsDir {
			return nil
		}
		d, err := digestOfName(e.Name())
		if err != nil || seen[d] {
			return err
		}
		seen[d] = true
		info, err := os.Stat(r.blobPath(d))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total, err
}
