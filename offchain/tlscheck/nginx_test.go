package tlscheck_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/deploy/nginx/nginxtest"
	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/tlscheck"
)

// nginx serves with a configuration inside its TLS server, until the test ends.
func nginx(t *testing.T, dir, tlsLines string) (address string, server *nginxtest.Server) {
	t.Helper()
	address = nginxtest.FreeAddress(t)
	return address, nginxtest.Start(t, t.TempDir(), address, fmt.Sprintf(
		"server { listen %s ssl; ssl_certificate %[2]s/cert.pem; ssl_certificate_key %[2]s/key.pem; %[3]s location / { return 200; } }", address, dir, tlsLines))
}

// A real proxy demands certificates and reads the list of revoked ones when it is told to.
func TestNginx(t *testing.T) {
	ours, dir := newAuthority(t), t.TempDir()
	shown, client := ours.issue(unchanged), ours.issue(func(c *x509.Certificate) { c.SerialNumber.SetInt64(9) })
	key, err := x509.MarshalPKCS8PrivateKey(shown.PrivateKey)
	require.NoError(t, err)
	write := func(name string, text []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	list := func(revoked ...int64) {
		write("crl.pem", pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: ours.list(time.Minute, time.Hour, revoked...).Raw}))
	}
	write("cert.pem", mtls.PEM([]*x509.Certificate{shown.Leaf, ours.cert}))
	write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	write("ca.pem", mtls.PEM([]*x509.Certificate{ours.cert}))
	list()
	o := tlscheck.Options{Roots: x509.NewCertPool(), Client: &client, Patience: 20 * time.Second, Now: time.Now}
	o.Roots.AddCert(ours.cert)
	examine := func(address string) map[string]tlscheck.Level {
		return bad(tlscheck.Examine(t.Context(), tlscheck.Endpoint{Address: address, Host: "127.0.0.1", HTTP: true, Demands: true}, o))
	}

	const good = `ssl_protocols TLSv1.2 TLSv1.3; ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256; ssl_client_certificate %[1]s/ca.pem; ssl_crl %[1]s/crl.pem; `
	address, server := nginx(t, dir, fmt.Sprintf(good+"ssl_verify_client on;", dir))
	require.Empty(t, examine(address))
	list(9)
	require.Empty(t, examine(address), "not before it is told")
	server.Reload(t)
	// For a moment workers of before and after the reload answer.
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Equal(c, map[string]tlscheck.Level{"own certificate": tlscheck.Error}, examine(address), "revoked")
	}, time.Minute, 100*time.Millisecond)

	list()
	loose, _ := nginx(t, dir, fmt.Sprintf(good+"ssl_verify_client optional;", dir))
	require.Equal(t, map[string]tlscheck.Level{"client certificate": tlscheck.Error}, examine(loose))
	old, _ := nginx(t, dir, "ssl_protocols TLSv1.2; ssl_ciphers AES128-SHA:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES128-GCM-SHA256;")
	require.Equal(t, map[string]tlscheck.Level{"protocol": tlscheck.Warning, "suites": tlscheck.Error, "client certificate": tlscheck.Error}, examine(old))
}
