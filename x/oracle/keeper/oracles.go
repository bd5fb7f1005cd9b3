package keeper

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/oracle/types"
)

// Oracle returns the record of an operator, or ErrUnknownOracle.
func (k Keeper) Oracle(ctx context.Context, operator sdk.AccAddress) (types.Oracle, error) {
	o, err := k.Oracles.Get(ctx, operator)
	if errors.Is(err, collections.ErrNotFound) {
		return types.Oracle{}, types.ErrUnknownOracle.Wrapf("%s; it must be admitted or bond first", k.text(operator))
	}
	return o, err
}

// active says whether an oracle may vote.
func active(o types.Oracle, p types.Params) bool {
	return o.Admitted && !o.Jailed && o.Bond >= p.MinBond
}

// newOracle is the record of an operator that nobody has heard of.
func (k Keeper) newOracle(operator sdk.AccAddress, p types.Params) types.Oracle {
	return types.Oracle{
		Operator: k.text(operator),
		Account:  escrowtypes.OracleAccountID(operator).Bech32(escrowtypes.AccountHRP),
		Window:   make([]byte, windowBytes(p.MissWindow)),
	}
}

// oracleOrNew returns the record of an operator, or a fresh one that is not stored yet.
func (k Keeper) oracleOrNew(ctx context.Context, operator sdk.AccAddress) (types.Oracle, error) {
	o, err := k.Oracles.Get(ctx, operator)
	if !errors.Is(err, collections.ErrNotFound) {
		return o, err
	}
	p, err := k.Params.Get(ctx)
	if err != nil {
		return types.Oracle{}, err
	}
	return k.newOracle(operator, p), nil
}

// admit takes an operator into the set; the caller has checked the authority.
func (k Keeper) admit(ctx context.Context, operator sdk.AccAddress, moniker string) error {
	p, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	admitted := uint32(0)
	err = k.Admitted.Walk(ctx, nil, func(sdk.AccAddress) (bool, error) {
		admitted++
		return false, nil
	})
	if err != nil {
		return err
	}
	o, err := k.oracleOrNew(ctx, operator)
	if err != nil {
		return err
	}
	switch {
	case o.Tombstoned:
		return types.ErrJailed.Wrapf("%s was punished for a disproved claim and cannot return", k.text(operator))
	case o.Admitted:
		return types.ErrInvalidField.Wrapf("operator %s is admitted already", k.text(operator))
	case admitted >= p.MaxOracles:
		return types.ErrSetFull.Wrapf("%d are admitted, max_oracles is %d; remove one first", admitted, p.MaxOracles)
	}
	o.Admitted, o.Moniker = true, moniker
	if err := k.Admitted.Set(ctx, operator); err != nil {
		return err
	}
	if err := k.Oracles.Set(ctx, operator, o); err != nil {
		return err
	}
	return k.emitChange(ctx, operator, "admitted", 0)
}

// remove takes an operator out of the set; its bond stays until it unbonds.
func (k Keeper) remove(ctx context.Context, operator sdk.AccAddress) error {
	o, err := k.Oracle(ctx, operator)
	if err != nil {
		return err
	}
	if !o.Admitted {
		return types.ErrInvalidField.Wrapf("operator %s is not admitted", k.text(operator))
	}
	o.Admitted = false
	if err := k.Admitted.Remove(ctx, operator); err != nil {
		return err
	}
	if err := k.Oracles.Set(ctx, operator, o); err != nil {
		return err
	}
	return k.emitChange(ctx, operator, "removed", 0)
}

// setFeeder names the hot key and, where given, the endpoint and its key.
func (k Keeper) setFeeder(ctx context.Context, operator, feeder sdk.AccAddress, endpoint string, transportKey []byte) error {
	o, err := k.Oracle(ctx, operator)
	if err != nil {
		return err
	}
	other, err := k.Feeders.Get(ctx, feeder)
	switch {
	case err == nil && !bytes.Equal(other, operator):
		return types.ErrFeederTaken.Wrapf("%s attests for %s; use a key of its own for each oracle", k.text(feeder), k.text(other))
	case err != nil && !errors.Is(err, collections.ErrNotFound):
		return err
	}
	if o.Feeder != "" {
		old, err := k.parse(o.Feeder)
		if err != nil {
			return err
		}
		if err := k.Feeders.Remove(ctx, old); err != nil {
			return err
		}
	}
	o.Feeder = k.text(feeder)
	if endpoint != "" {
		o.Endpoint = endpoint
	}
	if len(transportKey) > 0 {
		o.TransportKey = transportKey
	}
	if err := k.Feeders.Set(ctx, feeder, operator); err != nil {
		return err
	}
	if err := k.Oracles.Set(ctx, operator, o); err != nil {
		return err
	}
	return k.emitChange(ctx, operator, "feeder", 0)
}

// maxSetsRemoved is the most sets that one change of the set removes.
const maxSetsRemoved = 100

// refreshSet opens a new set if the active oracles are others than those of the current one, and removes sets that no round names.
func (t *turn) refreshSet(ctx context.Context) error {
	var operators []string
	for _, o := range t.admitted {
		if active(o, t.p) {
			operators = append(operators, o.Operator)
		}
	}
	slices.Sort(operators)
	current, err := t.k.currentSet(ctx)
	if err != nil {
		return err
	}
	if current.Id != 0 && slices.Equal(current.Operators, operators) {
		return nil
	}
	next := types.OracleSet{Id: current.Id + 1, Operators: operators}
	if err := t.k.Sets.Set(ctx, next.Id, next); err != nil {
		return err
	}
	if err := t.k.CurrentSet.Set(ctx, next.Id); err != nil {
		return err
	}
	return t.k.removeSetsBefore(ctx, next.Id)
}

// removeSetsBefore removes sets below current that no round names. Sets grow with the rounds, so the oldest round names the oldest set
// that is needed.
func (k Keeper) removeSetsBefore(ctx context.Context, current uint64) error {
	needed := current
	err := k.Rounds.Walk(ctx, nil, func(_ uint64, oldest types.Round) (bool, error) {
		needed = oldest.Set
		return true, nil
	})
	if err != nil {
		return err
	}
	var unused []uint64
	rng := new(collections.Range[uint64]).EndExclusive(needed)
	err = k.Sets.Walk(ctx, rng, func(id uint64, _ types.OracleSet) (bool, error) {
		unused = append(unused, id)
		return len(unused) >= maxSetsRemoved, nil
	})
	if err != nil {
		return err
	}
	for _, id := range unused {
		if err := k.Sets.Remove(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// currentSet returns the set that rounds are opened with; the zero set before the first block.
func (k Keeper) currentSet(ctx context.Context) (types.OracleSet, error) {
	id, err := k.CurrentSet.Get(ctx)
	if errors.Is(err, collections.ErrNotFound) {
		return types.OracleSet{}, nil
	}
	if err != nil {
		return types.OracleSet{}, err
	}
	return k.Sets.Get(ctx, id)
}

func (k Keeper) emitChange(ctx context.Context, operator sdk.AccAddress, change string, amount uint64) error {
	return emit(ctx, &types.EventOracleChanged{Operator: k.text(operator), Change: change, Amount: amount})
}
