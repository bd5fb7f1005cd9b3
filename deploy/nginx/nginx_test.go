package nginx

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/deploy/nginx/nginxtest"
	"github.com/foggrid/fogd/offchain/mtls/mtlstest"
)

// The configuration is taken by nginx itself, with and without the port for machines; skipped, and said so, where there is none.
func TestNginxTakesTheConfiguration(t *testing.T) {
	program, dir, tlsDir := nginxtest.Program(t), t.TempDir(), t.TempDir()
	g := Gateway{Host: "grid.example", Upstream: "127.0.0.1:8080", Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), HTTPPort: 18080, HTTPSPort: 18443}
	writeCertificate(t, g)
	authority := mtlstest.New(t)
	authority.WritePair(tlsDir, "", authority.Issue(nil))
	authority.WriteTrust(tlsDir)
	for _, machines := range []*Machines{nil, {Upstream: "127.0.0.1:8081", Dir: tlsDir, Port: 18444}} {
		g.Machines = machines
		var conf bytes.Buffer
		require.NoError(t, g.Write(&conf))
		try := func(text string) ([]byte, error) {
			path := nginxtest.Write(t, text)
			return exec.Command(program, "-t", "-q", "-p", filepath.Dir(path), "-c", path).CombinedOutput()
		}
		out, err := try(conf.String())
		require.NoError(t, err, string(out))
		require.Empty(t, string(out))

		// nginx does notice what is wrong.
		_, err = try(strings.Replace(conf.String(), "proxy_pass http://fog_gateway", "proxy_pas http://x", 1))
		require.Error(t, err)
	}
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
		g = good
		g.Machines = &Machines{Upstream: "127.0.0.1:8081", Dir: bad, Port: 8443}
		require.Error(t, g.Write(&bytes.Buffer{}), bad)
	}
	good.Machines = &Machines{Upstream: "127.0.0.1:8081", Dir: "/etc/nginx/fog", Port: 8443}
	require.NoError(t, good.Write(&bytes.Buffer{}))
	good.Host = "192.0.2.1"
	require.ErrorContains(t, good.Write(&bytes.Buffer{}), "must be a name")
}

// Whoever comes without TLS is sent to this host, whatever name was called.
func TestRedirectIsToThisHost(t *testing.T) {
	var conf bytes.Buffer
	require.NoError(t, Gateway{Host: "grid.example", Upstream: "127.0.0.1:8080", Certificate: "/c", Key: "/k", HTTPPort: 80, HTTPSPort: 443}.Write(&conf))
	require.Contains(t, conf.String(), "return 301 https://grid.example$request_uri;")
	require.NotContains(t, conf.String(), "$host$")
}
