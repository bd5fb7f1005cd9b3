package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry"
	"github.com/foggrid/fogd/offchain/registry/client"
)

// serve runs the embedded registry behind wrap, which may be nil.
func serve(t *testing.T, wrap func(next http.Handler) http.Handler) (*client.Client, *httptest.Server) {
	t.Helper()
	r, err := registry.Open(t.TempDir(), registry.Options{})
	require.NoError(t, err)
	var h http.Handler = r
	if wrap != nil {
		h = wrap(r)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(func() {
		srv.Close()
		require.NoError(t, r.Close())
	})
	c, err := client.New(srv.URL, client.WithRetry(4, time.Millisecond))
	require.NoError(t, err)
	return c, srv
}

// faulty lets the first n requests of a method and path part fail by do.
func faulty(method, part string, n int, do func(w http.ResponseWriter, req *http.Request, next http.Handler)) func(http.Handler) http.Handler {
	var count atomic.Int64
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method == method && strings.Contains(req.URL.Path, part) && count.Add(1) <= int64(n) {
				do(w, req, next)
				return
			}
			next.ServeHTTP(w, req)
		})
	}
}

func status(code int) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(code) }
}

func TestNewRefusesOtherURLs(t *testing.T) {
	for _, bad := range []string{"", "localhost:5000", "ftp://x", "http://", "http://x?y", "http://x#y", "http://%zz"} {
		_, err := client.New(bad)
		require.Error(t, err, bad)
	}
}

func TestRetries(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	for name, wrap := range map[string]func(http.Handler) http.Handler{
		"busy on start":    faulty("POST", "/uploads", 2, status(http.StatusServiceUnavailable)),
		"asks to wait":     faulty("POST", "/uploads", 1, status(http.StatusTooManyRequests)),
		"fails on put":     faulty("PUT", "/uploads", 3, status(http.StatusInternalServerError)),
		"hangs up on put":  faulty("PUT", "/uploads", 2, func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }),
		"fails on head":    faulty("HEAD", "/blobs", 2, status(http.StatusBadGateway)),
		"fails at the end": faulty("PUT", "/manifests", 2, status(http.StatusGatewayTimeout)),
		"fails on pull":    faulty("GET", "/manifests", 2, status(http.StatusBadGateway)),
		"loses the answer": faulty("PUT", "/uploads", 1, func(_ http.ResponseWriter, req *http.Request, next http.Handler) {
			next.ServeHTTP(httptest.NewRecorder(), req)
			panic(http.ErrAbortHandler)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := serve(t, wrap)
			var done, total int64
			c = c.WithProgress(func(d, n int64) { done, total = d, n })
			_, err := c.PushArtifact(t.Context(), "r", "tag", client.Module(client.BytesBlob("", big)))
			require.NoError(t, err)
			require.Equal(t, int64(len(big)+len("{}")), total)
			require.Equal(t, total, done)
			m, err := c.PullManifest(t.Context(), "r", "tag")
			require.NoError(t, err)
			data, err := c.ReadBlob(t.Context(), "r", m.Layers[0].Digest, 1<<20)
			require.NoError(t, err)
			require.Equal(t, big, data)
		})
	}
}

func TestGivesUp(t *testing.T) {
	var requests atomic.Int64
	for code, want := range map[int]struct {
		tries int64
		is    error
	}{
		http.StatusServiceUnavailable:    {4, nil},
		http.StatusNotFound:              {1, client.ErrNotFound},
		http.StatusForbidden:             {1, client.ErrDenied},
		http.StatusUnauthorized:          {1, client.ErrDenied},
		http.StatusRequestEntityTooLarge: {1, client.ErrTooLarge},
		http.StatusInsufficientStorage:   {1, nil},
	} {
		requests.Store(0)
		c, _ := serve(t, func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				requests.Add(1)
				w.WriteHeader(code)
				fmt.Fprint(w, `{"errors":[{"code":"C","message":"why"}]}`)
			})
		})
		err := c.Ping(t.Context())
		var failed *client.StatusError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, code, failed.Status)
		require.Equal(t, "C: why", failed.Detail)
		require.Equal(t, want.tries, requests.Load(), "status %d", code)
		if want.is != nil {
			require.ErrorIs(t, err, want.is)
		}
	}
	c, srv := serve(t, nil)
	srv.Close()
	require.Error(t, c.Ping(t.Context()))
}

