package types

import (
	"math/bits"

	"cosmossdk.io/core/address"
)

// DefaultGenesis has no oracles.
func DefaultGenesis() *GenesisState {
	return &GenesisState{Params: DefaultParams(), NextRound: 1}
}

// Validate names the first contradiction.
func (g GenesisState) Validate(addresses address.Codec) error {
	if err := g.Params.Validate(); err != nil {
		return err
	}
	v := genesisCheck{addresses: addresses, operators: map[string]bool{}, sets: map[uint64]map[string]bool{}}
	for _, check := range []func(GenesisState) error{v.oracles, v.unbondings, v.allSets, v.rounds, v.epoch} {
		if err := check(g); err != nil {
			return err
		}
	}
	return nil
}

// genesisCheck gathers what later parts refer to.
type genesisCheck struct {
	addresses address.Codec
	operators map[string]bool
	sets      map[uint64]map[string]bool
}

// address must be written as the module writes it, since records are compared as text.
func (v genesisCheck) address(text string) error {
	raw, err := v.addresses.StringToBytes(text)
	if err != nil {
		return err
	}
	same, err := v.addresses.BytesToString(raw)
	if err != nil {
		return err
	}
	if same != text {
		return ErrInvalidGenesis.Wrapf("%s must be written as %s", text, same)
	}
	return nil
}

func (v genesisCheck) oracles(g GenesisState) error {
	feeders, admitted := map[string]bool{}, 0
	for i, o := range g.Oracles {
		if err := v.address(o.Operator); err != nil {
			return ErrInvalidGenesis.Wrapf("oracles[%d].operator: %s", i, err)
		}
		if v.operators[o.Operator] {
			return ErrInvalidGenesis.Wrapf("oracles[%d].operator %s is there twice", i, o.Operator)
		}
		v.operators[o.Operator] = true
		if o.Feeder != "" {
			if err := v.address(o.Feeder); err != nil {
				return ErrInvalidGenesis.Wrapf("oracles[%d].feeder: %s", i, err)
			}
			if feeders[o.Feeder] {
				return ErrInvalidGenesis.Wrapf("oracles[%d].feeder %s is there twice", i, o.Feeder)
			}
			feeders[o.Feeder] = true
		}
		if err := (&MsgSetFeeder{Endpoint: o.Endpoint, TransportKey: o.TransportKey}).Validate(); err != nil {
			return ErrInvalidGenesis.Wrapf("oracles[%d]: %s", i, err)
		}
		set := 0
		for _, b := range o.Window {
			set += bits.OnesCount8(b)
		}
		if set != int(o.MissedEpochs) {
			return ErrInvalidGenesis.Wrapf("oracles[%d].missed_epochs is %d; window has %d bits set", i, o.MissedEpochs, set)
		}
		if o.Tombstoned && (o.Admitted || !o.Jailed) {
			return ErrInvalidGenesis.Wrapf("oracles[%d] is tombstoned; it must be jailed and not admitted", i)
		}
		if o.Admitted {
			admitted++
		}
	}
	if admitted > int(g.Params.MaxOracles) {
		return ErrInvalidGenesis.Wrapf("%d oracles are admitted; max_oracles is %d", admitted, g.Params.MaxOracles)
	}
	return nil
}

func (v genesisCheck) unbondings(g GenesisState) error {
	type key struct {
		operator  string
		completes int64
	}
	seen, count := map[key]bool{}, map[string]int{}
	for i, u := range g.Unbondings {
		if !v.operators[u.Operator] {
			return ErrInvalidGenesis.Wrapf("unbondings[%d].operator %s is not among the oracles", i, u.Operator)
		}
		if seen[key{u.Operator, u.Completes}] {
			return ErrInvalidGenesis.Wrapf("unbondings[%d] of %s at %d is there twice", i, u.Operator, u.Completes)
		}
		seen[key{u.Operator, u.Completes}] = true
		if count[u.Operator]++; count[u.Operator] > MaxUnbondings {
			return ErrInvalidGenesis.Wrapf("unbondings: %s has more than %d", u.Operator, MaxUnbondings)
		}
	}
	return nil
}

func (v genesisCheck) allSets(g GenesisState) error {
	for i, s := range g.Sets {
		if s.Id == 0 || v.sets[s.Id] != nil {
			return ErrInvalidGenesis.Wrapf("sets[%d].id %d must be positive and unique", i, s.Id)
		}
		members := map[string]bool{}
		for _, operator := range s.Operators {
			if !v.operators[operator] {
				return ErrInvalidGenesis.Wrapf("sets[%d]: %s is not among the oracles", i, operator)
			}
			members[operator] = true
		}
		v.sets[s.Id] = members
	}
	return nil
}

func (v genesisCheck) rounds(g GenesisState) error {
	open := map[uint64]bool{}
	subjects := map[string]bool{}
	last := uint64(0)
	for i, r := range g.Rounds {
		if r.Id <= last || r.Id >= g.NextRound {
			return ErrInvalidGenesis.Wrapf("rounds[%d].id %d must be more than the one before and below next_round %d", i, r.Id, g.NextRound)
		}
		last = r.Id
		members := v.sets[r.Set]
		if r.Set != 0 && members == nil {
			return ErrInvalidGenesis.Wrapf("rounds[%d].set %d is not among the sets", i, r.Set)
		}
		voted := map[string]bool{}
		for _, vote := range r.Votes {
			if !members[vote.Operator] || voted[vote.Operator] {
				return ErrInvalidGenesis.Wrapf("rounds[%d]: vote of %s, who is not in the set or is there twice", i, vote.Operator)
			}
			voted[vote.Operator] = true
		}
		switch r.Status {
		case ROUND_STATUS_OPEN:
			subject := r.Kind + "\x00" + string(r.Subject)
			if subjects[subject] {
				return ErrInvalidGenesis.Wrapf("rounds[%d] is open on a subject on which another round is open", i)
			}
			open[r.Id], subjects[subject] = true, true
		case ROUND_STATUS_EXECUTED, ROUND_STATUS_FAILED, ROUND_STATUS_EXPIRED, ROUND_STATUS_CANCELLED:
		default:
			return ErrInvalidGenesis.Wrapf("rounds[%d].status %d is not known", i, r.Status)
		}
	}
	for i, id := range g.Accepted {
		if !open[id] {
			return ErrInvalidGenesis.Wrapf("accepted[%d] %d is not an open round", i, id)
		}
	}
	return nil
}

func (v genesisCheck) epoch(g GenesisState) error {
	for i, part := range g.Participation {
		if !v.operators[part.Operator] {
			return ErrInvalidGenesis.Wrapf("participation[%d].operator %s is not among the oracles", i, part.Operator)
		}
	}
	for i, use := range g.Quota {
		if !v.operators[use.Operator] {
			return ErrInvalidGenesis.Wrapf("quota[%d].operator %s is not among the oracles", i, use.Operator)
		}
	}
	return nil
}
