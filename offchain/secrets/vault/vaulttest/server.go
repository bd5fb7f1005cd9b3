// Package vaulttest is a stand-in for Vault's HTTP API, for tests without one: what package vault and package setup ask of it, with tokens
// that end, leases, wrapping and policies. The same tests run against a real OpenBao or Vault where one is installed.
package vaulttest

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Root is the token that may do everything.
const Root = "root"

// Server is one Vault in this process. Engines are mounted and roles made through its API, as in a real one.
type Server struct {
	// URL is its address.
	URL string

	http *httptest.Server

	mu       sync.Mutex
	sealed   bool
	slow     chan struct{} // closed when requests may go on; nil: they are not held up
	tokens   map[string]*token
	wrapped  map[string]*wrapping
	leases   map[string]*lease
	engines  map[string]*engine
	auths    map[string]*engine
	policies map[string]string
	objects  map[string]map[string]any
	kv       map[string]*kvEntry
	transit  map[string]*transitKey
	pki      map[string]*authority
	secrets  map[string]string // secret id to role
	jwts     map[string]map[string]string
	logins   int
	counter  int
}

type engine struct {
	kind, description string
	options           map[string]string
	maxLease          int
}

// New starts one until the test ends.
func New(t testing.TB, withTLS bool) *Server {
	s := Start(withTLS)
	t.Cleanup(s.Close)
	return s
}

// Start starts one that is unsealed and empty; with TLS it asks clients for certificates.
func Start(withTLS bool) *Server {
	s := &Server{
		tokens: map[string]*token{Root: {policies: []string{Root}}}, wrapped: map[string]*wrapping{}, leases: map[string]*lease{},
		engines: map[string]*engine{}, auths: map[string]*engine{"token": {kind: "token"}}, policies: map[string]string{},
		objects: map[string]map[string]any{}, kv: map[string]*kvEntry{}, transit: map[string]*transitKey{}, pki: map[string]*authority{},
		secrets: map[string]string{}, jwts: map[string]map[string]string{},
	}
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	if withTLS {
		s.http.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
		s.http.StartTLS()
	} else {
		s.http.Start()
	}
	s.URL = s.http.URL
	return s
}

// Close ends it.
func (s *Server) Close() {
	s.Resume()
	s.http.Close()
}

// Certificate is that of a server with TLS.
func (s *Server) Certificate() []byte { return s.http.Certificate().Raw }

// Seal makes every request fail, as a sealed Vault does; Unseal ends that.
func (s *Server) Seal() { s.set(func() { s.sealed = true }) }

// Unseal ends Seal.
func (s *Server) Unseal() { s.set(func() { s.sealed = false }) }

// Stall leaves requests without an answer until Resume.
func (s *Server) Stall() { s.set(func() { s.slow = make(chan struct{}) }) }

// Resume ends Stall.
func (s *Server) Resume() {
	s.set(func() {
		if s.slow != nil {
			close(s.slow)
			s.slow = nil
		}
	})
}

// ForgetTokens makes all tokens but the root's void, and with them what was lent.
func (s *Server) ForgetTokens() {
	s.set(func() {
		for id := range s.tokens {
			if id != Root {
				s.forget(id)
			}
		}
	})
}

// Logins counts the successful ones.
func (s *Server) Logins() (n int) {
	s.set(func() { n = s.logins })
	return n
}

// Leases counts what is lent now.
func (s *Server) Leases() (n int) {
	s.set(func() {
		for _, l := range s.leases {
			if time.Now().Before(l.expires) {
				n++
			}
		}
	})
	return n
}

// AddJWT makes a text a valid workload identity with these claims.
func (s *Server) AddJWT(jwt string, claims map[string]string) { s.set(func() { s.jwts[jwt] = claims }) }

