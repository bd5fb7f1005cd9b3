package registry_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry"
)

// limited is a registry in which what lies below dev/NAME may hold so many bytes.
func limited(t *testing.T, bytes int64) (*registry.Registry, string) {
	t.Helper()
	r, err := registry.Open(t.TempDir(), registry.Options{MaxUploadsEach: 3, Quota: func(repo string) (registry.Quota, bool, error) {
		parts := strings.SplitN(repo, "/", 3)
		return registry.Quota{Below: strings.Join(parts[:min(2, len(parts))], "/"), Bytes: bytes}, parts[0] == "dev", nil
	}})
	require.NoError(t, err)
	srv := httptest.NewServer(r)
	t.Cleanup(func() {
		srv.Close()
		require.NoError(t, r.Close())
	})
	return r, srv.URL
}

func upload(t *testing.T, url, repo, data string) int {
	t.Helper()
	d := artifact.DigestOf([]byte(data))
	status, _, body := call(t, "POST", url+"/v2/"+repo+"/blobs/uploads/?digest="+d.String(), strings.NewReader(data))
	if status == http.StatusForbidden {
		require.Equal(t, "DENIED", errorCode(t, body))
		require.Contains(t, body, "quota")
	}
	return status
}

func TestQuota(t *testing.T) {
	r, url := limited(t, 100)
	sixty := strings.Repeat("a", 60)
	require.Equal(t, http.StatusCreated, upload(t, url, "dev/x/one", sixty))
	require.Equal(t, http.StatusForbidden, upload(t, url, "dev/x/two", strings.Repeat("b", 41)))
	require.Equal(t, http.StatusCreated, upload(t, url, "dev/x/two", strings.Repeat("b", 40)))
	used, err := r.Usage("dev/x")
	require.NoError(t, err)
	require.EqualValues(t, 100, used)

	// Full: not even a session is opened, and neither a mount nor a manifest fits.
	status, _, body := call(t, "POST", url+"/v2/dev/x/one/blobs/uploads/", nil)
	require.Equal(t, http.StatusForbidden, status, body)
	require.Equal(t, http.StatusCreated, upload(t, url, "dev/y/one", strings.Repeat("c", 100)))
	status, _, _ = call(t, "POST", url+"/v2/dev/x/one/blobs/uploads/?from=dev/y/one&mount="+artifact.DigestOf([]byte(strings.Repeat("c", 100))).String(), nil)
	require.Equal(t, http.StatusForbidden, status)
	status, _, _ = call(t, "PUT", url+"/v2/dev/x/one/manifests/v1", strings.NewReader(`{"schemaVersion":2,"layers":[]}`), "Content-Type", ociManifest)
	require.Equal(t, http.StatusForbidden, status)
	require.Equal(t, http.StatusCreated, upload(t, url, "other", strings.Repeat("d", 1000)))
}

// Who opens many sessions and leaves them open holds up nobody else.
func TestUploadsOfOneOwner(t *testing.T) {
	_, url := limited(t, 100)
	open := func(repo string) int {
		status, _, _ := call(t, "POST", url+"/v2/"+repo+"/blobs/uploads/", nil)
		return status
	}
	for _, c := range []struct {
		repo string
		want int
	}{{"dev/x/a", 202}, {"dev/x/b", 202}, {"dev/x/a", 202}, {"dev/x/c", 429}, {"dev/xy/a", 202}, {"other", 202}} {
		require.Equal(t, c.want, open(c.repo), c.repo)
	}
}

// Who opens all sessions that there are does not keep those from pushing whose quota is apart.
func TestUploadsApart(t *testing.T) {
	r, err := registry.Open(t.TempDir(), registry.Options{MaxUploads: 2, Quota: func(repo string) (registry.Quota, bool, error) {
		return registry.Quota{Below: repo, Bytes: 100, Apart: strings.HasPrefix(repo, "results/")}, true, nil
	}})
	require.NoError(t, err)
	srv := httptest.NewServer(r)
	t.Cleanup(func() {
		srv.Close()
		require.NoError(t, r.Close())
	})
	for _, c := range []struct {
		repo string
		want int
	}{{"results/a", 202}, {"dev/a", 202}, {"dev/b", 202}, {"dev/c", 429}, {"results/a", 202}, {"results/b", 202}} {
		status, _, body := call(t, "POST", srv.URL+"/v2/"+c.repo+"/blobs/uploads/", nil)
		require.Equal(t, c.want, status, "%s: %s", c.repo, body)
	}
}

// However many push at a time, together they hold no more.
func TestQuotaUnderRace(t *testing.T) {
	r, url := limited(t, 1000)
	var g sync.WaitGroup
	for i := range 20 {
		g.Go(func() {
			for upload(t, url, "dev/x/app", fmt.Sprintf("%0100d", i)) == http.StatusTooManyRequests { // others are at it
				runtime.Gosched()
			}
		})
	}
	g.Wait()
	used, err := r.Usage("dev/x")
	require.NoError(t, err)
	require.EqualValues(t, 1000, used)
}

