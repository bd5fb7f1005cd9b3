package registry_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry"
)

const ociManifest = "application/vnd.oci.image.manifest.v1+json"

// call sends a request and returns status, header and body; headers alternate names and values.
func call(t testing.TB, method, url string, body io.Reader, headers ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, body)
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode, resp.Header, string(data)
}

func errorCode(t *testing.T, body string) string {
	t.Helper()
	var v struct{ Errors []struct{ Code string } }
	require.NoError(t, json.Unmarshal([]byte(body), &v), body)
	require.Len(t, v.Errors, 1)
	return v.Errors[0].Code
}

// push stores a blob in one request.
func push(t testing.TB, url, repo, data string) artifact.Digest {
	t.Helper()
	d := artifact.DigestOf([]byte(data))
	status, h, body := call(t, "POST", url+"/v2/"+repo+"/blobs/uploads/?digest="+d.String(), strings.NewReader(data))
	require.Equal(t, http.StatusCreated, status, body)
	require.Equal(t, "/v2/"+repo+"/blobs/"+d.String(), h.Get("Location"))
	return d
}

// image pushes a manifest with one layer and returns its digest.
func image(t testing.TB, url, repo, target, layer, more string) artifact.Digest {
	t.Helper()
	config, content := push(t, url, repo, "{}"), push(t, url, repo, layer)
	m := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"artifactType":"a/b","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":2},`+
		`"layers":[{"mediaType":"x/y","digest":%q,"size":%d}]%s}`, ociManifest, config, content, len(layer), more)
	d := artifact.DigestOf([]byte(m))
	if target == "" {
		target = d.String()
	}
	status, h, body := call(t, "PUT", url+"/v2/"+repo+"/manifests/"+target, strings.NewReader(m), "Content-Type", ociManifest)
	require.Equal(t, http.StatusCreated, status, body)
	require.Equal(t, d.String(), h.Get("Docker-Content-Digest"))
	return d
}

func TestBlobRanges(t *testing.T) {
	url, _, _ := serve(t, registry.Options{})
	at := url + "/v2/r/blobs/" + push(t, url, "r", "0123456789").String()
	for header, want := range map[string]struct {
		status int
		body   string
	}{
		"":            {200, "0123456789"},
		"bytes=0-0":   {206, "0"},
		"bytes=4-":    {206, "456789"},
		"bytes=-3":    {206, "789"},
		"bytes=2-99":  {206, "23456789"},
		"bytes=10-":   {416, ""},
		"bytes=x":     {416, ""},
		"items=0-1":   {416, ""},
		"bytes=5-2":   {416, ""},
		"bytes=0-1,x": {416, ""},
	} {
		status, h, body := call(t, "GET", at, nil, "Range", header)
		require.Equal(t, want.status, status, header)
		if status != 416 {
			require.Equal(t, want.body, body, header)
			require.Equal(t, "bytes", h.Get("Accept-Ranges"))
		}
	}
	status, h, body := call(t, "HEAD", at, nil)
	require.Equal(t, 200, status)
	require.Equal(t, "10", h.Get("Content-Length"))
	require.Empty(t, body)
	status, _, _ = call(t, "GET", at, nil, "If-None-Match", h.Get("Etag"))
	require.Equal(t, http.StatusNotModified, status)
}

func TestChunkedUpload(t *testing.T) {
	url, root, _ := serve(t, registry.Options{})
	status, h, _ := call(t, "POST", url+"/v2/r/blobs/uploads/", nil)
	require.Equal(t, http.StatusAccepted, status)
	session := url + h.Get("Location")

	chunk := func(header, body string) (int, http.Header) {
		status, h, _ := call(t, "PATCH", session, strings.NewReader(body), "Content-Range", header)
		return status, h
	}
	status, h = chunk("0-4", "01234")
	require.Equal(t, http.StatusAccepted, status)
	require.Equal(t, "0-4", h.Get("Range"))
	status, h = chunk("0-4", "01234")
	require.Equal(t, http.StatusRequestedRangeNotSatisfiable, status, "a chunk that is repeated")
	require.Equal(t, "0-4", h.Get("Range"))
	status, _ = chunk("7-9", "789")
	require.Equal(t, http.StatusRequestedRangeNotSatisfiable, status, "a chunk too early")
	status, _ = chunk("5-9", "567")
	require.Equal(t, http.StatusBadRequest, status, "a chunk shorter than announced is taken back")
	status, _ = chunk("5-x", "567")
	require.Equal(t, http.StatusBadRequest, status)
	status, h, _ = call(t, "GET", session, nil)
	require.Equal(t, http.StatusNoContent, status)
	require.Equal(t, "0-4", h.Get("Range"))
	status, _ = chunk("5-7", "567")
	require.Equal(t, http.StatusAccepted, status)

	d := artifact.DigestOf([]byte("0123456789"))
	status, _, _ = call(t, "HEAD", url+"/v2/r/blobs/"+d.String(), nil)
	require.Equal(t, http.StatusNotFound, status, "nothing is visible before the end")
	status, _, _ = call(t, "GET", strings.Replace(session, "/r/", "/other/", 1), nil)
	require.Equal(t, http.StatusNotFound, status, "a session belongs to one repository")
	status, h, body := call(t, "PUT", session+"?digest="+d.String(), strings.NewReader("89"))
	require.Equal(t, http.StatusCreated, status, body)
	_, _, body = call(t, "GET", url+h.Get("Location"), nil)
	require.Equal(t, "0123456789", body)
	status, _, body = call(t, "GET", session, nil)
	require.Equal(t, http.StatusNotFound, status)
	require.Equal(t, "BLOB_UPLOAD_UNKNOWN", errorCode(t, body))
	left, err := os.ReadDir(filepath.Join(root, "uploads"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestUploadEndsWithWrongDigestOrCancel(t *testing.T) {
	url, root, _ := serve(t, registry.Options{})
	wrong := artifact.DigestOf([]byte("other")).String()
	status, _, body := call(t, "POST", url+"/v2/r/blobs/uploads/?digest="+wrong, strings.NewReader("data"))
	require.Equal(t, http.StatusBadRequest, status)
	require.Equal(t, "DIGEST_INVALID", errorCode(t, body))
	for _, end := range []func(session string){
		func(s string) {
			status, _, _ := call(t, "PUT", s+"?digest="+wrong, strings.NewReader("data"))
			require.Equal(t, http.StatusBadRequest, status)
		},
		func(s string) {
			status, _, _ := call(t, "DELETE", s, nil)
			require.Equal(t, http.StatusNoContent, status)
		},
	} {
		_, h, _ := call(t, "POST", url+"/v2/r/blobs/uploads/", nil)
		end(url + h.Get("Location"))
		status, _, _ := call(t, "PATCH", url+h.Get("Location"), strings.NewReader("data"))
		require.Equal(t, http.StatusNotFound, status)
	}
	for _, dir := range []string{"uploads", "blobs/sha256", "repos"} {
		left, err := os.ReadDir(filepath.Join(root, dir))
		require.NoError(t, err)
		require.Empty(t, left, dir)
	}
}

func TestLimits(t *testing.T) {
	now := time.Now()
	url, _, _ := serve(t, registry.Options{
		MaxBlobBytes: 10, MaxManifestBytes: 400, MaxUploads: 2, UploadIdle: time.Minute, Now: func() time.Time { return now }})
	push(t, url, "r", "0123456789")
	d := artifact.DigestOf([]byte("0123456789a")).String()
	status, _, _ := call(t, "POST", url+"/v2/r/blobs/uploads/?digest="+d, strings.NewReader("0123456789a"))
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	_, h, _ := call(t, "POST", url+"/v2/r/blobs/uploads/", nil)
	session := url + h.Get("Location")
	status, _, _ = call(t, "PATCH", session, strings.NewReader("012345678"))
	require.Equal(t, http.StatusAccepted, status)
	status, _, _ = call(t, "PATCH", session, strings.NewReader("9a"))
	require.Equal(t, http.StatusRequestEntityTooLarge, status)

	image(t, url, "r", "small", "0123456789", "")
	status, _, _ = call(t, "PUT", url+"/v2/r/manifests/x", strings.NewReader(strings.Repeat(" ", 401)), "Content-Type", ociManifest)
	require.Equal(t, http.StatusRequestEntityTooLarge, status)

	status, _, _ = call(t, "POST", url+"/v2/r/blobs/uploads/", nil)
	require.Equal(t, http.StatusAccepted, status)
	status, _, _ = call(t, "POST", url+"/v2/r/blobs/uploads/", nil)
	require.Equal(t, http.StatusTooManyRequests, status)
	now = now.Add(2 * time.Minute)
	status, _, _ = call(t, "POST", url+"/v2/r/blobs/uploads/", nil)
	require.Equal(t, http.StatusAccepted, status, "idle sessions make room")
	status, _, _ = call(t, "PATCH", session, strings.NewReader("9"))
	require.Equal(t, http.StatusNotFound, status)
}

func TestManifestRules(t *testing.T) {
	url, _, _ := serve(t, registry.Options{})
	config, layer := push(t, url, "r", "{}"), push(t, url, "r", "layer")
	push(t, url, "other", "elsewhere")
	desc := func(d artifact.Digest, size int) string {
		return fmt.Sprintf(`{"mediaType":"x/y","digest":%q,"size":%d}`, d, size)
	}
	manifest := func(config, layers string) string {
		return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s]}`, ociManifest, config, layers)
	}
	ok := manifest(desc(config, 2), desc(layer, 5))
	absent := artifact.DigestOf([]byte("elsewhere"))
	for name, c := range map[string]struct {
		mediaType, body, target string
		status                  int
		code                    string
	}{
		"good":               {ociManifest, ok, "t", 201, ""},
		"parameter":          {ociManifest + "; charset=utf-8", ok, "t", 201, ""},
		"not JSON":           {ociManifest, "{", "t", 400, "MANIFEST_INVALID"},
		"no type":            {"", ok, "t", 400, "MANIFEST_INVALID"},
		"other type":         {"text/plain", ok, "t", 415, "MANIFEST_INVALID"},
		"types differ":       {"application/vnd.docker.distribution.manifest.v2+json", ok, "t", 400, "MANIFEST_INVALID"},
		"schema":             {ociManifest, `{"schemaVersion":1}`, "t", 400, "MANIFEST_INVALID"},
		"no config":          {ociManifest, `{"schemaVersion":2,"layers":[]}`, "t", 400, "MANIFEST_INVALID"},
		"index with layers":  {"application/vnd.oci.image.index.v1+json", `{"schemaVersion":2,"layers":[` + desc(layer, 5) + `]}`, "t", 400, "MANIFEST_INVALID"},
		"bad digest":         {ociManifest, manifest(desc(config, 2), `{"digest":"sha256:0","size":1}`), "t", 400, "MANIFEST_INVALID"},
		"no digest":          {ociManifest, manifest(desc(config, 2), `{"size":1}`), "t", 400, "MANIFEST_INVALID"},
		"negative size":      {ociManifest, manifest(desc(config, 2), desc(layer, -1)), "t", 400, "MANIFEST_INVALID"},
		"wrong size":         {ociManifest, manifest(desc(config, 2), desc(layer, 6)), "t", 400, "SIZE_INVALID"},
		"absent layer":       {ociManifest, manifest(desc(config, 2), desc(absent, 9)), "t", 404, "MANIFEST_BLOB_UNKNOWN"},
		"absent child":       {"application/vnd.oci.image.index.v1+json", `{"schemaVersion":2,"manifests":[` + desc(absent, 9) + `]}`, "t", 404, "MANIFEST_BLOB_UNKNOWN"},
		"other digest":       {ociManifest, ok, absent.String(), 400, "DIGEST_INVALID"},
		"own digest":         {ociManifest, ok, artifact.DigestOf([]byte(ok)).String(), 201, ""},
		"bad tag":            {ociManifest, ok, ".t", 400, "MANIFEST_INVALID"},
		"subject still away": {ociManifest, strings.TrimSuffix(ok, "}") + `,"subject":` + desc(absent, 9) + `}`, "s", 201, ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, h, body := call(t, "PUT", url+"/v2/r/manifests/"+c.target, strings.NewReader(c.body), "Content-Type", c.mediaType)
			require.Equal(t, c.status, status, body)
			if c.code != "" {
				require.Equal(t, c.code, errorCode(t, body))
				return
			}
			status, _, got := call(t, "GET", url+h.Get("Location"), nil)
			require.Equal(t, 200, status)
			require.Equal(t, c.body, got)
		})
	}
}

