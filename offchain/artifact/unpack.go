package artifact

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"
)

// ErrUnsafeArchive says that an archive holds an entry that no packer of this project writes: a path out of the folder, a link, a
// special file, or a name twice.
var ErrUnsafeArchive = errors.New("unsafe archive")

// slackBytes is what tar headers and padding may take beyond the files' sizes, for each entry: a header, a PAX header with its
// records, and padding.
const slackBytes = 8 << 10

// Unpack reads an archive from r into the new folder dir. The folder appears only once every entry is written and the bytes read had
// the digest want, and it appears whole; on an error nothing is left behind. An existing dir is an error.
func Unpack(r io.Reader, dir string, want Digest, limits Limits) error {
	return UnpackIf(r, dir, limits, func(got Digest) error {
		if got != want {
			return fmt.Errorf("%w: the archive is %s, expected %s; fetch it again", ErrDigestMismatch, got, want)
		}
		return nil
	})
}

// UnpackIf is Unpack of an archive whose digest is not known before; the folder appears if accept takes it. It is for readers that
// authenticate what they yield.
func UnpackIf(r io.Reader, dir string, limits Limits, accept func(Digest) error) (err error) {
	if _, err := os.Lstat(dir); err == nil {
		return fmt.Errorf("unpack to %q: %w; choose a new folder", dir, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("unpack to %q: %w", dir, err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(filepath.Clean(dir)), ".unpack-*")
	if err != nil {
		return fmt.Errorf("create a temporary folder: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(tmp))
		}
	}()
	left := newBudget(limits)
	h := sha256.New()
	capped := &cappedReader{r: r, left: left.limits.MaxBytes + int64(left.limits.MaxEntries+1)*slackBytes}
	in := io.TeeReader(capped, h)
	if err := unpackInto(in, tmp, left); err != nil {
		return err
	}
	if err := drainZeros(in); err != nil {
		return err
	}
	if err := accept(Digest(h.Sum(nil))); err != nil {
		return err
	}
	if err := os.Chmod(tmp, modeDir); err != nil {
		return fmt.Errorf("unpack to %q: %w", dir, err)
	}
	if err := os.Rename(tmp, dir); err != nil {
		return fmt.Errorf("unpack to %q: %w", dir, err)
	}
	return nil
}

func unpackInto(r io.Reader, dir string, left *budget) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open the temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	tr := tar.NewReader(r)
	for {
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the archive: %w", err)
		}
		if err := unpackEntry(root, tr, hdr, left); err != nil {
			return err
		}
	}
}

func unpackEntry(root *os.Root, tr *tar.Reader, hdr *tar.Header, left *budget) error {
	name := hdr.Name
	if hdr.Typeflag == tar.TypeDir {
		name = strings.TrimSuffix(name, "/")
	}
	if err := checkName(name); err != nil {
		return err
	}
	size := hdr.Size
	if hdr.Typeflag == tar.TypeDir {
		size = 0
	}
	if err := left.take(name, size); err != nil {
		return err
	}
	switch hdr.Typeflag {
	case tar.TypeDir:
		return unsafeUnlessHost(name, root.Mkdir(name, modeDir))
	case tar.TypeReg:
		return unpackFile(root, tr, name, size)
	default:
		return fmt.Errorf("%w: %q is %w", ErrUnsafeArchive, name, ErrUnsupportedFile)
	}
}

func unpackFile(root *os.Root, r io.Reader, name string, size int64) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, modeFile)
	if err != nil {
		return unsafeUnlessHost(name, err)
	}
	_, err = io.CopyN(f, r, size)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("unpack %q: %w", name, err)
	}
	return nil
}

// checkName accepts exactly the names that Pack writes: relative, clean, UTF-8, and meaning the same file on every system.
func checkName(name string) error {
	if !fs.ValidPath(name) || name == "." || !filepath.IsLocal(filepath.FromSlash(name)) ||
		strings.ContainsAny(name, "\\\x00") || !utf8.ValidString(name) {
		return fmt.Errorf("%w: %.200q is not a clean path inside the folder", ErrUnsafeArchive, name)
	}
	return nil
}

// unsafeUnlessHost blames the archive for a name that is there already or whose folder is not, and the host for all else.
func unsafeUnlessHost(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%w: %q comes twice", ErrUnsafeArchive, name)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: %q does not follow its folder", ErrUnsafeArchive, name)
	default:
		return fmt.Errorf("unpack %q: %w", name, err)
	}
}

// drainZeros reads what follows the archive's end; only zero padding may.
func drainZeros(r io.Reader) error {
	var buf [4096]byte
	for {
		n, err := r.Read(buf[:])
		for _, b := range buf[:n] {
			if b != 0 {
				return fmt.Errorf("%w: there is data after its end", ErrUnsafeArchive)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the archive: %w", err)
		}
	}
}

// cappedReader fails instead of ending when more than left bytes come, so that an endless stream is refused and not cut.
type cappedReader struct {
	r    io.Reader
	left int64
}

func (c *cappedReader) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, fmt.Errorf("the archive is longer than its limits allow: %w", ErrLimit)
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.r.Read(p)
	c.left -= int64(n)
	return n, err
}