func (s *Server) set(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

// failure is an answer that is no success.
type failure struct {
	code int
	text string
}

func (f *failure) Error() string { return f.text }

func fail(code int, format string, args ...any) error {
	return &failure{code, fmt.Sprintf(format, args...)}
}

var errNotFound = &failure{code: http.StatusNotFound}

// request is one call, with the server locked.
type request struct {
	method, path string
	data         map[string]any
	token        string
	wrapTTL      string
	tls          *tls.ConnectionState
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	slow := s.slow
	s.mu.Unlock()
	if slow != nil {
		select {
		case <-slow:
		case <-r.Context().Done():
			return
		}
	}
	answer, err := s.handle(r)
	code := http.StatusOK
	var f *failure
	switch {
	case errors.As(err, &f):
		code, answer = f.code, map[string]any{"errors": []string{}}
		if f.text != "" {
			answer["errors"] = []string{f.text}
		}
	case err != nil:
		code, answer = http.StatusInternalServerError, map[string]any{"errors": []string{err.Error()}}
	case answer == nil:
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		panic(err) // the answers are made of what JSON has
	}
}

func (s *Server) handle(r *http.Request) (map[string]any, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	req := &request{
		method: r.Method, path: strings.TrimPrefix(r.URL.Path, "/v1/"), data: map[string]any{}, token: r.Header.Get("X-Vault-Token"),
		wrapTTL: r.Header.Get("X-Vault-Wrap-TTL"), tls: r.TLS,
	}
	switch {
	case req.method == http.MethodPost:
		req.method = http.MethodPut
	case req.method == http.MethodGet && r.URL.Query().Get("list") == "true":
		req.method = "LIST"
	}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &req.data); err != nil {
			return nil, fail(http.StatusBadRequest, "%v", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sealed {
		return nil, fail(http.StatusServiceUnavailable, "Vault is sealed")
	}
	s.sweep()
	if !s.open(req) {
		if err := s.allowed(req); err != nil {
			return nil, err
		}
	}
	answer, err := s.route(req)
	if err == nil && req.wrapTTL != "" && answer != nil {
		answer = s.wrap(req, answer)
	}
	return answer, err
}

// open tells what needs no token.
func (s *Server) open(r *request) bool {
	return strings.HasPrefix(r.path, "auth/") && strings.HasSuffix(r.path, "/login") || r.path == "sys/wrapping/unwrap" || r.path == "sys/wrapping/lookup" ||
		strings.HasSuffix(r.path, "/cert/ca") || strings.HasSuffix(r.path, "/cert/crl")
}

func (s *Server) fresh(kind string) string {
	s.counter++
	return fmt.Sprintf("%s-%d", kind, s.counter)
}

func (s *Server) route(r *request) (map[string]any, error) {
	switch {
	case strings.HasPrefix(r.path, "sys/"):
		return s.sys(r, strings.TrimPrefix(r.path, "sys/"))
	case strings.HasPrefix(r.path, "auth/token/"):
		return s.tokenSelf(r, strings.TrimPrefix(r.path, "auth/token/"))
	case strings.HasPrefix(r.path, "auth/"):
		return s.auth(r)
	}
	for at, e := range s.engines {
		rest, ok := strings.CutPrefix(r.path, at+"/")
		if !ok {
			continue
		}
		switch e.kind {
		case "kv":
			return s.kvCall(r, at, rest)
		case "transit":
			return s.transitCall(r, at, rest)
		case "pki":
			return s.pkiCall(r, at, rest)
		default:
			return s.lendCall(r, e.kind, rest)
		}
	}
	return nil, fail(http.StatusNotFound, "no handler for route %q", r.path)
}

// object stores and returns what is written to a path; what is not written again stays. Secret fields are never returned, and the database
// engine returns the fields of a connection in a map of their own.
func (s *Server) object(r *request) (map[string]any, error) {
	data, ok := s.objects[r.path]
	if r.method == http.MethodGet {
		if !ok {
			return nil, errNotFound
		}
		return map[string]any{"data": data}, nil
	}
	if !ok {
		data = map[string]any{}
		s.objects[r.path] = data
	}
	delete(r.data, "password")
	delete(r.data, "token")
	if url, ok := r.data["connection_url"]; ok {
		r.data = map[string]any{"plugin_name": r.data["plugin_name"], "allowed_roles": r.data["allowed_roles"], "connection_details": map[string]any{
			"connection_url": url, "username": r.data["username"],
		}}
	}
	maps.Copy(data, r.data)
	return nil, nil
}
