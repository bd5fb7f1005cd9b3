package gateway

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

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

// A limiter whose memory is full makes room for many at once: whoever has as many addresses must not have it look through all of them at each request.
func TestFullLimiterMakesRoom(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	l := newLimiter(Rate{1, 10}, func() time.Time { return now })
	l.take("long ago")
	now = now.Add(time.Hour)
	for i := range maxBuckets - 1 {
		l.take(strconv.Itoa(i))
	}
	require.Len(t, l.buckets, maxBuckets)
	l.take("one more")
	require.Less(t, len(l.buckets), maxBuckets/4*3+2)
}

// Answered challenges are remembered until they expire, so no more are answered than logins are allowed.
func TestAnsweredChallengesAreLimited(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.PerIssue = Rate{0.001, 5} })
	counts := map[int]int{}
	for range 20 {
		status, _, _ := w.send("", "POST", "/v1/login", w.answer(w.alice, w.challenge(map[string]string{"address": w.alice.address})))
		counts[status]++
	}
	require.Equal(t, map[int]int{http.StatusCreated: 5, http.StatusTooManyRequests: 15}, counts)
	require.Len(t, w.server.challenges.used, 5)
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
