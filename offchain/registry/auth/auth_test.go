package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/registry"
	"github.com/foggrid/fogd/offchain/registry/auth"
)

const (
	issuer  = "gateway"
	service = "registry.example"
	realm   = "http://gateway.example/registry/token"
)

type world struct {
	dir      string
	now      time.Time
	issuer   *auth.Issuer
	verifier *auth.Verifier
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), now: time.Unix(1_700_000_000, 0)}
	w.issuer, w.verifier = w.open(t, service)
	return w
}

func (w *world) open(t testing.TB, service string) (*auth.Issuer, *auth.Verifier) {
	t.Helper()
	clock := func() time.Time { return w.now }
	i, err := auth.OpenIssuer(w.dir, issuer, service, clock)
	require.NoError(t, err)
	v, err := auth.NewVerifier(i.Certificate(), issuer, service, clock)
	require.NoError(t, err)
	return i, v
}

func (w *world) token(t testing.TB, digestOnly bool, scopes ...string) string {
	t.Helper()
	access, err := auth.ParseScopes(scopes)
	require.NoError(t, err)
	text, claims, err := w.issuer.Issue("fog1x", access, digestOnly, time.Time{})
	require.NoError(t, err)
	require.EqualValues(t, auth.Life/time.Second, claims.Expires-claims.Issued)
	return text
}

func TestVerify(t *testing.T) {
	w := newWorld(t)
	text := w.token(t, true, "repository:dev/x/app:pull,push")
	claims, err := w.verifier.Verify(text)
	require.NoError(t, err)
	require.Equal(t, []auth.Access{{Type: "repository", Name: "dev/x/app", Actions: []string{"pull", "push"}}}, claims.Access)
	require.True(t, claims.DigestOnly)

	// The key is kept; a token outlives a restart of its issuer.
	_, again := w.open(t, service)
	_, err = again.Verify(text)
	require.NoError(t, err)
	info, err := os.Stat(filepath.Join(w.dir, "token-key.pem"))
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())

	_, otherService := w.open(t, "other")
	_, err = otherService.Verify(text)
	require.ErrorContains(t, err, "for another service")
	otherName, err := auth.NewVerifier(w.issuer.Certificate(), "other", service, func() time.Time { return w.now })
	require.NoError(t, err)
	_, err = otherName.Verify(text)
	require.ErrorContains(t, err, "of another issuer")

	w.now = w.now.Add(auth.Life - time.Second)
	_, err = w.verifier.Verify(text)
	require.NoError(t, err)
	w.now = w.now.Add(time.Second)
	_, err = w.verifier.Verify(text)
	require.ErrorContains(t, err, "expired")
	w.now = w.now.Add(-auth.Life - time.Minute)
	_, err = w.verifier.Verify(text)
	require.ErrorContains(t, err, "not valid yet")
}

// No header of a token is believed, and no other algorithm taken.
func TestVerifyRefusesForgeries(t *testing.T) {
	w := newWorld(t)
	text := w.token(t, false, "repository:dev/x/app:pull")
	parts := strings.Split(text, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	forge := func(alg jose.SignatureAlgorithm, key any, options *jose.SignerOptions) string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
		require.NoError(t, err)
		signed, err := signer.Sign(payload)
		require.NoError(t, err)
		out, err := signed.CompactSerialize()
		require.NoError(t, err)
		return out
	}
	foreign, err := auth.OpenIssuer(t.TempDir(), issuer, service, func() time.Time { return w.now })
	require.NoError(t, err)
	foreignText, _, err := foreign.Issue("fog1x", nil, false, time.Time{})
	require.NoError(t, err)
	wider := strings.Replace(string(payload), `"pull"`, `"push"`, 1)
	for name, bad := range map[string]string{
		"empty": "", "no token": "a.b.c", "cut": text[:len(text)-4],
		"none":              base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
		"other payload":     parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(wider)) + "." + parts[2],
		"own key in header": forge(jose.ES256, key, &jose.SignerOptions{EmbedJWK: true}),
		"own certificate":   foreignText,
		"HMAC with the key": forge(jose.HS256, w.issuer.Certificate().RawSubjectPublicKeyInfo, nil),
		"too long":          text + strings.Repeat("a", 40<<10),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.verifier.Verify(bad)
			require.ErrorIs(t, err, auth.ErrToken)
		})
	}
}

