package tlscheck

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"time"

	"github.com/foggrid/fogd/offchain/secrets"
)

// answered tells whether the server serves this client. Proxies end the handshake and then answer 400 to whom they do not let in; oracles speak first.
func (x examiner) answered(conn *tls.Conn) (bool, error) {
	if !x.endpoint.HTTP {
		one := make([]byte, 1)
		if _, err := io.ReadFull(conn, one); err != nil {
			return false, err
		}
		return true, nil
	}
	if _, err := fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", x.endpoint.Host); err != nil {
		return false, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return false, err
	}
	if err := resp.Body.Close(); err != nil {
		return false, err
	}
	if resp.StatusCode == http.StatusBadRequest || resp.StatusCode == http.StatusForbidden {
		return false, fmt.Errorf("status %d", resp.StatusCode)
	}
	return true, nil
}

func (x examiner) protocol(s seen) Finding {
	switch {
	case s.version == 0:
		return Finding{"protocol", Warning, fmt.Sprintf("the handshake failed: %v", s.failed), "give --tls-cert and --tls-key of a certificate that the server takes, to see which protocol it speaks"}
	case s.version >= tls.VersionTLS13:
		return Finding{"protocol", OK, tls.VersionName(s.version), ""}
	case s.version == tls.VersionTLS12:
		return Finding{"protocol", Warning, "TLS 1.2", "let the server speak TLS 1.3 too (nginx: ssl_protocols TLSv1.2 TLSv1.3;)"}
	}
	return Finding{"protocol", Error, tls.VersionName(s.version), "let the server speak TLS 1.3 and 1.2 (nginx: ssl_protocols TLSv1.2 TLSv1.3;)"}
}

// oldProtocols fails if the server goes on with one: it then shows its certificate, whatever it thinks of the client.
func (x examiner) oldProtocols(ctx context.Context) Finding {
	for _, version := range []uint16{tls.VersionTLS11, tls.VersionTLS10} {
		if s := x.connect(ctx, probe{least: version, most: version, client: x.options.Client}); s.chain != nil {
			return Finding{"old protocols", Error, tls.VersionName(version) + " is taken", "switch TLS 1.0 and 1.1 off (nginx: ssl_protocols TLSv1.2 TLSv1.3;)"}
		}
	}
	return Finding{"old protocols", OK, "TLS 1.0 and 1.1 are refused", ""}
}

func (x examiner) suites(ctx context.Context) Finding {
	s := x.connect(ctx, probe{least: tls.VersionTLS12, most: tls.VersionTLS12, suites: weakSuites(), client: x.options.Client})
	if s.chain == nil {
		return Finding{"suites", OK, "suites without forward secrecy or authenticated encryption are refused", ""}
	}
	name := "one of them"
	if s.suite != 0 {
		name = tls.CipherSuiteName(s.suite)
	}
	return Finding{
		"suites", Error, "a suite without forward secrecy or authenticated encryption is taken: " + name,
		"allow ECDHE with GCM or ChaCha20 only; `fog gateway nginx` prints an ssl_ciphers line",
	}
}

