package gwclient

import (
	"context"
	"fmt"
	"net/http"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/gateway"
)

// Ticket asks, with the tokens of an oracle, for what Nomad's clients pull an attempt with.
func (t *Tokens) Ticket(ctx context.Context, id dispatch.AttemptID) (gateway.Ticket, error) {
	var out gateway.Ticket
	path := fmt.Sprintf("/v1/jobs/%s/slices/%d/attempts/%d/ticket", id.Job, id.Slice, id.Attempt)
	return out, t.call(ctx, http.MethodPost, path, &out)
}
