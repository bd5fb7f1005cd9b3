package keeper

import (
	"context"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/oracle/types"
)

// InitGenesis writes a genesis state; escrow's must be there already, since it holds the bonds.
func (k Keeper) InitGenesis(ctx context.Context, g types.GenesisState) error {
	if err := g.Validate(k.addresses); err != nil {
		return err
	}
	if err := k.Params.Set(ctx, g.Params); err != nil {
		return err
	}
	if err := k.NextRound.Set(ctx, max(1, g.NextRound)); err != nil {
		return err
	}
	if err := k.Epoch.Set(ctx, g.Epoch); err != nil {
		return err
	}
	unbonding := map[string]uint64{}
	for _, u := range g.Unbondings {
		operator, err := k.parse(u.Operator)
		if err != nil {
			return err
		}
		if unbonding[u.Operator], err = escrowtypes.AddChecked(unbonding[u.Operator], u.Amount); err != nil {
			return err
		}
		if err := k.Unbondings.Set(ctx, collections.Join(operator, u.Completes), u.Amount); err != nil {
			return err
		}
		if err := k.UnbondingQueue.Set(ctx, collections.Join(u.Completes, operator)); err != nil {
			return err
		}
	}
	for _, o := range g.Oracles {
		if err := k.initOracle(ctx, o, unbonding[o.Operator], g.Params); err != nil {
			return err
		}
	}
	latest := uint64(0)
	for _, s := range g.Sets {
		latest = max(latest, s.Id)
		if err := k.Sets.Set(ctx, s.Id, s); err != nil {
			return err
		}
	}
	if latest > 0 {
		if err := k.CurrentSet.Set(ctx, latest); err != nil {
			return err
		}
	}
	if err := k.initRounds(ctx, g); err != nil {
		return err
	}
	for _, part := range g.Participation {
		operator, err := k.parse(part.Operator)
		if err != nil {
			return err
		}
		if err := k.Participation.Set(ctx, operator, part); err != nil {
			return err
		}
	}
	for _, use := range g.Quota {
		operator, err := k.parse(use.Operator)
		if err != nil {
			return err
		}
		if err := k.Quota.Set(ctx, operator, use); err != nil {
			return err
		}
	}
	return nil
}

func (k Keeper) initOracle(ctx context.Context, o types.Oracle, unbonding uint64, p types.Params) error {
	operator, err := k.parse(o.Operator)
	if err != nil {
		return err
	}
	fresh := k.newOracle(operator, p)
	o.Account = fresh.Account
	if len(o.Window) == 0 {
		o.Window = fresh.Window
	}
	held, err := escrowtypes.AddChecked(o.Bond, unbonding)
	if err != nil {
		return err
	}
	if held > 0 {
		account, err := k.escrow.Account(ctx, escrowtypes.OracleAccountID(operator))
		if err != nil {
			return types.ErrInvalidGenesis.Wrapf("oracle %s has a bond but no escrow account: %s", o.Operator, err)
		}
		if account.Locked != held {
			return types.ErrInvalidGenesis.Wrapf("oracle %s: bond and unbondings are %d ufog, escrow holds %d locked",
				o.Operator, held, account.Locked)
		}
	}
	if o.Feeder != "" {
		feeder, err := k.parse(o.Feeder)
		if err != nil {
			return err
		}
		if err := k.Feeders.Set(ctx, feeder, operator); err != nil {
			return err
		}
	}
	if o.Admitted {
		if err := k.Admitted.Set(ctx, operator); err != nil {
			return err
		}
	}
	return k.Oracles.Set(ctx, operator, o)
}

func (k Keeper) initRounds(ctx context.Context, g types.GenesisState) error {
	for _, r := range g.Rounds {
		if _, ok := k.reports[r.Kind]; !ok {
			return types.ErrInvalidGenesis.Wrapf("round %d has unknown kind %q", r.Id, r.Kind)
		}
		if err := k.Rounds.Set(ctx, r.Id, r); err != nil {
			return err
		}
		if err := k.RoundQueue.Set(ctx, collections.Join(r.Queued, r.Id)); err != nil {
			return err
		}
		if r.Status == types.ROUND_STATUS_OPEN {
			if err := k.OpenRounds.Set(ctx, collections.Join(r.Kind, r.Subject), r.Id); err != nil {
				return err
			}
		}
	}
	for _, id := range g.Accepted {
		round, err := k.Rounds.Get(ctx, id)
		if err != nil {
			return err
		}
		if _, _, ok := result(&round); !ok {
			return types.ErrInvalidGenesis.Wrapf("accepted round %d has no quorum", id)
		}
		if err := k.Accepted.Set(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// ExportGenesis reads the whole state.
func (k Keeper) ExportGenesis(ctx context.Context) (*types.GenesisState, error) {
	p, err := k.Params.Get(ctx)
	if err != nil {
		return nil, err
	}
	next, err := k.NextRound.Get(ctx)
	if err != nil {
		return nil, err
	}
	epoch, err := k.Epoch.Get(ctx)
	if err != nil {
		return nil, err
	}
	g := &types.GenesisState{Params: p, NextRound: next, Epoch: epoch}
	err = k.Oracles.Walk(ctx, nil, func(_ sdk.AccAddress, o types.Oracle) (bool, error) {
		g.Oracles = append(g.Oracles, o)
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	err = k.Unbondings.Walk(ctx, nil, func(key collections.Pair[sdk.AccAddress, int64], amount uint64) (bool, error) {
		g.Unbondings = append(g.Unbondings, types.Unbonding{Operator: k.text(key.K1()), Completes: key.K2(), Amount: amount})
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	err = k.Sets.Walk(ctx, nil, func(_ uint64, s types.OracleSet) (bool, error) {
		g.Sets = append(g.Sets, s)
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	err = k.Rounds.Walk(ctx, nil, func(_ uint64, r types.Round) (bool, error) {
		g.Rounds = append(g.Rounds, r)
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	err = k.Accepted.Walk(ctx, nil, func(id uint64) (bool, error) {
		g.Accepted = append(g.Accepted, id)
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	err = k.Participation.Walk(ctx, nil, func(_ sdk.AccAddress, part types.Participation) (bool, error) {
		g.Participation = append(g.Participation, part)
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	return g, k.Quota.Walk(ctx, nil, func(_ sdk.AccAddress, use types.QuotaUse) (bool, error) {
		g.Quota = append(g.Quota, use)
		return false, nil
	})
}
