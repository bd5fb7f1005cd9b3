package gateway

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/secrets"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// enrolDomain goes before a challenge in the nonce of an enrolment, so that no login is one.
const enrolDomain = "fog/enrol/v1\x00"

// EnrolmentNonce is what an agent's request for a certificate must carry to answer a challenge.
func EnrolmentNonce(challenge string) []byte {
	sum := sha256.Sum256([]byte(enrolDomain + challenge))
	return sum[:]
}

// EnrolRequest answers a challenge for a node with a request (DER) that is signed by its key on chain.
type EnrolRequest struct {
	Challenge string `json:"challenge"`
	CSR       []byte `json:"csr"`
}

// Enrolled is a node's certificate with those above it, in PEM.
type Enrolled struct {
	Certificate string    `json:"certificate"`
	Identity    string    `json:"identity"`
	Expires     time.Time `json:"expires"`
}

// TrustList is whom machines trust and whom no more, in PEM. The list is signed by the authority.
type TrustList struct {
	Roots   string    `json:"roots"`
	Revoked string    `json:"revoked"`
	Until   time.Time `json:"until"`
}

// ErrBarred is a node that gets no certificate, and loses those that it has.
var ErrBarred = errors.New("the node gets no certificate")

// MayEnrol returns ErrBarred for nodes that are jailed, refused or retired.
func MayEnrol(n nodestypes.Node) error {
	switch n.Status {
	case nodestypes.NODE_STATUS_JAILED, nodestypes.NODE_STATUS_RETIRED, nodestypes.NODE_STATUS_REFUSED:
		return fmt.Errorf("node %s is %s: %w", n.Id, n.Status, ErrBarred)
	}
	return nil
}

var errNoAuthority = refuse(http.StatusNotFound, "no_authority", "this gateway gives no certificates; its operator starts it with --enrol")

// serveEnrol gives a node's agent a certificate of a day.
func (s *Server) serveEnrol(w http.ResponseWriter, req *http.Request, who caller) error {
	if s.certificates == nil {
		return errNoAuthority
	}
	var in EnrolRequest
	if err := decode(req, &in); err != nil {
		return err
	}
	subject, nonce, expires, err := s.challenges.read(in.Challenge)
	if err != nil {
		return s.proofFailed(who, event{verb: verbEnrol, path: "stranger"}, err)
	}
	if err = s.certificates.check(req.Context(), subject, in); err == nil {
		if wait := s.issues.take(who.key); wait > 0 {
			return tooMany(wait)
		}
		err = s.challenges.spend(nonce, expires)
	}
	if errors.Is(err, ErrBarred) {
		err = refuse(http.StatusForbidden, "barred", "%s", err)
	}
	if err != nil {
		return s.proofFailed(who, event{verb: verbEnrol, path: subject}, err)
	}
	who.subject.Node = subject
	if err := s.record(who, event{verb: verbEnrol, path: "nodes/" + subject, allowed: true}, true); err != nil {
		return err
	}
	issued, err := s.certificates.issue(req.Context(), subject, in.CSR)
	if errors.Is(err, ErrBarred) {
		err = refuse(http.StatusForbidden, "barred", "%s", err)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return answer(w, http.StatusCreated, Enrolled{
		Certificate: string(mtls.PEM(issued)), Identity: secrets.NodeIdentity(subject), Expires: issued[0].NotAfter.UTC(),
	})
}

// serveTrust is for proxies, agents and whoever else checks certificates.
func (s *Server) serveTrust(w http.ResponseWriter, _ *http.Request, _ caller) error {
	if s.certificates == nil {
		return errNoAuthority
	}
	trust := s.certificates.trusted()
	return answer(w, http.StatusOK, TrustList{
		Roots: string(mtls.PEM(trust.Roots)), Until: trust.Revoked.NextUpdate.UTC(),
		Revoked: string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: trust.Revoked.Raw})),
	})
}

// check returns errNodeKey unless the request proves the key that the chain has for the node.
func (c *certificates) check(ctx context.Context, node string, in EnrolRequest) error {
	n, err := c.node(ctx, node)
	if errors.Is(err, chain.ErrNotFound) || errors.Is(err, chain.ErrInvalidRequest) {
		return errNodeKey
	}
	if err != nil {
		return err
	}
	if len(n.AgentKey) != ed25519.PublicKeySize {
		return errNodeKey
	}
	if err := secrets.CheckEnrolment(in.CSR, EnrolmentNonce(in.Challenge), n.AgentKey); err != nil {
		return fmt.Errorf("%w: %w", errNodeKey, err)
	}
	return MayEnrol(n)
}

// held is what is noted of a certificate, under its serial number, until it has run out.
type held struct {
	Node    string    `json:"node"`
	Expires time.Time `json:"expires"`
}

const tableCertificates = "certificates"

// issue notes the certificate before anybody has it. A node that was barred meanwhile does not get it: what it is by now is asked once more, and
// from then on the follower sees it.
func (c *certificates) issue(ctx context.Context, node string, csr []byte) ([]*x509.Certificate, error) {
	issued, err := c.authority.Issue(ctx, secrets.CertificateRequest{Kind: secrets.AgentCertificate, CSR: csr, Identity: secrets.NodeIdentity(node)})
	if err != nil {
		return nil, err
	}
	note, err := json.Marshal(held{node, issued[0].NotAfter})
	if err != nil {
		return nil, err
	}
	if err := c.store.Put(ctx, tableCertificates, map[string][]byte{issued[0].SerialNumber.Text(16): note}); err != nil {
		return nil, err
	}
	n, err := c.node(ctx, node)
	if err != nil {
		return nil, err
	}
	if err := MayEnrol(n); err != nil {
		return nil, errors.Join(err, c.revoke(ctx, node))
	}
	return issued, nil
}
