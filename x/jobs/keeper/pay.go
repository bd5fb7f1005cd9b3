package keeper

import (
	"context"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/bech32"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
)

// At any time a job's funded = paid + fees + refunded + what its open slices hold; each function below moves an amount from one side of that
// sum to another, in the ledger and in the job's record alike.

// refund makes locked money of the job free for its owner.
func (k Keeper) refund(ctx context.Context, j *openJob, amount uint64) error {
	if err := k.escrow.Unlock(ctx, j.account, amount); err != nil {
		return err
	}
	refunded, err := escrowtypes.AddChecked(j.Refunded, amount)
	if err != nil {
		return err
	}
	j.Refunded = refunded
	return nil
}

// reclaimable is what was refunded and not withdrawn: tasks that are queued again can be given it back.
func (k Keeper) reclaimable(ctx context.Context, j *openJob) (uint64, error) {
	account, err := k.escrow.Account(ctx, j.account)
	if err != nil {
		return 0, err
	}
	return min(account.Free(), j.Refunded), nil
}

// rehold changes what slices hold from one amount to another; the difference comes from what is reclaimable, or goes back.
func (k Keeper) rehold(ctx context.Context, j *openJob, from, to uint64) error {
	if to <= from {
		return k.refund(ctx, j, from-to)
	}
	refunded, err := escrowtypes.SubChecked(j.Refunded, to-from)
	if err != nil {
		return err
	}
	if err := k.escrow.Lock(ctx, j.account, to-from); err != nil {
		return err
	}
	j.Refunded = refunded
	return nil
}

// payProvider moves locked money of the job to a provider.
func (k Keeper) payProvider(ctx context.Context, j *openJob, provider escrowtypes.ID, amount uint64) error {
	if err := k.escrow.MoveLocked(ctx, j.account, provider, amount); err != nil {
		return err
	}
	paid, err := escrowtypes.AddChecked(j.Paid, amount)
	if err != nil {
		return err
	}
	j.Paid = paid
	return nil
}

// payOracles moves a fee in equal parts to the oracles of a quorum; what is left of the division goes to the first.
func (k Keeper) payOracles(ctx context.Context, j *openJob, voters []string, fee uint64) error {
	if fee == 0 {
		return nil
	}
	if len(voters) == 0 {
		return types.ErrSliceState.Wrap("a fee without oracles to take it")
	}
	share := fee / uint64(len(voters))
	for i, voter := range voters {
		amount := share
		if i == 0 {
			amount += fee % uint64(len(voters))
		}
		if amount == 0 {
			break
		}
		operator, err := addressOf(voter)
		if err != nil {
			return err
		}
		account := escrowtypes.OracleAccountID(operator)
		if err := k.escrow.EnsureOpen(ctx, account, operator, escrowtypes.ACCOUNT_KIND_ORACLE); err != nil {
			return err
		}
		if err := k.escrow.MoveLocked(ctx, j.account, account, amount); err != nil {
			return err
		}
	}
	fees, err := escrowtypes.AddChecked(j.Fees, fee)
	if err != nil {
		return err
	}
	j.Fees = fees
	return nil
}

// feeOn is the oracles' part of a payment, within what was set aside for it.
func feeOn(p types.Params, paid, most uint64) (uint64, error) {
	fee, err := types.PartDown(paid, p.Fee)
	return min(fee, most), err
}

// providerAccount is the escrow account of the owner of a node.
func providerAccount(owner string) (escrowtypes.ID, error) {
	addr, err := addressOf(owner)
	if err != nil {
		return escrowtypes.ID{}, err
	}
	return escrowtypes.ProviderAccountID(addr), nil
}

// addressOf reads an address of a record, which was checked when it was written. The address codec would look up the global
// configuration of the SDK each time, which asks the operating system for the name of the program.
func addressOf(text string) (sdk.AccAddress, error) {
	_, addr, err := bech32.DecodeAndConvert(text)
	return addr, err
}
