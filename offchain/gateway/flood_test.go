package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Those who show no token fill the audit log no more than those who show wrong ones.
func TestStrangersDoNotFillTheLog(t *testing.T) {
	w := newWorld(t)
	session := w.login(w.alice)
	before := w.server.audit.Head().Seq
	counts := map[int]int{}
	for range 100 {
		status, _ := w.get("", "/v1/nodes")
		counts[status]++
	}
	require.Equal(t, map[int]int{http.StatusUnauthorized: 20, http.StatusTooManyRequests: 80}, counts)
	require.EqualValues(t, 20, w.server.audit.Head().Seq-before)
	status, _ := w.get(session, "/v1/nodes")
	require.Equal(t, http.StatusOK, status)
}

// Each repository of a request for a registry token is decided and recorded, and counts as a request.
func TestScopesCountAsRequests(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.PerToken = Rate{1, 40} })
	alice := w.login(w.alice)
	var scopes strings.Builder
	for i := range 32 {
		fmt.Fprintf(&scopes, "&scope=repository:dev/%s/%d:pull,push,delete", w.alice.address, i)
	}
	ask := func() int {
		status, _ := w.get(alice, tokenPath+"?service="+w.server.cfg.RegistryService+scopes.String())
		return status
	}
	require.Equal(t, http.StatusOK, ask())
	before := w.server.audit.Head().Seq
	require.Equal(t, http.StatusTooManyRequests, ask())
	require.Equal(t, before, w.server.audit.Head().Seq)
}
