package link

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/foggrid/fogd/offchain/link/linkpb"
)

// Versions before 1.3 are refused by both sides.
func TestOldTLSIsRefused(t *testing.T) {
	pin := oracleKey.Public().(ed25519.PublicKey)
	oracle, err := newIdentity(oracleKey)
	require.NoError(t, err)
	agent, err := newIdentity(agentKey)
	require.NoError(t, err)
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			client := agent.clientTLS(pin, new(pinError))
			client.MinVersion, client.MaxVersion = version, version
			serverErr, clientErr := handshake(t, oracle.serverTLS(), client)
			require.Error(t, serverErr)
			require.Error(t, clientErr)
			server := oracle.serverTLS()
			server.MinVersion, server.MaxVersion = version, version
			serverErr, clientErr = handshake(t, server, agent.clientTLS(pin, new(pinError)))
			require.Error(t, serverErr)
			require.Error(t, clientErr)
		})
	}
}

// A certificate that some authority signed for the node's name counts for nothing: what counts is the key.
func TestForeignAuthority(t *testing.T) {
	s, addr := startOracle(t, nil)
	authority, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fog"}, IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour)}
	stranger := testKey(77)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: testNode}, DNSNames: []string{testNode},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, root, stranger.Public(), authority)
	require.NoError(t, err)
	id, err := newIdentity(stranger)
	require.NoError(t, err)
	id.cert, id.renewAt = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: stranger}, leaf.NotAfter
	a := dialAs(t, addr, id)
	hello := &linkpb.Hello{Protocol: 1, NodeId: testNode, BootId: "0123456789abcdef", Version: "raw"}
	if err := a.stream.Send(&linkpb.AgentMessage{Body: &linkpb.AgentMessage_Hello{Hello: hello}}); err != nil {
		require.ErrorIs(t, err, io.EOF, "it may be dropped before it has said anything; why is read next")
	}
	require.Equal(t, codes.PermissionDenied, status.Code(a.dropped()))
	require.Empty(t, s.Sessions())
}

// sessionCache notes what a server offers to resume by.
type sessionCache struct {
	tls.ClientSessionCache
	offered atomic.Int32
}

func (c *sessionCache) Put(key string, state *tls.ClientSessionState) {
	if state != nil {
		c.offered.Add(1)
	}
	c.ClientSessionCache.Put("same", state) // whatever the port
}

func (c *sessionCache) Get(string) (*tls.ClientSessionState, bool) {
	return c.ClientSessionCache.Get("same")
}

// A session cannot be taken up again, at this port or another: the key is proved in every connection.
func TestSessionsAreNotResumed(t *testing.T) {
	oracle, err := newIdentity(oracleKey)
	require.NoError(t, err)
	agent, err := newIdentity(agentKey)
	require.NoError(t, err)
	// visits connects twice with one cache, to a port each, and the second time without a certificate.
	visits := func(server *tls.Config) (offered int32, resumed bool, second error) {
		cache := &sessionCache{ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		connect := func(client *tls.Config) (tls.ConnectionState, error) {
			lis, err := tls.Listen("tcp", "127.0.0.1:0", server)
			require.NoError(t, err)
			served := make(chan error, 1)
			go func() {
				conn, err := lis.Accept()
				if err == nil {
					_, err = conn.Write([]byte{1})
					err = errors.Join(err, conn.Close())
				}
				served <- err
			}()
			client.ClientSessionCache = cache
			conn, err := net.Dial("tcp", lis.Addr().String())
			require.NoError(t, err)
			require.NoError(t, conn.SetDeadline(time.Now().Add(soon)))
			secure := tls.Client(conn, client)
			_, err = io.ReadFull(secure, make([]byte, 1))
			state := secure.ConnectionState()
			require.NoError(t, conn.Close())
			if err := <-served; err != nil {
				t.Log("the other side:", err)
			}
			require.NoError(t, lis.Close())
			return state, err
		}
		_, err := connect(agent.clientTLS(oracleKey.Public().(ed25519.PublicKey), new(pinError)))
		require.NoError(t, err)
		state, err := connect(&tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true})
		return cache.offered.Load(), state.DidResume, err
	}
	offered, resumed, err := visits(oracle.serverTLS())
	require.Zero(t, offered)
	require.False(t, resumed)
	require.Error(t, err)

	// The test can tell: a server that gives tickets is taken up again without the key.
	open := oracle.serverTLS()
	open.SessionTicketsDisabled = false
	open.SetSessionTicketKeys([][32]byte{{1}})
	offered, resumed, err = visits(open)
	require.Positive(t, offered)
	require.True(t, resumed)
	require.NoError(t, err)
}
