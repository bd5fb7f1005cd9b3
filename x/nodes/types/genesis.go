package types

import "cosmossdk.io/core/address"

// DefaultGenesis has no nodes.
func DefaultGenesis() *GenesisState { return &GenesisState{Params: DefaultParams(), NextIndex: 1} }

// Validate names the first contradiction.
func (g GenesisState) Validate(addresses address.Codec) error {
	if err := g.Params.Validate(); err != nil {
		return err
	}
	if g.NextIndex == 0 {
		return ErrInvalidGenesis.Wrap("next_index is 0; indexes start at 1")
	}
	ids, indexes, keys := map[string]bool{}, map[uint32]bool{}, map[string]bool{}
	for i, n := range g.Nodes {
		if _, err := ParseNodeID(n.Id); err != nil {
			return ErrInvalidGenesis.Wrapf("nodes[%d].id: %s", i, err)
		}
		if _, err := addresses.StringToBytes(n.Owner); err != nil {
			return ErrInvalidGenesis.Wrapf("nodes[%d].owner: %s", i, err)
		}
		if ids[n.Id] {
			return ErrInvalidGenesis.Wrapf("nodes[%d].id %s is there twice", i, n.Id)
		}
		ids[n.Id] = true
		if n.Index != 0 && (indexes[n.Index] || n.Index >= g.NextIndex) {
			return ErrInvalidGenesis.Wrapf("nodes[%d].index %d must be unique and below next_index %d", i, n.Index, g.NextIndex)
		}
		indexes[n.Index] = true
		if n.Status.Live() && keys[string(n.AgentKey)] {
			return ErrInvalidGenesis.Wrapf("nodes[%d].agent_key is that of another live node", i)
		}
		if n.Status.Live() {
			keys[string(n.AgentKey)] = true
		}
		if err := n.Reserved.FitsIn(n.Capacity); err != nil {
			return ErrInvalidGenesis.Wrapf("nodes[%d].reserved: %s", i, err)
		}
	}
	for i, id := range g.ToBenchmark {
		if !ids[id] {
			return ErrInvalidGenesis.Wrapf("to_benchmark[%d] %s is not among the nodes", i, id)
		}
	}
	return nil
}
