// Package mtls is mutual TLS by the certificates of an authority (offchain/secrets): between agents, oracles, gateways, registries and Nomad. A Holder has
// one's own certificate and can be given the next one at any time, a Verifier has the authority and its list of revoked certificates. Both are
// asked in each handshake, so connections that are open are not touched by a renewal.
//
// The streams between agents and oracles do without it: there both sides prove the keys that the chain names (offchain/link).
package mtls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"sync/atomic"
	"time"

	"github.com/foggrid/fogd/offchain/secrets"
)

var (
	// ErrNoCertificate is a peer, or a program itself, that has none.
	ErrNoCertificate = errors.New("no certificate")
	// ErrRevoked is a certificate that is on the authority's list.
	ErrRevoked = errors.New("the certificate is revoked; enrol again, if the node is not jailed or retired")
	// ErrStale is a list of revoked certificates that is too old to say who may come in.
	ErrStale = errors.New("the list of revoked certificates has run out; nobody is let in until there is a new one")
)

// suites of TLS 1.2: forward secrecy and authenticated encryption only. Those of TLS 1.3 cannot be chosen, and all are good.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// Holder has the certificate that this side shows.
type Holder struct {
	current atomic.Pointer[tls.Certificate]
}

// Set replaces the certificate, in handshakes that begin from now on.
func (h *Holder) Set(c tls.Certificate) { h.current.Store(&c) }

// Certificate returns the present one, or ErrNoCertificate.
func (h *Holder) Certificate() (*tls.Certificate, error) {
	c := h.current.Load()
	if c == nil {
		return nil, fmt.Errorf("%w yet on this side", ErrNoCertificate)
	}
	return c, nil
}

// Client is the configuration of a side that dials: it trusts the roots (nil: the system's) and shows the holder's certificate, if it has one and
// is asked.
func (h *Holder) Client(roots *x509.CertPool) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, CipherSuites: suites, RootCAs: roots,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if c := h.current.Load(); c != nil {
				return c, nil
			}
			return &tls.Certificate{}, nil // the server says what it thinks of that
		},
	}
}

// Server is the configuration of a side that is dialled and lets in whom the verifier lets in, and nobody else.
func (h *Holder) Server(v *Verifier) *tls.Config { return Demand(h.Certificate, v) }

// Demand is the configuration of a side that is dialled and lets in whom the verifier lets in, with the certificate that it is given for each connection.
func Demand(certificate func() (*tls.Certificate, error), v *Verifier) *tls.Config {
	config := Server(certificate)
	config.ClientAuth = tls.RequireAnyClientCert
	config.VerifyConnection = func(state tls.ConnectionState) error {
		_, err := v.Identity(state.PeerCertificates)
		return err
	}
	return config
}

// Server is the configuration of a side that is dialled and lets everybody in, with the certificate that it is given for each connection.
func Server(certificate func() (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, CipherSuites: suites,
		// A resumed session would be that of a certificate that has run out since.
		SessionTicketsDisabled: true,
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate() },
	}
}

// Verifier knows whom to let in.
type Verifier struct {
	now    func() time.Time
	trust  atomic.Pointer[secrets.Trust]
	barred sync.Map // serial numbers that are to be on the list, and not there yet
}

// NewVerifier lets nobody in until it is told whom to trust.
func NewVerifier(now func() time.Time) *Verifier { return &Verifier{now: now} }

// Set replaces roots and list, for handshakes and requests from now on.
func (v *Verifier) Set(t secrets.Trust) {
	v.trust.Store(&t)
	v.barred.Range(func(key, serial any) bool {
		if t.Revokes(serial.(*big.Int)) {
			v.barred.Delete(key)
		}
		return true
	})
}

// Bar refuses a certificate from now on, until a list has it: the authority may be away just when it is revoked.
func (v *Verifier) Bar(serial *big.Int) { v.barred.Store(serial.String(), serial) }

// Identity returns the URI of the holder of a client's certificate, which comes first, or why it may not come in.
func (v *Verifier) Identity(chain []*x509.Certificate) (string, error) {
	trust := v.trust.Load()
	if len(chain) == 0 {
		return "", fmt.Errorf("%w from the peer", ErrNoCertificate)
	}
	if trust == nil || trust.Revoked == nil || v.now().After(trust.Revoked.NextUpdate) {
		return "", ErrStale
	}
	options := x509.VerifyOptions{
		Roots: pool(trust.Roots), Intermediates: pool(chain[1:]), CurrentTime: v.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if _, err := chain[0].Verify(options); err != nil {
		return "", err
	}
	if _, barred := v.barred.Load(chain[0].SerialNumber.String()); barred || trust.Revokes(chain[0].SerialNumber) {
		return "", ErrRevoked
	}
	return secrets.IdentityOf(chain[0])
}

func pool(certs []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}
