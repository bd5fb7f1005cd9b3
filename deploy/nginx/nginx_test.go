package nginx

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The configuration is taken by nginx itself; skipped, and said so, where there is none.
func TestNginxTakesTheConfiguration(t *testing.T) {
	program, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("SKIPPED: no nginx on PATH; install Debian's nginx-light to check the template against it")
	}
	dir := t.TempDir()
	g := Gateway{Host: "grid.example", Upstream: "127.0.0.1:8080", Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), HTTPPort: 18080, HTTPSPort: 18443}
	writeCertificate(t, g)
	var conf bytes.Buffer
	require.NoError(t, g.Write(&conf))
	whole := fmt.Sprintf("pid %[1]s/pid;\nerror_log %[1]s/error.log;\nevents {}\nhttp {\naccess_log off;\nclient_body_temp_path %[1]s/b;\nproxy_temp_path %[1]s/p;\n%[2]s}\n", dir, conf.String())
	path := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(path, []byte(whole), 0o600))
	out, err := exec.Command(program, "-t", "-q", "-p", dir, "-c", path).CombinedOutput()
	require.NoError(t, err, string(out))
	require.NotContains(t, string(out), "[warn] conflicting")

	// nginx does notice what is wrong.
	require.NoError(t, os.WriteFile(path, bytes.Replace([]byte(whole), []byte("proxy_pass http://fog_gateway"), []byte("proxy_pas http://x"), 1), 0o600))
	require.Error(t, exec.Command(program, "-t", "-q", "-p", dir, "-c", path).Run())
}

func writeCertificate(t *testing.T, g Gateway) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{g.Host}, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(g.Certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600))
	require.NoError(t, os.WriteFile(g.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600))
}

func TestWriteRefusesWhatNeedsQuoting(t *testing.T) {
	good := Gateway{Host: "grid.example", Upstream: "[::1]:8080", Certificate: "/etc/c.pem", Key: "/etc/k.pem", HTTPPort: 80, HTTPSPort: 443}
	require.NoError(t, good.Write(&bytes.Buffer{}))
	for _, bad := range []string{"", "a b", "x;", "x{", "$host", "\n", `"`} {
		g := good
		g.Host = bad
		require.Error(t, g.Write(&bytes.Buffer{}), bad)
	}
}

// Whoever comes without TLS is sent to this host, whatever name was called.
func TestRedirectIsToThisHost(t *testing.T) {
	var conf bytes.Buffer
	require.NoError(t, Gateway{Host: "grid.example", Upstream: "127.0.0.1:8080", Certificate: "/c", Key: "/k", HTTPPort: 80, HTTPSPort: 443}.Write(&conf))
	require.Contains(t, conf.String(), "return 301 https://grid.example$request_uri;")
	require.NotContains(t, conf.String(), "$host")
}
