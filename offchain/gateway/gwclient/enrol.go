package gwclient

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"

	"github.com/foggrid/fogd/offchain/gateway"
	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/secrets"
)

// Enrolment gets a node's certificates from a gateway; it is a secrets.Certifier.
type Enrolment struct {
	client *Client
	node   string
	key    ed25519.PrivateKey
}

// Enrolment of a node, whose key on chain signs the requests.
func (c *Client) Enrolment(node string, key ed25519.PrivateKey) *Enrolment {
	return &Enrolment{c, node, key}
}

// Issue answers a challenge of the gateway. What the request says counts for nothing: the gateway decides. A gateway that does not answer is
// secrets.ErrUnavailable, one that refuses an Error.
func (e *Enrolment) Issue(ctx context.Context, _ secrets.CertificateRequest) ([]*x509.Certificate, error) {
	chain, err := e.issue(ctx)
	var refused *Error
	if err == nil || ctx.Err() != nil || errors.As(err, &refused) && refused.Status < http.StatusInternalServerError && refused.Status != http.StatusTooManyRequests {
		return chain, err
	}
	return nil, fmt.Errorf("%w: %w", secrets.ErrUnavailable, err)
}

func (e *Enrolment) issue(ctx context.Context) ([]*x509.Certificate, error) {
	challenge, err := e.client.challenge(ctx, map[string]string{"node": e.node})
	if err != nil {
		return nil, err
	}
	csr, err := secrets.NewEnrolment(e.key, gateway.EnrolmentNonce(challenge))
	if err != nil {
		return nil, err
	}
	var out gateway.Enrolled
	if err := e.client.Call(ctx, "", http.MethodPost, "/v1/enrol", gateway.EnrolRequest{Challenge: challenge, CSR: csr}, &out); err != nil {
		return nil, err
	}
	chain, err := mtls.ParsePEM([]byte(out.Certificate))
	if err != nil {
		return nil, fmt.Errorf("the gateway's answer: %w", err)
	}
	if public, ok := chain[0].PublicKey.(ed25519.PublicKey); !ok || !public.Equal(e.key.Public()) {
		return nil, errors.New("the gateway's certificate is for another key")
	}
	return chain, nil
}