// trusted checks chain and name as a client does.
func (x examiner) trusted(s seen) Finding {
	between := x509.NewCertPool()
	for _, c := range s.chain[1:] {
		between.AddCert(c)
	}
	// Its time is looked at by itself.
	at := x.options.Now()
	if at.After(s.chain[0].NotAfter) || at.Before(s.chain[0].NotBefore) {
		at = s.chain[0].NotBefore.Add(time.Second)
	}
	_, err := s.chain[0].Verify(x509.VerifyOptions{
		Roots: x.options.Roots, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return Finding{"chain", Error, err.Error(), "give the authority with --tls-ca (`fog cert trust` writes it); if it is that already, have the server send the whole chain, or get a certificate of this authority (`fog cert server`)"}
	}
	if err := s.chain[0].VerifyHostname(x.endpoint.Host); err != nil {
		return Finding{"chain", Error, err.Error(), fmt.Sprintf("get a certificate for this name: `fog cert server --host %s`", x.endpoint.Host)}
	}
	return Finding{"chain", OK, fmt.Sprintf("%d certificates, for %s", len(s.chain), x.endpoint.Host), ""}
}

// identity looks at the URI, which only certificates of our authorities have.
func (x examiner) identity(s seen) Finding {
	identity, err := secrets.IdentityOf(s.chain[0])
	switch {
	case err == nil:
		return Finding{"identity", OK, identity, ""}
	case x.options.Roots == nil && !x.endpoint.Demands:
		return Finding{"identity", OK, "none: a public authority's certificate", ""}
	}
	return Finding{"identity", Warning, err.Error(), "get a certificate that says whose it is: `fog cert server --identity fog://ROLE/NAME`"}
}

// pinned compares the key with that on chain.
func (x examiner) pinned(s seen) Finding {
	key, ok := s.chain[0].PublicKey.(ed25519.PublicKey)
	if !ok || !key.Equal(x.endpoint.Key) {
		return Finding{"key", Error, fmt.Sprintf("it is not the key that the chain names, %x", x.endpoint.Key),
			"name the oracle's key on chain (fogd tx oracle set-feeder --transport-key), or find out who answers in its place"}
	}
	return Finding{"key", OK, "the one that the chain names", ""}
}

// clockSkew is how far back authorities date what they sign.
const clockSkew = 5 * time.Minute

func (x examiner) expiry(s seen) Finding {
	c, now := s.chain[0], x.options.Now()
	life, left := c.NotAfter.Sub(c.NotBefore), c.NotAfter.Sub(now)
	until := c.NotAfter.UTC().Format(time.RFC3339)
	_, err := secrets.IdentityOf(c)
	ours := err == nil
	switch {
	case now.Before(c.NotBefore):
		return Finding{"expiry", Error, "not valid before " + c.NotBefore.UTC().Format(time.RFC3339), "set the clocks of this machine and the server's"}
	case left <= 0:
		return Finding{"expiry", Error, "expired " + until, "renew it, and have that done by itself: `fog cert server --keep`; reload the server"}
	case x.endpoint.Key == nil && left < life/4:
		return Finding{"expiry", Warning, fmt.Sprintf("until %s, the last quarter of its life", until), "it should have been renewed: is `fog cert server --keep` running, and the server reloaded?"}
	case ours && life > secrets.ServerCertificate.Life()+2*clockSkew:
		return Finding{"expiry", Warning, fmt.Sprintf("it lives %s, until %s", life.Round(time.Hour), until), "certificates of this authority live 72 hours at most; get another one with `fog cert server`"}
	}
	return Finding{"expiry", OK, "until " + until, ""}
}

// demands looks at who is let in without a good certificate.
func (x examiner) demands(ctx context.Context, first seen) []Finding {
	const fix = "demand certificates of the authority (`fog gateway run --machines`; nginx: ssl_verify_client on; Nomad: verify_https_client = true)"
	none := x.connect(ctx, probe{})
	if !none.asked && !first.asked {
		if x.endpoint.Demands {
			return []Finding{{"client certificate", Error, "it asks for none", fix}}
		}
		return []Finding{{"client certificate", OK, "it asks for none; whoever comes shows a token", ""}}
	}
	if none.let {
		level := Warning
		if x.endpoint.Demands {
			level = Error
		}
		return []Finding{{"client certificate", level, "it asks for one and serves those who have none", fix}}
	}
	found := []Finding{{"client certificate", OK, "who has none is refused", ""}}
	if x.endpoint.Key == nil { // an oracle takes any key, and asks the chain whose it is
		found = append(found, x.strangers(ctx, fix))
	}
	if x.options.Client == nil || x.endpoint.Key != nil {
		return found
	}
	if !first.let {
		return append(found, Finding{"own certificate", Error, fmt.Sprintf("it is refused: %v", first.failed),
			"is it of the authority that the server trusts, not expired and not revoked? enrol again"})
	}
	return append(found, Finding{"own certificate", OK, "it is taken", ""})
}

// strangers come with a certificate that they made themselves.
func (x examiner) strangers(ctx context.Context, fix string) Finding {
	own, err := selfMade(x.options.Now())
	if err != nil {
		return Finding{"stranger's certificate", Warning, "cannot be made: " + err.Error(), "try again"}
	}
	if s := x.connect(ctx, probe{client: own}); s.let {
		return Finding{"stranger's certificate", Error, "one that nobody signed is taken", fix}
	}
	return Finding{"stranger's certificate", OK, "one that nobody signed is refused", ""}
}

func selfMade(now time.Time) (*tls.Certificate, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// Freshness is how old a list of revoked certificates may be: whoever keeps it writes it anew each hour.
const Freshness = time.Hour + 2*clockSkew

// List looks at a list of revoked certificates as a proxy has it; certs are the authorities, own a certificate that should not be on it.
func List(list *x509.RevocationList, certs []*x509.Certificate, own *x509.Certificate, now time.Time) Finding {
	const fix = "keep it fresh: `fog cert trust --keep --run \"nginx -s reload\"`, or the gateway's /v1/trust"
	signed := errors.New("no authority is known; give --tls-ca")
	for _, c := range certs {
		if signed = list.CheckSignatureFrom(c); signed == nil {
			break
		}
	}
	age := now.Sub(list.ThisUpdate).Round(time.Second)
	switch {
	case signed != nil:
		return Finding{"revocation list", Error, fmt.Sprintf("not signed by the authority: %v", signed), fix}
	case now.After(list.NextUpdate):
		return Finding{"revocation list", Error, "it ran out " + list.NextUpdate.UTC().Format(time.RFC3339), fix}
	case own != nil && (secrets.Trust{Revoked: list}).Revokes(own.SerialNumber):
		return Finding{"revocation list", Error, "the own certificate is on it", "enrol again; a node that is jailed or retired is refused"}
	case age > Freshness:
		return Finding{"revocation list", Warning, fmt.Sprintf("%s old, with %d entries", age, len(list.RevokedCertificateEntries)), fix}
	}
	return Finding{"revocation list", OK, fmt.Sprintf("%s old, with %d entries", age, len(list.RevokedCertificateEntries)), ""}
}

// HostOf is what a certificate for an address should name.
func HostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}
