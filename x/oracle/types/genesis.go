package types

import "cosmossdk.io/core/address"

// DefaultGenesis has no oracles.
func DefaultGenesis() *GenesisState {
	return &GenesisState{Params: DefaultParams(), NextRound: 1}
}

// Validate names the first contradiction.
func (g GenesisState) Validate(addresses address.Codec) error {
	if err := g.Params.Validate(); err != nil {
		return err
	}
	operators, feeders, admitted := map[string]bool{}, map[string]bool{}, 0
	for i, o := range g.Oracles {
		if _, err := addresses.StringToBytes(o.Operator); err != nil {
			return ErrInvalidGenesis.Wrapf("oracles[%d].operator: %s", i, err)
		}
		if operators[o.Operator] {
			return ErrInvalidGenesis.Wrapf("oracles[%d].operator %s is there twice", i, o.Operator)
		}
		operators[o.Operator] = true
		if o.Feeder != "" {
			if _, err := addresses.StringToBytes(o.Feeder); err != nil {
				return ErrInvalidGenesis.Wrapf("oracles[%d].feeder: %s", i, err)
			}
			if feeders[o.Feeder] {
				return ErrInvalidGenesis.Wrapf("oracles[%d].feeder %s is there twice", i, o.Feeder)
			}
			feeders[o.Feeder] = true
		}
		if o.Admitted {
			admitted++
		}
	}
	if admitted > int(g.Params.MaxOracles) {
		return ErrInvalidGenesis.Wrapf("%d oracles are admitted; max_oracles is %d", admitted, g.Params.MaxOracles)
	}
	sets := map[uint64]bool{}
	for i, s := range g.Sets {
		if sets[s.Id] {
			return ErrInvalidGenesis.Wrapf("sets[%d].id %d is there twice", i, s.Id)
		}
		sets[s.Id] = true
	}
	rounds := map[uint64]bool{}
	for i, r := range g.Rounds {
		if rounds[r.Id] || r.Id == 0 || r.Id >= g.NextRound {
			return ErrInvalidGenesis.Wrapf("rounds[%d].id %d must be unique and below next_round %d", i, r.Id, g.NextRound)
		}
		rounds[r.Id] = true
		if !sets[r.Set] {
			return ErrInvalidGenesis.Wrapf("rounds[%d].set %d is not among the sets", i, r.Set)
		}
	}
	for i, v := range g.Votes {
		if !rounds[v.RoundId] {
			return ErrInvalidGenesis.Wrapf("votes[%d].round_id %d is not among the rounds", i, v.RoundId)
		}
	}
	for i, id := range g.Accepted {
		if !rounds[id] {
			return ErrInvalidGenesis.Wrapf("accepted[%d] %d is not among the rounds", i, id)
		}
	}
	return nil
}
