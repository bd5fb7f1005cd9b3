package jobclient

import (
	"bytes"
	"crypto/rand"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry"
	"github.com/foggrid/fogd/offchain/registry/client"
	"github.com/foggrid/fogd/offchain/seal"
)

// ratio adds up what something takes in the clear and encrypted, by turns, so that a busy machine is busy for both.
type ratio struct {
	clear, sealed time.Duration
	bytes         int64
}

func (r *ratio) run(b *testing.B, prepare func(), open, sealed func() int64) {
	b.Helper()
	for b.Loop() {
		prepare()
		start := time.Now()
		r.bytes += open()
		r.clear += time.Since(start)
		prepare()
		start = time.Now()
		sealed()
		r.sealed += time.Since(start)
	}
	mib := float64(r.bytes) / (1 << 20)
	b.ReportMetric(mib/r.clear.Seconds(), "clear-MiB/s")
	b.ReportMetric(mib/r.sealed.Seconds(), "sealed-MiB/s")
	b.ReportMetric(r.sealed.Seconds()/r.clear.Seconds(), "sealed/clear")
}

// BenchmarkEncrypted compares the ways of content with and without encryption: a result packed and pushed by a node, and fetched and
// unpacked by its developer, through a registry on this machine. Inputs go the same ways in the other direction.
func BenchmarkEncrypted(b *testing.B) {
	const size = 64 << 20
	store, err := registry.Open(b.TempDir(), registry.Options{})
	require.NoError(b, err)
	server := httptest.NewServer(store)
	b.Cleanup(func() {
		server.Close()
		require.NoError(b, store.Close())
	})
	c, err := client.New(server.URL)
	require.NoError(b, err)
	keys, label, work := newKeys(b), seal.Result("job1bench", 0), b.TempDir()
	from := filepath.Join(work, "from")
	require.NoError(b, os.Mkdir(from, 0o755))
	change := func() { // a registry does not take again what it has
		content := make([]byte, size)
		rand.Read(content)
		require.NoError(b, os.WriteFile(filepath.Join(from, "content"), content, 0o600))
	}
	via := func(w io.Writer) (io.WriteCloser, error) { return seal.NewWriter(w, label, keys[0].Recipient()) }
	pack := func(name string, encrypt bool) (file string, d artifact.Digest, n int64) {
		file = filepath.Join(work, name)
		if encrypt {
			d, n, err = artifact.PackFileVia(file, from, artifact.Limits{}, via)
		} else {
			d, n, err = artifact.PackFile(file, from, artifact.Limits{})
		}
		require.NoError(b, err)
		return file, d, n
	}
	push := func(encrypt bool) int64 {
		file, _, n := pack("pushed", encrypt)
		blob, err := client.FileBlob(client.TypeInputs, file)
		require.NoError(b, err)
		_, err = c.PushArtifact(b.Context(), "bench", "", client.Inputs(blob))
		require.NoError(b, err)
		return n
	}
	b.Run("pack and push", func(b *testing.B) {
		var r ratio
		r.run(b, change, func() int64 { return push(false) }, func() int64 { return push(true) })
	})
	var raw [2]struct {
		d artifact.Digest
		n int64
	}
	change()
	for i, encrypt := range []bool{false, true} {
		var file string
		file, raw[i].d, raw[i].n = pack("fetched", encrypt)
		blob, err := client.FileBlob(client.TypeInputs, file)
		require.NoError(b, err)
		_, err = c.PushArtifact(b.Context(), "bench", "", client.Inputs(blob))
		require.NoError(b, err)
	}
	fetch := func(i int) int64 {
		file, to := filepath.Join(work, "pulled"), filepath.Join(work, "to")
		require.NoError(b, c.PullFile(b.Context(), "bench", client.Descriptor{Digest: raw[i].d, Size: raw[i].n}, file))
		in, err := os.Open(file)
		require.NoError(b, err)
		if i == 0 {
			err = artifact.Unpack(in, to, raw[i].d, artifact.Limits{})
		} else {
			plain, openErr := seal.NewReader(in, label, keys.Identities()...)
			require.NoError(b, openErr)
			err = artifact.UnpackIf(plain, to, artifact.Limits{}, func(artifact.Digest) error { return nil })
		}
		require.NoError(b, err)
		require.NoError(b, in.Close())
		require.NoError(b, os.RemoveAll(to))
		return raw[i].n
	}
	b.Run("fetch and unpack", func(b *testing.B) {
		var r ratio
		r.run(b, func() {}, func() int64 { return fetch(0) }, func() int64 { return fetch(1) })
	})
	b.Run("seal alone", func(b *testing.B) { // against what hashes anyway
		content := make([]byte, size)
		var r ratio
		r.run(b, func() {}, func() int64 {
			_, n, err := artifact.DigestReader(bytes.NewReader(content))
			require.NoError(b, err)
			return n
		}, func() int64 {
			w, err := via(io.Discard)
			require.NoError(b, err)
			n, err := io.Copy(w, bytes.NewReader(content))
			require.NoError(b, err)
			require.NoError(b, w.Close())
			return n
		})
	})
}
