package types_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/x/nodes/types"
)

func TestPortRanges(t *testing.T) {
	for says, r := range map[string]types.PortRange{
		"ports 80 to 90; they must go up within 1024 to 65535": {From: 80, To: 90},
		"ports 65000 to 65536; they must":                      {From: 65_000, To: 65_536},
		"ports 3000 to 2000; they must":                        {From: 3_000, To: 2_000},
		"ports 0 to 2000; they must":                           {To: 2_000},
		"ports 2000 to 4000 are 2001; at most 2000":            {From: 2_000, To: 4_000},
	} {
		err := r.Validate()
		require.ErrorIs(t, err, types.ErrInvalidField)
		require.ErrorContains(t, err, says)
	}
	require.NoError(t, types.PortRange{}.Validate())
	r := types.PortRange{From: 2_000, To: 3_999}
	require.NoError(t, r.Validate())
	require.EqualValues(t, 2_000, r.Count())
	require.True(t, r.Has(3_999))
	require.False(t, r.Has(4_000))
	require.False(t, types.PortRange{}.Has(0))
}

func TestUpdateOfAddressAndPorts(t *testing.T) {
	node := types.Node{Address: "node.example", Ports: types.PortRange{From: 2_000, To: 2_009}, PortsInUse: []uint32{2_004}}
	for says, msg := range map[string]*types.MsgUpdateNode{
		"must be a host name in lower case": {Address: "http://node.example"},
		"address has 254 characters":        {Address: strings.Repeat("a", 254)},
		"port 2004 is in use":               {Ports: &types.PortRange{From: 2_005, To: 2_009}},
		"port 2004 is in use and":           {Ports: &types.PortRange{}},
		"ports 1 to 2; they must":           {Ports: &types.PortRange{From: 1, To: 2}},
	} {
		require.ErrorContains(t, msg.Validate(node), says)
	}
	require.NoError(t, (&types.MsgUpdateNode{Address: "2001:db8::1"}).Validate(node))
	require.NoError(t, (&types.MsgUpdateNode{Ports: &types.PortRange{From: 2_004, To: 2_004}}).Validate(node))
	require.ErrorContains(t, (&types.MsgUpdateNode{Ports: &types.PortRange{From: 2_000, To: 2_001}}).Validate(types.Node{}), "without an address")
}

// Whatever is asked for and given back: a port has one holder, static ports are those asked for, and nothing is refused while enough is free.
func TestPortsAreAssignedOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := types.Node{Address: "a", Ports: types.PortRange{From: 2_000, To: 2_000 + rapid.Uint32Range(0, 9).Draw(t, "more")}}
		held := map[uint32]bool{}
		for range 30 {
			if len(held) > 0 && rapid.Bool().Draw(t, "release") {
				port := rapid.SampledFrom(n.PortsInUse).Draw(t, "port")
				require.NoError(t, n.ReleasePorts([]uint32{port}))
				require.Error(t, n.ReleasePorts([]uint32{port}), "twice")
				delete(held, port)
				continue
			}
			wanted := rapid.SliceOfN(rapid.OneOf(rapid.Just(uint32(0)), rapid.Uint32Range(1_999, 2_010)), 0, 4).Draw(t, "wanted")
			got, err := n.AssignPorts(wanted, rapid.Uint64().Draw(t, "start"))
			static, possible := map[uint32]bool{}, uint32(len(wanted)) <= n.FreePorts()
			for _, port := range wanted {
				if port != 0 {
					possible = possible && n.Ports.Has(port) && !held[port] && !static[port]
					static[port] = true
				}
			}
			require.Equal(t, possible, err == nil, "%v", err)
			if err != nil {
				require.ErrorIs(t, err, types.ErrNoCapacity)
				continue
			}
			require.Len(t, got, len(wanted))
			for i, port := range got {
				require.True(t, n.Ports.Has(port))
				require.False(t, held[port])
				require.True(t, wanted[i] == 0 || wanted[i] == port)
				held[port] = true
			}
			require.NoError(t, n.TakePorts(got))
			require.Len(t, n.PortsInUse, len(held))
			require.EqualValues(t, n.Ports.Count()-uint32(len(held)), n.FreePorts())
		}
	})
}
