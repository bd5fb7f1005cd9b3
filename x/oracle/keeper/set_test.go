package keeper_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/oracle/types"
)

func TestQuorumIsThatOfTheSetAtTheOpening(t *testing.T) {
	for n, quorum := range map[int]uint32{1: 1, 2: 2, 3: 3, 4: 3, 5: 4, 7: 5, 21: 15} {
		t.Run(fmt.Sprintf("%d oracles", n), func(t *testing.T) {
			c := withOracles(t, n)
			id := c.open(t, types.KindOutcome, "s", 600)
			r := c.round(t, id)
			require.Equal(t, quorum, r.Quorum)
			require.EqualValues(t, 1, r.Set)
			for i := range int(quorum) {
				require.Equal(t, types.ROUND_STATUS_OPEN, c.round(t, id).Status)
				c.vote(t, i, claim(id, "ok", 0))
				c.NextBlock()
			}
			require.Equal(t, types.ROUND_STATUS_EXECUTED, c.round(t, id).Status)
			require.EqualValues(t, 1, c.executions())
		})
	}
}

func TestSetFollowsTheActiveOracles(t *testing.T) {
	c := withOracles(t, 3, func(p *types.Params) { p.MinBond = 1000 })
	members := func() []string {
		id, err := c.k.CurrentSet.Get(c.Ctx)
		require.NoError(t, err)
		s, err := c.k.Sets.Get(c.Ctx, id)
		require.NoError(t, err)
		require.IsIncreasing(t, s.Operators)
		return s.Operators
	}
	require.Len(t, members(), 3)
	old := c.open(t, types.KindOutcome, "old", 600)

	_, err := c.unbond(1, 1)
	require.NoError(t, err)
	c.NextBlock()
	require.Len(t, members(), 2)
	require.NotContains(t, members(), c.Text(operator(1)))
	young := c.open(t, types.KindOutcome, "young", 600)
	require.EqualValues(t, 2, c.round(t, young).Quorum)

	_, err = c.attest(1, claim(old, "ok", 0))
	require.ErrorIs(t, err, types.ErrNotActive, "too little bond")
	require.NoError(t, c.bond(1, 1))
	c.vote(t, 1, claim(old, "ok", 0)) // it was in the set of the old round
	_, err = c.attest(1, claim(young, "ok", 0))
	require.ErrorIs(t, err, types.ErrNotInSet)

	c.addOracle(t)
	c.NextBlock()
	require.Len(t, members(), 4)
	_, err = c.attest(3, claim(old, "ok", 0))
	require.ErrorIs(t, err, types.ErrNotInSet)
}

func TestSetsThatNoRoundNamesAreRemoved(t *testing.T) {
	c := withOracles(t, 2, func(p *types.Params) { p.MinBond = 1000 })
	id := c.open(t, types.KindOutcome, "s", 10_000)
	toggle := func() {
		_, err := c.unbond(1, 1)
		require.NoError(t, err)
		c.NextBlock()
		require.NoError(t, c.bond(1, 1))
		c.NextBlock()
	}
	toggle()
	toggle()
	require.Len(t, c.export(t).Sets, 5, "the round names the first")

	require.NoError(t, c.k.CancelRounds(c.Ctx, types.KindOutcome, []byte("s")))
	require.NoError(t, c.k.Rounds.Remove(c.Ctx, id))
	toggle()
	sets := c.export(t).Sets
	require.Len(t, sets, 1)
	require.EqualValues(t, 7, sets[0].Id)
}

func TestGovernanceAdmitsAndRemoves(t *testing.T) {
	c := withOracles(t, 2, func(p *types.Params) { p.MaxOracles = 2 })
	admit := func(authority string, i int) error {
		return c.Tx(func(ctx sdk.Context) error {
			_, err := c.msgs.AdmitOracle(ctx, &types.MsgAdmitOracle{Authority: authority, Operator: c.Text(operator(i)), Moniker: "m"})
			return err
		})
	}
	remove := func(authority string, i int) error {
		return c.Tx(func(ctx sdk.Context) error {
			_, err := c.msgs.RemoveOracle(ctx, &types.MsgRemoveOracle{Authority: authority, Operator: c.Text(operator(i))})
			return err
		})
	}
	gov, mallory := c.Env.Authority, c.Text(operator(0))
	require.Error(t, admit(mallory, 5))
	require.Error(t, remove(mallory, 1))
	require.ErrorIs(t, admit(gov, 5), types.ErrSetFull)
	require.ErrorIs(t, remove(gov, 5), types.ErrUnknownOracle)
	require.NoError(t, remove(gov, 1))
	require.ErrorIs(t, remove(gov, 1), types.ErrInvalidField)
	require.ErrorIs(t, admit(gov, 0), types.ErrInvalidField)

	id := c.open(t, types.KindOutcome, "s", 60)
	_, err := c.attest(1, claim(id, "ok", 0))
	require.ErrorIs(t, err, types.ErrNotActive)
	require.NotZero(t, c.oracle(t, 1).Bond, "the bond stays until it is unbonded")

	require.NoError(t, admit(gov, 1))
	require.Equal(t, "m", c.oracle(t, 1).Moniker)
	c.vote(t, 1, claim(id, "ok", 0))
}

