package registry_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry"
)

func blobFile(root string, d artifact.Digest) string {
	return filepath.Join(root, "blobs", "sha256", d.Hex()[:2], d.Hex())
}

// reopen serves an existing root as a new process would.
func reopen(t *testing.T, root string, opts registry.Options) (string, *registry.Registry) {
	t.Helper()
	r, err := registry.Open(root, opts)
	require.NoError(t, err)
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	return srv.URL, r
}

var quiet = registry.Options{Logger: slog.New(slog.DiscardHandler)}

// TestCorruptBlobIsNeverServed: neither from the process that wrote it nor after a restart; a push repairs it.
func TestCorruptBlobIsNeverServed(t *testing.T) {
	for name, corrupt := range map[string]func(path string) error{
		"changed":   func(p string) error { return os.WriteFile(p, []byte("DATA"), 0o644) },
		"truncated": func(p string) error { return os.Truncate(p, 2) },
		"longer":    func(p string) error { return os.WriteFile(p, []byte("data+"), 0o644) },
		"removed":   os.Remove,
	} {
		for _, restart := range []bool{false, true} {
			for _, method := range []string{"GET", "HEAD"} {
				url, root, _ := serve(t, quiet)
				d := push(t, url, "r", "data")
				time.Sleep(5 * time.Millisecond) // so that the time of the file differs
				require.NoError(t, corrupt(blobFile(root, d)))
				if restart {
					url, _ = reopen(t, root, quiet)
				}
				at := url + "/v2/r/blobs/" + d.String()
				status, _, body := call(t, method, at, nil)
				require.Equal(t, http.StatusNotFound, status, "%s %s restart=%t %s", name, method, restart, body)
				push(t, url, "r", "data")
				_, _, body = call(t, "GET", at, nil)
				require.Equal(t, "data", body)
			}
		}
	}
}

// TestCorruptionWithTheSameTime: a restart verifies again, whatever the time of the file says.
func TestCorruptionWithTheSameTime(t *testing.T) {
	url, root, _ := serve(t, quiet)
	d := image(t, url, "r", "tag", "data", "")
	info, err := os.Stat(blobFile(root, d))
	require.NoError(t, err)
	data, err := os.ReadFile(blobFile(root, d))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(blobFile(root, d), []byte(strings.ToUpper(string(data))), 0o644))
	require.NoError(t, os.Chtimes(blobFile(root, d), info.ModTime(), info.ModTime()))
	url, _ = reopen(t, root, quiet)
	status, _, _ := call(t, "GET", url+"/v2/r/manifests/tag", nil)
	require.Equal(t, http.StatusNotFound, status)
	aside, err := os.ReadDir(filepath.Join(root, "corrupt"))
	require.NoError(t, err)
	require.Len(t, aside, 1)
}

func TestRestartKeepsContentAndDropsUploads(t *testing.T) {
	url, root, _ := serve(t, registry.Options{})
	d := image(t, url, "a/b", "tag", "data", "")
	_, h, _ := call(t, "POST", url+"/v2/a/b/blobs/uploads/", nil)
	status, _, _ := call(t, "PATCH", url+h.Get("Location"), strings.NewReader("half"))
	require.Equal(t, http.StatusAccepted, status)
	left, err := os.ReadDir(filepath.Join(root, "uploads"))
	require.NoError(t, err)
	require.Len(t, left, 1)

	url, _ = reopen(t, root, registry.Options{})
	left, err = os.ReadDir(filepath.Join(root, "uploads"))
	require.NoError(t, err)
	require.Empty(t, left)
	status, _, _ = call(t, "GET", url+h.Get("Location"), nil)
	require.Equal(t, http.StatusNotFound, status)
	_, got, _ := call(t, "HEAD", url+"/v2/a/b/manifests/tag", nil)
	require.Equal(t, d.String(), got.Get("Docker-Content-Digest"))
}

// TestBrokenConnection: a body that ends early leaves the session as it was.
func TestBrokenConnection(t *testing.T) {
	url, _, r := serve(t, registry.Options{})
	_, h, _ := call(t, "POST", url+"/v2/r/blobs/uploads/", nil)
	session := h.Get("Location")
	req := httptest.NewRequest("PATCH", session, io.MultiReader(strings.NewReader("half"), brokenReader{}))
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	require.Equal(t, http.StatusBadRequest, w.Code)
	d := artifact.DigestOf([]byte("whole"))
	status, _, body := call(t, "PUT", url+session+"?digest="+d.String(), strings.NewReader("whole"))
	require.Equal(t, http.StatusCreated, status, body)
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestWriterHoldsSession: two requests cannot write to one session at a time.
func TestWriterHoldsSession(t *testing.T) {
	url, _, r := serve(t, registry.Options{})
	_, h, _ := call(t, "POST", url+"/v2/r/blobs/uploads/", nil)
	session := h.Get("Location")
	body, feed := io.Pipe()
	done := make(chan int)
	go func() {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest("PATCH", session, body))
		done <- w.Code
	}()
	_, err := feed.Write([]byte("first"))
	require.NoError(t, err)
	status, _, _ := call(t, "PATCH", url+session, strings.NewReader("second"))
	require.Equal(t, http.StatusConflict, status)
	require.NoError(t, feed.Close())
	require.Equal(t, http.StatusAccepted, <-done)
}

