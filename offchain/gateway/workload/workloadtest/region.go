// Package workloadtest stands for the servers of a Nomad region that sign workload identities.
package workloadtest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"
)

// Claims are what Nomad says of a task.
type Claims struct {
	jwt.Claims
	Namespace  string `json:"nomad_namespace,omitempty"`
	Job        string `json:"nomad_job_id,omitempty"`
	Task       string `json:"nomad_task,omitempty"`
	Allocation string `json:"nomad_allocation_id,omitempty"`
}

// Region publishes its keys at URL, below the path that Nomad has for them.
type Region struct {
	Name, URL string

	t       testing.TB
	mu      sync.Mutex
	serial  int
	keys    []jose.JSONWebKey
	down    bool
	fetched int
}

// New makes a region with one key, which ends with the test.
func New(t testing.TB, name string) *Region {
	t.Helper()
	r := &Region{Name: name, t: t}
	r.Rotate(false)
	server := httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

// Rotate signs with a new key from now on; with forget the ones before are not published any more.
func (r *Region) Rotate(forget bool) {
	r.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(r.t, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if forget {
		r.keys = nil
	}
	r.serial++
	r.keys = append(r.keys, jose.JSONWebKey{Key: key, KeyID: fmt.Sprintf("key-%d", r.serial), Algorithm: string(jose.RS256), Use: "sig"})
}

// Down keeps the keys back, or publishes them again.
func (r *Region) Down(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
}

// Fetched is how often the keys were asked for.
func (r *Region) Fetched() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fetched
}

func (r *Region) serve(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fetched++
	if r.down || req.URL.Path != "/.well-known/jwks.json" {
		http.Error(w, "not now", http.StatusInternalServerError)
		return
	}
	var set jose.JSONWebKeySet
	for _, k := range r.keys {
		set.Keys = append(set.Keys, k.Public())
	}
	json.NewEncoder(w).Encode(set) //nolint:errcheck // the other side is gone
}

// Of are the claims of a task, good for a quarter of an hour.
func (r *Region) Of(namespace, job, task, allocation string, now time.Time) Claims {
	return Claims{
		Claims: jwt.Claims{
			Subject:  fmt.Sprintf("%s:%s:%s:slice:%s:fog", r.Name, namespace, job, task),
			Audience: jwt.Audience{"fog"}, IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(15 * time.Minute)),
		},
		Namespace: namespace, Job: job, Task: task, Allocation: allocation,
	}
}

// Sign signs claims with the newest key.
func (r *Region) Sign(c Claims) string {
	r.t.Helper()
	r.mu.Lock()
	newest := r.keys[len(r.keys)-1]
	r.mu.Unlock()
	return r.SignWith(c, jose.RS256, newest.Key, newest.KeyID)
}

// SignWith signs claims with any key, under any name.
func (r *Region) SignWith(c Claims, alg jose.SignatureAlgorithm, key any, id string) string {
	r.t.Helper()
	by, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", id))
	require.NoError(r.t, err)
	text, err := jwt.Signed(by).Claims(c).Serialize()
	require.NoError(r.t, err)
	return text
}

// Public is the newest key's public half, as whoever attacks knows it.
func (r *Region) Public() (crypto.PublicKey, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	newest := r.keys[len(r.keys)-1]
	return newest.Public().Key, newest.KeyID
}
