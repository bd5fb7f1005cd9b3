package gwclient

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net/http"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/gateway"
	"github.com/foggrid/fogd/offchain/secrets"
	"github.com/foggrid/fogd/offchain/secrets/vault"
)

// Secrets gets a node the secrets of what it runs.
type Secrets struct {
	tokens *Tokens
	key    ed25519.PrivateKey
}

// SecretsOf gets secrets with the tokens of OfNode and the key that they were made with.
func SecretsOf(t *Tokens, key ed25519.PrivateKey) *Secrets { return &Secrets{t, key} }

// JobSecrets borrows the secrets of an attempt at a job of an owner and opens the loan. The paths are those of the spec, in its order.
func (s *Secrets) JobSecrets(ctx context.Context, id dispatch.AttemptID, owner string, paths []string) ([][]byte, error) {
	var out gateway.Lent
	path := fmt.Sprintf("/v1/jobs/%s/slices/%d/attempts/%d/secrets", id.Job, id.Slice, id.Attempt)
	if err := s.tokens.call(ctx, http.MethodPost, path, &out); err != nil {
		return nil, err
	}
	if len(out.Loan.Sealed) > 0 {
		return secrets.OpenSealed(out.Loan, s.key, id.String(), owner, paths)
	}
	return vault.OpenLoan(ctx, out.Loan, owner, paths)
}
