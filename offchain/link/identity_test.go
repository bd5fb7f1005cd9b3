package link

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/foggrid/fogd/offchain/link/linkpb"
)

func TestOracleWithTheWrongKeyIsRefused(t *testing.T) {
	s, addr := startOracle(t, func(o *ServerOptions) { o.Key = testKey(66) })
	c, _ := runAgent(t, agentOptions(t, addr))
	eventually(t, "no error", func() bool { return c.State().LastError != nil })
	require.ErrorIs(t, c.State().LastError, ErrWrongKey)
	require.False(t, c.State().Connected)
	require.Empty(t, s.Sessions())
}

func TestOracleWithTheWrongIDIsRefused(t *testing.T) {
	_, addr := startOracle(t, func(o *ServerOptions) { o.OracleID = "fog1other" })
	c, _ := runAgent(t, agentOptions(t, addr))
	eventually(t, "no error", func() bool { return c.State().LastError != nil })
	require.ErrorIs(t, c.State().LastError, ErrMalformed)
}

func TestUnknownAgentIsRefusedUntilItIsRegistered(t *testing.T) {
	chain := newChain(nil)
	s, addr := startOracle(t, func(o *ServerOptions) { o.Registry = chain })
	c, _ := runAgent(t, agentOptions(t, addr))
	eventually(t, "no error", func() bool { return c.State().LastError != nil })
	require.Equal(t, codes.PermissionDenied, status.Code(c.State().LastError))
	require.Empty(t, s.Sessions())
	chain.set(agentKey, testNode)
	sessionOf(t, s, testNode)
}

func TestAgentOfAnotherNodeIsRefused(t *testing.T) {
	s, addr := startOracle(t, nil)
	a := dialRaw(t, addr, agentKey)
	a.hello(&linkpb.Hello{Protocol: 1, NodeId: "node1other", BootId: "0123456789abcdef", Version: "raw"})
	err := a.dropped()
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	require.ErrorContains(t, err, testNode)
	require.Empty(t, s.Sessions())
}

func TestKeyThatLeavesTheChainIsDropped(t *testing.T) {
	chain := newChain(nil)
	chain.set(agentKey, testNode)
	s, addr := startOracle(t, func(o *ServerOptions) { o.Registry, o.Recheck = chain, 10*time.Millisecond })
	a := connectRaw(t, addr)
	session := sessionOf(t, s, testNode)
	chain.fail(errors.New("the chain is not there now"))
	time.Sleep(50 * time.Millisecond)
	require.NoError(t, session.Err(), "a look-up that fails drops nobody")
	chain.set(agentKey, "")
	chain.fail(nil)
	require.Equal(t, codes.PermissionDenied, status.Code(a.dropped()))
}

func TestCertificatesAreRenewed(t *testing.T) {
	id, err := newIdentity(agentKey)
	require.NoError(t, err)
	now := time.Now()
	id.now = func() time.Time { return now }
	first, err := id.certificate()
	require.NoError(t, err)
	now = now.Add(certRenew - time.Second)
	same, err := id.certificate()
	require.NoError(t, err)
	require.Same(t, first, same)
	now = now.Add(2 * time.Second)
	next, err := id.certificate()
	require.NoError(t, err)
	require.NotSame(t, first, next)
}

// handshake runs TLS between two configurations in this process and returns the errors of both sides.
func handshake(t *testing.T, server, client *tls.Config) (serverErr, clientErr error) {
	a, b := net.Pipe()
	defer func() { require.NoError(t, errors.Join(a.Close(), b.Close())) }()
	deadline := time.Now().Add(soon)
	require.NoError(t, errors.Join(a.SetDeadline(deadline), b.SetDeadline(deadline)))
	done := make(chan error, 1)
	go func() {
		conn := tls.Server(a, server)
		err := conn.HandshakeContext(t.Context())
		if err == nil {
			_, err = conn.Write([]byte{1})
		}
		done <- err
	}()
	conn := tls.Client(b, client)
	clientErr = conn.HandshakeContext(t.Context())
	if clientErr == nil {
		// In TLS 1.3 the client learns what the server thinks of its certificate with the first read.
		_, clientErr = conn.Read(make([]byte, 1))
	}
	return <-done, clientErr
}

func TestHandshakes(t *testing.T) {
	pin := oracleKey.Public().(ed25519.PublicKey)
	at := func(key ed25519.PrivateKey, shift time.Duration) *identity {
		id, err := newIdentity(key)
		require.NoError(t, err)
		// The certificate is of the shifted time, the check of what it is shown is of now.
		id.now = func() time.Time { return time.Now().Add(shift) }
		_, err = id.certificate()
		require.NoError(t, err)
		id.now, id.renewAt = time.Now, time.Now().Add(1000*time.Hour)
		return id
	}
	server, client := at(oracleKey, 0).serverTLS(), at(agentKey, 0)

	serverErr, clientErr := handshake(t, server, client.clientTLS(pin, new(pinError)))
	require.NoError(t, serverErr)
	require.NoError(t, clientErr)

	other := func() *tls.Config {
		return &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}
	}
	for name, change := range map[string]func() (server, client *tls.Config){
		"no certificate": func() (*tls.Config, *tls.Config) { return server, other() },
		"TLS 1.2": func() (*tls.Config, *tls.Config) {
			c := client.clientTLS(pin, new(pinError))
			c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
			return server, c
		},
		"another kind of key": func() (*tls.Config, *tls.Config) {
			c := other()
			c.Certificates = []tls.Certificate{ecdsaCertificate(t)}
			return server, c
		},
		"two certificates": func() (*tls.Config, *tls.Config) {
			c := other()
			cert, err := client.certificate()
			require.NoError(t, err)
			c.Certificates = []tls.Certificate{{Certificate: [][]byte{cert.Certificate[0], cert.Certificate[0]}, PrivateKey: agentKey}}
			return server, c
		},
		"the certificate of someone else": func() (*tls.Config, *tls.Config) {
			c := other()
			cert, err := client.certificate()
			require.NoError(t, err)
			// GetClientCertificate skips the check that the key fits.
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				return &tls.Certificate{Certificate: cert.Certificate, PrivateKey: testKey(9)}, nil
			}
			return server, c
		},
		"expired agent": func() (*tls.Config, *tls.Config) {
			return server, at(agentKey, -72*time.Hour).clientTLS(pin, new(pinError))
		},
		"agent of the future": func() (*tls.Config, *tls.Config) {
			return server, at(agentKey, 48*time.Hour).clientTLS(pin, new(pinError))
		},
		"expired oracle": func() (*tls.Config, *tls.Config) {
			return at(oracleKey, -72*time.Hour).serverTLS(), client.clientTLS(pin, new(pinError))
		},
		"oracle with another key": func() (*tls.Config, *tls.Config) {
			return at(testKey(66), 0).serverTLS(), client.clientTLS(pin, new(pinError))
		},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := change()
			serverErr, clientErr := handshake(t, server, client)
			require.Error(t, serverErr)
			require.Error(t, clientErr)
		})
	}

	// A day of difference between the clocks is borne.
	for _, shift := range []time.Duration{-23 * time.Hour, 23 * time.Hour} {
		serverErr, clientErr := handshake(t, server, at(agentKey, shift).clientTLS(pin, new(pinError)))
		require.NoError(t, serverErr)
		require.NoError(t, clientErr)
	}
}

func ecdsaCertificate(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