func TestConcurrentPushes(t *testing.T) {
	url, root, r := serve(t, registry.Options{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 5 {
				image(t, url, "r", "tag"+string(rune('a'+i)), "same layer", "")
				if _, err := r.GC(t.Context(), registry.GCOptions{Untagged: true}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	_, _, body := call(t, "GET", url+"/v2/r/tags/list", nil)
	require.JSONEq(t, `{"name":"r","tags":["taga","tagb","tagc","tagd","tage","tagf","tagg","tagh"]}`, body)
	left, err := os.ReadDir(filepath.Join(root, "uploads"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestGC(t *testing.T) {
	now := time.Now()
	opts := registry.Options{Now: func() time.Time { return now }, UploadIdle: 24 * time.Hour}
	url, root, r := serve(t, opts)
	tagged := image(t, url, "r", "tag", "tagged", "")
	untagged := image(t, url, "r", "", "untagged", "")
	referrer := image(t, url, "r", "", "signature", `,"subject":{"mediaType":"`+ociManifest+`","digest":"`+tagged.String()+`","size":1}`)
	orphan := push(t, url, "r", "orphan")
	shared := push(t, url, "other", "untagged") // the same content, held by a blob of another repository only
	has := func(repo, kind string, d artifact.Digest) bool {
		status, _, _ := call(t, "GET", url+"/v2/"+repo+"/"+kind+"/"+d.String(), nil)
		return status == http.StatusOK
	}

	report, err := r.GC(t.Context(), registry.GCOptions{Untagged: true})
	require.NoError(t, err)
	require.Equal(t, registry.GCReport{}, report, "everything is young")

	now = now.Add(2 * time.Hour)
	report, err = r.GC(t.Context(), registry.GCOptions{})
	require.NoError(t, err)
	require.Equal(t, registry.GCReport{Blobs: 1, FreedBytes: int64(len("orphan"))}, report)
	require.False(t, has("r", "blobs", orphan))
	require.False(t, has("other", "blobs", shared), "no manifest names it there")
	require.True(t, has("r", "blobs", shared))
	require.True(t, has("r", "manifests", untagged))

	report, err = r.GC(t.Context(), registry.GCOptions{Untagged: true})
	require.NoError(t, err)
	require.Equal(t, 1, report.Manifests)
	require.Equal(t, 2, report.Blobs, "the manifest and its layer")
	require.False(t, has("r", "manifests", untagged))
	require.True(t, has("r", "manifests", tagged))
	require.True(t, has("r", "manifests", referrer), "what describes a kept manifest is kept")
	require.True(t, has("r", "blobs", artifact.DigestOf([]byte("signature"))))

	// A manifest that cannot be read says nothing about what it needs: its repository is left alone.
	require.NoError(t, os.WriteFile(blobFile(root, tagged), []byte("{}"), 0o644))
	_, again := reopen(t, root, registry.Options{Now: opts.Now, Logger: quiet.Logger})
	report, err = again.GC(t.Context(), registry.GCOptions{Untagged: true})
	require.NoError(t, err)
	require.Equal(t, []string{"r"}, report.Skipped)
	require.Zero(t, report.Blobs)
	require.FileExists(t, blobFile(root, artifact.DigestOf([]byte("tagged"))))
}

func TestGCDropsIdleUploads(t *testing.T) {
	now := time.Now()
	url, root, r := serve(t, registry.Options{Now: func() time.Time { return now }})
	status, _, _ := call(t, "POST", url+"/v2/r/blobs/uploads/", nil)
	require.Equal(t, http.StatusAccepted, status)
	now = now.Add(2 * time.Hour)
	report, err := r.GC(t.Context(), registry.GCOptions{})
	require.NoError(t, err)
	require.Equal(t, 1, report.Uploads)
	left, err := os.ReadDir(filepath.Join(root, "uploads"))
	require.NoError(t, err)
	require.Empty(t, left)
}
