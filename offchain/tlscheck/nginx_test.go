package tlscheck_test

import (
	"crypto/x509"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/deploy/nginx/nginxtest"
	"github.com/foggrid/fogd/offchain/mtls/mtlstest"
	"github.com/foggrid/fogd/offchain/tlscheck"
)

// nginx serves with a configuration inside its TLS server, until the test ends.
func nginx(t *testing.T, dir, tlsLines string) (address string, server *nginxtest.Server) {
	t.Helper()
	port := nginxtest.Port(t)
	server = nginxtest.Start(t, fmt.Sprintf("server { listen %[1]d ssl; ssl_certificate %[2]s/cert.pem; ssl_certificate_key %[2]s/key.pem; %[3]s location / { return 200; } }", port, dir, tlsLines))
	return fmt.Sprintf("127.0.0.1:%d", port), server
}

// A real proxy demands certificates and reads the list of revoked ones when it is told to.
func TestNginx(t *testing.T) {
	ours, dir := mtlstest.New(t), t.TempDir()
	client := ours.Issue(func(c *x509.Certificate) { c.SerialNumber.SetInt64(9) })
	ours.WritePair(dir, "", ours.Issue(nil))
	ours.WriteTrust(dir)
	o := tlscheck.Options{Roots: ours.Pool(), Client: &client, Patience: 20 * time.Second, Now: time.Now}
	examine := func(address string) map[string]tlscheck.Level {
		return bad(tlscheck.Examine(t.Context(), tlscheck.Endpoint{Address: address, Host: "127.0.0.1", HTTP: true, Demands: true}, o))
	}

	const good = `ssl_protocols TLSv1.2 TLSv1.3; ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256; ssl_client_certificate %[1]s/ca.pem; ssl_crl %[1]s/crl.pem; `
	address, proxy := nginx(t, dir, fmt.Sprintf(good+"ssl_verify_client on;", dir))
	require.Empty(t, examine(address))
	ours.WriteTrust(dir, 9)
	require.Empty(t, examine(address), "not before it is told")
	proxy.Reload()
	// For a moment workers of before and after the reload answer.
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Equal(c, map[string]tlscheck.Level{"own certificate": tlscheck.Error}, examine(address), "revoked")
	}, time.Minute, 100*time.Millisecond)

	ours.WriteTrust(dir)
	loose, _ := nginx(t, dir, fmt.Sprintf(good+"ssl_verify_client optional;", dir))
	require.Equal(t, map[string]tlscheck.Level{"client certificate": tlscheck.Error}, examine(loose))
	old, _ := nginx(t, dir, "ssl_protocols TLSv1.2; ssl_ciphers AES128-SHA:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES128-GCM-SHA256;")
	require.Equal(t, map[string]tlscheck.Level{"protocol": tlscheck.Warning, "suites": tlscheck.Error, "client certificate": tlscheck.Error}, examine(old))
}