// TestPullGoesOn: after a broken connection only the rest is fetched, also from a registry that ignores ranges.
func TestPullGoesOn(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	for _, ignoresRange := range []bool{false, true} {
		var ranges []string
		var mu sync.Mutex
		cut := func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.Method != "GET" || !strings.Contains(req.URL.Path, "/blobs/sha256") {
					next.ServeHTTP(w, req)
					return
				}
				mu.Lock()
				ranges = append(ranges, req.Header.Get("Range"))
				try := len(ranges)
				mu.Unlock()
				left := 100_000
				if ignoresRange {
					req.Header.Del("Range")
					left *= try // so that every try gets further
				}
				if try <= 2 {
					w = &cutter{ResponseWriter: w, left: left}
				}
				next.ServeHTTP(w, req)
			})
		}
		c, _ := serve(t, cut)
		b := client.BytesBlob("", data)
		require.NoError(t, c.PushBlob(t.Context(), "r", b))
		var most int64
		path := filepath.Join(t.TempDir(), "blob")
		watched := c.WithProgress(func(d, _ int64) { most = max(most, d) })
		require.NoError(t, watched.PullFile(t.Context(), "r", client.Descriptor{Digest: b.Digest, Size: b.Size}, path))
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, data, got)
		require.Equal(t, b.Size, most, "no byte is counted twice")
		require.Len(t, ranges, 3)
		require.Empty(t, ranges[0])
		require.NotEmpty(t, ranges[1])
	}
}

// cutter ends the connection after some bytes.
type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(b []byte) (int, error) {
	if len(b) > c.left {
		if _, err := c.ResponseWriter.Write(b[:c.left]); err != nil {
			return 0, err
		}
		if f, ok := c.ResponseWriter.(http.Flusher); ok {
			f.Flush()
		}
		panic(http.ErrAbortHandler)
	}
	c.left -= len(b)
	return c.ResponseWriter.Write(b)
}

// TestLyingRegistry: whatever a registry sends, a caller gets the content of the digest or an error, and no file.
func TestLyingRegistry(t *testing.T) {
	right := []byte("right content")
	for name, sent := range map[string]string{
		"other bytes": "wrong content", "too short": "right", "too long": "right content and more", "nothing": "",
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := serve(t, func(http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					if req.Method == "HEAD" {
						w.Header().Set("Content-Length", fmt.Sprint(len(right)))
						return
					}
					fmt.Fprint(w, sent)
				})
			})
			d := client.Descriptor{Digest: artifact.DigestOf(right), Size: int64(len(right))}
			dir := t.TempDir()
			err := c.PullFile(t.Context(), "r", d, filepath.Join(dir, "x"))
			require.ErrorIs(t, err, client.ErrDigestMismatch)
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, left)
			_, err = c.ReadBlob(t.Context(), "r", d.Digest, 1000)
			require.ErrorIs(t, err, client.ErrDigestMismatch)
			var got bytes.Buffer
			require.ErrorIs(t, c.PullBlob(t.Context(), "r", d, &got), client.ErrDigestMismatch)
			require.Less(t, got.Len(), len(right), "the end is withheld")
			_, err = c.PullManifest(t.Context(), "r", d.Digest.String())
			require.ErrorIs(t, err, client.ErrDigestMismatch)
		})
	}
}

func TestManifestsThatAreNotArtifacts(t *testing.T) {
	for name, body := range map[string]string{
		"text":       "hello",
		"index":      `{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`,
		"bad digest": `{"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[{"digest":"../x","size":1}]}`,
		"no digest":  `{"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[{"size":1}]}`,
		"bad size":   `{"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[{"digest":"` + artifact.EmptyDigest.String() + `","size":-1}]}`,
	} {
		c, _ := serve(t, func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
		})
		_, err := c.PullManifest(t.Context(), "r", "tag")
		require.ErrorIs(t, err, client.ErrNotArtifact, name)
	}
}

// TestSourceThatChanges: a file that is not what was hashed is not pushed.
func TestSourceThatChanges(t *testing.T) {
	for name, now := range map[string]string{"other": "DATA", "shorter": "da", "longer": "data and more", "gone": ""} {
		c, _ := serve(t, nil)
		path := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(path, []byte("data"), 0o644))
		b, err := client.FileBlob("", path)
		require.NoError(t, err)
		require.NoError(t, os.Remove(path))
		if now != "" {
			require.NoError(t, os.WriteFile(path, []byte(now), 0o644))
		}
		err = c.PushBlob(t.Context(), "r", b)
		if now == "" {
			require.ErrorIs(t, err, os.ErrNotExist)
		} else {
			require.ErrorIs(t, err, client.ErrDigestMismatch, name)
		}
		_, err = c.StatBlob(t.Context(), "r", b.Digest)
		require.ErrorIs(t, err, client.ErrNotFound)
	}
}