func TestGovernanceChangesParams(t *testing.T) {
	c := withOracles(t, 1)
	p := types.DefaultParams()
	p.VoteQuota = 5
	_, err := c.msgs.UpdateParams(c.Ctx, &types.MsgUpdateParams{Authority: c.Text(operator(0)), Params: p})
	require.Error(t, err)
	bad := p
	bad.MissWindow = 0
	_, err = c.msgs.UpdateParams(c.Ctx, &types.MsgUpdateParams{Authority: c.Env.Authority, Params: bad})
	require.ErrorIs(t, err, types.ErrInvalidField)
	require.ErrorContains(t, err, "miss_window")
	_, err = c.msgs.UpdateParams(c.Ctx, &types.MsgUpdateParams{Authority: c.Env.Authority, Params: p})
	require.NoError(t, err)
	resp, err := c.queries.Params(c.Ctx, &types.QueryParamsRequest{})
	require.NoError(t, err)
	require.Equal(t, p, resp.Params)
}

func TestPunishNamesARoundInWhichItVoted(t *testing.T) {
	c := withOracles(t, 4)
	id := c.open(t, types.KindOutcome, "s", 60)
	c.vote(t, 0, claim(id, "ok", 0))
	c.NextBlock()
	punish := func(authority string, i int, reason string) error {
		_, err := c.msgs.PunishOracle(c.Ctx, &types.MsgPunishOracle{
			Authority: authority, Operator: c.Text(operator(i)), RoundId: id, Reason: reason,
		})
		return err
	}
	require.Error(t, punish(c.Text(operator(1)), 0, "r"))
	require.ErrorIs(t, punish(c.Env.Authority, 0, ""), types.ErrInvalidField)
	require.ErrorIs(t, punish(c.Env.Authority, 1, "r"), types.ErrInvalidField, "it has no vote there")
	require.NoError(t, punish(c.Env.Authority, 0, "r"))
	require.NoError(t, c.k.InitGenesis(c.Ctx, *c.export(t)))

	unjail := func(i int) error {
		_, err := c.msgs.Unjail(c.Ctx, &types.MsgUnjail{Operator: c.Text(operator(i))})
		return err
	}
	require.ErrorIs(t, unjail(0), types.ErrJailed)
	require.ErrorIs(t, unjail(1), types.ErrNotJailed)
	_, err := c.msgs.AdmitOracle(c.Ctx, &types.MsgAdmitOracle{Authority: c.Env.Authority, Operator: c.Text(operator(0))})
	require.ErrorIs(t, err, types.ErrJailed)
	_, err = c.attest(0, claim(id, "ok", 0))
	require.ErrorIs(t, err, types.ErrJailed)
	require.ErrorContains(t, err, "cannot return")

	r := c.round(t, id)
	require.Len(t, r.Votes, 1, "a vote that was cast stays")
}

func TestFeeder(t *testing.T) {
	c := withOracles(t, 2)
	set := func(i int, feederOf int, endpoint string, key []byte) error {
		return c.Tx(func(ctx sdk.Context) error {
			_, err := c.msgs.SetFeeder(ctx, &types.MsgSetFeeder{
				Operator: c.Text(operator(i)), Feeder: c.Text(feeder(feederOf)), Endpoint: endpoint, TransportKey: key,
			})
			return err
		})
	}
	require.ErrorIs(t, set(1, 0, "", nil), types.ErrFeederTaken)
	require.ErrorIs(t, set(5, 5, "", nil), types.ErrUnknownOracle)
	require.ErrorIs(t, set(0, 0, "nowhere", nil), types.ErrInvalidField)
	require.ErrorIs(t, set(0, 0, "", []byte{1}), types.ErrInvalidField)

	id := c.open(t, types.KindOutcome, "s", 60)
	require.NoError(t, set(0, 9, "oracle.example:443", make([]byte, types.TransportKeyLength)))
	_, err := c.attest(0, claim(id, "ok", 0))
	require.ErrorIs(t, err, types.ErrNotFeeder, "the old key speaks for nobody")
	c.vote(t, 9, claim(id, "ok", 0))
	require.NoError(t, set(1, 0, "", nil), "the old key is free")
	require.NoError(t, set(0, 9, "", nil))
	o := c.oracle(t, 0)
	require.Equal(t, "oracle.example:443", o.Endpoint, "kept")
	require.Len(t, o.TransportKey, types.TransportKeyLength)
	_, err = c.attest(9, claim(id, "ok", 0))
	require.ErrorIs(t, err, types.ErrDuplicateVote, "a new key is no new vote")
}
