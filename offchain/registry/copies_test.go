package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry"
	"github.com/foggrid/fogd/offchain/registry/copies"
)

// stores are a folder and a bucket, both empty.
func stores(t *testing.T) map[string]copies.Store {
	t.Helper()
	dir, err := copies.Open(t.TempDir())
	require.NoError(t, err)
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket("grid"))
	srv := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(srv.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	s3, err := copies.Open("s3" + strings.TrimPrefix(srv.URL, "http") + "/grid?insecure=true&region=us-east-1")
	require.NoError(t, err)
	return map[string]copies.Store{"folder": dir, "bucket": s3}
}

func withCopies(all ...copies.Store) registry.Options {
	opts := quiet
	opts.Copies = all
	return opts
}

func contentKey(d artifact.Digest) string { return "blobs/sha256/" + d.Hex()[:2] + "/" + d.Hex() }

func keysOf(t require.TestingT, s copies.Store) []string {
	var keys []string
	require.NoError(t, s.List(context.Background(), "", func(o copies.Object) error {
		keys = append(keys, o.Key)
		return nil
	}))
	slices.Sort(keys)
	return keys
}

func write(t require.TestingT, s copies.Store, key, data string) {
	require.NoError(t, s.Put(context.Background(), key, strings.NewReader(data), int64(len(data))))
}

// What is lost or corrupt in the root is served from a copy, and is in the root afterwards.
func TestRepairFromACopy(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			url, root, r := serve(t, withCopies(s))
			m := image(t, url, "dev/a", "v1", "the layer", "")
			layer := artifact.DigestOf([]byte("the layer"))
			require.NoError(t, r.Mirror(t.Context()))
			require.Contains(t, keysOf(t, s), contentKey(layer))

			require.NoError(t, os.Remove(blobFile(root, layer)))
			time.Sleep(5 * time.Millisecond) // so that the time of the file differs
			require.NoError(t, os.WriteFile(blobFile(root, m), []byte("not the manifest"), 0o644))
			_, _, body := call(t, "GET", url+"/v2/dev/a/blobs/"+layer.String(), nil)
			require.Equal(t, "the layer", body)
			status, _, body := call(t, "GET", url+"/v2/dev/a/manifests/v1", nil)
			require.Equal(t, http.StatusOK, status)
			require.Equal(t, m, artifact.DigestOf([]byte(body)))
			for _, d := range []artifact.Digest{layer, m} {
				data, err := os.ReadFile(blobFile(root, d))
				require.NoError(t, err)
				require.Equal(t, d, artifact.DigestOf(data))
			}
			require.Equal(t, map[string]float64{"repaired_total": 2, "corrupt_total": 1}, counts(t, r, "repaired_total", "corrupt_total"))
		})
	}
}

// counts reads metrics by name.
func counts(t *testing.T, r *registry.Registry, names ...string) map[string]float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	require.NoError(t, reg.Register(r))
	families, err := reg.Gather()
	require.NoError(t, err)
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			if name := strings.TrimPrefix(f.GetName(), "fog_registry_"); slices.Contains(names, name) {
				got[name] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return got
}

// A copy is not believed either: what it serves wrongly is removed, the next copy is asked, and the first gets a good one again.
func TestCorruptCopyIsNotServed(t *testing.T) {
	all := stores(t)
	bad, good := all["folder"], all["bucket"]
	url, root, r := serve(t, withCopies(bad, good))
	d := push(t, url, "r", "data")
	require.NoError(t, r.Mirror(t.Context()))
	write(t, bad, contentKey(d), "DATA")
	require.NoError(t, os.Remove(blobFile(root, d)))
	_, _, body := call(t, "GET", url+"/v2/r/blobs/"+d.String(), nil)
	require.Equal(t, "data", body)
	require.NotContains(t, keysOf(t, bad), contentKey(d))
	require.NoError(t, r.Mirror(t.Context()))
	require.Equal(t, keysOf(t, good), keysOf(t, bad))

	require.NoError(t, os.Remove(blobFile(root, d)))
	for _, s := range all {
		write(t, s, contentKey(d), "DATA")
	}
	status, _, _ := call(t, "GET", url+"/v2/r/blobs/"+d.String(), nil)
	require.Equal(t, http.StatusNotFound, status, "nobody has it: it is missing, not wrong")
}

