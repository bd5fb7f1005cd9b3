package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// Disk makes file systems in files and devices of them.
type Disk interface {
	// Make writes an empty file system of a size into a new file, and allocates all of it.
	Make(ctx context.Context, file string, mib uint32) error
	// Resize changes the size of a file system that is not mounted; ErrFull if its content does not fit.
	Resize(ctx context.Context, file string, mib uint32) error
	// Attach returns the device of a file, also if it is attached already.
	Attach(ctx context.Context, file string) (device string, err error)
	// Detach gives the device back once nobody has it mounted any more.
	Detach(file string) error
}

var (
	// ErrFull means that volumes hold more than they shall have room for.
	ErrFull = errors.New("the volumes hold too much")
	// ErrInUse means that somebody has a claim to the volumes now.
	ErrInUse = errors.New("the volumes are in use")
)

const (
	fileSuffix, newSuffix = ".img", ".new"
	taskMark              = "_t"
)

// Store keeps volumes below a folder that only one process uses.
type Store struct {
	dir  string
	disk Disk

	mu     sync.Mutex
	claims map[dispatch.Replica]chan struct{} // closed when the claim ends
}

// Open makes the folder if needed.
func Open(dir string, disk Disk) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of volumes: %w", err)
	}
	return &Store{dir: dir, disk: disk, claims: map[dispatch.Replica]chan struct{}{}}, nil
}

// Claim waits until nobody else in this process has the volumes of a replica.
func (s *Store) Claim(ctx context.Context, r dispatch.Replica) (release func(), err error) {
	for {
		release, before := s.tryClaim(r)
		if release != nil {
			return release, nil
		}
		select {
		case <-before:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// tryClaim returns the end of the claim before if there is one.
func (s *Store) tryClaim(r dispatch.Replica) (release func(), before <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ended, taken := s.claims[r]; taken {
		return nil, ended
	}
	ended := make(chan struct{})
	s.claims[r] = ended
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.claims, r)
		close(ended)
	}), nil
}

// Attach makes the volumes that are not there, brings the others to their size, and returns their devices by name. All that the replica has,
// volumes of earlier revisions included, fits into limitMiB, else ErrFull. The caller has the claim, and no container of the replica runs that
// another revision started.
func (s *Store) Attach(ctx context.Context, r dispatch.Replica, volumes []dispatch.Volume, limitMiB uint64) (map[string]string, error) {
	dir := s.folder(r)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := s.fits(dir, volumes, limitMiB); err != nil {
		return nil, err
	}
	devices := map[string]string{}
	for _, v := range volumes {
		file := s.file(r, v.Name)
		if err := s.bring(ctx, file, v.SizeMiB); err != nil {
			return nil, fmt.Errorf("volume %s: %w", v.Name, err)
		}
		device, err := s.disk.Attach(ctx, file)
		if err != nil {
			return nil, fmt.Errorf("volume %s: %w", v.Name, err)
		}
		devices[v.Name] = device
	}
	return devices, nil
}

// fits counts volumes that a revision no longer names: they are kept, since the revision before may come back.
func (s *Store) fits(dir string, volumes []dispatch.Volume, limitMiB uint64) error {
	sum, named := uint64(0), map[string]bool{}
	for _, v := range volumes {
		sum += uint64(v.SizeMiB)
		named[v.Name+fileSuffix] = true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if named[e.Name()] || filepath.Ext(e.Name()) != fileSuffix {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		sum += uint64(info.Size()) >> 20
	}
	if sum > limitMiB {
		return fmt.Errorf("%w: %d MiB with those of earlier revisions, and the storage is %d MiB", ErrFull, sum, limitMiB)
	}
	return nil
}

// bring makes a volume, or changes its size.
func (s *Store) bring(ctx context.Context, file string, mib uint32) error {
	info, err := os.Stat(file)
	switch {
	case err == nil && info.Size() == int64(mib)<<20:
		return nil
	case err == nil:
		if err := s.disk.Detach(file); err != nil {
			return err
		}
		return s.disk.Resize(ctx, file, mib)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	fresh := strings.TrimSuffix(file, fileSuffix) + newSuffix
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := s.disk.Make(ctx, fresh, mib); err != nil {
		return errors.Join(err, os.RemoveAll(fresh))
	}
	return os.Rename(fresh, file)
}

// Detach gives the devices of a replica back; its files stay.
func (s *Store) Detach(r dispatch.Replica) error {
	files, err := filepath.Glob(filepath.Join(s.folder(r), "*"+fileSuffix))
	if err != nil {
		return err
	}
	var failed error
	for _, file := range files {
		failed = errors.Join(failed, s.disk.Detach(file))
	}
	return failed
}

// Wipe removes the volumes of a replica for good; ErrInUse while somebody has a claim to them.
func (s *Store) Wipe(r dispatch.Replica) error {
	release, _ := s.tryClaim(r)
	if release == nil {
		return fmt.Errorf("%s, task %d: %w", r.Job, r.Task, ErrInUse)
	}
	defer release()
	if err := s.Detach(r); err != nil {
		return err
	}
	return os.RemoveAll(s.folder(r))
}

// Size is that of a volume; the error is fs.ErrNotExist if there is none.
func (s *Store) Size(r dispatch.Replica, name string) (mib uint32, err error) {
	info, err := os.Stat(s.file(r, name))
	if err != nil {
		return 0, err
	}
	return uint32(info.Size() >> 20), nil
}

// Remove is Wipe for one volume, which nobody has mounted. What is not there is removed.
func (s *Store) Remove(r dispatch.Replica, name string) error {
	release, _ := s.tryClaim(r)
	if release == nil {
		return fmt.Errorf("%s, task %d: %w", r.Job, r.Task, ErrInUse)
	}
	defer release()
	file := s.file(r, name)
	if err := s.disk.Detach(file); err != nil {
		return err
	}
	for _, leftover := range []string{file, strings.TrimSuffix(file, fileSuffix) + newSuffix} {
		if err := os.RemoveAll(leftover); err != nil {
			return err
		}
	}
	if left, err := os.ReadDir(s.folder(r)); err == nil && len(left) == 0 {
		return os.Remove(s.folder(r))
	}
	return nil
}

func (s *Store) file(r dispatch.Replica, name string) string {
	return filepath.Join(s.folder(r), name+fileSuffix)
}

// Kept are the replicas that have volumes here, in order.
func (s *Store) Kept() ([]dispatch.Replica, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var all []dispatch.Replica
	for _, e := range entries {
		if r, ok := parseFolder(e.Name()); ok {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, dispatch.Replica.Compare)
	return all, nil
}

func (s *Store) folder(r dispatch.Replica) string { return filepath.Join(s.dir, folderName(r)) }

func folderName(r dispatch.Replica) string {
	return r.Job + taskMark + strconv.FormatUint(uint64(r.Task), 10)
}

// parseFolder reads a name that folderName wrote.
func parseFolder(name string) (dispatch.Replica, bool) {
	at := strings.LastIndex(name, taskMark)
	if at <= 0 {
		return dispatch.Replica{}, false
	}
	task, err := strconv.ParseUint(name[at+len(taskMark):], 10, 32)
	r := dispatch.Replica{Job: name[:at], Task: uint32(task)}
	return r, err == nil && folderName(r) == name
}