func TestIssueEndsEarlier(t *testing.T) {
	w := newWorld(t)
	for end, want := range map[time.Time]time.Duration{
		w.now.Add(time.Minute): time.Minute, w.now.Add(time.Hour): auth.Life, {}: auth.Life,
	} {
		_, claims, err := w.issuer.Issue("fog1x", nil, false, end)
		require.NoError(t, err)
		require.EqualValues(t, want/time.Second, claims.Expires-w.now.Unix())
	}
}

func TestParseScopes(t *testing.T) {
	got, err := auth.ParseScopes([]string{"repository:a/b:pull,push repository:c:pull", "repository:a/b:push,delete,*,fly", "registry:catalog:*"})
	require.NoError(t, err)
	require.Equal(t, []auth.Access{
		{Type: "repository", Name: "a/b", Actions: []string{"pull", "push", "delete"}}, {Type: "repository", Name: "c", Actions: []string{"pull"}},
	}, got)
	for _, bad := range []string{
		"x", "repository:a", "repository:../a:pull", "repository:a/../b:pull", "repository:A:pull", "repository::pull", "repository:a:b:pull",
		"repository:/a:pull", "repository:a//b:pull", "repository:a%2fb:pull", "repository:" + strings.Repeat("a", 300) + ":pull",
	} {
		_, err := auth.ParseScopes([]string{bad})
		require.Error(t, err, bad)
	}
	_, err = auth.ParseScopes([]string{manyScopes()})
	require.ErrorContains(t, err, "ask for fewer")
}

func manyScopes() string {
	var b strings.Builder
	for i := range 40 {
		b.WriteString(" repository:a" + strings.Repeat("b", i) + ":pull")
	}
	return b.String()
}

// Every route of the registry needs a token for what it does, and for nothing less.
func TestGuardedRegistry(t *testing.T) {
	w := newWorld(t)
	r, err := registry.Open(t.TempDir(), registry.Options{Guard: auth.NewGuard(w.verifier, realm)})
	require.NoError(t, err)
	srv := httptest.NewServer(r)
	t.Cleanup(func() {
		srv.Close()
		require.NoError(t, r.Close())
	})
	digest := "sha256:" + strings.Repeat("a", 64)
	pull, push := "repository:dev/x/app:pull", "repository:dev/x/app:push"
	for _, c := range []struct {
		method, path, scope string
		code                int // with a token of the scope
		asks                string
	}{
		{"GET", "/v2/", "", 200, ""},
		{"GET", "/v2/dev/x/app/tags/list", pull, 404, pull},
		{"GET", "/v2/dev/x/app/manifests/v1", pull, 404, pull},
		{"GET", "/v2/dev/x/app/blobs/" + digest, pull, 404, pull},
		{"GET", "/v2/dev/x/app/referrers/" + digest, pull, 200, pull},
		{"PUT", "/v2/dev/x/app/manifests/v1", push, 400, "repository:dev/x/app:pull,push"},
		{"DELETE", "/v2/dev/x/app/manifests/v1", "repository:dev/x/app:delete", 404, "repository:dev/x/app:delete"},
		{"DELETE", "/v2/dev/x/app/blobs/" + digest, "repository:dev/x/app:delete", 404, "repository:dev/x/app:delete"},
		{"POST", "/v2/dev/x/app/blobs/uploads/", push, 202, "repository:dev/x/app:pull,push"},
		{"PATCH", "/v2/dev/x/app/blobs/uploads/x", push, 404, "repository:dev/x/app:pull,push"},
		{"GET", "/v2/dev/x/app/blobs/uploads/x", push, 404, "repository:dev/x/app:pull,push"},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			status, challenge := send(t, c.method, srv.URL+c.path, "")
			require.Equal(t, http.StatusUnauthorized, status)
			want := `Bearer realm="` + realm + `",service="` + service + `"`
			if c.asks != "" {
				want += `,scope="` + c.asks + `"`
			}
			require.Equal(t, want, challenge)
			status, _ = send(t, c.method, srv.URL+c.path, w.token(t, false, c.scope))
			require.Equal(t, c.code, status)
			if c.scope == "" {
				return
			}
			for _, less := range []string{"", "repository:dev/y/app:pull,push,delete", "repository:dev/x/app2:pull,push,delete", "repository:dev/x:pull,push,delete"} {
				status, challenge = send(t, c.method, srv.URL+c.path, w.token(t, false, less))
				require.Equal(t, http.StatusUnauthorized, status, less)
				require.Contains(t, challenge, `error="insufficient_scope"`)
			}
		})
	}
	byDigest := w.token(t, true, pull)
	for path, want := range map[string]int{
		"/v2/dev/x/app/tags/list": 403, "/v2/dev/x/app/manifests/v1": 403, "/v2/dev/x/app/manifests/" + digest: 404, "/v2/dev/x/app/blobs/" + digest: 404,
		"/v2/dev/x/../y/blobs/" + digest: 400, "/v2/dev%2f..%2fx/app/manifests/v1": 400,
	} {
		status, _ := send(t, "GET", srv.URL+path, byDigest)
		require.Equal(t, want, status, path)
	}
}

