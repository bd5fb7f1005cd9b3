package jobclient

import (
	"context"
	"fmt"

	"github.com/foggrid/fogd/offchain/chain"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// Accept settles the reported slices of a job before their window is over, in as many transactions as that takes, and returns how many
// it settled; none is not an error.
func (c *Client) Accept(ctx context.Context, id string) (int, error) {
	if _, err := c.Job(ctx, id); err != nil {
		return 0, err
	}
	all, err := c.Slices(ctx, id)
	if err != nil {
		return 0, err
	}
	var reported []uint64
	for _, s := range all {
		if s.Status == jobstypes.SLICE_STATUS_REPORTED {
			reported = append(reported, uint64(s.Number))
		}
	}
	settled := 0
	for len(reported) > 0 {
		part := reported[:min(len(reported), jobstypes.MaxSlicesPerMsg)]
		reported = reported[len(part):]
		if _, err := c.Sender.Send(ctx, &jobstypes.MsgAcceptResult{Owner: c.Sender.Address(), JobId: id, Slices: part}); err != nil {
			return settled, err
		}
		settled += len(part)
	}
	return settled, nil
}

// Cancel ends a job: what is pending is refunded, what runs is paid for its time. A periodic job starts no more runs.
func (c *Client) Cancel(ctx context.Context, id string) (*chain.TxResult, error) {
	if _, err := c.AccountOf(ctx, id); err != nil {
		return nil, err
	}
	return c.Sender.Send(ctx, &jobstypes.MsgCancelJob{Owner: c.Sender.Address(), JobId: id})
}

// Withdraw sends what is free in the job's escrow account to its owner and returns how much that was, in ufog; none is not an error.
func (c *Client) Withdraw(ctx context.Context, id string) (uint64, error) {
	account, err := c.AccountOf(ctx, id)
	if err != nil {
		return 0, err
	}
	return WithdrawFree(ctx, c.Chain, c.Sender, account.Id)
}

// WithdrawFree takes what is free out of an escrow account of the sender and returns how much that was, in ufog.
func WithdrawFree(ctx context.Context, ch Chain, sender Sender, account string) (uint64, error) {
	resp, err := escrowtypes.NewQueryClient(ch.Latest()).Account(ctx, &escrowtypes.QueryAccountRequest{Id: account})
	if err != nil {
		return 0, fmt.Errorf("escrow account %s: %w", account, err)
	}
	if resp.Account.Free() == 0 {
		return 0, nil
	}
	all := escrowtypes.Coin(0) // of zero means all that is free
	res, err := sender.Send(ctx, &escrowtypes.MsgWithdraw{Owner: sender.Address(), Account: account, Amount: all})
	if err != nil {
		return 0, err
	}
	events, err := chain.EventsOf[*escrowtypes.EventWithdrawn](res.Events)
	if err != nil {
		return 0, err
	}
	total := uint64(0)
	for _, e := range events {
		total += e.Amount
	}
	return total, nil
}