// Scrubbing finds what nobody asked for, in the root and in copies.
func TestScrub(t *testing.T) {
	s := stores(t)["folder"]
	url, root, r := serve(t, withCopies(s))
	kept, changed, removed, lost := push(t, url, "r", "kept"), push(t, url, "r", "changed"), push(t, url, "r", "removed"), push(t, url, "r", "lost")
	require.NoError(t, r.Mirror(t.Context()))
	info, err := os.Stat(blobFile(root, changed))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(blobFile(root, changed), []byte("CHANGED"), 0o644))
	require.NoError(t, os.Chtimes(blobFile(root, changed), info.ModTime(), info.ModTime()), "only its bytes tell")
	require.NoError(t, os.Remove(blobFile(root, removed)))
	require.NoError(t, os.Remove(blobFile(root, lost)))
	write(t, s, contentKey(kept), "KEPT")
	write(t, s, contentKey(lost), "LOST")

	report, err := r.Scrub(t.Context(), registry.ScrubOptions{Copies: true, BytesPerSecond: 1 << 20})
	require.NoError(t, err)
	require.Equal(t, registry.ScrubReport{
		Contents: 1, Bytes: 4, Corrupt: 1, Missing: 2, Repaired: 2, CopiesRead: 3, CopiesCorrupt: 1, Lost: []artifact.Digest{lost},
	}, report)
	require.Equal(t, map[string]float64{"lost_contents": 1, "repaired_total": 2}, counts(t, r, "lost_contents", "repaired_total"))
	require.NoError(t, r.Mirror(t.Context()))
	push(t, url, "r", "lost")
	require.NoError(t, r.Mirror(t.Context()))
	report, err = r.Scrub(t.Context(), registry.ScrubOptions{Copies: true})
	require.NoError(t, err)
	require.Equal(t, registry.ScrubReport{Contents: 4, Bytes: 4 + 7 + 7 + 4, CopiesRead: 4}, report)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = r.Scrub(ended, registry.ScrubOptions{})
	require.ErrorIs(t, err, context.Canceled)
}

// A root that was lost comes back from a copy, and nothing empties the copy before.
func TestRestore(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			url, _, r := serve(t, withCopies(s))
			m := image(t, url, "dev/a", "v1", "layer", "")
			image(t, url, "dev/b", "", "referrer", fmt.Sprintf(`,"subject":{"mediaType":%q,"digest":%q,"size":1}`, ociManifest, m))
			require.NoError(t, r.Mirror(t.Context()))
			before := keysOf(t, s)

			_, _, other := serve(t, withCopies(s))
			require.ErrorIs(t, other.Mirror(t.Context()), registry.ErrOtherRegistry)
			require.Equal(t, before, keysOf(t, s))
			require.EqualValues(t, 1, counts(t, other, "copy_failures_total")["copy_failures_total"])

			again, _, restored := serve(t, withCopies(s))
			report, err := restored.Restore(t.Context(), s, func(string) {})
			require.NoError(t, err)
			require.Equal(t, registry.RestoreReport{Repositories: 2, Contents: 5}, report)
			for _, path := range []string{
				"/v2/dev/a/manifests/v1", "/v2/dev/a/tags/list", "/v2/dev/b/referrers/" + m.String(),
				"/v2/dev/a/blobs/" + artifact.DigestOf([]byte("layer")).String(),
			} {
				_, _, want := call(t, "GET", url+path, nil)
				status, _, body := call(t, "GET", again+path, nil)
				require.Equal(t, http.StatusOK, status, path)
				require.Equal(t, want, body, path)
			}
			status, _, _ := call(t, "GET", again+"/v2/dev/b/blobs/"+artifact.DigestOf([]byte("layer")).String(), nil)
			require.Equal(t, http.StatusNotFound, status, "a repository shows only what is its own")
			require.NoError(t, restored.Mirror(t.Context()))
			require.Equal(t, before, keysOf(t, s))
			_, err = restored.Restore(t.Context(), s, func(string) {})
			require.ErrorContains(t, err, "restore into an empty one")
		})
	}
	_, _, r := serve(t, quiet)
	empty, err := copies.Open(t.TempDir())
	require.NoError(t, err)
	_, err = r.Restore(t.Context(), empty, func(string) {})
	require.ErrorContains(t, err, "is no copy of a registry")
}

// deaf is a copy that does not answer.
type deaf struct{ copies.Store }

func (deaf) Put(context.Context, string, io.Reader, int64) error {
	return errors.New("no route to host")
}

