package keeper_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/internal/fixture"
	"github.com/foggrid/fogd/x/oracle/types"
)

// busy is a chain with a bit of everything under way.
func busy(t *testing.T) *chain {
	c := withOracles(t, 4, func(p *types.Params) {
		p.MaxReportsPerBlock, p.MinBond, p.Epoch, p.MissWindow, p.MaxMissed = 1, 1000, 30, 9, 5
	})
	c.inEpoch(t, types.KindOutcome, 2)
	c.addOracle(t)
	c.NextBlock()
	_, err := c.unbond(4, 500)
	require.NoError(t, err)
	c.NextBlock()
	require.True(t, c.isFree(t, c.attestTx(0, claim(c.open(t, types.KindOutcome, "free", 60), "ok", 0))))
	for _, s := range []string{"a", "b", "c"} {
		id := c.open(t, types.KindOutcome, s, 60)
		for i := range 3 {
			c.vote(t, i, claim(id, "ok", uint64(i)))
		}
	}
	id := c.open(t, types.KindLiveness, "e", 60)
	_, err = c.attest(1, observation(id, "ok"), observation(99, "ok"))
	require.NoError(t, err)
	c.open(t, types.KindMatches, "gone", 60)
	require.NoError(t, c.k.CancelRounds(c.Ctx, types.KindMatches, []byte("gone")))
	c.NextBlock()
	_, err = c.msgs.PunishOracle(c.Ctx, &types.MsgPunishOracle{Authority: c.Env.Authority, Operator: c.Text(operator(3)), Reason: "r"})
	require.NoError(t, err)
	require.Len(t, c.export(t).Accepted, 2)
	return c
}

// restart imports what c exports into a new chain at the same time and height.
func restart(t *testing.T, c *chain) *chain {
	e := fixture.New(t, fixture.WithStores(types.StoreKey), fixture.WithObjectStores(types.ObjectStoreKey))
	n := bare(t, e)
	n.n = c.n
	e.Fund(fixture.Address("rich"), c.Supply())
	require.NoError(t, e.Bank.SendCoins(e.Ctx, fixture.Address("rich"), n.farm.reporter, sdk.NewCoins(escrowtypes.Coin(c.Wallet(n.farm.reporter)))))
	require.NoError(t, e.Bank.SendCoins(e.Ctx, fixture.Address("rich"), kennel, sdk.NewCoins(escrowtypes.Coin(c.Wallet(kennel)))))
	for i := range c.n {
		id := escrowtypes.OracleAccountID(operator(i))
		old, err := c.Escrow.Account(c.Ctx, id)
		require.NoError(t, err)
		require.NoError(t, e.Escrow.Open(e.Ctx, id, operator(i), escrowtypes.ACCOUNT_KIND_ORACLE))
		require.NoError(t, e.Escrow.Deposit(e.Ctx, fixture.Address("rich"), id, old.Balance))
		require.NoError(t, e.Escrow.Lock(e.Ctx, id, old.Locked))
	}
	g := c.export(t)
	require.NoError(t, g.Validate(e.Addresses))
	require.NoError(t, n.k.InitGenesis(e.Ctx, *g))
	require.Equal(t, g, n.export(t))
	header := n.Ctx.BlockHeader()
	header.Height, header.Time = c.Ctx.BlockHeight(), c.Ctx.BlockTime()
	n.Ctx = n.Ctx.WithBlockHeader(header)
	return n
}

func TestGenesisRoundTripInMidFlight(t *testing.T) {
	old := busy(t)
	young := restart(t, old)
	// Both go on alike, block by block.
	for step := range 8 {
		for _, c := range []*chain{old, young} {
			for _, r := range c.export(t).Rounds {
				if r.Status == types.ROUND_STATUS_OPEN {
					for i := range c.n {
						vote := observation(r.Id, "ok")
						if r.Rule == types.ROUND_RULE_CLAIM {
							vote = claim(r.Id, "ok", 0)
						}
						if _, err := c.attest((i+step)%c.n, vote); err == nil {
							break
						}
					}
				}
			}
			c.NextBlockAfter(9 * time.Second)
		}
		require.Equal(t, old.export(t), young.export(t), "step %d", step)
		require.Equal(t, old.executions(), young.executions())
	}
	require.Empty(t, old.export(t).Accepted)
}

func TestInitGenesisComparesBondsWithEscrow(t *testing.T) {
	c := busy(t)
	g := c.export(t)
	g.Oracles[0].Bond++
	require.ErrorIs(t, c.k.InitGenesis(c.Ctx, *g), types.ErrInvalidGenesis)
	g = c.export(t)
	g.Oracles = append(g.Oracles, types.Oracle{Operator: c.Text(fixture.Address("unheard of")), Bond: 1})
	require.ErrorIs(t, c.k.InitGenesis(c.Ctx, *g), types.ErrInvalidGenesis)
	g = c.export(t)
	g.Rounds[0].Kind = "weather"
	require.ErrorIs(t, c.k.InitGenesis(c.Ctx, *g), types.ErrInvalidGenesis)
	g = c.export(t)
	for i := range g.Rounds {
		g.Rounds[i].Votes = nil
	}
	require.ErrorIs(t, c.k.InitGenesis(c.Ctx, *g), types.ErrInvalidGenesis, "an accepted round without its quorum")
}

func TestGenesisOraclesVoteFromTheFirstRound(t *testing.T) {
	e := fixture.New(t, fixture.WithStores(types.StoreKey), fixture.WithObjectStores(types.ObjectStoreKey))
	c := bare(t, e)
	e.Fund(operator(0), 1000)
	id := escrowtypes.OracleAccountID(operator(0))
	require.NoError(t, e.Escrow.Open(e.Ctx, id, operator(0), escrowtypes.ACCOUNT_KIND_ORACLE))
	require.NoError(t, e.Escrow.Deposit(e.Ctx, operator(0), id, 1000))
	require.NoError(t, e.Escrow.Lock(e.Ctx, id, 1000))
	g := types.DefaultGenesis()
	g.Params.MinBond = 1000
	g.Oracles = []types.Oracle{{Operator: e.Text(operator(0)), Feeder: e.Text(feeder(0)), Admitted: true, Bond: 1000}}
	require.NoError(t, c.k.InitGenesis(e.Ctx, *g))
	c.NextBlock()
	require.Equal(t, id.Bech32(escrowtypes.AccountHRP), c.oracle(t, 0).Account)
	round := c.open(t, types.KindOutcome, "s", 60)
	c.vote(t, 0, claim(round, "fail", 0))
	c.NextBlock()
	require.Equal(t, types.ROUND_STATUS_FAILED, c.round(t, round).Status)
}
