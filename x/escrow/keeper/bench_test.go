package keeper_test

import (
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/internal/fixture"
)

// BenchmarkSettlement is what settling a slice does to the ledger: collateral unlocked, provider paid, four oracles paid, the rest
// unlocked; 1,000 slices a block.
func BenchmarkSettlement(b *testing.B) {
	e := fixture.New(b)
	k := e.Escrow
	e.Fund(alice, 1<<50)
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	job := types.JobAccountID(types.ID{1})
	oracles := [4]types.ID{{1}, {2}, {3}, {4}}
	must(e.Tx(func(ctx sdk.Context) error {
		for _, id := range append(oracles[:], job, bobAccount) {
			must(k.Open(ctx, id, alice, types.ACCOUNT_KIND_JOB))
			must(k.Deposit(ctx, alice, id, 1<<40))
			must(k.Lock(ctx, id, 1<<39))
		}
		return nil
	}))
	e.NextBlock()
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		must(k.Unlock(e.Ctx, bobAccount, 1))
		must(k.MoveLocked(e.Ctx, job, bobAccount, 10))
		for _, oracle := range oracles {
			must(k.MoveLocked(e.Ctx, job, oracle, 1))
		}
		must(k.Unlock(e.Ctx, job, 1))
		if i%1000 == 999 {
			e.NextBlock()
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "slices/s")
}
