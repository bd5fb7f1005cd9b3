package gateway

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/deploy/nginx"
	"github.com/foggrid/fogd/deploy/nginx/nginxtest"
	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/registry/client"
	"github.com/foggrid/fogd/offchain/secrets"
	"github.com/foggrid/fogd/offchain/secrets/file"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// server gets a certificate as fog cert server does.
func server(t testing.TB, authority *file.Store, identity string, hosts ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	require.NoError(t, err)
	chain, err := authority.Issue(t.Context(), secrets.CertificateRequest{Kind: secrets.ServerCertificate, CSR: csr, Identity: identity, Hosts: hosts})
	require.NoError(t, err)
	return mtls.Pair(chain, key)
}

// front is a real nginx with our configuration, as https://localhost, with certificates of the authority.
func front(t testing.TB, authority *file.Store, g nginx.Gateway) {
	t.Helper()
	dir, pair := t.TempDir(), server(t, authority, "fog://gateway/test", "localhost")
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	trust, err := authority.Trust(t.Context())
	require.NoError(t, err)
	for name, text := range map[string][]byte{
		"cert.pem": mtls.PEM([]*x509.Certificate{pair.Leaf}), "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		"ca.pem": mtls.PEM(trust.Roots), "crl.pem": pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: trust.Revoked.Raw}),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	g.Host, g.Certificate, g.Key, g.HTTPPort = "localhost", filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), nginxtest.Port(t)
	if g.Machines != nil {
		g.Machines.Dir = dir
	}
	var conf bytes.Buffer
	require.NoError(t, g.Write(&conf))
	nginxtest.Start(t, conf.String())
}

func escaped(certs ...*x509.Certificate) string { return url.PathEscape(string(mtls.PEM(certs))) }

// proxied asks who is there, as a proxy with a certificate would, for a client whose certificate the header names.
func (e *enrolling) proxied(pair tls.Certificate, token string, headers ...string) (int, string) {
	e.t.Helper()
	c := e.machine(&pair)
	c.Transport = headerTo{c.Transport, headers}
	status, body, err := e.call(c, token, "/v1/whoami")
	require.NoError(e.t, err)
	return status, body
}

type headerTo struct {
	http.RoundTripper
	values []string
}

func (h headerTo) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header[ProxiedCertificate] = h.values
	return h.RoundTripper.RoundTrip(req)
}

func (e *enrolling) jail() {
	e.t.Helper()
	event, err := sdk.TypedEventToEvent(&nodestypes.EventNodeStatusChanged{NodeId: e.nodeID, To: nodestypes.NODE_STATUS_JAILED})
	require.NoError(e.t, err)
	e.blocks.next <- chain.Block{Height: 3, Events: []abci.Event{abci.Event(event)}}
	e.blocks.next <- chain.Block{Height: 4} // taken when the one before is done
}

// A certificate in a header counts if the gateway's own proxy passes it on, and then as if it had come by itself.
func TestProxiedCertificates(t *testing.T) {
	e := newEnrolling(t)
	proxy, oracle := server(t, e.authority, "fog://gateway/test", "127.0.0.1"), server(t, e.authority, "fog://oracle/test", "127.0.0.1")
	node := e.enrol()
	token := e.nodeLogin()
	_, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	other, err := e.authority.Issue(t.Context(), request(t, key, "fog://node/node1other"))
	require.NoError(t, err)
	foreign, err := authority(t).Issue(t.Context(), request(t, e.nodeKey, "fog://node/"+e.nodeID))
	require.NoError(t, err)

	for name, c := range map[string]struct {
		pair    tls.Certificate
		headers []string
		status  int
		says    string
	}{
		"the node's":                         {proxy, []string{escaped(node[0])}, http.StatusOK, ""},
		"another node's":                     {proxy, []string{escaped(other[0])}, http.StatusUnauthorized, "a node shows its own"},
		"another authority's":                {proxy, []string{escaped(foreign[0])}, http.StatusForbidden, "unknown authority"},
		"two":                                {proxy, []string{escaped(node[0]), escaped(node[0])}, http.StatusForbidden, "must replace what clients send"},
		"no PEM":                             {proxy, []string{"fog://node/" + e.nodeID}, http.StatusForbidden, "no certificate in PEM"},
		"half a PEM":                         {proxy, []string{escaped(node[0])[:200]}, http.StatusForbidden, "no certificate in PEM"},
		"wrongly escaped":                    {proxy, []string{"%zz"}, http.StatusForbidden, ProxiedCertificate},
		"none, and the proxy is not a node":  {proxy, nil, http.StatusUnauthorized, "a node shows its own"},
		"from an oracle, who is no proxy":    {oracle, []string{escaped(node[0])}, http.StatusUnauthorized, "that of fog://oracle/test"},
		"from another node, who is no proxy": {mtls.Pair(other, key), []string{escaped(node[0])}, http.StatusUnauthorized, "that of fog://node/node1other"},
		"from the node, of another":          {mtls.Pair(node, e.nodeKey), []string{escaped(other[0])}, http.StatusOK, ""},
	} {
		status, body := e.proxied(c.pair, token, c.headers...)
		require.Equal(t, c.status, status, "%s: %s", name, body)
		require.Contains(t, body, c.says, name)
	}
	// At the door for people there are no certificates, and the header says nothing.
	req, err := http.NewRequest(http.MethodGet, e.url+"/v1/whoami", nil)
	require.NoError(t, err)
	req.Header = http.Header{ProxiedCertificate: {escaped(node[0])}}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)

	e.jail()
	status, body := e.proxied(proxy, token, escaped(node[0]))
	require.Equal(t, http.StatusForbidden, status)
	require.Contains(t, body, "revoked")
}

