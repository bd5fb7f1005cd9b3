// Package tlscheck looks at the transport security of a deployment from outside, as an attacker or a peer would: it connects to each endpoint
// again and again, each time with something that should be refused, and says what to do about what is not.
//
// It reads nothing of the server's configuration, so a finding is what a client gets.
package tlscheck

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"slices"
	"time"
)

// Level says how bad a finding is.
type Level string

// Levels of findings.
const (
	// OK is as it should be.
	OK Level = "ok"
	// Warning works, and will not for long, or not as well as it could.
	Warning Level = "warning"
	// Error is a hole, or a link that does not work.
	Error Level = "error"
)

// Finding is one thing that was looked at.
type Finding struct {
	Check string `json:"check"`
	Level Level  `json:"level"`
	Found string `json:"found"`
	// Fix says what to do; empty if nothing is to be done.
	Fix string `json:"fix,omitempty"`
}

// Endpoint is a server to look at.
type Endpoint struct {
	// Name is for people, Address host:port to connect to, Host what its certificate is to name.
	Name, Address, Host string
	// HTTP tells a web server from the stream of an oracle.
	HTTP bool
	// Key is the one that the chain names for an oracle: such a server mints its certificates itself. nil: an authority signs them.
	Key ed25519.PublicKey
	// Demands says that whoever has no certificate of the authority must be refused.
	Demands bool
}

// Options of a look at a deployment.
type Options struct {
	// Roots are the authorities whose certificates are good; nil: the system's.
	Roots *x509.CertPool
	// Client is the certificate that is shown where one must be; nil: none.
	Client *tls.Certificate
	// Patience is for each connection.
	Patience time.Duration
	Now      func() time.Time
}

// weakSuites are those of TLS 1.2 without forward secrecy or authenticated encryption that this program can speak.
func weakSuites() []uint16 {
	var weak []uint16
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if slices.Contains(s.SupportedVersions, tls.VersionTLS12) && !modern(s.ID) {
			weak = append(weak, s.ID)
		}
	}
	return weak
}

func modern(suite uint16) bool {
	return slices.Contains([]uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}, suite)
}

// Examine returns what there is to say of an endpoint, in a fixed order.
func Examine(ctx context.Context, e Endpoint, o Options) []Finding {
	x := examiner{endpoint: e, options: o}
	first := x.connect(ctx, probe{client: o.Client})
	if first.dial != nil {
		return []Finding{{"reach", Error, first.dial.Error(), "start the server, or check the address and what is between here and there"}}
	}
	if first.chain == nil {
		return []Finding{{"tls", Error, fmt.Sprintf("no TLS: %v", first.failed), "have the server end TLS itself, or put a proxy in front (`fog gateway nginx`)"}}
	}
	found := []Finding{x.protocol(first), x.oldProtocols(ctx), x.suites(ctx)}
	if e.Key != nil {
		found = append(found, x.pinned(first))
	} else {
		found = append(found, x.trusted(first), x.identity(first))
	}
	return append(append(found, x.expiry(first)), x.demands(ctx, first)...)
}

type examiner struct {
	endpoint Endpoint
	options  Options
}

// probe is what one connection tries.
type probe struct {
	least, most uint16
	suites      []uint16
	client      *tls.Certificate
}

// seen is what came of it.
type seen struct {
	// dial is why there is no connection at all, failed why the handshake, or the first answer, did not come.
	dial, failed error
	version      uint16
	suite        uint16
	// chain is what the server showed, before it decided about the client; asked says that it wants a client's certificate.
	chain []*x509.Certificate
	asked bool
	// let says that the client was served.
	let bool
}

// connect carries a probe out. Whether a client's certificate is taken shows only after the handshake, in TLS 1.3, so an answer is waited for.
func (x examiner) connect(ctx context.Context, p probe) (s seen) {
	ctx, cancel := context.WithTimeout(ctx, x.options.Patience)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", x.endpoint.Address)
	if err != nil {
		s.dial = err
		return s
	}
	defer io.Closer(raw).Close()
	if deadline, ok := ctx.Deadline(); ok {
		if s.dial = raw.SetDeadline(deadline); s.dial != nil {
			return s
		}
	}
	conn := tls.Client(raw, x.config(p, &s))
	defer io.Closer(conn).Close()
	if s.failed = conn.HandshakeContext(ctx); s.failed != nil {
		return s
	}
	state := conn.ConnectionState()
	s.version, s.suite = state.Version, state.CipherSuite
	s.let, s.failed = x.answered(conn)
	return s
}

func (x examiner) config(p probe, s *seen) *tls.Config {
	next := "h2"
	if x.endpoint.HTTP {
		next = "http/1.1"
	}
	return &tls.Config{
		ServerName: x.endpoint.Host, NextProtos: []string{next},
		MinVersion: max(p.least, tls.VersionTLS10), MaxVersion: p.most, CipherSuites: p.suites,
		InsecureSkipVerify: true, //nolint:gosec // what is wrong with the certificate is to be found, not to end the look
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error { //nolint:gosec // without a cache no session is resumed
			for _, der := range raw {
				c, err := x509.ParseCertificate(der)
				if err != nil {
					return err
				}
				s.chain = append(s.chain, c)
			}
			return nil
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			s.asked = true
			if p.client != nil {
				return p.client, nil
			}
			return &tls.Certificate{}, nil
		},
	}
}