func TestCancel(t *testing.T) {
	started := make(chan struct{}, 16)
	release := make(chan struct{})
	c, _ := serve(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
			started <- struct{}{}
			select {
			case <-req.Context().Done():
			case <-release:
			}
		})
	})
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := c.PushArtifact(ctx, "r", "t", client.Module(client.BytesBlob("", []byte("x"))))
		failed <- err
	}()
	<-started
	cancel()
	select {
	case err := <-failed:
		require.ErrorIs(t, err, context.Canceled)
	case <-time.After(10 * time.Second):
		t.Fatal("the push goes on after its context ended")
	}

	// A long pause ends as well.
	patient, _ := serve(t, faulty("GET", "/v2/", 9, status(http.StatusServiceUnavailable)))
	ctx, cancel = context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, patient.Ping(ctx), context.DeadlineExceeded)
}

func TestDestinationThatFails(t *testing.T) {
	c, _ := serve(t, nil)
	b := client.BytesBlob("", []byte("data"))
	require.NoError(t, c.PushBlob(t.Context(), "r", b))
	full := errors.New("disk full")
	require.ErrorIs(t, c.PullBlob(t.Context(), "r", client.Descriptor{Digest: b.Digest, Size: b.Size}, failingWriter{full}), full)
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

func TestNamesAreChecked(t *testing.T) {
	c, _ := serve(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { t.Errorf("%s was sent", req.URL) })
	})
	b := client.BytesBlob("", nil)
	_, err := c.PushArtifact(t.Context(), "../x", "t", client.Module(b))
	require.Error(t, err)
	_, err = c.PushArtifact(t.Context(), "x", "t/../y", client.Module(b))
	require.Error(t, err)
	_, err = c.PushArtifact(t.Context(), "x", "t", client.Artifact{Type: "none"})
	require.Error(t, err)
	require.Error(t, c.PushBlob(t.Context(), "X", b))
	_, err = c.PullManifest(t.Context(), "x", "a/b")
	require.Error(t, err)
	_, err = c.StatBlob(t.Context(), "x/", b.Digest)
	require.Error(t, err)
	require.Error(t, c.PullBlob(t.Context(), "x/..", client.Descriptor{}, io.Discard))
}

func TestTasks(t *testing.T) {
	layer := func(task, kind string) client.Descriptor {
		return client.Descriptor{Annotations: map[string]string{client.AnnotationTask: task, client.AnnotationKind: kind}}
	}
	result := func(layers ...client.Descriptor) client.Manifest {
		return client.Manifest{ArtifactType: client.TypeResult, Layers: layers}
	}
	tasks, err := result(layer("4", "result"), layer("5", "result"), layer("5", "log")).Tasks(4, 2)
	require.NoError(t, err)
	require.Len(t, tasks, 2)
	require.Nil(t, tasks[0].Log)
	require.NotNil(t, tasks[1].Log)
	for name, m := range map[string]client.Manifest{
		"other type":     {ArtifactType: client.TypeModule, Layers: []client.Descriptor{layer("4", "result"), layer("5", "result")}},
		"one missing":    result(layer("4", "result")),
		"one is a log":   result(layer("4", "result"), layer("4", "log")),
		"order":          result(layer("5", "result"), layer("4", "result")),
		"twice":          result(layer("4", "result"), layer("4", "result")),
		"below":          result(layer("3", "result"), layer("5", "result")),
		"above":          result(layer("4", "result"), layer("6", "result")),
		"third result":   result(layer("4", "result"), layer("5", "result"), layer("5", "result")),
		"two logs":       result(layer("4", "result"), layer("5", "result"), layer("4", "log"), layer("4", "log")),
		"no number":      result(layer("4", "result"), layer("", "result")),
		"odd number":     result(layer("4", "result"), layer("05", "result")),
		"unknown kind":   result(layer("4", "result"), layer("5", "result"), layer("4", "virus")),
		"log of another": result(layer("4", "result"), layer("5", "result"), layer("9", "log")),
	} {
		_, err := m.Tasks(4, 2)
		require.ErrorIs(t, err, client.ErrNotArtifact, name)
	}
}

func TestPushStopsAtFirstError(t *testing.T) {
	c, _ := serve(t, faulty("POST", "/uploads", 1000, status(http.StatusForbidden)))
	var layers []client.TaskOutput
	for i := range 50 {
		layers = append(layers, client.TaskOutput{Task: uint32(i), Result: client.BytesBlob("", fmt.Append(nil, i))})
	}
	_, err := c.PushArtifact(t.Context(), client.ResultRepo("job1x"), client.ResultTag(0, 1), client.Result(layers))
	require.ErrorIs(t, err, client.ErrDenied)
	_, err = c.PullManifest(t.Context(), client.ResultRepo("job1x"), client.ResultTag(0, 1))
	require.ErrorIs(t, err, client.ErrNotFound)
}
