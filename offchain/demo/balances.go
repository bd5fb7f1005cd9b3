package demo

import (
	"context"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"

	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/foggrid/fogd/offchain/chain"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
)

// Balances before and after the story, each at one height.
type Balances struct {
	HeightBefore int64          `json:"height_before"`
	HeightAfter  int64          `json:"height_after"`
	Developer    Purse          `json:"developer"`
	Provider     Purse          `json:"provider"`
	Oracles      []Purse        `json:"oracles"`
	Escrow       BeforeAndAfter `json:"escrow"`
	Supply       BeforeAndAfter `json:"supply"`
	// Fees that the accounts above paid for transactions and for the registration.
	Fees uint64 `json:"fees"`
	// Invariants is the answer of the chain's full recomputation.
	Invariants bool `json:"invariants_hold"`
}

// BeforeAndAfter is one figure at both heights.
type BeforeAndAfter struct {
	Before uint64 `json:"before"`
	After  uint64 `json:"after"`
}

// Purse is all that one person has.
type Purse struct {
	Address string         `json:"address"`
	Wallet  BeforeAndAfter `json:"wallet"`
	// InEscrow is the sum over the person's escrow accounts.
	InEscrow BeforeAndAfter `json:"in_escrow"`
}

func (p Purse) before() uint64 { return p.Wallet.Before + p.InEscrow.Before }
func (p Purse) after() uint64  { return p.Wallet.After + p.InEscrow.After }

// ledger reads balances at one height.
type ledger struct {
	client *chain.Client
	height int64
}

func (l ledger) wallet(ctx context.Context, address string) (uint64, error) {
	resp, err := banktypes.NewQueryClient(l.client.AtHeight(l.height)).Balance(ctx, &banktypes.QueryBalanceRequest{
		Address: address, Denom: escrowtypes.Denom,
	})
	if err != nil {
		return 0, err
	}
	return resp.Balance.Amount.Uint64(), nil
}

func (l ledger) inEscrow(ctx context.Context, owner string) (uint64, error) {
	accounts, err := escrowtypes.NewQueryClient(l.client.AtHeight(l.height)).Accounts(ctx, &escrowtypes.QueryAccountsRequest{Owner: owner})
	if err != nil {
		return 0, err
	}
	sum := uint64(0)
	for _, a := range accounts.Accounts {
		sum += a.Balance
	}
	return sum, nil
}

func (l ledger) supply(ctx context.Context) (uint64, error) {
	resp, err := banktypes.NewQueryClient(l.client.AtHeight(l.height)).SupplyOf(ctx, &banktypes.QuerySupplyOfRequest{Denom: escrowtypes.Denom})
	if err != nil {
		return 0, err
	}
	return resp.Amount.Amount.Uint64(), nil
}

// snapshot fills one side of the balances.
func (b *Balances) snapshot(ctx context.Context, c *chain.Client, height int64, after bool) error {
	l := ledger{client: c, height: height}
	set := func(f *BeforeAndAfter, v uint64) {
		if after {
			f.After = v
		} else {
			f.Before = v
		}
	}
	purses := []*Purse{&b.Developer, &b.Provider}
	for i := range b.Oracles {
		purses = append(purses, &b.Oracles[i])
	}
	for _, p := range purses {
		wallet, err := l.wallet(ctx, p.Address)
		if err != nil {
			return err
		}
		held, err := l.inEscrow(ctx, p.Address)
		if err != nil {
			return err
		}
		set(&p.Wallet, wallet)
		set(&p.InEscrow, held)
	}
	module, err := c.Codec().Accounts().BytesToString(authtypes.NewModuleAddress(escrowtypes.ModuleName))
	if err != nil {
		return err
	}
	escrow, err := l.wallet(ctx, module)
	if err != nil {
		return err
	}
	set(&b.Escrow, escrow)
	supply, err := l.supply(ctx)
	if err != nil {
		return err
	}
	set(&b.Supply, supply)
	if after {
		b.HeightAfter = height
		resp, err := escrowtypes.NewQueryClient(c.AtHeight(height)).Invariants(ctx, &escrowtypes.QueryInvariantsRequest{})
		if err != nil {
			return err
		}
		b.Invariants = resp.Holds
	} else {
		b.HeightBefore = height
	}
	return nil
}

// countFees adds what the accounts paid between the two heights: the fees of their transactions, and the registration's.
func (b *Balances) countFees(ctx context.Context, c *chain.Client, registration uint64) error {
	payers := map[string]bool{b.Developer.Address: true, b.Provider.Address: true}
	for _, o := range b.Oracles {
		payers[o.Address] = true
	}
	b.Fees = registration
	errDone := fmt.Errorf("done")
	err := c.Follow(ctx, b.HeightBefore+1, func(_ context.Context, block chain.Block) error {
		for _, tx := range block.Txs {
			fee, payer, err := feeOf(tx.Events)
			if err != nil {
				return err
			}
			if payers[payer] {
				b.Fees += fee
			}
		}
		if block.Height >= b.HeightAfter {
			return errDone
		}
		return nil
	})
	if err == errDone { //nolint:errorlint // our own value, passed through unwrapped
		return nil
	}
	return err
}

// feeOf reads the fee and who paid it from the events of a transaction.
func feeOf(events []abci.Event) (uint64, string, error) {
	var fee uint64
	var payer string
	for _, e := range events {
		if e.Type != sdk.EventTypeTx {
			continue
		}
		for _, a := range e.Attributes {
			switch {
			case a.Key == sdk.AttributeKeyFeePayer:
				payer = a.Value
			case a.Key == sdk.AttributeKeyFee && a.Value != "":
				coins, err := sdk.ParseCoinsNormalized(a.Value)
				if err != nil {
					return 0, "", fmt.Errorf("fee %q: %w", a.Value, err)
				}
				fee = coins.AmountOf(escrowtypes.Denom).Uint64()
			}
		}
	}
	return fee, payer, nil
}

// conserved says whether no ufog was lost or made.
func (b *Balances) conserved() bool {
	before, after := b.Developer.before()+b.Provider.before(), b.Developer.after()+b.Provider.after()
	for _, o := range b.Oracles {
		before += o.before()
		after += o.after()
	}
	return b.Supply.Before == b.Supply.After && b.Invariants && before == after+b.Fees
}
