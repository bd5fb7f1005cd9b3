package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/registry/client"
)

// desk issues tokens that are their scope and a number; the registry behind it takes the newest of each scope only.
type desk struct {
	mu     sync.Mutex
	issued map[string]int
	life   time.Duration
	fail   error
	fails  int // how often it fails before fail is forgotten; 0: always
}

func (d *desk) RegistryToken(_ context.Context, service string, scopes []string) (string, time.Time, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.fail; err != nil {
		if d.fails--; d.fails == 0 {
			d.fail = nil
		}
		return "", time.Time{}, err
	}
	scope := service + " " + strings.Join(scopes, " ")
	d.issued[scope]++
	return fmt.Sprintf("%s#%d", scope, d.issued[scope]), time.Now().Add(d.life), nil
}

func (d *desk) count(scope string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.issued["shop "+scope]
}

// guarded lets in what shows the newest token of the scope that the request needs.
func (d *desk) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		token := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
		scope, number, _ := strings.Cut(token, "#")
		d.mu.Lock()
		good := token != "" && number == fmt.Sprint(d.issued[scope]) &&
			(req.Method == http.MethodGet || req.Method == http.MethodHead || strings.HasSuffix(scope, ":pull,push"))
		d.mu.Unlock()
		if !good {
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://evil.example/token",service="shop",scope="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, req)
	})
}

func TestTokens(t *testing.T) {
	d := &desk{issued: map[string]int{}, life: time.Hour}
	_, srv := serve(t, d.guarded)
	c, err := client.New(srv.URL, client.WithTokens(d), client.WithRetry(1, 0))
	require.NoError(t, err)
	require.NoError(t, c.Ping(t.Context()))
	digest, err := c.PushArtifact(t.Context(), "dev/x/app", "v1", client.Module(client.BytesBlob("", []byte("layer"))))
	require.NoError(t, err)
	require.Equal(t, 1, d.count("repository:dev/x/app:pull"))
	require.Equal(t, 1, d.count("repository:dev/x/app:pull,push"))
	for range 3 {
		_, err = c.PullManifest(t.Context(), "dev/x/app", digest.String())
		require.NoError(t, err)
	}
	require.Equal(t, 1, d.count("repository:dev/x/app:pull"), "a token is used until it is old")

	// One that is not good any more is replaced, once.
	d.mu.Lock()
	d.issued["shop repository:dev/x/app:pull"] += 10
	d.mu.Unlock()
	_, err = c.PullManifest(t.Context(), "dev/x/app", "v1")
	require.NoError(t, err)
	require.Equal(t, 12, d.count("repository:dev/x/app:pull"))

	d.mu.Lock()
	d.fail, d.issued = fmt.Errorf("%w: not you", client.ErrDenied), map[string]int{}
	d.mu.Unlock()
	_, err = c.PullManifest(t.Context(), "dev/x/app", "v1")
	require.ErrorIs(t, err, client.ErrDenied)
	require.ErrorContains(t, err, "not you")

	// A desk that is away for a moment is asked again.
	patient, err := client.New(srv.URL, client.WithTokens(d), client.WithRetry(3, time.Millisecond))
	require.NoError(t, err)
	d.mu.Lock()
	d.fail, d.fails = errors.New("away"), 2
	d.mu.Unlock()
	_, err = patient.PullManifest(t.Context(), "dev/x/app", "v1")
	require.NoError(t, err)
}

func TestTokensAreRenewed(t *testing.T) {
	d := &desk{issued: map[string]int{}}
	_, srv := serve(t, d.guarded)
	c, err := client.New(srv.URL, client.WithTokens(d), client.WithRetry(1, 0))
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, c.Ping(t.Context()))
	}
	require.Equal(t, 3, d.count(""), "one without a life is never used twice")
}

// A registry that sends elsewhere gets the request there, without the token.
func TestTokensStayWithTheirRegistry(t *testing.T) {
	var shown []string
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		shown = append(shown, req.Header.Get("Authorization"))
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(storage.Close)
	d := &desk{issued: map[string]int{}, life: time.Hour}
	_, srv := serve(t, func(http.Handler) http.Handler {
		return d.guarded(http.RedirectHandler(storage.URL+"/x", http.StatusTemporaryRedirect))
	})
	c, err := client.New(srv.URL, client.WithTokens(d), client.WithRetry(1, 0))
	require.NoError(t, err)
	_, err = c.PullManifest(t.Context(), "dev/x/app", "v1")
	require.ErrorIs(t, err, client.ErrNotFound)
	require.Equal(t, []string{""}, shown)
}

func TestOwnedRepos(t *testing.T) {
	plain, err := client.New("http://x")
	require.NoError(t, err)
	owned, err := client.New("http://x", client.WithOwnedRepos())
	require.NoError(t, err)
	d := client.BytesBlob("", []byte("x")).Digest
	require.Equal(t, "images", plain.ContentRepo("fog1x", client.RepoImages, d))
	require.Equal(t, "dev/fog1x/images/"+d.Hex(), owned.ContentRepo("fog1x", client.RepoImages, d))
	require.Equal(t, "results/job1x", plain.SliceRepo("job1x", 2, 3))
	require.Equal(t, "results/job1x/s2-a3", owned.SliceRepo("job1x", 2, 3))
}

// A token is shown to the registry over TLS, or on this machine, and to nobody else: not to the same host without TLS either.
func TestTokensDoNotGoInTheClear(t *testing.T) {
	d := &desk{issued: map[string]int{}, life: time.Hour}
	for _, at := range []string{"http://registry.example", "http://192.0.2.1:5000", "http://[2001:db8::1]:5000"} {
		_, err := client.New(at, client.WithTokens(d))
		require.ErrorContains(t, err, "in the clear", at)
		_, err = client.New(at)
		require.NoError(t, err, "without tokens there is nothing to see")
	}
	for _, at := range []string{"https://registry.example", "http://127.0.0.1:5000", "http://localhost:5000", "http://[::1]:5000"} {
		_, err := client.New(at, client.WithTokens(d))
		require.NoError(t, err, at)
	}
	var plain []string
	web := &http.Client{Transport: carrier(func(req *http.Request) (*http.Response, error) {
		answer := httptest.NewRecorder()
		switch {
		case req.URL.Scheme == "http":
			plain = append(plain, req.Header.Get("Authorization"))
		case req.Header.Get("Authorization") == "":
			answer.Header().Set("WWW-Authenticate", `Bearer realm="https://x/token",service="shop"`)
			answer.Code = http.StatusUnauthorized
		default:
			answer.Header().Set("Location", "http://registry.example/v2/")
			answer.Code = http.StatusTemporaryRedirect
		}
		resp := answer.Result()
		resp.Request = req
		return resp, nil
	})}
	c, err := client.New("https://registry.example", client.WithHTTPClient(web), client.WithTokens(d), client.WithRetry(1, 0))
	require.NoError(t, err)
	require.NoError(t, c.Ping(t.Context()))
	require.Equal(t, []string{""}, plain)
}

// carrier answers requests without a network.
type carrier func(*http.Request) (*http.Response, error)

func (c carrier) RoundTrip(req *http.Request) (*http.Response, error) { return c(req) }
