package nodeclient

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/x/authz"

	"github.com/foggrid/fogd/offchain/chain"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

func TestPricingMessages(t *testing.T) {
	codec, err := chain.NewCodec()
	require.NoError(t, err)
	address := func(b byte) string {
		a, err := codec.Accounts().BytesToString(append(make([]byte, 19), b))
		require.NoError(t, err)
		return a
	}
	owner, key := address(1), address(2)
	node := nodestypes.Node{Id: "node1", Owner: owner, Prices: nodestypes.Prices{Cpu: 1, Gpu: 2}}
	update := &nodestypes.MsgUpdateNode{Owner: owner, NodeId: "node1", Prices: &nodestypes.Prices{Cpu: 7}}

	own, err := SetPrices(node, nodestypes.Prices{Cpu: 7}, owner)
	require.NoError(t, err)
	require.Equal(t, update, own)
	others, err := SetPrices(node, nodestypes.Prices{Cpu: 7}, key)
	require.NoError(t, err)
	grants, err := GrantPricing(owner, key, time.Unix(1, 0).UTC(), false)
	require.NoError(t, err)
	require.Len(t, grants, 1)
	grant, revoke := grants[0], RevokePricing(owner, key, false)[0]

	// What goes out is what comes in at the chain, signed by whom it should be.
	for _, c := range []struct {
		msg    sdk.Msg
		signer string
	}{{own, owner}, {others, key}, {grant, owner}, {revoke, owner}} {
		raw, err := codec.Proto().MarshalInterface(c.msg)
		require.NoError(t, err)
		var back sdk.Msg
		require.NoError(t, codec.Proto().UnmarshalInterface(raw, &back))
		signers, _, err := codec.Proto().GetMsgV1Signers(back)
		require.NoError(t, err)
		want, err := codec.Accounts().StringToBytes(c.signer)
		require.NoError(t, err)
		require.Equal(t, [][]byte{want}, signers)
		switch m := back.(type) {
		case *authz.MsgExec:
			inner, err := m.GetMessages()
			require.NoError(t, err)
			require.Equal(t, []sdk.Msg{update}, inner)
			require.Equal(t, sdk.MsgTypeURL(inner[0]), revoke.(*authz.MsgRevoke).MsgTypeUrl)
		case *authz.MsgGrant:
			right, err := m.Grant.GetAuthorization()
			require.NoError(t, err)
			require.Equal(t, sdk.MsgTypeURL(update), right.MsgTypeURL())
			require.Equal(t, time.Unix(1, 0).UTC(), *m.Grant.Expiration)
		}
	}
}
