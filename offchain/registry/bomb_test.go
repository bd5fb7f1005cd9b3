package registry_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
)

// A manifest of four MiB is not made to take a hundred times that: a million empty descriptors are refused unread.
func TestManifestBomb(t *testing.T) {
	_, url := limited(t, 100<<20)
	for name, body := range map[string]string{
		"descriptors": `{"schemaVersion":2,"layers":[` + strings.Repeat("{},", 1<<20) + `{}]}`,
		"urls":        `{"schemaVersion":2,"config":{"urls":[` + strings.Repeat(`"",`, 1<<20) + `""]}}`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		status, _, answer := call(t, "PUT", url+"/v2/dev/x/app/manifests/v1", strings.NewReader(body), "Content-Type", ociManifest)
		runtime.ReadMemStats(&after)
		require.Equal(t, http.StatusBadRequest, status, name)
		require.Contains(t, answer, "MANIFEST_INVALID", name)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20), name)
	}
}

// Referrers come in pages, so that an answer does not hold what many large annotations do.
func TestReferrersComeInPages(t *testing.T) {
	_, url := limited(t, 100<<20)
	empty := push(t, url, "dev/x/app", "{}")
	subject := artifact.DigestOf([]byte("subject"))
	want := map[string]bool{}
	for i := range 5 {
		body := fmt.Sprintf(`{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":2},"subject":{"mediaType":%q,"digest":%q,"size":1},"annotations":{"a":%q}}`,
			empty, ociManifest, subject, strings.Repeat("x", 1<<20)+fmt.Sprint(i))
		status, _, answer := call(t, "PUT", url+"/v2/dev/x/app/manifests/"+artifact.DigestOf([]byte(body)).String(), strings.NewReader(body), "Content-Type", ociManifest)
		require.Equal(t, http.StatusCreated, status, answer)
		want[artifact.DigestOf([]byte(body)).String()] = true
	}
	at, pages, got := "/v2/dev/x/app/referrers/"+subject.String(), 0, map[string]bool{}
	for at != "" {
		status, h, body := call(t, "GET", url+at, nil)
		require.Equal(t, http.StatusOK, status)
		require.Less(t, len(body), 5<<20)
		var index struct{ Manifests []struct{ Digest string } }
		require.NoError(t, json.Unmarshal([]byte(body), &index))
		require.NotEmpty(t, index.Manifests)
		for _, m := range index.Manifests {
			require.False(t, got[m.Digest], "twice")
			got[m.Digest] = true
		}
		pages++
		link, _, _ := strings.Cut(strings.TrimPrefix(h.Get("Link"), "<"), ">")
		at = link
	}
	require.Equal(t, want, got)
	require.Equal(t, 2, pages)
}
