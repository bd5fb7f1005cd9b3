package nomad_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
)

// gate stands before a Nomad and lets in who has the valid token.
type gate struct {
	mu      sync.Mutex
	valid   map[string]bool
	present string
	refused int
}

func (g *gate) set(do func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	do()
}

func (g *gate) token() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.present
}

func (g *gate) admit(r *http.Request) (ok bool) {
	g.set(func() {
		if ok = g.valid[r.Header.Get("X-Nomad-Token")]; !ok {
			g.refused++
		}
	})
	return ok
}

// TestTokenIsReplaced: the token is replaced and the old one revoked, streams with it, while an attempt runs; the watch goes on to its end.
func TestTokenIsReplaced(t *testing.T) {
	g := &gate{valid: map[string]bool{"first": true}, present: "first"}
	s := newScene(t, func(o *nomad.Options) {
		target, err := url.Parse(o.Regions[0].Address)
		require.NoError(t, err)
		behind := httputil.NewSingleHostReverseProxy(target)
		behind.FlushInterval = -1
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !g.admit(r) {
				http.Error(w, "ACL token not found", http.StatusForbidden)
				return
			}
			behind.ServeHTTP(w, r)
		}))
		t.Cleanup(func() {
			front.CloseClientConnections()
			front.Close()
		})
		o.Regions[0].Address, o.Regions[0].TokenSource = front.URL, g.token
	})
	a := s.start(t, 2)
	s.running(t, 2)
	watched := make(chan dispatch.Outcome, 1)
	go func() { watched <- watch(t, s.d, a) }()

	g.set(func() { g.present, g.valid = "second", map[string]bool{"second": true} })
	s.server.CutStreams() // as Nomad does with those of a revoked token
	s.release(t, a)
	out := <-watched
	for _, task := range out.Tasks {
		require.Equal(t, dispatch.ReasonOK, task.Reason, task.Message)
	}
	require.Equal(t, 1, s.server.Registrations())
	g.set(func() { require.Zero(t, g.refused, "no request went out with the revoked token") })
}
