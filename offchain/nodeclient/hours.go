package nodeclient

import (
	"context"
	"fmt"

	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/x/authz"

	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// Params reads the params of x/nodes.
func (c *Client) Params(ctx context.Context) (nodestypes.Params, error) {
	resp, err := nodestypes.NewQueryClient(c.Chain.Latest()).Params(ctx, &nodestypes.QueryParamsRequest{})
	if err != nil {
		return nodestypes.Params{}, err
	}
	return resp.Params, nil
}

// Announce is the message by which a signer announces when a node will be offline: directly if it is the owner, else in the owner's name.
func Announce(node nodestypes.Node, hours nodestypes.OfflineHours, signer string) (sdk.Msg, error) {
	return inName(node, &nodestypes.MsgUpdateNode{Owner: node.Owner, NodeId: node.Id, Hours: &hours}, signer)
}

// Drain and Resume are the messages by which a signer has a node take no more work, and take work again.
func Drain(node nodestypes.Node, signer string) (sdk.Msg, error) {
	return inName(node, &nodestypes.MsgDrainNode{Owner: node.Owner, NodeId: node.Id}, signer)
}

// Resume takes Drain back.
func Resume(node nodestypes.Node, signer string) (sdk.Msg, error) {
	return inName(node, &nodestypes.MsgResumeNode{Owner: node.Owner, NodeId: node.Id}, signer)
}

// inName is a message of a node's owner as another signer sends it, who needs a grant for it.
func inName(node nodestypes.Node, msg sdk.Msg, signer string) (sdk.Msg, error) {
	if signer == node.Owner {
		return msg, nil
	}
	inner, err := codectypes.NewAnyWithValue(msg)
	if err != nil {
		return nil, fmt.Errorf("message for %s: %w", node.Id, err)
	}
	return &authz.MsgExec{Grantee: signer, Msgs: []*codectypes.Any{inner}}, nil
}

// Coming are hours without the spans that are over: what a further announcement takes along.
func Coming(hours nodestypes.OfflineHours, now int64) nodestypes.OfflineHours {
	var spans []nodestypes.Span
	for _, s := range hours.Spans {
		if s.To > now {
			spans = append(spans, s)
		}
	}
	hours.Spans = spans
	return hours
}

// WithSpan adds a span to hours; an error if it touches another one.
func WithSpan(hours nodestypes.OfflineHours, span nodestypes.Span) (nodestypes.OfflineHours, error) {
	at := 0
	for at < len(hours.Spans) && hours.Spans[at].From < span.From {
		at++
	}
	spans := append([]nodestypes.Span{}, hours.Spans[:at]...)
	hours.Spans = append(append(spans, span), hours.Spans[at:]...)
	return hours, hours.Validate()
}
