package artifact

import (
	"archive/tar"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

// goldenDigest is the archive of goldenFolder; testdata/golden.tar holds its bytes.
const goldenDigest = "sha256:e3efe56d9fa9078a1179f3cfe8888a4a1209f934298f00f48dad74a47d8d7003"

func goldenFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"b.txt": "two\n", "a/z": "", "a/α": "greek\n", "a.txt": "one\n", "B": "upper case first\n",
		"a/" + strings.Repeat("long-", 30) + "name": "needs a PAX header\n",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "empty"), 0o755))
	return dir
}

func TestPackGolden(t *testing.T) {
	dir := goldenFolder(t)
	require.NoError(t, os.Chmod(filepath.Join(dir, "b.txt"), 0o755))
	require.NoError(t, os.Chtimes(filepath.Join(dir, "a.txt"), time.Now(), time.Unix(1, 5)))
	var got bytes.Buffer
	require.NoError(t, Pack(&got, dir, Limits{}))
	want, err := os.ReadFile("testdata/golden.tar")
	require.NoError(t, err)
	require.Equal(t, goldenDigest, DigestOf(want).String())
	require.Equal(t, want, got.Bytes())

	var names []string
	for tr := tar.NewReader(&got); ; {
		hdr, err := tr.Next()
		if err != nil {
			break
		}
		names = append(names, hdr.Name)
	}
	require.Equal(t, []string{"B", "a/", "a/" + strings.Repeat("long-", 30) + "name", "a/z", "a/α", "a.txt", "b.txt", "empty/"}, names)
}

func TestPackFileRoundTrip(t *testing.T) {
	dir, work := goldenFolder(t), t.TempDir()
	file := filepath.Join(work, "x.tar")
	d, size, err := PackFile(file, dir, Limits{})
	require.NoError(t, err)
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Len(t, raw, int(size))
	require.Equal(t, DigestOf(raw), d)
	dr, n, err := DigestReader(bytes.NewReader(raw))
	require.NoError(t, err)
	require.Equal(t, d, dr)
	require.Equal(t, size, n)

	out := filepath.Join(work, "out")
	require.NoError(t, Unpack(bytes.NewReader(raw), out, d, Limits{}))
	again, _, err := PackFile(filepath.Join(work, "y.tar"), out, Limits{})
	require.NoError(t, err)
	require.Equal(t, d, again)
	onlyNames(t, work, "out", "x.tar", "y.tar")
}

func TestPackEmpty(t *testing.T) {
	d, size, err := PackFile(filepath.Join(t.TempDir(), "e.tar"), t.TempDir(), Limits{})
	require.NoError(t, err)
	require.EqualValues(t, emptyArchiveSize, size)
	require.Equal(t, EmptyDigest, d)
	require.Equal(t, "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef", EmptyDigest.String())
}

func TestPackRefuses(t *testing.T) {
	dir := goldenFolder(t)
	for name, limits := range map[string]Limits{
		"bytes": {MaxBytes: 30}, "entries": {MaxEntries: 7}, "depth": {MaxDepth: 1},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorIs(t, Pack(&bytes.Buffer{}, dir, limits), ErrLimit)
		})
	}
	t.Run("exactly at the limits", func(t *testing.T) {
		require.NoError(t, Pack(&bytes.Buffer{}, dir, Limits{MaxBytes: 50, MaxEntries: 8, MaxDepth: 2}))
		require.ErrorIs(t, Pack(&bytes.Buffer{}, dir, Limits{MaxBytes: 49}), ErrLimit)
	})
	t.Run("symlink", func(t *testing.T) {
		require.NoError(t, os.Symlink("a.txt", filepath.Join(dir, "link")))
		require.ErrorIs(t, Pack(&bytes.Buffer{}, dir, Limits{}), ErrUnsupportedFile)
	})
	t.Run("missing folder", func(t *testing.T) {
		require.ErrorIs(t, Pack(&bytes.Buffer{}, filepath.Join(dir, "none"), Limits{}), fs.ErrNotExist)
	})
	t.Run("failed pack leaves nothing", func(t *testing.T) {
		work := t.TempDir()
		_, _, err := PackFile(filepath.Join(work, "x.tar"), dir, Limits{MaxEntries: 1})
		require.ErrorIs(t, err, ErrLimit)
		onlyNames(t, work)
	})
}

type entry struct {
	name, body, link string
	kind             byte
}