func TestReferrers(t *testing.T) {
	url, _, _ := serve(t, registry.Options{})
	subject := image(t, url, "r", "subject", "layer", "")
	about := fmt.Sprintf(`,"annotations":{"k":"v"},"subject":{"mediaType":%q,"digest":%q,"size":1}`, ociManifest, subject)
	referrer := image(t, url, "r", "", "signature", about)
	get := func(query string) (names []string, h http.Header) {
		status, h, body := call(t, "GET", url+"/v2/r/referrers/"+subject.String()+query, nil)
		require.Equal(t, 200, status)
		var index struct {
			Manifests []struct {
				Digest, ArtifactType string
				Annotations          map[string]string
			}
		}
		require.NoError(t, json.Unmarshal([]byte(body), &index))
		require.NotNil(t, index.Manifests)
		for _, m := range index.Manifests {
			require.Equal(t, "a/b", m.ArtifactType)
			require.Equal(t, "v", m.Annotations["k"])
			names = append(names, m.Digest)
		}
		return names, h
	}
	names, _ := get("")
	require.Equal(t, []string{referrer.String()}, names)
	names, h := get("?artifactType=c/d")
	require.Empty(t, names)
	require.Equal(t, "artifactType", h.Get("OCI-Filters-Applied"))
	status, _, _ := call(t, "DELETE", url+"/v2/r/manifests/"+referrer.String(), nil)
	require.Equal(t, http.StatusAccepted, status)
	names, _ = get("?artifactType=a/b")
	require.Empty(t, names)
}

