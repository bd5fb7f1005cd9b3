package gateway

import (
	"context"
	"crypto/x509"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/secrets"
	"github.com/foggrid/fogd/offchain/secrets/file"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// watched is an authority that counts how often its list is read, and can hold an answer back.
type watched struct {
	*file.Store
	reads atomic.Int32
	hold  atomic.Pointer[func()]
}

func (a *watched) Trust(ctx context.Context) (secrets.Trust, error) {
	trust, err := a.Store.Trust(ctx)
	a.reads.Add(1)
	if hold := a.hold.Swap(nil); hold != nil {
		(*hold)()
	}
	return trust, err
}

func newWatched(t *testing.T) (*watched, *enrolling) {
	t.Helper()
	a := &watched{Store: authority(t)}
	e := &enrolling{authority: a.Store, blocks: blocks{make(chan chain.Block)}}
	e.world = newWorld(t, func(c *Config) { c.Authority, c.Blocks = a, e.blocks })
	return a, e
}

// barring is an authority during whose signature a node is barred.
type barring struct {
	*file.Store
	bar func()
}

func (a *barring) Issue(ctx context.Context, r secrets.CertificateRequest) ([]*x509.Certificate, error) {
	issued, err := a.Store.Issue(ctx, r)
	a.bar()
	return issued, err
}

// A node that is jailed while its certificate is signed does not get it, and it is on the list.
func TestBarredWhileItEnrols(t *testing.T) {
	a := &barring{Store: authority(t)}
	e := &enrolling{authority: a.Store, blocks: blocks{make(chan chain.Block)}}
	e.world = newWorld(t, func(c *Config) { c.Authority, c.Blocks = a, e.blocks })
	a.bar = func() { e.setStatus(nodestypes.NODE_STATUS_JAILED) }
	status, body := e.ask(e.challenge(map[string]string{"node": e.nodeID}), e.nodeKey)
	require.Equal(t, http.StatusForbidden, status, string(body))
	_, list := e.trust()
	require.Len(t, list.RevokedCertificateEntries, 1)

	// And one that was before is not signed anything.
	a.bar = func() { t.Error("signed") }
	status, _ = e.ask(e.challenge(map[string]string{"node": e.nodeID}), e.nodeKey)
	require.Equal(t, http.StatusForbidden, status)
}

// Signing the list takes the authority's key, which costs far more than to ask for it: strangers who do so get the one that there is.
func TestTrustCostsStrangersMoreThanTheGateway(t *testing.T) {
	a, e := newWatched(t)
	for range 50 {
		status, _ := e.get("", "/v1/trust")
		require.Equal(t, http.StatusOK, status)
	}
	require.Less(t, a.reads.Load(), int32(10))
}

// A list that was read before a revocation, and is slow to come, does not take the place of the one with it.
func TestSlowListDoesNotUndoARevocation(t *testing.T) {
	a, e := newWatched(t)
	certs := e.enrol()
	e.setStatus(nodestypes.NODE_STATUS_JAILED)
	held, release := make(chan struct{}), make(chan struct{})
	wait := func() { close(held); <-release }
	a.hold.Store(&wait)
	var both sync.WaitGroup
	both.Go(func() { require.NoError(t, e.server.certificates.refresh(t.Context())) })
	<-held
	revoked := make(chan struct{})
	both.Go(func() {
		defer close(revoked)
		require.NoError(t, e.server.certificates.revoke(t.Context(), e.nodeID))
	})
	select { // time for one that does not wait to be done
	case <-revoked:
	case <-time.After(500 * time.Millisecond):
	}
	close(release)
	both.Wait()
	_, err := e.server.verifier.Identity(certs)
	require.ErrorContains(t, err, "revoked")
}