// Keep copies what is pushed by itself, and a copy that fails stops neither pushes nor the other copy.
func TestKeepCopiesWhatIsPushed(t *testing.T) {
	all := stores(t)
	url, _, r := serve(t, withCopies(deaf{all["bucket"]}, all["folder"]))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		r.Keep(ctx, time.Hour, registry.ScrubOptions{})
		close(ended)
	}()
	d := push(t, url, "r", "data")
	require.Eventually(t, func() bool { return slices.Contains(keysOf(t, all["folder"]), contentKey(d)) }, time.Minute, 10*time.Millisecond)
	require.NotZero(t, counts(t, r, "copy_failures_total"))
	cancel()
	<-ended
}

// Whatever is done in whatever order: what a push was told is kept is served as long as a copy or the root has it right, and nothing else is.
func TestNothingIsLostBehindACopy(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		base, err := os.MkdirTemp(t.TempDir(), "")
		require.NoError(rt, err)
		s, err := copies.Open(base + "/copy")
		require.NoError(rt, err)
		generation := 0
		root := func() string { return fmt.Sprint(base, "/root-", generation) }
		open := func() *registry.Registry {
			r, err := registry.Open(root(), withCopies(s))
			require.NoError(rt, err)
			return r
		}
		r := open()
		ask := func(method, path, body string) (int, string) {
			w := httptest.NewRecorder()
			r.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
			return w.Code, w.Body.String()
		}
		blobs, mirrored := map[string]bool{}, map[string]bool{} // what the repository holds; what the copy holds for sure
		some := rapid.SampledFrom([]string{"a", "bb", "ccc", "dddd"})
		mirror := func() {
			require.NoError(rt, r.Mirror(context.Background()))
			mirrored = maps.Clone(blobs)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"push": func(rt *rapid.T) {
				data := some.Draw(rt, "data")
				code, body := ask("POST", "/v2/r/blobs/uploads/?digest="+artifact.DigestOf([]byte(data)).String(), data)
				require.Equal(rt, http.StatusCreated, code, body)
				blobs[data] = true
			},
			"delete": func(rt *rapid.T) {
				data := some.Draw(rt, "data")
				code, _ := ask("DELETE", "/v2/r/blobs/"+artifact.DigestOf([]byte(data)).String(), "")
				require.Equal(rt, blobs[data], code == http.StatusAccepted)
				delete(blobs, data)
			},
			"mirror": func(*rapid.T) { mirror() },
			"corrupt": func(rt *rapid.T) { // only where the copy can repair it
				data := some.Draw(rt, "data")
				if blobs[data] && mirrored[data] {
					require.NoError(rt, os.WriteFile(blobFile(root(), artifact.DigestOf([]byte(data))), []byte("corrupt"), 0o644))
				}
			},
			"corrupt copy": func(rt *rapid.T) { // only where the root is right
				data := some.Draw(rt, "data")
				d := artifact.DigestOf([]byte(data))
				if here, err := os.ReadFile(blobFile(root(), d)); mirrored[data] && err == nil && string(here) == data {
					write(rt, s, contentKey(d), "corrupt")
					delete(mirrored, data)
				}
			},
			"scrub": func(rt *rapid.T) {
				report, err := r.Scrub(context.Background(), registry.ScrubOptions{Copies: true})
				require.NoError(rt, err)
				require.Empty(rt, report.Lost)
				mirror()
			},
			"restart": func(*rapid.T) {
				require.NoError(rt, r.Close())
				r = open()
			},
			"lose the root": func(*rapid.T) {
				if _, err := r.Scrub(context.Background(), registry.ScrubOptions{Copies: true}); err != nil {
					rt.Fatal(err)
				}
				mirror()
				require.NoError(rt, r.Close())
				generation++
				r = open()
				if len(blobs) == 0 {
					require.ErrorIs(rt, r.Mirror(context.Background()), registry.ErrOtherRegistry)
				}
				report, err := r.Restore(context.Background(), s, func(string) {})
				require.NoError(rt, err)
				require.Empty(rt, report.Lost)
			},
			"": func(rt *rapid.T) {
				for _, data := range []string{"a", "bb", "ccc", "dddd"} {
					code, body := ask("GET", "/v2/r/blobs/"+artifact.DigestOf([]byte(data)).String(), "")
					if blobs[data] {
						require.Equal(rt, http.StatusOK, code, data)
						require.Equal(rt, data, body)
					} else {
						require.Equal(rt, http.StatusNotFound, code, data)
					}
				}
			},
		})
		require.NoError(rt, r.Close())
	})
}