func TestTagsThatDifferInCaseOnly(t *testing.T) {
	url, _, _ := serve(t, registry.Options{})
	upper := image(t, url, "r", "A", "upper", "")
	lower := image(t, url, "r", "a", "lower", "")
	_, h, _ := call(t, "HEAD", url+"/v2/r/manifests/A", nil)
	require.Equal(t, upper.String(), h.Get("Docker-Content-Digest"))
	_, h, _ = call(t, "HEAD", url+"/v2/r/manifests/a", nil)
	require.Equal(t, lower.String(), h.Get("Docker-Content-Digest"))
	_, h, body := call(t, "GET", url+"/v2/r/tags/list?n=1", nil)
	require.JSONEq(t, `{"name":"r","tags":["A"]}`, body)
	require.Equal(t, `</v2/r/tags/list?last=A&n=1>; rel="next"`, h.Get("Link"))
	status, _, _ := call(t, "DELETE", url+"/v2/r/manifests/A", nil)
	require.Equal(t, http.StatusAccepted, status)
	_, _, body = call(t, "GET", url+"/v2/r/tags/list", nil)
	require.JSONEq(t, `{"name":"r","tags":["a"]}`, body)
	status, _, _ = call(t, "HEAD", url+"/v2/r/manifests/"+upper.String(), nil)
	require.Equal(t, 200, status, "the manifest outlives its tag")
}

