package secrets

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"time"
)

// ErrRequest is a certificate request that no authority may sign.
var ErrRequest = errors.New("the certificate request is not acceptable")

// CertificateKind says for whom a certificate is.
type CertificateKind string

const (
	// AgentCertificate lets an agent in as a client.
	AgentCertificate CertificateKind = "agent"
	// ServerCertificate is for oracles, gateways and other servers, which are clients of each other too.
	ServerCertificate CertificateKind = "server"
)

// Life is how long a certificate of the kind is valid: 24 hours for agents, 72 for servers.
func (k CertificateKind) Life() time.Duration {
	if k == AgentCertificate {
		return 24 * time.Hour
	}
	return 72 * time.Hour
}

// identityScheme is that of the URIs by which certificates name their holders, as in fog://node/node1….
const identityScheme = "fog"

// NodeIdentity is the URI of a node's agent.
func NodeIdentity(node string) string { return identityScheme + "://node/" + node }

// OracleIdentity is the URI of an oracle.
func OracleIdentity(name string) string { return identityScheme + "://oracle/" + name }

// CertificateRequest asks for a certificate. Names in the CSR count for nothing; only the fields here do.
type CertificateRequest struct {
	Kind CertificateKind
	// CSR in DER: its signature proves that whoever asks has the key, which stays there.
	CSR []byte
	// Identity is the URI that the certificate names.
	Identity string
	// Hosts are DNS names and IP addresses of a server.
	Hosts []string
}

// Check returns the parsed CSR, or an ErrRequest that says what is wrong.
func (r CertificateRequest) Check() (*x509.CertificateRequest, error) {
	if r.Kind != AgentCertificate && r.Kind != ServerCertificate {
		return nil, fmt.Errorf("%w: unknown kind %q; take %s or %s", ErrRequest, r.Kind, AgentCertificate, ServerCertificate)
	}
	u, err := url.Parse(r.Identity)
	if err != nil || u.Scheme != identityScheme || u.Host == "" || len(u.Path) < 2 || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("%w: identity %q; write it like %s", ErrRequest, r.Identity, NodeIdentity("node1…"))
	}
	if (r.Kind == AgentCertificate) != (u.Host == "node") {
		return nil, fmt.Errorf("%w: a certificate of kind %s cannot name %s", ErrRequest, r.Kind, r.Identity)
	}
	if r.Kind == AgentCertificate && len(r.Hosts) > 0 {
		return nil, fmt.Errorf("%w: an agent's certificate names no hosts", ErrRequest)
	}
	csr, err := x509.ParseCertificateRequest(r.CSR)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("%w: its signature does not prove the key: %w", ErrRequest, err)
	}
	return csr, nil
}

// Trust is what a verifier needs: the roots, and who is no longer to be let in.
type Trust struct {
	Roots   []*x509.Certificate
	Revoked *x509.RevocationList
}

// Revokes tells whether the list of revoked certificates has the serial number.
func (t Trust) Revokes(serial *big.Int) bool {
	if t.Revoked == nil {
		return false
	}
	for _, entry := range t.Revoked.RevokedCertificateEntries {
		if entry.SerialNumber.Cmp(serial) == 0 {
			return true
		}
	}
	return false
}

// Issuer is a certificate authority.
type Issuer interface {
	// Issue signs a certificate and returns it with those above it, the leaf first.
	Issue(ctx context.Context, r CertificateRequest) ([]*x509.Certificate, error)
	// Revoke puts the certificate with the serial number on the list of revoked ones.
	Revoke(ctx context.Context, serial *big.Int) error
	// Trust returns the roots and the present list of revoked certificates, whose signature was checked.
	Trust(ctx context.Context) (Trust, error)
}

// IdentityOf is the URI by which a certificate of an authority names its holder.
func IdentityOf(c *x509.Certificate) (string, error) {
	if len(c.URIs) != 1 || c.URIs[0].Scheme != identityScheme {
		return "", fmt.Errorf("the certificate names %d URIs; one like %s is expected", len(c.URIs), NodeIdentity("node1…"))
	}
	return c.URIs[0].String(), nil
}