// A real nginx with our configuration between machines and gateway: the gateway hears of a jailed node before nginx does.
func TestNginxBeforeTheMachinesDoor(t *testing.T) {
	nginxtest.Program(t)
	port := nginxtest.Port(t)
	e := newEnrolling(t, func(c *Config) { c.Machines.URL = fmt.Sprintf("https://localhost:%d", port) })
	front(t, e.authority, nginx.Gateway{Upstream: "127.0.0.1:9", HTTPSPort: nginxtest.Port(t), Machines: &nginx.Machines{Upstream: e.door.String(), Port: port}})

	e.machines = fmt.Sprintf("https://localhost:%d", port)
	node := mtls.Pair(e.enrol(), e.nodeKey)
	token := e.nodeLogin()
	status, body := e.proxied(node, token, "forged")
	require.Equal(t, http.StatusOK, status, body)
	require.Contains(t, body, e.nodeID)
	_, unknown, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	others, err := e.authority.Issue(t.Context(), request(t, unknown, "fog://node/node1other"))
	require.NoError(t, err)
	status, body = e.proxied(mtls.Pair(others, unknown), token, escaped(node.Leaf))
	require.Equal(t, http.StatusUnauthorized, status, body)
	e.jail()
	status, body = e.proxied(node, token)
	require.Equal(t, http.StatusForbidden, status, "nginx has not been told yet")
	require.Contains(t, body, "revoked")
}

// A registry beside the gateway is behind the same nginx: the addresses that it hands out lead through it, and what it is sent may be larger than what the gateway is.
func TestNginxBeforeDebiansRegistry(t *testing.T) {
	nginxtest.Program(t)
	w, url := debian(t)
	store, port := authority(t), nginxtest.Port(t)
	front(t, store, nginx.Gateway{Upstream: strings.TrimPrefix(w.url, "http://"), Registry: strings.TrimPrefix(url, "http://"), HTTPSPort: port})
	trust, err := store.Trust(t.Context())
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(trust.Roots[0])
	through := &http.Client{Transport: &http.Transport{TLSClientConfig: new(mtls.Holder).Client(roots)}}
	t.Cleanup(through.CloseIdleConnections)
	alice, err := client.New(fmt.Sprintf("https://localhost:%d", port), client.WithOwnedRepos(), client.WithHTTPClient(through),
		client.WithTokens(gatewayTokens{w, w.login(w.alice)}), client.WithRetry(1, 0))
	require.NoError(t, err)
	layer := client.BytesBlob("", bytes.Repeat([]byte("layer"), 1<<20))
	digest, err := alice.PushArtifact(t.Context(), "dev/"+w.alice.address+"/app", "v1", client.Module(layer))
	require.NoError(t, err)
	_, err = alice.PullManifest(t.Context(), "dev/"+w.alice.address+"/app", digest.String())
	require.NoError(t, err)
	_, err = alice.PushArtifact(t.Context(), "dev/"+w.bob.address+"/app", "v1", client.Module(layer))
	require.ErrorIs(t, err, client.ErrDenied)
	resp, err := through.Get(fmt.Sprintf("https://localhost:%d/healthz", port))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode, "the gateway is there too")
}
