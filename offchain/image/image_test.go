package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
)

func built(t testing.TB, program, arch string) Image {
	t.Helper()
	img, err := BuildBytes(filepath.Join(t.TempDir(), "image"), []byte(program), arch)
	require.NoError(t, err)
	return img
}

// The digest is what the chain names: another release must build the same image.
func TestBuildGolden(t *testing.T) {
	img := built(t, "a program", "amd64")
	require.Equal(t, "sha256:c50d096060da97dd792b87b65c12abf9b771471d6c38bdbec0ea279c9c85df99", img.Digest.String())
	require.Equal(t, img.Digest, built(t, "a program", "amd64").Digest)
	require.NotEqual(t, img.Digest, built(t, "a program", "arm64").Digest)
	require.NotEqual(t, img.Digest, built(t, "another program", "amd64").Digest)
	require.NoError(t, img.Verify(1<<20))
	again, err := Open(img.Dir, img.Digest)
	require.NoError(t, err)
	require.Equal(t, img, again)
	require.Equal(t, []string{ProgramPath}, img.Config.Config.Entrypoint)
	require.EqualValues(t, len(img.Raw)+int(img.Manifest.Config.Size+img.Manifest.Layers[0].Size), img.Size())
}

// withLayer makes an image of one layer with a config that names diffID.
func withLayer(t *testing.T, mediaType string, layer []byte, diffID artifact.Digest) Image {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "image")
	require.NoError(t, create(dir))
	d, err := putBlob(dir, layer)
	require.NoError(t, err)
	config, err := json.Marshal(Config{
		Platform: Platform{"amd64", "linux"}, Config: Defaults{Cmd: []string{"/x"}}, RootFS: RootFS{"layers", []artifact.Digest{diffID}},
	})
	require.NoError(t, err)
	img, err := assemble(dir, config, []Descriptor{{MediaType: mediaType, Digest: d, Size: int64(len(layer))}})
	require.NoError(t, err)
	return img
}

func zipped(t *testing.T, content []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestVerify(t *testing.T) {
	content := bytes.Repeat([]byte("layer"), 1<<16)
	diffID := artifact.DigestOf(content)
	require.NoError(t, withLayer(t, MediaLayer, content, diffID).Verify(int64(len(content))))
	require.NoError(t, withLayer(t, MediaLayerGz, zipped(t, content), diffID).Verify(int64(len(content))))

	for name, img := range map[string]Image{
		"more than is allowed": withLayer(t, MediaLayerGz, zipped(t, append(content, 0)), diffID),
		"other content":        withLayer(t, MediaLayer, content[1:], diffID),
		"not compressed":       withLayer(t, MediaLayerGz, content, diffID),
		"cut short":            withLayer(t, MediaLayerGz, zipped(t, content)[:100], diffID),
	} {
		require.ErrorIs(t, img.Verify(int64(len(content))), ErrInvalid, name)
	}
	changed := withLayer(t, MediaLayer, content, diffID)
	require.NoError(t, os.WriteFile(BlobPath(changed.Dir, changed.Manifest.Layers[0].Digest), []byte("x"), 0o600))
	require.ErrorIs(t, changed.Verify(1<<30), artifact.ErrDigestMismatch)
	require.NoError(t, os.Remove(BlobPath(changed.Dir, changed.Manifest.Layers[0].Digest)))
	require.ErrorContains(t, changed.Verify(1<<30), "is missing")
}

func TestOpenRefuses(t *testing.T) {
	edit := func(change func(*Manifest)) func(*testing.T) Image {
		return func(t *testing.T) Image {
			img := built(t, "x", "amd64")
			change(&img.Manifest)
			raw, err := json.Marshal(img.Manifest)
			require.NoError(t, err)
			img.Digest, err = putBlob(img.Dir, raw)
			require.NoError(t, err)
			return img
		}
	}
	for says, make := range map[string]func(*testing.T) Image{
		"media type":            edit(func(m *Manifest) { m.MediaType = MediaIndex }),
		"not a container image": edit(func(m *Manifest) { m.Config.MediaType = "application/vnd.oci.empty.v1+json" }),
		"129 layers":            edit(func(m *Manifest) { m.Layers = make129(m.Layers[0]) }),
		"layer 0 has the media": edit(func(m *Manifest) { m.Layers[0].MediaType += "+zstd" }),
		"blob 1":                edit(func(m *Manifest) { m.Layers[0].Size = -1 }),
		"names 1 layers":        edit(func(m *Manifest) { m.Layers = nil }),
		"is missing":            edit(func(m *Manifest) { m.Config.Digest = artifact.EmptyDigest }),
		"not JSON": func(t *testing.T) Image {
			img := built(t, "x", "amd64")
			var err error
			img.Digest, err = putBlob(img.Dir, []byte("{"))
			require.NoError(t, err)
			return img
		},
		"digest mismatch": func(t *testing.T) Image {
			img := built(t, "x", "amd64")
			require.NoError(t, os.WriteFile(BlobPath(img.Dir, img.Digest), append(img.Raw, ' '), 0o600))
			return img
		},
	} {
		img := make(t)
		_, err := Open(img.Dir, img.Digest)
		require.ErrorIs(t, err, ErrInvalid, says)
		require.ErrorContains(t, err, says)
	}
}

func make129(d Descriptor) []Descriptor {
	var all []Descriptor
	for range MaxLayers + 1 {
		all = append(all, d)
	}
	return all
}

// saved writes an image as a tar of `docker save`; without indexes it is as older releases write it.
func saved(t testing.TB, img Image, old bool) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, img.WriteArchive(&b, "x:latest"))
	file := filepath.Join(t.TempDir(), "saved.tar")
	out, err := os.Create(file)
	require.NoError(t, err)
	tw := tar.NewWriter(out)
	for tr := tar.NewReader(&b); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if old && (h.Name == indexFile || h.Name == layoutFile) {
			continue
		}
		require.NoError(t, tw.WriteHeader(h))
		_, err = io.Copy(tw, tr)
		require.NoError(t, err)
	}
	require.NoError(t, tw.Close())
	require.NoError(t, out.Close())
	return file
}