func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		hdr := &tar.Header{Name: e.name, Typeflag: e.kind, Linkname: e.link, Mode: 0o777, Size: int64(len(e.body))}
		if e.kind == 0 {
			hdr.Typeflag = tar.TypeReg
		}
		require.NoError(t, w.WriteHeader(hdr))
		_, err := w.Write([]byte(e.body))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestUnpackRefuses(t *testing.T) {
	good := archive(t, entry{name: "f", body: "x"})
	for _, c := range []struct {
		name   string
		raw    []byte
		limits Limits
		want   error
	}{
		{"parent", archive(t, entry{name: "../f"}), Limits{}, ErrUnsafeArchive},
		{"inner parent", archive(t, entry{name: "a/../../f"}), Limits{}, ErrUnsafeArchive},
		{"absolute", archive(t, entry{name: "/etc/f"}), Limits{}, ErrUnsafeArchive},
		{"backslash", archive(t, entry{name: `a\f`}), Limits{}, ErrUnsafeArchive},
		{"dot", archive(t, entry{name: "./", kind: tar.TypeDir}), Limits{}, ErrUnsafeArchive},
		{"not clean", archive(t, entry{name: "a//f"}), Limits{}, ErrUnsafeArchive},
		{"symlink", archive(t, entry{name: "f", link: "/etc/passwd", kind: tar.TypeSymlink}), Limits{}, ErrUnsupportedFile},
		{"hard link", archive(t, entry{name: "g"}, entry{name: "f", link: "g", kind: tar.TypeLink}), Limits{}, ErrUnsupportedFile},
		{"fifo", archive(t, entry{name: "f", kind: tar.TypeFifo}), Limits{}, ErrUnsafeArchive},
		{"device", archive(t, entry{name: "f", kind: tar.TypeChar}), Limits{}, ErrUnsafeArchive},
		{"file twice", archive(t, entry{name: "f"}, entry{name: "f"}), Limits{}, ErrUnsafeArchive},
		{"folder twice", archive(t, entry{name: "d/", kind: tar.TypeDir}, entry{name: "d/", kind: tar.TypeDir}), Limits{}, ErrUnsafeArchive},
		{"file below a file", archive(t, entry{name: "f"}, entry{name: "f/g"}), Limits{}, ErrUnsafeArchive},
		{"file without its folder", archive(t, entry{name: "d/g"}), Limits{}, ErrUnsafeArchive},
		{"too many", archive(t, entry{name: "f"}, entry{name: "g"}), Limits{MaxEntries: 1}, ErrLimit},
		{"too large", archive(t, entry{name: "f", body: "abc"}), Limits{MaxBytes: 2}, ErrLimit},
		{"too deep", archive(t, entry{name: "d/", kind: tar.TypeDir}, entry{name: "d/d/", kind: tar.TypeDir}), Limits{MaxDepth: 1}, ErrLimit},
		{"endless padding", append(good, make([]byte, 1<<20)...), Limits{MaxBytes: 1, MaxEntries: 1}, ErrLimit},
		{"data after the end", append(bytes.Clone(good), 'x'), Limits{}, ErrUnsafeArchive},
		{"not a tar", []byte(strings.Repeat("nonsense", 200)), Limits{}, tar.ErrHeader},
	} {
		t.Run(c.name, func(t *testing.T) {
			work := t.TempDir()
			err := Unpack(bytes.NewReader(c.raw), filepath.Join(work, "out"), DigestOf(c.raw), c.limits)
			require.ErrorIs(t, err, c.want)
			onlyNames(t, work)
		})
	}
	t.Run("wrong digest", func(t *testing.T) {
		work := t.TempDir()
		err := Unpack(bytes.NewReader(good), filepath.Join(work, "out"), DigestOf(nil), Limits{})
		require.ErrorIs(t, err, ErrDigestMismatch)
		onlyNames(t, work)
	})
	t.Run("cut short", func(t *testing.T) {
		for n := 0; n < len(good); n += 101 {
			work := t.TempDir()
			require.Error(t, Unpack(bytes.NewReader(good[:n]), filepath.Join(work, "out"), DigestOf(good), Limits{}))
			onlyNames(t, work)
		}
	})
	t.Run("reader fails", func(t *testing.T) {
		work, broken := t.TempDir(), errors.New("broken")
		err := Unpack(iotest.ErrReader(broken), filepath.Join(work, "out"), DigestOf(good), Limits{})
		require.ErrorIs(t, err, broken)
		onlyNames(t, work)
	})
	t.Run("folder is there", func(t *testing.T) {
		require.ErrorIs(t, Unpack(bytes.NewReader(good), t.TempDir(), DigestOf(good), Limits{}), fs.ErrExist)
	})
}

func TestUnpackNormalisesModes(t *testing.T) {
	raw := archive(t, entry{name: "f", body: "x"})
	dir := filepath.Join(t.TempDir(), "out")
	require.NoError(t, Unpack(iotest.OneByteReader(bytes.NewReader(raw)), dir, DigestOf(raw), Limits{}))
	info, err := os.Stat(filepath.Join(dir, "f"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o644), info.Mode().Perm())
}

func FuzzUnpack(f *testing.F) {
	golden, err := os.ReadFile("testdata/golden.tar")
	require.NoError(f, err)
	f.Add(golden)
	f.Add(archive(f, entry{name: "../f", body: "x"}))
	f.Add(archive(f, entry{name: "d/", kind: tar.TypeDir}, entry{name: "d/l", link: "..", kind: tar.TypeSymlink}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		work := t.TempDir()
		out := filepath.Join(work, "out")
		limits := Limits{MaxBytes: 1 << 16, MaxEntries: 64, MaxDepth: 8}
		if err := Unpack(bytes.NewReader(raw), out, DigestOf(raw), limits); err != nil {
			onlyNames(t, work)
			return
		}
		onlyNames(t, work, "out")
		// What was unpacked packs, within the same limits.
		require.NoError(t, Pack(&bytes.Buffer{}, out, limits))
	})
}

func onlyNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	require.Equal(t, want, got)
}

func BenchmarkPack(b *testing.B) {
	dir := b.TempDir()
	require.NoError(b, os.WriteFile(filepath.Join(dir, "f"), make([]byte, 4<<20), 0o644))
	b.SetBytes(4 << 20)
	for b.Loop() {
		var n countingWriter
		require.NoError(b, Pack(&n, dir, Limits{}))
	}
}
