package nodeclient

import (
	"fmt"
	"time"

	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/x/authz"

	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// pricesURL is the message that a key is let to send for an owner. The chain knows no narrower right: it changes prices, and attributes,
// capacity, declaration and location as well, of all nodes of the owner. It cannot move money.
var pricesURL = sdk.MsgTypeURL(&nodestypes.MsgUpdateNode{})

// SetPrices is the message by which a signer sets the prices of a node: directly if it is the owner, else in the owner's name.
func SetPrices(node nodestypes.Node, prices nodestypes.Prices, signer string) (sdk.Msg, error) {
	msg := &nodestypes.MsgUpdateNode{Owner: node.Owner, NodeId: node.Id, Prices: &prices}
	if signer == node.Owner {
		return msg, nil
	}
	inner, err := codectypes.NewAnyWithValue(msg)
	if err != nil {
		return nil, fmt.Errorf("prices of %s: %w", node.Id, err)
	}
	return &authz.MsgExec{Grantee: signer, Msgs: []*codectypes.Any{inner}}, nil
}

// GrantPricing lets a key set the prices of an owner's nodes until a time.
func GrantPricing(owner, key string, until time.Time) (sdk.Msg, error) {
	right, err := codectypes.NewAnyWithValue(authz.NewGenericAuthorization(pricesURL))
	if err != nil {
		return nil, fmt.Errorf("grant to %s: %w", key, err)
	}
	return &authz.MsgGrant{Granter: owner, Grantee: key, Grant: authz.Grant{Authorization: right, Expiration: &until}}, nil
}

// RevokePricing takes the right of GrantPricing back.
func RevokePricing(owner, key string) sdk.Msg {
	return &authz.MsgRevoke{Granter: owner, Grantee: key, MsgTypeUrl: pricesURL}
}
