package direct

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	experimentalsys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/sys"
)

// fileOffset is an alias only because vet takes every Seek(int64, int) for io.Seeker's; wazero's returns an Errno.
type fileOffset = int64

// regularFile is an open file. It keeps its own position, so that every access names its offset and can be counted.
type regularFile struct {
	experimentalsys.UnimplementedFile
	mount                       *mount
	name                        string
	f                           *os.File
	node                        *node // nil: read-only mount
	pos                         int64
	readable, writable, appends bool
	closed                      bool
}

// Dev implements experimentalsys.File.
func (r *regularFile) Dev() (uint64, experimentalsys.Errno) { return r.mount.dev, 0 }

// Ino implements experimentalsys.File.
func (r *regularFile) Ino() (sys.Inode, experimentalsys.Errno) { return inode(r.name), 0 }

// IsDir implements experimentalsys.File.
func (r *regularFile) IsDir() (bool, experimentalsys.Errno) { return false, 0 }

// IsAppend implements experimentalsys.File.
func (r *regularFile) IsAppend() bool { return r.appends }

// SetAppend implements experimentalsys.File.
func (r *regularFile) SetAppend(enable bool) experimentalsys.Errno {
	r.appends = enable
	return 0
}

// Stat implements experimentalsys.File.
func (r *regularFile) Stat() (sys.Stat_t, experimentalsys.Errno) {
	size, errno := r.size()
	return r.mount.stat(r.name, 0o644, size), errno
}

func (r *regularFile) size() (int64, experimentalsys.Errno) {
	if r.node != nil {
		return r.node.size, 0
	}
	info, err := r.f.Stat()
	if err != nil {
		return 0, r.mount.errno("stat", err)
	}
	return info.Size(), 0
}

// Read implements experimentalsys.File.
func (r *regularFile) Read(buf []byte) (int, experimentalsys.Errno) {
	n, errno := r.Pread(buf, r.pos)
	r.pos += int64(n)
	return n, errno
}

// Pread implements experimentalsys.File.
func (r *regularFile) Pread(buf []byte, off int64) (int, experimentalsys.Errno) {
	switch {
	case !r.readable:
		return 0, experimentalsys.EBADF
	case off < 0:
		return 0, experimentalsys.EINVAL
	case len(buf) == 0:
		return 0, 0
	}
	n, err := r.f.ReadAt(buf, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, r.mount.errno("read", err)
	}
	return n, 0
}

// Write implements experimentalsys.File.
func (r *regularFile) Write(buf []byte) (int, experimentalsys.Errno) {
	if r.appends && r.node != nil {
		r.pos = r.node.size
	}
	n, errno := r.Pwrite(buf, r.pos)
	r.pos += int64(n)
	return n, errno
}

// Pwrite implements experimentalsys.File.
func (r *regularFile) Pwrite(buf []byte, off int64) (int, experimentalsys.Errno) {
	switch {
	case !r.writable:
		return 0, experimentalsys.EBADF
	case off < 0:
		return 0, experimentalsys.EINVAL
	case len(buf) == 0:
		return 0, 0
	}
	// The comparison with the limit comes first, so that the sum cannot overflow.
	if end := off + int64(len(buf)); off > r.mount.quota.limit || end > r.node.size {
		if !r.mount.quota.resize(r.node, max(off, end)) {
			return 0, experimentalsys.EIO
		}
	}
	n, err := r.f.WriteAt(buf, off)
	if err != nil {
		return n, r.mount.errno("write", err)
	}
	return n, 0
}

// Truncate implements experimentalsys.File.
func (r *regularFile) Truncate(size int64) experimentalsys.Errno {
	switch {
	case !r.writable:
		return experimentalsys.EBADF
	case size < 0:
		return experimentalsys.EINVAL
	case !r.mount.quota.resize(r.node, size):
		return experimentalsys.EIO
	}
	if err := r.f.Truncate(size); err != nil {
		return r.mount.errno("truncate", err)
	}
	return 0
}

// Seek implements experimentalsys.File.
func (r *regularFile) Seek(offset fileOffset, whence int) (int64, experimentalsys.Errno) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		size, errno := r.size()
		if errno != 0 {
			return 0, errno
		}
		offset += size
	default:
		return 0, experimentalsys.EINVAL
	}
	if offset < 0 { // also what an overflow gives
		return 0, experimentalsys.EINVAL
	}
	r.pos = offset
	return offset, 0
}

// Utimens implements experimentalsys.File; times are fixed.
func (r *regularFile) Utimens(int64, int64) experimentalsys.Errno { return 0 }

// Close implements experimentalsys.File.
func (r *regularFile) Close() experimentalsys.Errno {
	if r.closed {
		return 0
	}
	r.closed = true
	*r.mount.opens--
	if r.node != nil {
		r.mount.quota.closed(r.node)
	}
	if err := r.f.Close(); err != nil {
		return r.mount.errno("close", err)
	}
	return 0
}

// dirFile is an open folder. It holds no file of the host; names are listed in byte order.
type dirFile struct {
	experimentalsys.DirFile
	mount  *mount
	name   string
	listed bool
	rest   []experimentalsys.Dirent
	closed bool
}

// Dev implements experimentalsys.File.
func (d *dirFile) Dev() (uint64, experimentalsys.Errno) { return d.mount.dev, 0 }

// Ino implements experimentalsys.File.
func (d *dirFile) Ino() (sys.Inode, experimentalsys.Errno) { return inode(d.name), 0 }

// Stat implements experimentalsys.File.
func (d *dirFile) Stat() (sys.Stat_t, experimentalsys.Errno) {
	return d.mount.stat(d.name, fs.ModeDir|0o755, 0), 0
}

// Seek implements experimentalsys.File; a folder can only be rewound.
func (d *dirFile) Seek(offset fileOffset, whence int) (int64, experimentalsys.Errno) {
	if offset != 0 || whence != io.SeekStart {
		return 0, experimentalsys.EINVAL
	}
	d.listed, d.rest = false, nil
	return 0, 0
}

// Readdir implements experimentalsys.File.
func (d *dirFile) Readdir(n int) ([]experimentalsys.Dirent, experimentalsys.Errno) {
	if !d.listed {
		if errno := d.list(); errno != 0 {
			return nil, errno
		}
		d.listed = true
	}
	if n <= 0 || n > len(d.rest) {
		n = len(d.rest)
	}
	page := d.rest[:n]
	d.rest = d.rest[n:]
	return page, 0
}

func (d *dirFile) list() experimentalsys.Errno {
	f, err := d.mount.root.Open(d.name)
	if err != nil {
		return d.mount.errno("list", err)
	}
	entries, err := f.ReadDir(-1)
	if err = errors.Join(err, f.Close()); err != nil {
		return d.mount.errno("list", err)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		if kind := e.Type(); kind.IsRegular() || kind.IsDir() {
			child, _ := cleanPath(d.name + "/" + e.Name())
			d.rest = append(d.rest, experimentalsys.Dirent{Ino: inode(child), Name: e.Name(), Type: kind})
		}
	}
	return 0
}

// Sync implements experimentalsys.File.
func (d *dirFile) Sync() experimentalsys.Errno { return 0 }

// Datasync implements experimentalsys.File.
func (d *dirFile) Datasync() experimentalsys.Errno { return 0 }

// Utimens implements experimentalsys.File; times are fixed.
func (d *dirFile) Utimens(int64, int64) experimentalsys.Errno { return 0 }

// Close implements experimentalsys.File.
func (d *dirFile) Close() experimentalsys.Errno {
	if !d.closed {
		d.closed = true
		*d.mount.opens--
	}
	return 0
}
