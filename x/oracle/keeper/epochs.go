package keeper

import (
	"context"
	"math"
	"math/bits"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/oracle/types"
)

// turnEpoch judges the epoch that is over, if it is.
func (t *turn) turnEpoch(ctx context.Context) error {
	epoch, err := t.k.Epoch.Get(ctx)
	if err != nil {
		return err
	}
	if epoch.Ends == 0 { // the first block starts the first epoch
		return t.k.Epoch.Set(ctx, types.Epoch{Number: epoch.Number, Ends: t.now + int64(t.p.Epoch)})
	}
	if t.now < epoch.Ends {
		return nil
	}
	var parts []types.Participation
	missed := map[string]bool{}
	err = t.k.Participation.Walk(ctx, nil, func(_ sdk.AccAddress, part types.Participation) (bool, error) {
		parts = append(parts, part)
		missed[part.Operator] = 2*part.Voted < part.Expected
		return false, nil
	})
	if err != nil {
		return err
	}
	for _, part := range parts {
		if err := t.chargeRefused(ctx, part); err != nil {
			return err
		}
	}
	for i := range t.admitted {
		if o := &t.admitted[i]; t.active[o.Operator] {
			if err := t.judge(ctx, o, missed[o.Operator]); err != nil {
				return err
			}
		}
	}
	if err := t.k.Participation.Clear(ctx, nil); err != nil {
		return err
	}
	return t.k.Epoch.Set(ctx, types.Epoch{Number: epoch.Number + 1, Ends: t.now + int64(t.p.Epoch)})
}

// chargeRefused takes the fee of an epoch's refused votes out of the bond and, if it is short, of what is unbonding.
func (t *turn) chargeRefused(ctx context.Context, part types.Participation) error {
	fee := mulSaturated(part.Refused, t.p.RefusedVoteFee)
	if fee == 0 {
		return nil
	}
	operator, err := t.k.parse(part.Operator)
	if err != nil {
		return err
	}
	o, err := t.record(ctx, operator)
	if err != nil {
		return err
	}
	taken := min(fee, o.Bond)
	o.Bond -= taken
	rest := fee - taken
	more, err := t.k.cutUnbondings(ctx, operator, func(amount uint64) (uint64, error) {
		cut := min(amount, rest)
		rest -= cut
		return cut, nil
	})
	if err != nil {
		return err
	}
	taken += more
	if err := t.k.burn(ctx, operator, taken, "refused votes"); err != nil {
		return err
	}
	return t.k.Oracles.Set(ctx, operator, *o)
}

// record of an operator: that of the admitted, which is written through, or that of one who left.
func (t *turn) record(ctx context.Context, operator sdk.AccAddress) (*types.Oracle, error) {
	text := t.k.text(operator)
	for i := range t.admitted {
		if t.admitted[i].Operator == text {
			return &t.admitted[i], nil
		}
	}
	o, err := t.k.Oracle(ctx, operator)
	return &o, err
}

// judge writes one oracle's epoch into its window and jails the one that missed too many.
func (t *turn) judge(ctx context.Context, o *types.Oracle, missed bool) error {
	operator, err := t.k.parse(o.Operator)
	if err != nil {
		return err
	}
	fitWindow(o, t.p.MissWindow)
	markEpoch(o, t.p.MissWindow, missed)
	if o.MissedEpochs > t.p.MaxMissed {
		if _, err := t.k.slash(ctx, operator, o, t.p.DowntimeSlash, "missed epochs"); err != nil {
			return err
		}
		o.Jailed, o.JailedUntil = true, t.now+int64(t.p.DowntimeJail)
		o.MissedEpochs, o.WindowPosition = 0, 0
		clear(o.Window)
		if err := t.k.emitChange(ctx, operator, "jailed", 0); err != nil {
			return err
		}
	}
	return t.k.Oracles.Set(ctx, operator, *o)
}

// fitWindow starts a fresh window if governance changed its length.
func fitWindow(o *types.Oracle, length uint32) {
	fits := len(o.Window) == windowBytes(length) && o.WindowPosition < length
	for i := length; fits && i < uint32(8*len(o.Window)); i++ {
		fits = o.Window[i/8]&(1<<(i%8)) == 0
	}
	if !fits {
		o.Window, o.WindowPosition, o.MissedEpochs = make([]byte, windowBytes(length)), 0, 0
	}
}

// windowBytes holds one bit an epoch.
func windowBytes(length uint32) int { return int(length+7) / 8 }

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

// mulSaturated is a·b, or the largest number if that does not fit.
func mulSaturated(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	if high > 0 {
		return math.MaxUint64
	}
	return low
}
