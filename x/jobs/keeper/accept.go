package keeper

import (
	"context"

	"cosmossdk.io/collections"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
)

// AcceptResult settles reported slices of a job before their window is over: those named, or as many as one message may settle.
func (k Keeper) AcceptResult(ctx context.Context, owner string, id escrowtypes.ID, numbers []uint32) (uint32, error) {
	p, err := k.params.Get(ctx)
	if err != nil {
		return 0, err
	}
	j, err := k.openJob(ctx, p, id)
	if err != nil {
		return 0, err
	}
	if j.Owner != owner {
		return 0, types.ErrNotOwner.Wrapf("%s belongs to %s", j.Id, j.Owner)
	}
	if len(numbers) == 0 {
		if numbers, err = k.reported(ctx, id); err != nil {
			return 0, err
		}
	}
	if len(numbers) == 0 {
		return 0, types.ErrSliceState.Wrapf("%s has no reported slice to accept", j.Id)
	}
	for _, number := range numbers {
		s, err := k.Slice(ctx, id, number)
		if err != nil {
			return 0, err
		}
		if s.Status != types.SLICE_STATUS_REPORTED {
			return 0, types.ErrSliceState.Wrapf("slice %d of %s is %s; only reported ones can be accepted", number, j.Id, s.Status)
		}
		if err := k.settle(ctx, j, &s); err != nil {
			return 0, err
		}
	}
	return uint32(len(numbers)), k.save(ctx, j)
}

// reported lists the first reported slices of a job.
func (k Keeper) reported(ctx context.Context, id escrowtypes.ID) ([]uint32, error) {
	var numbers []uint32
	err := k.slices.Walk(ctx, collections.NewPrefixedPairRange[escrowtypes.ID, uint32](id),
		func(key types.SliceKey, s types.Slice) (bool, error) {
			if s.Status == types.SLICE_STATUS_REPORTED {
				numbers = append(numbers, key.K2())
			}
			return len(numbers) == types.MaxSlicesPerMsg, nil
		})
	return numbers, err
}

// ClaimTimeout ends slices whose time is over, should the queue not have reached them. The job's owner may claim each, a provider its
// own.
func (k Keeper) ClaimTimeout(ctx context.Context, sender string, id escrowtypes.ID, numbers []uint32) (uint32, error) {
	p, err := k.params.Get(ctx)
	if err != nil {
		return 0, err
	}
	j, err := k.openJob(ctx, p, id)
	if err != nil {
		return 0, err
	}
	if j.IsService() {
		return 0, types.ErrSliceState.Wrapf("%s is a service; its epochs are paid by themselves", j.Id)
	}
	for _, number := range numbers {
		s, err := k.Slice(ctx, id, number)
		if err != nil {
			return 0, err
		}
		switch {
		case sender != j.Owner && sender != s.Provider:
			return 0, types.ErrNotOwner.Wrapf("slice %d of %s: only the job's owner and the slice's provider may claim it", number, j.Id)
		case s.Status.Final():
			return 0, types.ErrSliceState.Wrapf("slice %d of %s is %s", number, j.Id, s.Status)
		case s.Due > j.now:
			return 0, types.ErrNotDue.Wrapf("slice %d of %s is due at %d, in %d seconds", number, j.Id, s.Due, s.Due-j.now)
		}
		if err := k.onDue(ctx, j, &s); err != nil {
			return 0, err
		}
	}
	return uint32(len(numbers)), k.save(ctx, j)
}
