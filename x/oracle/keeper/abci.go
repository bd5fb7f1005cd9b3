package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/oracle/types"
)

// EndBlocker executes what waits, counts the block's votes and executes what they decide, closes what is due and turns the epoch.
func (k Keeper) EndBlocker(ctx context.Context) error {
	p, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	if err := k.completeUnbondings(ctx); err != nil {
		return err
	}
	t, err := k.newTurn(ctx, p)
	if err != nil {
		return err
	}
	t.reports = int(p.MaxReportsPerBlock)
	if err := t.executeAccepted(ctx); err != nil {
		return err
	}
	if err := t.countVotes(ctx); err != nil {
		return err
	}
	if err := t.closeDue(ctx); err != nil {
		return err
	}
	if err := t.saveParticipation(ctx); err != nil {
		return err
	}
	if err := t.turnEpoch(ctx); err != nil {
		return err
	}
	// Last, so that the rounds which other modules open in their EndBlock get the set as it is now.
	return t.refreshSet(ctx)
}

// countWithoutExecution counts the votes of a transaction after which no EndBlock comes before Commit.
func (k Keeper) countWithoutExecution(ctx context.Context, p types.Params) error {
	t, err := k.newTurn(ctx, p)
	if err != nil {
		return err
	}
	if err := t.countVotes(ctx); err != nil {
		return err
	}
	return t.saveParticipation(ctx)
}

// turn is what one EndBlock reads once and writes once.
type turn struct {
	k   Keeper
	p   types.Params
	now int64
	// reports that this block may still execute.
	reports int
	// admitted oracles in the order of their addresses, written through.
	admitted []types.Oracle
	// active operators at the beginning of EndBlock.
	active map[string]bool
	// operators of the sets that rounds named so far.
	sets map[uint64][]string
	// took part, by operator; added to the stored counts at the end.
	took map[string]*types.Participation
}

func (k Keeper) newTurn(ctx context.Context, p types.Params) (*turn, error) {
	t := &turn{
		k: k, p: p, now: blockSeconds(ctx),
		active: map[string]bool{}, sets: map[uint64][]string{}, took: map[string]*types.Participation{},
	}
	var operators []sdk.AccAddress
	err := k.Admitted.Walk(ctx, nil, func(operator sdk.AccAddress) (bool, error) {
		operators = append(operators, operator)
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	for _, operator := range operators {
		o, err := k.Oracles.Get(ctx, operator)
		if err != nil {
			return nil, err
		}
		t.admitted = append(t.admitted, o)
		t.active[o.Operator] = active(o, p)
	}
	return t, nil
}

// members of a round's set.
func (t *turn) members(ctx context.Context, set uint64) ([]string, error) {
	members, ok := t.sets[set]
	if ok {
		return members, nil
	}
	s, err := t.k.set(ctx, set)
	if err != nil {
		return nil, err
	}
	t.sets[set] = s.Operators
	return s.Operators, nil
}

// set returns a set by number; an empty one if there is none, for rounds that were opened before the first.
func (k Keeper) set(ctx context.Context, id uint64) (types.OracleSet, error) {
	s, err := k.Sets.Get(ctx, id)
	if errors.Is(err, collections.ErrNotFound) {
		return types.OracleSet{}, nil
	}
	return s, err
}
