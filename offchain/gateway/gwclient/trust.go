package gwclient

import (
	"context"
	"fmt"
	"net/http"

	"github.com/foggrid/fogd/offchain/gateway"
	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/secrets"
)

// Trust asks for the gateway's authority and its list of revoked certificates, which takes no token. The list is the authority's; that this is the right authority
// is the caller's to know, or the gateway's certificate's.
func (c *Client) Trust(ctx context.Context) (secrets.Trust, error) {
	var out gateway.TrustList
	if err := c.Call(ctx, "", http.MethodGet, "/v1/trust", nil, &out); err != nil {
		return secrets.Trust{}, err
	}
	t, err := mtls.ParseTrust([]byte(out.Roots), []byte(out.Revoked))
	if err != nil {
		return t, fmt.Errorf("what the gateway says of its authority: %w", err)
	}
	return t, nil
}
