package direct

import (
	"cmp"
	"errors"
	"hash/fnv"
	"io/fs"
	"os"
	"path"
	"strings"

	experimentalsys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/sys"

	"github.com/foggrid/fogd/offchain/dispatch"
)

const maxOpenFiles = 256

// mount is a host folder as a task sees it. Nothing outside the folder can be reached (os.Root), links do not exist, and all that
// differs between hosts (order of names, times, inodes, modes) is made equal.
type mount struct {
	experimentalsys.UnimplementedFS
	root  *os.Root
	dev   uint64
	opens *int // open files of all the task's mounts
	guard *guard
	quota *quota // nil: read-only
}

// OpenFile implements experimentalsys.FS.
func (m *mount) OpenFile(name string, flag experimentalsys.Oflag, _ fs.FileMode) (experimentalsys.File, experimentalsys.Errno) {
	name, wantDir := cleanPath(name)
	wantDir = wantDir || flag&experimentalsys.O_DIRECTORY != 0
	writes := flag&(experimentalsys.O_RDWR|experimentalsys.O_WRONLY|experimentalsys.O_CREAT|experimentalsys.O_TRUNC) != 0
	if *m.opens >= maxOpenFiles {
		return nil, experimentalsys.EIO // there is no EMFILE here
	}
	info, err := m.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && flag&experimentalsys.O_CREAT != 0:
		if m.quota == nil {
			return nil, experimentalsys.EROFS
		}
		if wantDir {
			return nil, experimentalsys.EINVAL
		}
	case err != nil:
		return nil, m.errno("open", err)
	case flag&experimentalsys.O_CREAT != 0 && flag&experimentalsys.O_EXCL != 0:
		return nil, experimentalsys.EEXIST
	case info.IsDir():
		if writes {
			return nil, experimentalsys.EISDIR
		}
		*m.opens++
		return &dirFile{mount: m, name: name}, 0
	case wantDir:
		return nil, experimentalsys.ENOTDIR
	case !info.Mode().IsRegular():
		return nil, experimentalsys.EPERM
	case writes && m.quota == nil:
		return nil, experimentalsys.EROFS
	}
	if !writes {
		return m.openRegular(name, os.O_RDONLY, flag)
	}
	hostFlag := os.O_RDWR
	if info == nil {
		hostFlag |= os.O_CREATE | os.O_EXCL
	}
	return m.openRegular(name, hostFlag, flag)
}

func (m *mount) openRegular(name string, hostFlag int, flag experimentalsys.Oflag) (experimentalsys.File, experimentalsys.Errno) {
	created := hostFlag&os.O_CREATE != 0
	if created && !m.quota.add(name) {
		return nil, experimentalsys.EIO
	}
	f, err := m.root.OpenFile(name, hostFlag, 0o644)
	if err != nil {
		if created {
			m.quota.remove(name)
		}
		return nil, m.errno("open", err)
	}
	file := &regularFile{
		mount: m, name: name, f: f,
		readable: flag&experimentalsys.O_WRONLY == 0, writable: hostFlag&os.O_RDWR != 0,
		appends: flag&experimentalsys.O_APPEND != 0,
	}
	*m.opens++
	if m.quota != nil {
		info, err := f.Stat()
		if err != nil {
			return nil, cmp.Or(m.errno("open", err), file.Close())
		}
		file.node = m.quota.node(name, info.Size())
		file.node.opens++
	}
	if flag&experimentalsys.O_TRUNC != 0 {
		if errno := file.Truncate(0); errno != 0 {
			return nil, cmp.Or(errno, file.Close())
		}
	}
	return file, 0
}

// Lstat implements experimentalsys.FS.
func (m *mount) Lstat(name string) (sys.Stat_t, experimentalsys.Errno) {
	name, wantDir := cleanPath(name)
	info, err := m.root.Lstat(name)
	switch {
	case err != nil:
		return sys.Stat_t{}, m.errno("stat", err)
	case info.IsDir():
		return m.stat(name, fs.ModeDir|0o755, 0), 0
	case wantDir:
		return sys.Stat_t{}, experimentalsys.ENOTDIR
	case info.Mode().IsRegular():
		return m.stat(name, 0o644, info.Size()), 0
	default:
		return sys.Stat_t{}, experimentalsys.EPERM
	}
}

