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

func (c *chain) bond(i int, amount uint64) error {
	return c.Tx(func(ctx sdk.Context) error {
		_, err := c.msgs.Bond(ctx, &types.MsgBond{Operator: c.Text(operator(i)), Amount: escrowtypes.Coin(amount)})
		return err
	})
}

func (c *chain) unbond(i int, amount uint64) (completes int64, err error) {
	err = c.Tx(func(ctx sdk.Context) error {
		resp, err := c.msgs.Unbond(ctx, &types.MsgUnbond{Operator: c.Text(operator(i)), Amount: escrowtypes.Coin(amount)})
		if err == nil {
			completes = resp.Completes
		}
		return err
	})
	return completes, err
}

func TestBondLocksAndUnbondingFreesAfterItsTime(t *testing.T) {
	c := withOracles(t, 1, func(p *types.Params) { p.MinBond, p.UnbondingTime = 1000, 100 })
	require.EqualValues(t, 1000, c.oracle(t, 0).Bond)
	require.EqualValues(t, 1000, c.locked(t, 0))
	require.NoError(t, c.bond(0, 500))
	require.EqualValues(t, 1500, c.oracle(t, 0).Bond)
	require.EqualValues(t, 500, c.Wallet(operator(0)))

	start := c.Ctx.BlockTime().Unix()
	completes, err := c.unbond(0, 300)
	require.NoError(t, err)
	require.Equal(t, start+100, completes)
	_, err = c.unbond(0, 100) // the same second: one entry
	require.NoError(t, err)
	under, err := c.k.UnbondingsOf(c.Ctx, operator(0))
	require.NoError(t, err)
	require.Equal(t, []types.Unbonding{{Operator: c.Text(operator(0)), Completes: completes, Amount: 400}}, under)
	require.EqualValues(t, 1100, c.oracle(t, 0).Bond)
	require.EqualValues(t, 1500, c.locked(t, 0), "unbonding stays locked")

	c.NextBlockAfter(99 * time.Second)
	c.NextBlock()
	require.EqualValues(t, 1500, c.locked(t, 0), "one second early")
	c.NextBlock()
	require.EqualValues(t, 1100, c.locked(t, 0))
	account, err := c.Escrow.Account(c.Ctx, escrowtypes.OracleAccountID(operator(0)))
	require.NoError(t, err)
	require.EqualValues(t, 400, account.Free())
	under, err = c.k.UnbondingsOf(c.Ctx, operator(0))
	require.NoError(t, err)
	require.Empty(t, under)
	c.CheckInvariants()
}

func TestUnbondRefuses(t *testing.T) {
	c := withOracles(t, 1, func(p *types.Params) { p.MinBond = 1000 })
	_, err := c.unbond(0, 1001)
	require.ErrorIs(t, err, types.ErrInsufficientBond)
	_, err = c.unbond(7, 1)
	require.ErrorIs(t, err, types.ErrUnknownOracle)
	for range types.MaxUnbondings {
		_, err = c.unbond(0, 1)
		require.NoError(t, err)
		c.NextBlock()
	}
	_, err = c.unbond(0, 1)
	require.ErrorIs(t, err, types.ErrTooManyUnbondings)
	require.EqualValues(t, 1000-types.MaxUnbondings, c.oracle(t, 0).Bond, "a refused message changes nothing")
}

func TestMessagesWithMoneyNameTheFault(t *testing.T) {
	c := withOracles(t, 1)
	for _, coin := range []sdk.Coin{{}, {Denom: "gold"}, sdk.NewInt64Coin("gold", 1), sdk.NewInt64Coin(escrowtypes.Denom, 0)} {
		_, err := c.msgs.Bond(c.Ctx, &types.MsgBond{Operator: c.Text(operator(0)), Amount: coin})
		require.ErrorIs(t, err, types.ErrInvalidField)
		require.ErrorContains(t, err, "amount")
		_, err = c.msgs.Unbond(c.Ctx, &types.MsgUnbond{Operator: c.Text(operator(0)), Amount: coin})
		require.ErrorIs(t, err, types.ErrInvalidField)
	}
	_, err := c.msgs.Bond(c.Ctx, &types.MsgBond{Operator: "nobody", Amount: escrowtypes.Coin(1)})
	require.ErrorIs(t, err, types.ErrInvalidField)
	require.ErrorContains(t, err, "operator")
}

func TestSlashTakesFromBondAndUnbonding(t *testing.T) {
	c := withOracles(t, 1, func(p *types.Params) { p.MinBond, p.FaultSlash, p.UnbondingTime = 1000, 500, 100 }) // 5 %
	_, err := c.unbond(0, 399)
	require.NoError(t, err)
	c.NextBlock()
	completes, err := c.unbond(0, 10)
	require.NoError(t, err)
	supply := c.Supply()

	// As governance does, in EndBlock: a burn in a transaction would spend coins that are credited when the block ends.
	resp, err := c.msgs.PunishOracle(c.Ctx, &types.MsgPunishOracle{
		Authority: c.Env.Authority, Operator: c.Text(operator(0)), RoundId: 7, Reason: "replay of round 7 differs",
	})
	require.NoError(t, err)
	slashed := resp.Slashed
	require.EqualValues(t, 591*5/100+399*5/100, slashed, "shares round down")
	require.Equal(t, supply-slashed, c.Supply())
	o := c.oracle(t, 0)
	require.EqualValues(t, 591-29, o.Bond)
	require.True(t, o.Jailed && o.Tombstoned && !o.Admitted)
	require.Equal(t, 1000-slashed, c.locked(t, 0))

	c.NextBlock()
	set, err := c.k.CurrentSet.Get(c.Ctx)
	require.NoError(t, err)
	require.EqualValues(t, 2, set)

	for c.Ctx.BlockTime().Unix() <= completes {
		c.NextBlockAfter(50 * time.Second)
	}
	c.NextBlock()
	require.EqualValues(t, 591-29, c.locked(t, 0), "what was left of both unbondings is free")
	require.ErrorIs(t, c.bond(0, 10), types.ErrJailed)
	_, err = c.unbond(0, 591-29)
	require.NoError(t, err, "the rest of the bond can leave")
	c.CheckInvariants()
}

func TestStrangersWhoBondDoNotReachTheSet(t *testing.T) {
	c := withOracles(t, 1, func(p *types.Params) { p.MinBond = 1000 })
	stranger := fixture.Address("stranger")
	c.Fund(stranger, 5000)
	require.NoError(t, c.Tx(func(ctx sdk.Context) error {
		_, err := c.msgs.Bond(ctx, &types.MsgBond{Operator: c.Text(stranger), Amount: escrowtypes.Coin(5000)})
		return err
	}))
	c.NextBlock()
	set, err := c.k.CurrentSet.Get(c.Ctx)
	require.NoError(t, err)
	require.EqualValues(t, 1, set)
	resp, err := c.queries.Oracle(c.Ctx, &types.QueryOracleRequest{Operator: c.Text(stranger)})
	require.NoError(t, err)
	require.False(t, resp.Active)
}
