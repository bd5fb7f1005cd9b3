package link

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"sync/atomic"
	"time"
)

// Certificates are minted anew before they are a day old and are valid two days around now, so that the clocks of the two sides may differ by a day.
const (
	certBefore = 24 * time.Hour
	certAfter  = 48 * time.Hour
	certRenew  = 24 * time.Hour
)

// ErrWrongKey means that the other side of a connection does not hold the key that the chain names for it.
var ErrWrongKey = errors.New("the peer does not hold the expected key")

// identity mints the certificates of one key.
type identity struct {
	key ed25519.PrivateKey
	now func() time.Time

	mu      sync.Mutex
	cert    *tls.Certificate
	renewAt time.Time
}

func newIdentity(key ed25519.PrivateKey) (*identity, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("the key of the link has %d bytes; give an ed25519 private key of %d", len(key), ed25519.PrivateKeySize)
	}
	return &identity{key: key, now: time.Now}, nil
}

func (i *identity) certificate() (*tls.Certificate, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.now()
	if i.cert != nil && now.Before(i.renewAt) {
		return i.cert, nil
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "fog"},
		NotBefore:    now.Add(-certBefore),
		NotAfter:     now.Add(certAfter),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, i.key.Public(), i.key)
	if err != nil {
		return nil, fmt.Errorf("mint the link's certificate: %w", err)
	}
	i.cert, i.renewAt = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: i.key}, now.Add(certRenew)
	return i.cert, nil
}

// peerKey is the ed25519 key that the other side proved in the handshake.
func peerKey(state tls.ConnectionState, now time.Time) (ed25519.PublicKey, error) {
	if len(state.PeerCertificates) != 1 {
		return nil, fmt.Errorf("the peer sent %d certificates; one is expected", len(state.PeerCertificates))
	}
	cert := state.PeerCertificates[0]
	key, ok := cert.PublicKey.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("the peer's key is %s; an ed25519 key is expected", cert.PublicKeyAlgorithm)
	}
	if now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return nil, fmt.Errorf("the peer's certificate is valid from %s to %s, and now is %s; set the clocks",
			cert.NotBefore.Format(time.RFC3339), cert.NotAfter.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return key, nil
}

// serverTLS takes any ed25519 key; whose it is, is asked of the registry once the stream opens.
func (i *identity) serverTLS() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		ClientAuth:             tls.RequireAnyClientCert,
		SessionTicketsDisabled: true,
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return i.certificate() },
		VerifyConnection: func(state tls.ConnectionState) error {
			_, err := peerKey(state, i.now())
			return err
		},
	}
}

// pinError is why a client refused the server, if it did.
type pinError struct{ err atomic.Pointer[error] }

func (p *pinError) load() error {
	if err := p.err.Load(); err != nil {
		return *err
	}
	return nil
}

// clientTLS takes only the pinned key; why it refused another one goes to refused.
func (i *identity) clientTLS(pin ed25519.PublicKey, refused *pinError) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// There is no authority to ask and no name to compare: VerifyConnection, which runs on every handshake, pins the key.
		InsecureSkipVerify:   true, //nolint:gosec // VerifyConnection pins the key; see above
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return i.certificate() },
		VerifyConnection: func(state tls.ConnectionState) error {
			key, err := peerKey(state, i.now())
			if err == nil && !key.Equal(pin) {
				err = fmt.Errorf("%w: it has %x, the chain names %x", ErrWrongKey, key, pin)
			}
			if err != nil {
				refused.err.Store(&err)
			}
			return err
		},
	}
}
