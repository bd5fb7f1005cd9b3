package keeper

import (
	"errors"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/oracle/types"
)

// IsAttest says whether a transaction holds nothing but votes.
func IsAttest(tx sdk.Tx) bool {
	msgs := tx.GetMsgs()
	for _, m := range msgs {
		if _, ok := m.(*types.MsgAttest); !ok {
			return false
		}
	}
	return len(msgs) > 0
}

// CheckFeeFree says whether a transaction pays no fee: it is one MsgAttest of the feeder of an active oracle, within the oracle's
// quota of the epoch, with a vote that the handler will take. All its votes then count against the quota, which stays so if the
// message fails later. It touches the voter's own keys only.
//
// One message, because several could be made to fail together at no cost: a repetition is refused as a whole and takes the first
// down with it.
func (k Keeper) CheckFeeFree(ctx sdk.Context, tx sdk.Tx) (bool, error) {
	msgs := tx.GetMsgs()
	if len(msgs) != 1 {
		return false, nil
	}
	msg, ok := msgs[0].(*types.MsgAttest)
	if !ok {
		return false, nil
	}
	p, err := k.Params.Get(ctx)
	if err != nil {
		return false, err
	}
	if msg.Validate(p) != nil {
		return false, nil // the handler says what is wrong, for a fee
	}
	feeder, err := k.parse(msg.Feeder)
	if err != nil {
		return false, nil
	}
	v, err := k.voterOf(ctx, feeder, p)
	if err != nil {
		return false, withoutRefusal(err)
	}
	use, err := k.quotaUse(ctx, v)
	if err != nil {
		return false, err
	}
	if use.Used+uint64(len(msg.Votes)) > p.VoteQuota {
		return false, nil
	}
	for i := range msg.Votes {
		err := v.check(ctx, &msg.Votes[i])
		if err == nil {
			use.Used += uint64(len(msg.Votes))
			return true, k.Quota.Set(ctx, v.operator, use)
		}
		if err := withoutRefusal(err); err != nil {
			return false, err
		}
	}
	return false, nil
}

// quotaUse of the present epoch.
func (k Keeper) quotaUse(ctx sdk.Context, v *voterContext) (types.QuotaUse, error) {
	epoch, err := k.Epoch.Get(ctx)
	if err != nil {
		return types.QuotaUse{}, err
	}
	use, err := k.Quota.Get(ctx, v.operator)
	if errors.Is(err, collections.ErrNotFound) || (err == nil && use.Epoch != epoch.Number) {
		return types.QuotaUse{Operator: v.text, Epoch: epoch.Number}, nil
	}
	return use, err
}

// withoutRefusal hides the module's own refusals, which the handler repeats, and passes on errors of the store.
func withoutRefusal(err error) error {
	if _, refused := refusal(0, err); refused {
		return nil
	}
	return err
}
