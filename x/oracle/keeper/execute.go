package keeper

import (
	"context"
	"errors"
	"fmt"

	errorsmod "cosmossdk.io/errors"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	"github.com/foggrid/fogd/x/oracle/types"
)

// executeAccepted executes the reports that earlier blocks had no room for, by number of the round. Rounds are left waiting only if
// the block has no room for more.
func (t *turn) executeAccepted(ctx context.Context) error {
	for t.reports > 0 {
		var ids []uint64
		err := t.k.Accepted.Walk(ctx, nil, func(id uint64) (bool, error) {
			ids = append(ids, id)
			return len(ids) >= t.reports, nil
		})
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if err := t.executeWaiting(ctx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *turn) executeWaiting(ctx context.Context, id uint64) error {
	waits, err := t.k.Accepted.Has(ctx, id)
	if err != nil || !waits { // cancelled by a report before it
		return err
	}
	if err := t.k.Accepted.Remove(ctx, id); err != nil {
		return err
	}
	round, err := t.k.Rounds.Get(ctx, id)
	if err != nil {
		return err
	}
	return t.accept(ctx, &round)
}

// accept executes the report of a decided round, or queues it if the block has executed enough.
func (t *turn) accept(ctx context.Context, round *types.Round) error {
	if t.reports <= 0 {
		if err := t.k.Rounds.Set(ctx, round.Id, *round); err != nil {
			return err
		}
		return t.k.Accepted.Set(ctx, round.Id)
	}
	t.reports--
	said, claim, ok := result(round)
	if !ok {
		return fmt.Errorf("oracle: round %d was accepted without a quorum", round.Id)
	}
	// Before the execution, so that the report can neither cancel its own round nor be kept from opening the next on the subject.
	if err := t.k.leaveOpen(ctx, round); err != nil {
		return err
	}
	status, failure := types.ROUND_STATUS_EXECUTED, ""
	if err := t.k.execute(ctx, round.Kind, said, t.p.ReportGas); err != nil {
		status, round.Error, failure = types.ROUND_STATUS_FAILED, stableReason(err), shorten(err.Error())
	}
	round.Claim = claim
	round.Deadline = t.now + int64(t.p.VoteGrace)
	round.ExecutedHeight = sdk.UnwrapSDKContext(ctx).BlockHeight()
	if err := t.credit(ctx, round); err != nil {
		return err
	}
	return t.k.finish(ctx, round, status, failure)
}

// execute runs one report with its own gas, in a cached context, and survives its panics. A report that fails changes nothing.
func (k Keeper) execute(ctx context.Context, kind string, result types.RoundResult, gas uint64) (err error) {
	report, ok := k.reports[kind]
	if !ok {
		return types.ErrUnknownKind.Wrapf("%q", kind)
	}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case storetypes.ErrorOutOfGas, storetypes.ErrorGasOverflow:
			err = sdkerrors.ErrOutOfGas.Wrapf("the report took more than report_gas, %d (%v)", gas, r)
		default:
			err = types.ErrReportPanicked.Wrapf("%v", r)
		}
	}()
	msg, err := report.BuildMsg(k.reporter, result)
	if err != nil {
		return err
	}
	handler := k.router.Handler(msg)
	if handler == nil {
		return types.ErrUnknownKind.Wrapf("no handler for %s", sdk.MsgTypeURL(msg))
	}
	cached, write := sdk.UnwrapSDKContext(ctx).CacheContext()
	res, err := handler(cached.WithGasMeter(storetypes.NewGasMeter(gas)), msg)
	if err != nil {
		return err
	}
	write()
	sdk.UnwrapSDKContext(ctx).EventManager().EmitEvents(res.GetEvents())
	return nil
}

// stableReason names an error by what cannot differ between builds, since it goes into state: its codespace, code and meaning.
func stableReason(err error) string {
	space, code, _ := errorsmod.ABCIInfo(err, false)
	var registered *errorsmod.Error
	if errors.As(err, &registered) {
		return fmt.Sprintf("%s/%d: %s", space, code, registered.Error())
	}
	return fmt.Sprintf("%s/%d", space, code)
}

// shorten bounds the text of a failed report in its event.
func shorten(s string) string {
	const most = 512
	if len(s) > most {
		return s[:most]
	}
	return s
}
