package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

// rate adds outcomes to the rating of a live node. The caller stores the node.
func (k Keeper) rate(ctx context.Context, id escrowtypes.ID, n *types.Node, outcomes []types.Outcome) error {
	if len(outcomes) == 0 || !n.Status.Live() {
		return nil
	}
	ratings, err := k.Ratings.Get(ctx, id)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return err
	}
	now := sdk.UnwrapSDKContext(ctx).BlockTime().Unix()
	ratings.Age(now - n.RatedTime)
	for _, o := range outcomes {
		ratings.Add(o)
	}
	n.Rating, n.RatedTime = ratings.Sum(), now
	return k.Ratings.Set(ctx, id, ratings)
}
