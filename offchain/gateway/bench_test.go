package gateway

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry/client"
)

// benchmark sends one request again and again, without a network.
func benchmark(b *testing.B, w *world, token, path string) {
	b.Helper()
	req := httptest.NewRequest(http.MethodGet, path, nil)
	req.RemoteAddr = "192.0.2.1:1"
	req.Header.Set("Authorization", "Bearer "+token)
	for b.Loop() {
		rec := httptest.NewRecorder()
		w.server.ServeHTTP(rec, req)
		if rec.Code != http.StatusOK {
			b.Fatal(rec.Code, rec.Body)
		}
	}
}

func unlimited(c *Config) { c.PerToken, c.PerAddress = Rate{1e9, 1e9}, Rate{1e9, 1e9} }

// BenchmarkDenied is a request that policies deny, from the token to the record of the answer.
func BenchmarkDenied(b *testing.B) {
	w := newWorld(b, unlimited)
	session := w.login(w.alice)
	req := httptest.NewRequest(http.MethodGet, "/v1/audit", nil)
	req.Header.Set("Authorization", "Bearer "+session)
	for b.Loop() {
		rec := httptest.NewRecorder()
		w.server.ServeHTTP(rec, req)
		if rec.Code != http.StatusForbidden {
			b.Fatal(rec.Code)
		}
	}
}

// BenchmarkRegistryToken is a token for a developer's own repository, which asks nothing of the chain, and for what a node runs, which does.
func BenchmarkRegistryToken(b *testing.B) {
	w := newWorld(b, unlimited)
	path := tokenPath + "?service=" + w.server.cfg.RegistryService + "&scope=repository:"
	b.Run("developer", func(b *testing.B) { benchmark(b, w, w.login(w.alice), path+"dev/"+w.alice.address+"/app:pull") })
	image := artifact.DigestOf([]byte("image"))
	w.job(w.alice, "job", artifact.DigestOf([]byte("spec")), image, w.clock().Add(time.Hour))
	b.Run("node", func(b *testing.B) {
		benchmark(b, w, w.nodeLogin(), path+client.OwnedRepo(w.alice.address, client.RepoImages, image)+":pull")
	})
}
