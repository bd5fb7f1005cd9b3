package types

import (
	"fmt"

	"cosmossdk.io/core/address"
)

// DefaultGenesis has no nodes.
func DefaultGenesis() *GenesisState { return &GenesisState{Params: DefaultParams(), NextIndex: 1} }

// Validate names the first contradiction.
func (g GenesisState) Validate(addresses address.Codec) error {
	if err := g.Params.Validate(); err != nil {
		return ErrInvalidGenesis.Wrapf("params: %s", err)
	}
	if g.NextIndex == 0 {
		return ErrInvalidGenesis.Wrap("next_index is 0; indexes start at 1")
	}
	if g.Schedule.NextLiveness < 0 {
		return ErrInvalidGenesis.Wrapf("schedule.next_liveness is %d; it must not be negative", g.Schedule.NextLiveness)
	}
	nextClass := uint32(1)
	if g.Model != nil {
		if err := g.Model.Validate(); err != nil {
			return ErrInvalidGenesis.Wrapf("model: %s", err)
		}
		nextClass = g.Model.NextClass
	}
	ids, indexes, keys := map[string]bool{}, map[uint32]bool{}, map[string]bool{}
	for i, n := range g.Nodes {
		if err := n.Validate(addresses); err != nil {
			return ErrInvalidGenesis.Wrapf("nodes[%d]: %s", i, err)
		}
		if ids[n.Id] {
			return ErrInvalidGenesis.Wrapf("nodes[%d].id %s is there twice", i, n.Id)
		}
		ids[n.Id] = true
		if n.Class >= nextClass || n.ClassCandidate >= nextClass {
			return ErrInvalidGenesis.Wrapf("nodes[%d].class %d and class_candidate %d must be below the model's next_class, %d",
				i, n.Class, n.ClassCandidate, nextClass)
		}
		if n.Index != 0 {
			if indexes[n.Index] || n.Index >= g.NextIndex {
				return ErrInvalidGenesis.Wrapf("nodes[%d].index %d must be unique and below next_index %d", i, n.Index, g.NextIndex)
			}
			indexes[n.Index] = true
		}
		if n.Status.Live() {
			if keys[string(n.AgentKey)] {
				return ErrInvalidGenesis.Wrapf("nodes[%d].agent_key is that of another live node", i)
			}
			keys[string(n.AgentKey)] = true
		}
	}
	if uint32(len(indexes)) != g.NextIndex-1 {
		return ErrInvalidGenesis.Wrapf("next_index is %d, but %d nodes have an index; indexes have no gaps", g.NextIndex, len(indexes))
	}
	if err := validateRatings(g.Ratings, g.Nodes); err != nil {
		return err
	}
	if err := g.validateFleets(addresses); err != nil {
		return err
	}
	asked := map[string]bool{}
	for i, id := range g.ToBenchmark {
		if !ids[id] || asked[id] {
			return ErrInvalidGenesis.Wrapf("to_benchmark[%d] %s must be one of the nodes, and there once", i, id)
		}
		asked[id] = true
	}
	return g.validateWaiting()
}

// validateWaiting sees to it that nobody waits for ever.
func (g GenesisState) validateWaiting() error {
	nodes, fleets, waiting := map[string]Node{}, map[string]Fleet{}, map[string]bool{}
	for _, n := range g.Nodes {
		nodes[n.Id] = n
	}
	for _, f := range g.Fleets {
		fleets[f.Owner] = f
	}
	for i, id := range g.Waiting {
		n, known := nodes[id]
		if f := fleets[n.Owner]; !known || waiting[id] || n.BenchmarkUntil != 0 || f.Until == 0 && f.Due == 0 {
			return ErrInvalidGenesis.Wrapf("waiting[%d] %s must be one of the nodes, there once, without a benchmark of its own, and of an owner that is due", i, id)
		}
		waiting[id] = true
	}
	return nil
}

func (g GenesisState) validateFleets(addresses address.Codec) error {
	open := map[string]uint32{}
	for _, n := range g.Nodes {
		if n.BenchmarkStart != 0 {
			open[fmt.Sprint(n.Owner, n.BenchmarkUntil)]++
		}
	}
	owners := map[string]bool{}
	for i, f := range g.Fleets {
		raw, err := addresses.StringToBytes(f.Owner)
		if err != nil {
			return ErrInvalidGenesis.Wrapf("fleets[%d].owner %q is not an address: %s", i, f.Owner, err)
		}
		if owners[string(raw)] {
			return ErrInvalidGenesis.Wrapf("fleets[%d]: %s is there twice", i, f.Owner)
		}
		owners[string(raw)] = true
		if f.Day < 0 || f.Due < 0 || f.Joint == 0 && f.Due == 0 {
			return ErrInvalidGenesis.Wrapf("fleets[%d]: day %d and due %d must not be negative, and one without joint benchmarks must be due", i, f.Day, f.Due)
		}
		if f.Until < 0 || f.Open != open[fmt.Sprint(f.Owner, f.Until)] {
			return ErrInvalidGenesis.Wrapf("fleets[%d]: open is %d, but %d nodes have a joint benchmark until %d", i, f.Open,
				open[fmt.Sprint(f.Owner, f.Until)], f.Until)
		}
	}
	return nil
}

func validateRatings(ratings []NodeRatings, nodes []Node) error {
	parts := map[string]Ratings{}
	for i, r := range ratings {
		if _, twice := parts[r.NodeId]; twice {
			return ErrInvalidGenesis.Wrapf("ratings[%d]: %s is there twice", i, r.NodeId)
		}
		if err := r.Ratings.Validate(); err != nil {
			return ErrInvalidGenesis.Wrapf("ratings[%d]: %s", i, err)
		}
		parts[r.NodeId] = r.Ratings
	}
	for i, n := range nodes {
		if sum := parts[n.Id].Sum(); n.Status.Live() && sum != n.Rating {
			return ErrInvalidGenesis.Wrapf("nodes[%d].rating is %v; its parts add up to %v", i, n.Rating, sum)
		}
		if n.Status.Live() {
			delete(parts, n.Id)
		}
	}
	for _, r := range ratings {
		if _, left := parts[r.NodeId]; left {
			return ErrInvalidGenesis.Wrapf("ratings of %s, which is no live node", r.NodeId)
		}
	}
	return nil
}