// Stat implements experimentalsys.FS; there are no links to follow.
func (m *mount) Stat(name string) (sys.Stat_t, experimentalsys.Errno) { return m.Lstat(name) }

func (m *mount) stat(name string, mode fs.FileMode, size int64) sys.Stat_t {
	return sys.Stat_t{
		Dev: m.dev, Ino: inode(name), Mode: mode, Nlink: 1, Size: size,
		Atim: epoch.UnixNano(), Mtim: epoch.UnixNano(), Ctim: epoch.UnixNano(),
	}
}

// Mkdir implements experimentalsys.FS.
func (m *mount) Mkdir(name string, _ fs.FileMode) experimentalsys.Errno {
	if m.quota == nil {
		return experimentalsys.EROFS
	}
	name, _ = cleanPath(name)
	if _, err := m.root.Lstat(name); err == nil {
		return experimentalsys.EEXIST
	}
	if !m.quota.add(name) {
		return experimentalsys.EIO
	}
	if err := m.root.Mkdir(name, 0o755); err != nil {
		m.quota.remove(name)
		return m.errno("mkdir", err)
	}
	return 0
}

// Rename implements experimentalsys.FS.
func (m *mount) Rename(from, to string) experimentalsys.Errno {
	if m.quota == nil {
		return experimentalsys.EROFS
	}
	from, _ = cleanPath(from)
	to, _ = cleanPath(to)
	if from == "." || to == "." {
		return experimentalsys.EINVAL
	}
	source, err := m.root.Lstat(from)
	if err != nil {
		return m.errno("rename", err)
	}
	if from == to {
		return 0
	}
	if target, err := m.root.Lstat(to); err == nil {
		switch {
		case source.IsDir() && !target.IsDir():
			return experimentalsys.ENOTDIR
		case !source.IsDir() && target.IsDir():
			return experimentalsys.EISDIR
		}
	}
	if err := m.root.Rename(from, to); err != nil {
		return m.errno("rename", err)
	}
	m.quota.rename(from, to)
	return 0
}

// Rmdir implements experimentalsys.FS.
func (m *mount) Rmdir(name string) experimentalsys.Errno { return m.remove(name, true) }

// Unlink implements experimentalsys.FS.
func (m *mount) Unlink(name string) experimentalsys.Errno { return m.remove(name, false) }

func (m *mount) remove(name string, dir bool) experimentalsys.Errno {
	if m.quota == nil {
		return experimentalsys.EROFS
	}
	name, _ = cleanPath(name)
	info, err := m.root.Lstat(name)
	switch {
	case err != nil:
		return m.errno("remove", err)
	case dir && !info.IsDir():
		return experimentalsys.ENOTDIR
	case !dir && info.IsDir():
		return experimentalsys.EISDIR
	case name == ".":
		return experimentalsys.EINVAL
	}
	if err := m.root.Remove(name); err != nil {
		return m.errno("remove", err)
	}
	m.quota.remove(name)
	return 0
}

// Link implements experimentalsys.FS; results have no links.
func (m *mount) Link(string, string) experimentalsys.Errno { return experimentalsys.EPERM }

// Symlink implements experimentalsys.FS; results have no links.
func (m *mount) Symlink(string, string) experimentalsys.Errno { return experimentalsys.EPERM }

// Readlink implements experimentalsys.FS; nothing is a link.
func (m *mount) Readlink(string) (string, experimentalsys.Errno) { return "", experimentalsys.EINVAL }

// Utimens implements experimentalsys.FS; times are fixed.
func (m *mount) Utimens(string, int64, int64) experimentalsys.Errno { return 0 }

// errno turns an error of the host into one for the task, which ends if the machine is at fault.
func (m *mount) errno(doing string, err error) experimentalsys.Errno {
	if isNodeFault(err) {
		m.guard.fail(dispatch.NodeFailure(doing, err))
	}
	if errno := experimentalsys.UnwrapOSError(err); errno != 0 {
		return errno
	}
	return experimentalsys.EIO
}

// cleanPath returns the path in the form of io/fs, and whether it was written as a folder's, with a slash at its end.
func cleanPath(name string) (clean string, dir bool) {
	clean = strings.TrimPrefix(path.Clean("/"+name), "/")
	if clean == "" {
		clean = "."
	}
	return clean, strings.HasSuffix(name, "/")
}

func inode(name string) sys.Inode {
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64()
}