func TestImport(t *testing.T) {
	img := built(t, "a program", "amd64")
	for name, from := range map[string]string{"layout": img.Dir, "tar": saved(t, img, false), "older tar": saved(t, img, true)} {
		got, err := Import(from, filepath.Join(t.TempDir(), "got"), "amd64")
		require.NoError(t, err, name)
		require.Equal(t, img.Digest, got.Digest, name)
		require.NoError(t, got.Verify(1<<20), name)
		require.NoFileExists(t, got.Dir+".unpacked")

		_, err = Import(from, filepath.Join(t.TempDir(), "got"), "arm64")
		require.ErrorContains(t, err, "it is for amd64, not for arm64", name)
	}
}

func TestImportTakesThePlatform(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, create(dir))
	list := index{SchemaVersion: 2, MediaType: MediaIndex}
	want := map[string]artifact.Digest{}
	for _, arch := range []string{"amd64", "arm64"} {
		img := built(t, "a program", arch)
		want[arch] = img.Digest
		copyBlobs(t, dir, img.Dir)
		list.Manifests = append(list.Manifests, Descriptor{
			MediaType: MediaManifest, Digest: img.Digest, Size: int64(len(img.Raw)), Platform: &Platform{arch, "linux"},
		})
	}
	list.Manifests = append(list.Manifests, Descriptor{ // as attestations are kept
		MediaType: MediaManifest, Digest: artifact.EmptyDigest, Platform: &Platform{"unknown", "unknown"},
	})
	raw, err := json.Marshal(list)
	require.NoError(t, err)
	d, err := putBlob(dir, raw)
	require.NoError(t, err)
	outer, err := json.Marshal(index{SchemaVersion: 2, Manifests: []Descriptor{{MediaType: MediaIndex, Digest: d, Size: int64(len(raw))}}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, indexFile), outer, 0o600))
	for arch, digest := range want {
		got, err := Import(dir, filepath.Join(t.TempDir(), "got"), arch)
		require.NoError(t, err)
		require.Equal(t, digest, got.Digest)
	}
	_, err = Import(dir, filepath.Join(t.TempDir(), "got"), "riscv64")
	require.ErrorContains(t, err, "it has nothing for linux/riscv64; it is for linux/amd64, linux/arm64, unknown/unknown")
}

// copyBlobs adds the blobs of a layout to another one.
func copyBlobs(t *testing.T, to, from string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(from, "blobs", "sha256"))
	require.NoError(t, err)
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(from, "blobs", "sha256", e.Name()))
		require.NoError(t, err)
		_, err = putBlob(to, raw)
		require.NoError(t, err)
	}
}

func TestImportRefuses(t *testing.T) {
	file := func(content string) string {
		name := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
		return name
	}
	escaping := func(h *tar.Header) string {
		var b bytes.Buffer
		tw := tar.NewWriter(&b)
		require.NoError(t, tw.WriteHeader(h))
		require.NoError(t, tw.Close())
		return file(b.String())
	}
	for name, from := range map[string]string{
		"nothing":       filepath.Join(t.TempDir(), "nothing"),
		"a text":        file("hello"),
		"empty":         file(""),
		"empty folder":  t.TempDir(),
		"leaves":        escaping(&tar.Header{Typeflag: tar.TypeReg, Name: "../x"}),
		"link outwards": escaping(&tar.Header{Typeflag: tar.TypeSymlink, Name: "manifest.json", Linkname: "/etc/hostname"}),
	} {
		_, err := Import(from, filepath.Join(t.TempDir(), "got"), "amd64")
		require.Error(t, err, name)
	}
}

// Whatever bytes come, an import answers with an image that is whole or with an error, and leaves no temporary folder.
func FuzzImport(f *testing.F) {
	raw, err := os.ReadFile(saved(f, built(f, "x", "amd64"), false))
	require.NoError(f, err)
	f.Add(raw)
	old, err := os.ReadFile(saved(f, built(f, "x", "amd64"), true))
	require.NoError(f, err)
	f.Add(old)
	f.Add([]byte("hello"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		dir := t.TempDir()
		from := filepath.Join(dir, "from")
		require.NoError(t, os.WriteFile(from, raw, 0o600))
		img, err := Import(from, filepath.Join(dir, "got"), "amd64")
		require.NoDirExists(t, filepath.Join(dir, "got.unpacked"))
		if err != nil {
			return
		}
		again, err := Open(img.Dir, img.Digest)
		require.NoError(t, err)
		require.Equal(t, img, again)
		for _, b := range img.Blobs() {
			require.FileExists(t, BlobPath(img.Dir, b.Digest))
		}
	})
}
