package gateway

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/secrets"
	"github.com/foggrid/fogd/offchain/secrets/file"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// blocks are given by the test.
type blocks struct{ next chan chain.Block }

func (blocks) Height(context.Context) (int64, error) { return 1, nil }

func (b blocks) Follow(ctx context.Context, _ int64, deliver func(context.Context, chain.Block) error) error {
	for {
		select {
		case block := <-b.next:
			if err := deliver(ctx, block); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func authority(t testing.TB) *file.Store {
	t.Helper()
	s, err := file.Open(t.TempDir()+"/secrets", file.Test, nil)
	require.NoError(t, err)
	return s
}

// enrolling is a gateway with an authority and a door for machines.
type enrolling struct {
	*world
	authority *file.Store
	blocks    blocks
	machines  string
	door      net.Addr
}

func newEnrolling(t testing.TB, change ...func(*Config)) *enrolling {
	t.Helper()
	e := &enrolling{authority: authority(t), blocks: blocks{make(chan chain.Block)}}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	e.machines, e.door = "https://"+lis.Addr().String(), lis.Addr()
	e.world = newWorld(t, func(c *Config) {
		c.Authority, c.Blocks = e.authority, e.blocks
		c.Machines = Machines{URL: e.machines, Identity: "fog://gateway/test"}
		for _, f := range change {
			f(c)
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.server.ServeMachines(ctx, lis) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
	return e
}

// ask sends a request of a key for the world's node.
func (e *enrolling) ask(challenge string, key ed25519.PrivateKey) (int, []byte) {
	e.t.Helper()
	csr, err := secrets.NewEnrolment(key, EnrolmentNonce(challenge))
	require.NoError(e.t, err)
	status, _, body := e.send("", "POST", "/v1/enrol", EnrolRequest{challenge, csr})
	return status, body
}

func (e *enrolling) enrol() []*x509.Certificate {
	e.t.Helper()
	status, body := e.ask(e.challenge(map[string]string{"node": e.nodeID}), e.nodeKey)
	require.Equal(e.t, http.StatusCreated, status, string(body))
	var out Enrolled
	require.NoError(e.t, json.Unmarshal(body, &out))
	require.Equal(e.t, "fog://node/"+e.nodeID, out.Identity)
	certs, err := mtls.ParsePEM([]byte(out.Certificate))
	require.NoError(e.t, err)
	return certs
}

func (e *enrolling) trust() (roots *x509.CertPool, list *x509.RevocationList) {
	e.t.Helper()
	status, body := e.get("", "/v1/trust")
	require.Equal(e.t, http.StatusOK, status)
	var out TrustList
	require.NoError(e.t, json.Unmarshal(body, &out))
	certs, err := mtls.ParsePEM([]byte(out.Roots))
	require.NoError(e.t, err)
	block, _ := pem.Decode([]byte(out.Revoked))
	require.NotNil(e.t, block)
	list, err = x509.ParseRevocationList(block.Bytes)
	require.NoError(e.t, err)
	require.NoError(e.t, list.CheckSignatureFrom(certs[0]))
	roots = x509.NewCertPool()
	roots.AddCert(certs[0])
	return roots, list
}

// machine is a client at the machines' door.
func (e *enrolling) machine(pair *tls.Certificate, change ...func(*tls.Config)) *http.Client {
	roots, _ := e.trust()
	holder := &mtls.Holder{}
	if pair != nil {
		holder.Set(*pair)
	}
	cfg := holder.Client(roots)
	for _, c := range change {
		c(cfg)
	}
	transport := &http.Transport{TLSClientConfig: cfg}
	e.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (e *enrolling) call(c *http.Client, token, path string) (int, string, error) {
	req, err := http.NewRequest(http.MethodGet, e.machines+path, nil)
	require.NoError(e.t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), errors.Join(err, resp.Body.Close())
}

func (w *world) setStatus(s nodestypes.NodeStatus) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nodeStatus = s
}

func TestEnrol(t *testing.T) {
	e := newEnrolling(t)
	certs := e.enrol()
	roots, list := e.trust()
	require.Empty(t, list.RevokedCertificateEntries)
	_, err := certs[0].Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	require.NoError(t, err)
	require.Equal(t, e.nodeKey.Public(), certs[0].PublicKey, "the key on chain")
	require.LessOrEqual(t, certs[0].NotAfter.Sub(certs[0].NotBefore), 24*time.Hour+10*time.Minute)

	pair := mtls.Pair(certs, e.nodeKey)
	machine := e.machine(&pair)
	status, body, err := e.call(machine, e.nodeLogin(), "/v1/whoami")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status, body)

	// At the machines' door the node logs in for that door, whose name its client compares.
	post := func(path string, in, out any) {
		raw, err := json.Marshal(in)
		require.NoError(t, err)
		resp, err := machine.Post(e.machines+path, "application/json", bytes.NewReader(raw))
		require.NoError(t, err)
		require.NoError(t, json.NewDecoder(resp.Body).Decode(out))
		require.NoError(t, resp.Body.Close())
		require.Less(t, resp.StatusCode, 300)
	}
	var challenge Challenge
	post("/v1/login/challenge", map[string]string{"node": e.nodeID}, &challenge)
	domain, err := ChallengeDomain(challenge.Challenge)
	require.NoError(t, err)
	require.Equal(t, e.machines, "https://"+domain)
	var issued Issued
	post("/v1/login", LoginRequest{Challenge: challenge.Challenge, Signature: ed25519.Sign(e.nodeKey, NodeSigningBytes(challenge.Challenge))}, &issued)
	require.Equal(t, e.nodeID, issued.Token.Node)
}

func TestEnrolRefuses(t *testing.T) {
	e := newEnrolling(t)
	_, stranger, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	challenge := e.challenge(map[string]string{"node": e.nodeID})
	status, body := e.ask(challenge, stranger)
	require.Equal(t, http.StatusUnauthorized, status, "another key: %s", body)
	require.Contains(t, string(body), "not by the key of this node")

	other := nodestypes.NodeID([]byte("nobody"), "salt").Bech32(nodestypes.NodeHRP)
	status, _ = e.ask(e.challenge(map[string]string{"node": other}), e.nodeKey)
	require.Equal(t, http.StatusUnauthorized, status, "another node")
	status, _ = e.ask(e.challenge(map[string]string{"address": e.alice.address}), e.nodeKey)
	require.Equal(t, http.StatusUnauthorized, status, "a wallet is no node")
	status, _ = e.ask(challenge+"x", e.nodeKey)
	require.Equal(t, http.StatusUnauthorized, status, "not the gateway's challenge")

	csr, err := secrets.NewEnrolment(e.nodeKey, EnrolmentNonce(e.challenge(map[string]string{"node": e.nodeID})))
	require.NoError(t, err)
	status, _, body = e.send("", "POST", "/v1/enrol", EnrolRequest{challenge, csr})
	require.Equal(t, http.StatusUnauthorized, status, "the answer to another challenge: %s", body)

	status, _ = e.ask(challenge, e.nodeKey)
	require.Equal(t, http.StatusCreated, status)
	status, body = e.ask(challenge, e.nodeKey)
	require.Equal(t, http.StatusUnauthorized, status, "twice: %s", body)
	status, _, _ = e.send("", "POST", "/v1/login", LoginRequest{Challenge: challenge, Signature: ed25519.Sign(e.nodeKey, NodeSigningBytes(challenge))})
	require.Equal(t, http.StatusUnauthorized, status, "nor as a login")

	for _, s := range []nodestypes.NodeStatus{nodestypes.NODE_STATUS_JAILED, nodestypes.NODE_STATUS_RETIRED, nodestypes.NODE_STATUS_REFUSED} {
		e.setStatus(s)
		status, body = e.ask(e.challenge(map[string]string{"node": e.nodeID}), e.nodeKey)
		require.Equal(t, http.StatusForbidden, status, "%s: %s", s, body)
	}
	w := newWorld(t)
	status, _, body = w.send("", "POST", "/v1/enrol", EnrolRequest{})
	require.Equal(t, http.StatusNotFound, status, string(body))
}

// A node that is jailed is out with its next request, on the connection that it has too, and on the list for proxies.
func TestRevokedWithTheBlock(t *testing.T) {
	e := newEnrolling(t)
	first, second := e.enrol(), e.enrol()
	pair := mtls.Pair(first, e.nodeKey)
	open := e.machine(&pair)
	token := e.nodeLogin()
	status, _, err := e.call(open, token, "/v1/whoami")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)

	bystander, err := sdk.TypedEventToEvent(&nodestypes.EventNodeStatusChanged{NodeId: "node1x", To: nodestypes.NODE_STATUS_JAILED})
	require.NoError(t, err)
	drained, err := sdk.TypedEventToEvent(&nodestypes.EventNodeStatusChanged{NodeId: e.nodeID, To: nodestypes.NODE_STATUS_DRAINING})
	require.NoError(t, err)
	e.blocks.next <- chain.Block{Height: 2, Events: []abci.Event{abci.Event(bystander), abci.Event(drained)}}
	jailed, err := sdk.TypedEventToEvent(&nodestypes.EventNodeStatusChanged{NodeId: e.nodeID, To: nodestypes.NODE_STATUS_JAILED})
	require.NoError(t, err)
	status, _, err = e.call(open, token, "/v1/whoami")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status, "another's jail, and draining, are no reason")
	e.blocks.next <- chain.Block{Height: 3, Events: []abci.Event{abci.Event(jailed)}}
	e.blocks.next <- chain.Block{Height: 4} // taken when the one before is done

	_, list := e.trust()
	require.Len(t, list.RevokedCertificateEntries, 2)
	trust := secrets.Trust{Revoked: list}
	require.True(t, trust.Revokes(first[0].SerialNumber) && trust.Revokes(second[0].SerialNumber))
	status, body, err := e.call(open, token, "/v1/whoami")
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, status, "the open connection")
	require.Contains(t, body, "revoked")
	_, _, err = e.call(e.machine(&pair), token, "/v1/whoami")
	require.ErrorContains(t, err, "tls: ", "a new connection")

	// Out of jail it may come back, with a new certificate.
	again := mtls.Pair(e.enrol(), e.nodeKey)
	status, _, err = e.call(e.machine(&again), token, "/v1/whoami")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
}

// awayAuthority can be asked for nothing but what it gave before.
type awayAuthority struct{ secrets.Issuer }

func (awayAuthority) Revoke(context.Context, *big.Int) error { return secrets.ErrUnavailable }

// While the authority is away the gateway itself keeps a node out that is barred, and revokes when it is back.
func TestBarredWhileTheAuthorityIsAway(t *testing.T) {
	e := newEnrolling(t)
	pair := mtls.Pair(e.enrol(), e.nodeKey)
	open := e.machine(&pair)
	_, _, err := e.call(open, "", "/healthz")
	require.NoError(t, err)
	e.setStatus(nodestypes.NODE_STATUS_JAILED)
	kept := e.server.certificates
	c := &certificates{
		authority: awayAuthority{kept.authority}, store: kept.store, blocks: kept.blocks, node: kept.node, verifier: kept.verifier, now: kept.now, log: kept.log,
	}
	require.ErrorIs(t, c.sweep(t.Context()), secrets.ErrUnavailable)
	_, list := e.trust()
	require.Empty(t, list.RevokedCertificateEntries)
	status, _, err := e.call(open, "", "/healthz")
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, status, "the open connection")
	_, _, err = e.call(e.machine(&pair), "", "/healthz")
	require.ErrorContains(t, err, "tls: ", "a new connection")

	require.NoError(t, e.server.certificates.sweep(t.Context()))
	_, list = e.trust()
	require.Len(t, list.RevokedCertificateEntries, 1)
	_, _, err = e.call(e.machine(&pair), "", "/healthz")
	require.ErrorContains(t, err, "tls: ")
}

// What happened while the gateway was down is made good when it starts.
func TestRevokedAtTheStart(t *testing.T) {
	e := newEnrolling(t)
	e.enrol()
	e.setStatus(nodestypes.NODE_STATUS_RETIRED)
	require.NoError(t, e.server.certificates.sweep(t.Context()))
	_, list := e.trust()
	require.Len(t, list.RevokedCertificateEntries, 1)
	require.NoError(t, e.server.certificates.sweep(t.Context()))

	e.setStatus(nodestypes.NODE_STATUS_ACTIVE)
	e.enrol()
	e.wait(25 * time.Hour)
	require.NoError(t, e.server.certificates.sweep(t.Context()))
	require.NoError(t, e.server.store.List(t.Context(), tableCertificates, func(string, []byte) error { return errors.New("one that has run out is remembered") }))
}

// One certificate that the gateway can make nothing of, such as of a node of a chain that was begun anew, does not keep the others from being revoked.
func TestSweepGoesOn(t *testing.T) {
	e := newEnrolling(t)
	e.enrol()
	gone, err := e.authority.Issue(t.Context(), request(t, e.nodeKey, "fog://node/node1gone"))
	require.NoError(t, err)
	note, err := json.Marshal(held{"node1gone", gone[0].NotAfter})
	require.NoError(t, err)
	require.NoError(t, e.server.store.Put(t.Context(), tableCertificates, map[string][]byte{gone[0].SerialNumber.Text(16): note}))
	e.setStatus(nodestypes.NODE_STATUS_JAILED)
	require.NoError(t, e.server.certificates.sweep(t.Context()))
	_, list := e.trust()
	require.Len(t, list.RevokedCertificateEntries, 2, "a node that there is not is let in no more than one that is jailed")

	e.setStatus(nodestypes.NODE_STATUS_ACTIVE)
	e.enrol()
	require.NoError(t, e.server.store.Put(t.Context(), tableCertificates, map[string][]byte{"0": note}))
	e.setStatus(nodestypes.NODE_STATUS_JAILED)
	require.Error(t, e.server.certificates.sweep(t.Context()), "no certificate has this number")
	_, list = e.trust()
	require.Len(t, list.RevokedCertificateEntries, 3)
}

func TestMachinesDoorRefuses(t *testing.T) {
	e := newEnrolling(t)
	good := mtls.Pair(e.enrol(), e.nodeKey)
	foreign, err := authority(t).Issue(t.Context(), request(t, e.nodeKey, "fog://node/"+e.nodeID))
	require.NoError(t, err)
	selfMade := mtls.Pair(foreign, e.nodeKey)
	for name, c := range map[string]*http.Client{
		"no certificate":      e.machine(nil),
		"another authority's": e.machine(&selfMade),
		"TLS 1.1":             e.machine(&good, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }),
		"a suite without authenticated encryption": e.machine(&good, func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_128_GCM_SHA256}
		}),
	} {
		_, _, err := e.call(c, "", "/healthz")
		require.ErrorContains(t, err, "tls: ", name)
	}
	status, _, err := e.call(e.machine(&good, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), "", "/healthz")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)

	// Another node's certificate does not carry this node's token.
	_, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	others, err := e.authority.Issue(t.Context(), request(t, key, "fog://node/node1other"))
	require.NoError(t, err)
	other := mtls.Pair(others, key)
	status, body, err := e.call(e.machine(&other), e.nodeLogin(), "/v1/whoami")
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, status)
	require.Contains(t, body, "a node shows its own")
}

func request(t *testing.T, key ed25519.PrivateKey, identity string) secrets.CertificateRequest {
	t.Helper()
	csr, err := secrets.NewEnrolment(key, make([]byte, secrets.NonceSize))
	require.NoError(t, err)
	return secrets.CertificateRequest{Kind: secrets.AgentCertificate, CSR: csr, Identity: identity}
}