// A layer of a repository that the token does not open is not mounted out of it.
func TestMountNeedsPull(t *testing.T) {
	w := newWorld(t)
	r, err := registry.Open(t.TempDir(), registry.Options{Guard: auth.NewGuard(w.verifier, realm)})
	require.NoError(t, err)
	srv := httptest.NewServer(r)
	t.Cleanup(func() {
		srv.Close()
		require.NoError(t, r.Close())
	})
	const d = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // of "hello"
	secret := w.token(t, false, "repository:dev/y/secret:push")
	req, err := http.NewRequest("POST", srv.URL+"/v2/dev/y/secret/blobs/uploads/?digest="+d, strings.NewReader("hello"))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+secret)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusCreated, resp.StatusCode)

	mount := srv.URL + "/v2/dev/x/app/blobs/uploads/?mount=" + d + "&from=dev/y/secret"
	status, _ := send(t, "POST", mount, w.token(t, false, "repository:dev/x/app:pull,push"))
	require.Equal(t, http.StatusAccepted, status) // an upload, as if the layer was not there
	status, _ = send(t, "GET", srv.URL+"/v2/dev/x/app/blobs/"+d, w.token(t, false, "repository:dev/x/app:pull"))
	require.Equal(t, http.StatusNotFound, status)
	status, _ = send(t, "POST", mount, w.token(t, false, "repository:dev/x/app:pull,push repository:dev/y/secret:pull"))
	require.Equal(t, http.StatusCreated, status)
}

func send(t *testing.T, method, url, token string) (status int, challenge string) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	require.NoError(t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	if resp.StatusCode >= 400 && method != http.MethodHead {
		var body struct{ Errors []json.RawMessage }
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&body))
		require.Len(t, body.Errors, 1)
	}
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode, resp.Header.Get("WWW-Authenticate")
}

func FuzzVerify(f *testing.F) {
	w := newWorld(f)
	f.Add(w.token(f, false, "repository:a:pull"))
	f.Add("a.b.c")
	good := w.token(f, false)
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := w.verifier.Verify(text); err == nil && !strings.HasPrefix(text, strings.Split(good, ".")[0]) {
			t.Fatal("a token out of nowhere is accepted")
		}
	})
}

func FuzzParseScopes(f *testing.F) {
	f.Add("repository:a/b:pull,push registry:catalog:*")
	f.Fuzz(func(t *testing.T, text string) {
		access, err := auth.ParseScopes([]string{text})
		for _, a := range access {
			if err == nil && (strings.Contains(a.Name, "..") || strings.HasPrefix(a.Name, "/") || a.Type != auth.TypeRepository) {
				t.Fatalf("%+v", a)
			}
		}
	})
}

// The key opens the whole registry, so it is not used if others can read it.
func TestKeyIsTheOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	_, err := auth.OpenIssuer(dir, issuer, service, time.Now)
	require.NoError(t, err)
	require.NoError(t, os.Chmod(filepath.Join(dir, "token-key.pem"), 0o640))
	_, err = auth.OpenIssuer(dir, issuer, service, time.Now)
	require.ErrorContains(t, err, "chmod 0600")
}
