package artifact

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits bounds an archive. A zero field stands for its default.
type Limits struct {
	// MaxBytes is the largest sum of the files' sizes, in bytes; the default is 1 TiB.
	MaxBytes int64
	// MaxEntries is the largest number of files and folders; the default is 65,536.
	MaxEntries int
	// MaxDepth is how deep folders may nest; the default is 64.
	MaxDepth int
}

const (
	defaultMaxBytes   = 1 << 40
	defaultMaxEntries = 1 << 16
	defaultMaxDepth   = 64
	modeFile          = 0o644
	modeDir           = 0o755
)

// ErrLimit says that a folder or archive is larger than its limits allow.
var ErrLimit = errors.New("over the limit")

// ErrUnsupportedFile says that a folder holds something that is neither a regular file nor a folder.
var ErrUnsupportedFile = errors.New("neither a regular file nor a folder")

func (l Limits) withDefaults() Limits {
	if l.MaxBytes == 0 {
		l.MaxBytes = defaultMaxBytes
	}
	if l.MaxEntries == 0 {
		l.MaxEntries = defaultMaxEntries
	}
	if l.MaxDepth == 0 {
		l.MaxDepth = defaultMaxDepth
	}
	return l
}

// budget counts down what limits leave.
type budget struct {
	limits  Limits
	bytes   int64
	entries int
}

func newBudget(l Limits) *budget {
	l = l.withDefaults()
	return &budget{limits: l, bytes: l.MaxBytes, entries: l.MaxEntries}
}

func (b *budget) take(name string, size int64) error {
	if b.entries--; b.entries < 0 {
		return fmt.Errorf("%q: more than %d files and folders: %w; put them into fewer files", name, b.limits.MaxEntries, ErrLimit)
	}
	if depth := strings.Count(name, "/") + 1; depth > b.limits.MaxDepth {
		return fmt.Errorf("%.200q: nested deeper than %d folders: %w", name, b.limits.MaxDepth, ErrLimit)
	}
	if size < 0 || size > b.bytes {
		return fmt.Errorf("%q: the files hold more than %d bytes together: %w", name, b.limits.MaxBytes, ErrLimit)
	}
	b.bytes -= size
	return nil
}

// Pack writes the archive of folder dir to w. Links and special files are refused, and names must be UTF-8.
func Pack(w io.Writer, dir string, limits Limits) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open the folder to pack: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	tw := tar.NewWriter(w)
	if err := packDir(tw, root, "", newBudget(limits)); err != nil {
		return err
	}
	if err := tw.Close(); err != nil {
		return fmt.Errorf("end the archive: %w", err)
	}
	return nil
}

func packDir(tw *tar.Writer, root *os.Root, dir string, left *budget) error {
	names, err := readNames(root, dir)
	if err != nil {
		return err
	}
	for _, base := range names {
		name := path.Join(dir, base)
		if !utf8.ValidString(base) || strings.Contains(base, `\`) {
			return fmt.Errorf("pack %q: a name must be UTF-8 without backslashes; rename it", name)
		}
		info, err := root.Lstat(name)
		if err != nil {
			return fmt.Errorf("pack %q: %w", name, err)
		}
		switch {
		case info.IsDir():
			if err := left.take(name, 0); err != nil {
				return err
			}
			if err := tw.WriteHeader(header(tar.TypeDir, name+"/", modeDir, 0)); err != nil {
				return fmt.Errorf("pack %q: %w", name, err)
			}
			err = packDir(tw, root, name, left)
		case info.Mode().IsRegular():
			err = packFile(tw, root, name, left)
		default:
			err = fmt.Errorf("pack %q: %w; replace it by a copy of its content", name, ErrUnsupportedFile)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func packFile(tw *tar.Writer, root *os.Root, name string, left *budget) (err error) {
	f, err := root.Open(name)
	if err != nil {
		return fmt.Errorf("pack %q: %w", name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("pack %q: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("pack %q: %w", name, ErrUnsupportedFile)
	}
	if err := left.take(name, info.Size()); err != nil {
		return err
	}
	if err := tw.WriteHeader(header(tar.TypeReg, name, modeFile, info.Size())); err != nil {
		return fmt.Errorf("pack %q: %w", name, err)
	}
	if _, err := io.CopyN(tw, f, info.Size()); err != nil {
		return fmt.Errorf("pack %q (did it change meanwhile?): %w", name, err)
	}
	return nil
}

// header leaves the format open: the tar package takes USTAR where the name and size fit, and PAX with nothing but these else.
func header(kind byte, name string, mode, size int64) *tar.Header {
	return &tar.Header{Typeflag: kind, Name: name, Mode: mode, Size: size, ModTime: time.Unix(0, 0)}
}

func readNames(root *os.Root, dir string) (names []string, err error) {
	if dir == "" {
		dir = "."
	}
	f, err := root.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("list %q: %w", dir, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	names, err = f.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list %q: %w", dir, err)
	}
	slices.Sort(names)
	return names, nil
}

// PackFile writes the archive of folder dir to a file, which appears complete or not at all, and returns its digest and size in bytes.
func PackFile(file, dir string, limits Limits) (d Digest, size int64, err error) {
	return writeDigested(file, func(w io.Writer) error { return Pack(w, dir, limits) })
}

// PackFileVia is PackFile through a writer that changes what is written, such as one that encrypts; digest and size are the file's.
func PackFileVia(file, dir string, limits Limits, via func(io.Writer) (io.WriteCloser, error)) (d Digest, size int64, err error) {
	return WriteFileVia(file, via, func(w io.Writer) error { return Pack(w, dir, limits) })
}

// WriteFileVia writes a file, which appears complete or not at all, through a writer as PackFileVia does.
func WriteFileVia(file string, via func(io.Writer) (io.WriteCloser, error), write func(io.Writer) error) (d Digest, size int64, err error) {
	return writeDigested(file, func(f io.Writer) error {
		w, err := via(f)
		if err != nil {
			return err
		}
		if err := write(w); err != nil {
			return err // what is not whole is not ended as if it were
		}
		return w.Close()
	})
}

func writeDigested(file string, fill func(io.Writer) error) (Digest, int64, error) {
	h := sha256.New()
	n := &countingWriter{}
	err := writeAtomically(file, func(f *os.File) error { return fill(io.MultiWriter(f, h, n)) })
	return Digest(h.Sum(nil)), n.n, err
}

type countingWriter struct{ n int64 }

func (c *countingWriter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// writeAtomically fills a temporary file beside the named one, makes it durable, and renames it.
func writeAtomically(file string, fill func(*os.File) error) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(file), ".tmp-*")
	if err != nil {
		return fmt.Errorf("create a temporary file: %w", err)
	}
	defer func() {
		if err != nil {
			if e := os.Remove(tmp.Name()); e != nil && !errors.Is(e, fs.ErrNotExist) {
				err = errors.Join(err, e)
			}
		}
	}()
	err = fill(tmp)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := os.Chmod(tmp.Name(), modeFile); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}
