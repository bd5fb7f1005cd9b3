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

// CheckFeeFree says whether a transaction pays no fee: it holds nothing but votes of feeders of active oracles, within their
// quota of the epoch, and each message has a vote that can be taken. The votes are then counted against the quota, which
// stays so if the messages fail later. It touches the voter's own keys only.
func (k Keeper) CheckFeeFree(ctx sdk.Context, tx sdk.Tx) (bool, error) {
	if !IsAttest(tx) {
		return false, nil
	}
	p, err := k.Params.Get(ctx)
	if err != nil {
		return false, err
	}
	for _, m := range tx.GetMsgs() {
		free, err := k.takeQuota(ctx, m.(*types.MsgAttest), p)
		if err != nil || !free {
			return false, err
		}
	}
	return true, nil
}

func (k Keeper) takeQuota(ctx sdk.Context, msg *types.MsgAttest, p types.Params) (bool, error) {
	if msg.Validate(p) != nil {
		return false, nil // the handler says what is wrong, for a fee
	}
	feeder, err := k.parse(msg.Feeder)
	if err != nil {
		return false, nil
	}
	operator, err := k.voter(ctx, feeder, p)
	if err != nil {
		return false, own(err)
	}
	epoch, err := k.Epoch.Get(ctx)
	if err != nil {
		return false, err
	}
	use, err := k.Quota.Get(ctx, operator)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return false, err
	}
	if use.Epoch != epoch.Number || use.Operator == "" {
		use = types.QuotaUse{Operator: k.text(operator), Epoch: epoch.Number}
	}
	if use.Used+uint64(len(msg.Votes)) > p.VoteQuota {
		return false, nil
	}
	for i := range msg.Votes {
		if _, err := k.votable(ctx, operator, msg.Votes[i].RoundId); err == nil {
			use.Used += uint64(len(msg.Votes))
			return true, k.Quota.Set(ctx, operator, use)
		} else if err := own(err); err != nil {
			return false, err
		}
	}
	return false, nil
}

// own hides the module's own refusals, which the handler repeats, and passes on errors of the store.
func own(err error) error {
	if _, refused := refusal(0, err); refused {
		return nil
	}
	return err
}