func TestPathsAndMethods(t *testing.T) {
	url, root, _ := serve(t, registry.Options{})
	outside := filepath.Join(filepath.Dir(root), "outside")
	require.NoError(t, os.WriteFile(outside, []byte("secret"), 0o600))
	d := artifact.DigestOf([]byte("x")).String()
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/v2/", 200}, {"GET", "/v2", 200}, {"GET", "/", 404}, {"GET", "/v2/r", 404}, {"GET", "/v1/r/tags/list", 404},
		{"GET", "/v2/r/tags/list", 404}, {"GET", "/v2/_catalog", 404}, {"GET", "/v2//tags/list", 400}, {"GET", "/v2/R/tags/list", 400},
		{"GET", "/v2/%2e%2e/%2e%2e/manifests/x", 400}, {"GET", "/v2/a%2f..%2fb/tags/list", 400}, {"GET", "/v2/a%5cb/tags/list", 400},
		{"GET", "/v2/r/blobs/" + d, 404}, {"GET", "/v2/r/blobs/sha256:..", 400}, {"GET", "/v2/r/blobs/sha512:" + strings.Repeat("0", 128), 400},
		{"GET", "/v2/r/manifests/%2e%2e", 400}, {"GET", "/v2/r/blobs/uploads/%2e%2e%2f%2e%2e%2foutside", 404}, {"GET", "/v2/r/blobs/uploads/x", 404},
		{"PUT", "/v2/r/blobs/uploads/x", 400}, {"PUT", "/v2/r/blobs/uploads/x?digest=" + d, 404},
		{"POST", "/v2/r/blobs/uploads/?mount=x&from=r", 400}, {"POST", "/v2/r/blobs/uploads/?mount=" + d + "&from=..", 400},
		{"POST", "/v2/r/blobs/uploads/?mount=" + d + "&from=other", 202}, {"POST", "/v2/r/blobs/uploads", 202},
		{"POST", "/v2/r/manifests/x", 405}, {"PATCH", "/v2/r/blobs/" + d, 405}, {"DELETE", "/v2/r/blobs/" + d, 404},
		{"DELETE", "/v2/r/manifests/x", 404}, {"GET", "/v2/r/referrers/x", 400}, {"GET", "/v2/r/tags/list?n=-1", 400},
		// Repositories may be named like the API's own words.
		{"GET", "/v2/blobs/uploads/manifests/x", 404}, {"POST", "/v2/tags/list/blobs/uploads/", 202},
	} {
		status, _, body := call(t, c.method, url+c.path, nil)
		require.Equal(t, c.status, status, c.method+" "+c.path+" "+body)
		require.NotContains(t, body, "secret")
	}
}
