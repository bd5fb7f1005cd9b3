package keeper

import (
	"context"
	"fmt"
	"slices"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/oracle/types"
)

// executeAccepted executes the reports of accepted rounds, at most limit of them, by number. A report that fails marks its round
// and changes nothing else.
func (k Keeper) executeAccepted(ctx context.Context, p types.Params) error {
	var ids []uint64
	err := k.Accepted.Walk(ctx, nil, func(id uint64) (bool, error) {
		ids = append(ids, id)
		return len(ids) >= int(p.MaxReportsPerBlock), nil
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := k.Accepted.Remove(ctx, id); err != nil {
			return err
		}
		round, err := k.Rounds.Get(ctx, id)
		if err != nil {
			return err
		}
		if round.Status != types.ROUND_STATUS_OPEN { // cancelled in the meantime
			continue
		}
		votes, err := k.recordedVotes(ctx, id)
		if err != nil {
			return err
		}
		result, ok := k.result(&round, votes)
		if !ok {
			return fmt.Errorf("oracle: round %d was queued without a quorum", id)
		}
		status := types.ROUND_STATUS_EXECUTED
		if err := k.execute(ctx, round.Kind, result, p.ReportGas); err != nil {
			status, round.Error = types.ROUND_STATUS_FAILED, shorten(err.Error())
		}
		if err := k.expect(ctx, round); err != nil {
			return err
		}
		if err := k.missMinority(ctx, round, votes); err != nil {
			return err
		}
		if err := k.finish(ctx, &round, status, votes); err != nil {
			return err
		}
	}
	return nil
}

// result of a decided round; it notes the accepted claim in the round.
func (k Keeper) result(round *types.Round, votes []types.RecordedVote) (types.RoundResult, bool) {
	out := types.RoundResult{Round: round.Id, Subject: round.Subject, Quorum: round.Quorum}
	if round.Rule == types.ROUND_RULE_CLAIM {
		claim, ok := acceptedClaim(votes, round.Quorum)
		if !ok {
			return out, false
		}
		round.Claim = claim.claim
		out.Body, out.Meter, out.Voters = claim.body, claim.meter, claim.voters
		return out, true
	}
	if len(votes) < int(round.Quorum) {
		return out, false
	}
	votes = slices.Clone(votes)
	slices.SortFunc(votes, func(a, b types.RecordedVote) int {
		if a.Operator < b.Operator {
			return -1
		}
		return 1
	})
	for _, v := range votes {
		out.Voters = append(out.Voters, v.Operator)
		out.Votes = append(out.Votes, types.ObservedVote{Voter: v.Operator, Body: v.Body})
	}
	return out, true
}

// execute runs one report with its own gas, in a cached context, and survives its panics.
func (k Keeper) execute(ctx context.Context, kind string, result types.RoundResult, gas uint64) (err error) {
	report, ok := k.reports[kind]
	if !ok {
		return types.ErrUnknownKind.Wrapf("%q", kind)
	}
	defer func() {
		if r := recover(); r != nil {
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

// shorten bounds the text that a failed report leaves in its round.
func shorten(s string) string {
	const most = 512
	if len(s) > most {
		return s[:most]
	}
	return s
}

func emit(ctx context.Context, event interface {
	Reset()
	String() string
	ProtoMessage()
}) error {
	return sdk.UnwrapSDKContext(ctx).EventManager().EmitTypedEvent(event)
}
