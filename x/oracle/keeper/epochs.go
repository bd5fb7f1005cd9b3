package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/oracle/types"
)

// expect notes that every member of the round's set could have voted.
func (k Keeper) expect(ctx context.Context, round types.Round) error {
	return k.eachMember(ctx, round.Set, func(operator sdk.AccAddress) error {
		part, err := k.participation(ctx, operator)
		if err != nil {
			return err
		}
		part.Expected++
		return k.Participation.Set(ctx, operator, part)
	})
}

// missMinority takes back the votes that contradict the accepted claim: they count as misses.
func (k Keeper) missMinority(ctx context.Context, round types.Round, votes []types.RecordedVote) error {
	if round.Rule != types.ROUND_RULE_CLAIM {
		return nil
	}
	for _, v := range votes {
		if string(v.Claim) == string(round.Claim) {
			continue
		}
		operator, err := k.parse(v.Operator)
		if err != nil {
			return err
		}
		part, err := k.participation(ctx, operator)
		if err != nil {
			return err
		}
		if part.Voted > 0 { // the vote may have been counted in an earlier epoch
			part.Voted--
		}
		if err := k.Participation.Set(ctx, operator, part); err != nil {
			return err
		}
	}
	return nil
}

func (k Keeper) eachMember(ctx context.Context, set uint64, do func(sdk.AccAddress) error) error {
	s, err := k.Sets.Get(ctx, set)
	if errors.Is(err, collections.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, op := range s.Operators {
		operator, err := k.parse(op)
		if err != nil {
			return err
		}
		if err := do(operator); err != nil {
			return err
		}
	}
	return nil
}

// turnEpoch judges the epoch that is over, if it is. Runs in EndBlock.
func (k Keeper) turnEpoch(ctx context.Context, p types.Params) error {
	epoch, err := k.Epoch.Get(ctx)
	if err != nil {
		return err
	}
	now := blockSeconds(ctx)
	if epoch.Ends == 0 { // the first block starts the first epoch
		return k.Epoch.Set(ctx, types.Epoch{Number: epoch.Number, Ends: now + int64(p.Epoch)})
	}
	if now < epoch.Ends {
		return nil
	}
	set, err := k.currentSet(ctx)
	if err != nil {
		return err
	}
	err = k.eachMember(ctx, set.Id, func(operator sdk.AccAddress) error { return k.judge(ctx, operator, p) })
	if err != nil {
		return err
	}
	if err := k.Participation.Clear(ctx, nil); err != nil {
		return err
	}
	return k.Epoch.Set(ctx, types.Epoch{Number: epoch.Number + 1, Ends: now + int64(p.Epoch)})
}

// judge writes one oracle's epoch into its window, takes the fee of refused votes and jails the one that missed too many.
func (k Keeper) judge(ctx context.Context, operator sdk.AccAddress, p types.Params) error {
	o, err := k.Oracle(ctx, operator)
	if err != nil {
		return err
	}
	part, err := k.participation(ctx, operator)
	if err != nil {
		return err
	}
	fee := min(part.Refused*p.RefusedVoteFee, o.Bond)
	o.Bond -= fee
	if err := k.burn(ctx, operator, fee, "refused votes"); err != nil {
		return err
	}
	resizeWindow(&o, p.MissWindow)
	markEpoch(&o, p.MissWindow, 2*part.Voted < part.Expected)
	if o.MissedEpochs > p.MaxMissed {
		if _, err := k.slash(ctx, operator, &o, p.DowntimeSlash, "missed epochs"); err != nil {
			return err
		}
		o.Jailed, o.JailedUntil = true, blockSeconds(ctx)+int64(p.DowntimeJail)
		o.MissedEpochs, o.WindowPosition = 0, 0
		clear(o.Window)
		if err := k.emitChange(ctx, operator, "jailed", 0); err != nil {
			return err
		}
	}
	return k.Oracles.Set(ctx, operator, o)
}

// resizeWindow starts a fresh window if governance changed its length.
func resizeWindow(o *types.Oracle, length uint32) {
	if len(o.Window) == int(length+7)/8 && o.WindowPosition < length {
		return
	}
	o.Window, o.WindowPosition, o.MissedEpochs = make([]byte, (length+7)/8), 0, 0
}

// markEpoch writes the next bit of the ring and keeps the count of set bits.
func markEpoch(o *types.Oracle, length uint32, missed bool) {
	index, bit := o.WindowPosition/8, byte(1)<<(o.WindowPosition%8)
	if o.Window[index]&bit != 0 {
		o.MissedEpochs--
	}
	o.Window[index] &^= bit
	if missed {
		o.Window[index] |= bit
		o.MissedEpochs++
	}
	o.WindowPosition = (o.WindowPosition + 1) % length
}
