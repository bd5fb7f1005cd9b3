package tlscheck_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/tlscheck"
)

// nginx serves with a configuration inside its TLS server, until the test ends; reload has it read the files again.
func nginx(t *testing.T, dir, tlsLines string) (address string, reload func()) {
	t.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("SKIPPED: no nginx on PATH; install Debian's nginx-light to look at a real proxy")
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address = lis.Addr().String()
	require.NoError(t, lis.Close())
	own := t.TempDir()
	conf := filepath.Join(own, "nginx.conf")
	text := fmt.Sprintf(`pid %[1]s/pid; error_log %[1]s/error.log; daemon off; master_process on; worker_processes 1; events {}
http { access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
server { listen %[2]s ssl; ssl_certificate %[3]s/cert.pem; ssl_certificate_key %[3]s/key.pem; %[4]s location / { return 200; } } }`, own, address, dir, tlsLines)
	require.NoError(t, os.WriteFile(conf, []byte(text), 0o600))
	cmd := exec.Command(program, "-p", own, "-c", conf)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, exec.Command(program, "-p", own, "-c", conf, "-s", "stop").Run())
		require.NoError(t, cmd.Wait())
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			require.NoError(t, conn.Close())
			break
		}
		require.True(t, time.Now().Before(end), "nginx does not listen: %v", err)
	}
	return address, func() { require.NoError(t, exec.Command(program, "-p", own, "-c", conf, "-s", "reload").Run()) }
}

// A real proxy demands certificates and reads the list of revoked ones when it is told to.
func TestNginx(t *testing.T) {
	ours, dir := newAuthority(t), t.TempDir()
	server, client := ours.issue(unchanged), ours.issue(func(c *x509.Certificate) { c.SerialNumber.SetInt64(9) })
	key, err := x509.MarshalPKCS8PrivateKey(server.PrivateKey)
	require.NoError(t, err)
	write := func(name string, text []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	list := func(revoked ...int64) {
		write("crl.pem", pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: ours.list(time.Minute, time.Hour, revoked...).Raw}))
	}
	write("cert.pem", mtls.PEM([]*x509.Certificate{server.Leaf, ours.cert}))
	write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	write("ca.pem", mtls.PEM([]*x509.Certificate{ours.cert}))
	list()
	o := tlscheck.Options{Roots: x509.NewCertPool(), Client: &client, Patience: 20 * time.Second, Now: time.Now}
	o.Roots.AddCert(ours.cert)
	examine := func(address string) map[string]tlscheck.Level {
		return bad(tlscheck.Examine(t.Context(), tlscheck.Endpoint{Address: address, Host: "127.0.0.1", HTTP: true, Demands: true}, o))
	}

	const good = `ssl_protocols TLSv1.2 TLSv1.3; ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256; ssl_client_certificate %[1]s/ca.pem; ssl_crl %[1]s/crl.pem; `
	address, reload := nginx(t, dir, fmt.Sprintf(good+"ssl_verify_client on;", dir))
	require.Empty(t, examine(address))
	list(9)
	require.Empty(t, examine(address), "not before it is told")
	reload()
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
