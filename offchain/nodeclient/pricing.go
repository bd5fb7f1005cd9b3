package nodeclient

import (
	"context"
	"fmt"
	"time"

	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"
	"github.com/cosmos/cosmos-sdk/x/authz"

	"github.com/foggrid/fogd/offchain/chain"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// pricesURL is the message that a key is let to send for an owner. The chain knows no narrower right: it changes prices, and attributes,
// capacity, declaration and location as well, of all nodes of the owner. It cannot move money.
var pricesURL = sdk.MsgTypeURL(&nodestypes.MsgUpdateNode{})

// SetPrices is the message by which a signer sets the prices of a node: directly if it is the owner, else in the owner's name.
func SetPrices(node nodestypes.Node, prices nodestypes.Prices, signer string) (sdk.Msg, error) {
	return inName(node, &nodestypes.MsgUpdateNode{Owner: node.Owner, NodeId: node.Id, Prices: &prices}, signer)
}

// drainURLs are the messages besides that a key needs to keep a machine free for who sits at it.
var drainURLs = []string{sdk.MsgTypeURL(&nodestypes.MsgDrainNode{}), sdk.MsgTypeURL(&nodestypes.MsgResumeNode{})}

// GrantPricing lets a key set the prices of an owner's nodes, and announce when they are offline, until a time; with drain also have them take no more
// work, and take work again.
func GrantPricing(owner, key string, until time.Time, drain bool) ([]sdk.Msg, error) {
	urls := []string{pricesURL}
	if drain {
		urls = append(urls, drainURLs...)
	}
	var msgs []sdk.Msg
	for _, url := range urls {
		right, err := codectypes.NewAnyWithValue(authz.NewGenericAuthorization(url))
		if err != nil {
			return nil, fmt.Errorf("grant to %s: %w", key, err)
		}
		msgs = append(msgs, &authz.MsgGrant{Granter: owner, Grantee: key, Grant: authz.Grant{Authorization: right, Expiration: &until}})
	}
	return msgs, nil
}

// Granted lists which of the rights of GrantPricing a key has: whether it may change nodes, and whether it may drain and resume them.
func (c *Client) Granted(ctx context.Context, owner, key string) (change, drain bool, err error) {
	if owner == key {
		return true, true, nil
	}
	grants, err := chain.Collect(ctx, func(ctx context.Context, page *query.PageRequest) (*authz.QueryGrantsResponse, error) {
		return authz.NewQueryClient(c.Chain.Latest()).Grants(ctx, &authz.QueryGrantsRequest{Granter: owner, Grantee: key, Pagination: page})
	}, func(r *authz.QueryGrantsResponse) []*authz.Grant { return r.Grants })
	if err != nil {
		return false, false, err
	}
	have := map[string]bool{}
	for _, g := range grants {
		var right authz.GenericAuthorization
		if g.Authorization.TypeUrl != sdk.MsgTypeURL(&right) {
			continue // of another kind than GrantPricing gives
		}
		if err := right.Unmarshal(g.Authorization.Value); err != nil {
			return false, false, fmt.Errorf("grant of %s to %s: %w", owner, key, err)
		}
		have[right.Msg] = true
	}
	return have[pricesURL], have[drainURLs[0]] && have[drainURLs[1]], nil
}

// RevokePricing takes the right of GrantPricing back, and with drain those that came with it.
func RevokePricing(owner, key string, drain bool) []sdk.Msg {
	msgs := []sdk.Msg{&authz.MsgRevoke{Granter: owner, Grantee: key, MsgTypeUrl: pricesURL}}
	if drain {
		for _, url := range drainURLs {
			msgs = append(msgs, &authz.MsgRevoke{Granter: owner, Grantee: key, MsgTypeUrl: url})
		}
	}
	return msgs
}