func TestGCOfDeadRepositories(t *testing.T) {
	now := time.Now()
	r, err := registry.Open(t.TempDir(), registry.Options{Now: func() time.Time { return now }})
	require.NoError(t, err)
	srv := httptest.NewServer(r)
	t.Cleanup(func() {
		srv.Close()
		require.NoError(t, r.Close())
	})
	dead := image(t, srv.URL, "dev/x/dead", "v1", "shared", "")
	alive := image(t, srv.URL, "dev/x/alive", "v1", "shared", "")
	kept := push(t, srv.URL, "dev/x/kept", "without a manifest")
	fate := func(repo string) registry.Fate {
		return map[string]registry.Fate{"dev/x/dead": registry.FateDead, "dev/x/kept": registry.FateKeep}[repo]
	}
	gc := func() registry.GCReport {
		report, err := r.GC(context.Background(), registry.GCOptions{MinAge: time.Hour, Fate: fate})
		require.NoError(t, err)
		return report
	}
	require.Zero(t, gc().Manifests, "what is young stays")
	now = now.Add(2 * time.Hour)
	report := gc()
	require.Equal(t, 1, report.Manifests)
	for _, at := range []string{"v1", dead.String()} {
		status, _, _ := call(t, "GET", srv.URL+"/v2/dev/x/dead/manifests/"+at, nil)
		require.Equal(t, http.StatusNotFound, status)
	}
	status, _, body := call(t, "GET", srv.URL+"/v2/dev/x/dead/tags/list", nil)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, `"tags":[]`)
	status, _, _ = call(t, "GET", srv.URL+"/v2/dev/x/kept/blobs/"+kept.String(), nil)
	require.Equal(t, http.StatusOK, status)
	// The layer is the other's too.
	status, _, _ = call(t, "GET", srv.URL+"/v2/dev/x/alive/manifests/"+alive.String(), nil)
	require.Equal(t, http.StatusOK, status)
	status, _, body = call(t, "GET", srv.URL+"/v2/dev/x/alive/blobs/"+artifact.DigestOf([]byte("shared")).String(), nil)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "shared", body)
}

// What is being uploaded counts too, in all sessions together: a quota of a hundred bytes is none of three hundred for those who never end an upload.
func TestQuotaOfUnfinishedUploads(t *testing.T) {
	_, url := limited(t, 100)
	start := func() string {
		status, h, _ := call(t, "POST", url+"/v2/dev/x/app/blobs/uploads/", nil)
		require.Equal(t, http.StatusAccepted, status)
		return url + h.Get("Location")
	}
	patch := func(at string, n int) int {
		status, _, body := call(t, "PATCH", at, strings.NewReader(strings.Repeat("a", n)))
		if status == http.StatusForbidden {
			require.Contains(t, body, "quota")
		}
		return status
	}
	first, second := start(), start()
	require.Equal(t, http.StatusForbidden, patch(first, 101))
	require.Equal(t, http.StatusAccepted, patch(first, 60))
	require.Equal(t, http.StatusForbidden, patch(second, 41))
	require.Equal(t, http.StatusAccepted, patch(second, 40))
	status, h, _ := call(t, "GET", second, nil)
	require.Equal(t, http.StatusNoContent, status)
	require.Equal(t, "0-39", h.Get("Range"), "what was refused left nothing")
	require.Equal(t, http.StatusForbidden, upload(t, url, "dev/x/app", "b"))
	status, _, _ = call(t, "DELETE", first, nil)
	require.Equal(t, http.StatusNoContent, status)
	require.Equal(t, http.StatusCreated, upload(t, url, "dev/x/app", strings.Repeat("b", 60)))
	require.Equal(t, http.StatusCreated, upload(t, url, "dev/y/app", strings.Repeat("c", 100)), "another's is another's")
}

// Pushes leave the disk what others on it need, such as a log without which nothing is done.
func TestPushesLeaveTheDiskSomething(t *testing.T) {
	r, err := registry.Open(t.TempDir(), registry.Options{KeepFree: 1 << 62})
	require.NoError(t, err)
	srv := httptest.NewServer(r)
	t.Cleanup(func() {
		srv.Close()
		require.NoError(t, r.Close())
	})
	for method, path := range map[string]string{"POST": "/v2/a/blobs/uploads/", "PUT": "/v2/a/manifests/v1"} {
		status, _, body := call(t, method, srv.URL+path, strings.NewReader(`{"schemaVersion":2,"manifests":[]}`), "Content-Type", "application/vnd.oci.image.index.v1+json")
		require.Equal(t, http.StatusInsufficientStorage, status, body)
	}
}
