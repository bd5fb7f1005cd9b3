package grid

import (
	"strconv"
	"strings"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cosmos/gogoproto/proto"
	"github.com/stretchr/testify/require"

	sdkmath "cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/app"
	"github.com/foggrid/fogd/app/testapp"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
)

var slashed = proto.MessageName(&escrowtypes.EventSlashed{})

// count adds what a block burned: what the ledger says it slashed.
func (g *Grid) count(block *testapp.Block) {
	g.tb.Helper()

	g.countBurned(block.Events)
	for _, result := range block.Results {
		if result.Code == abci.CodeTypeOK {
			g.countBurned(result.Events)
		}
	}
}

func (g *Grid) countBurned(events []abci.Event) {
	g.tb.Helper()

	for _, event := range events {
		if event.Type != slashed {
			continue
		}
		for _, attribute := range event.Attributes {
			if attribute.Key == "amount" {
				amount, err := strconv.ParseUint(strings.Trim(attribute.Value, `"`), 10, 64)
				require.NoError(g.tb, err)
				g.burned += amount
			}
		}
	}
}

// Burned is what was slashed and not awarded to anybody, in ufog, since the grid began.
func (g *Grid) Burned() uint64 { return g.burned }

func (g *Grid) totalSupply() uint64 {
	return g.App.BankKeeper.GetSupply(g.Context(), app.BondDenom).Amount.Uint64()
}

// CheckInvariants recomputes what must always be true from the whole state: the ledger, jobs with their slices, queue, budgets and
// the capacity of nodes, and that no coin was made, nor lost but by what was burned.
func (g *Grid) CheckInvariants() {
	g.tb.Helper()

	ctx := g.Context()
	ledger, err := g.App.EscrowKeeper.Invariants(ctx)
	require.NoError(g.tb, err)
	require.True(g.tb, ledger.Holds, "escrow: %s", strings.Join(ledger.Broken, "; "))
	jobs, err := g.App.JobsKeeper.Invariants(ctx)
	require.NoError(g.tb, err)
	require.True(g.tb, jobs.Holds, "jobs: %s", strings.Join(jobs.Broken, "; "))

	require.Equal(g.tb, g.supply-g.burned, g.totalSupply(), "supply")
	sum := sdkmath.ZeroInt()
	g.App.BankKeeper.IterateAllBalances(ctx, func(_ sdk.AccAddress, coin sdk.Coin) bool {
		if coin.Denom == app.BondDenom {
			sum = sum.Add(coin.Amount)
		}

		return false
	})
	require.Equal(g.tb, g.totalSupply(), sum.Uint64(), "sum of all balances")
}
