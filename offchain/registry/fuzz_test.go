package registry

import (
	"fmt"
	"strings"
	"testing"

	"github.com/foggrid/fogd/offchain/registry/ref"
)

func FuzzRoute(f *testing.F) {
	for _, s := range []string{
		"/v2/", "/v2/a/b/tags/list", "/v2/a/blobs/uploads/", "/v2/a/blobs/uploads/1", "/v2/a/blobs/sha256:0", "/v2/a/../manifests/x", "/v2//blobs/uploads//",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		rt, err := parseRoute(path)
		if err != nil || rt.kind == routePing {
			return
		}
		if ref.CheckRepo(rt.repo) != nil || strings.Contains(rt.arg, "/") {
			t.Fatalf("%q gives repository %q and argument %q", path, rt.repo, rt.arg)
		}
		if !strings.HasPrefix(path, "/v2/"+rt.repo+"/") || !strings.HasSuffix(path, rt.arg) {
			t.Fatalf("%q is not made of %q and %q", path, rt.repo, rt.arg)
		}
	})
}

func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"0-0", "5-9", "9-5", "-", "0-", "-1", "00-01", "0-1152921504606846977", "bytes 0-1/2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		first, last, ok := parseContentRange(s)
		if !ok {
			return
		}
		if first < 0 || last < first || last-first+1 <= 0 {
			t.Fatalf("%q is %d to %d", s, first, last)
		}
		if a, b, again := parseContentRange(fmt.Sprintf("%d-%d", first, last)); a != first || b != last || !again {
			t.Fatalf("%q does not survive its own form", s)
		}
	})
}

func FuzzManifest(f *testing.F) {
	f.Add(mediaOCIManifest, []byte(`{"schemaVersion":2,"config":{"digest":"sha256:`+strings.Repeat("1", 64)+`","size":1},"layers":[]}`))
	f.Add(mediaOCIIndex, []byte(`{"schemaVersion":2,"manifests":[]}`))
	f.Fuzz(func(t *testing.T, mediaType string, data []byte) {
		m, err := parseManifest(mediaType, data)
		if err != nil {
			return
		}
		for _, d := range m.references() {
			if d.Digest.IsZero() || d.Size < 0 {
				t.Fatalf("%s was accepted", data)
			}
		}
	})
}
