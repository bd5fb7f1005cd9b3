package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	protov2 "google.golang.org/protobuf/proto"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/foggrid/fogd/x/oracle/keeper"
	"github.com/foggrid/fogd/x/oracle/types"
)

// message is a transaction of messages.
type message []sdk.Msg

func (m message) GetMsgs() []sdk.Msg                    { return m }
func (m message) GetMsgsV2() ([]protov2.Message, error) { return nil, nil }

func (c *chain) attestTx(i int, votes ...types.Vote) message {
	return message{&types.MsgAttest{Feeder: c.Text(feeder(i)), Votes: votes}}
}

// isFree asks as the ante handler does; what it writes stays.
func (c *chain) isFree(t *testing.T, tx sdk.Tx) (free bool) {
	t.Helper()
	require.NoError(t, c.Tx(func(ctx sdk.Context) (err error) {
		free, err = c.k.CheckFeeFree(ctx, tx)
		return err
	}))
	return free
}

func TestIsAttest(t *testing.T) {
	require.True(t, keeper.IsAttest(message{&types.MsgAttest{}, &types.MsgAttest{}}))
	require.False(t, keeper.IsAttest(message{}))
	require.False(t, keeper.IsAttest(message{&types.MsgAttest{}, &banktypes.MsgSend{}}))
}

func TestFreeOfFees(t *testing.T) {
	c := withOracles(t, 4, func(p *types.Params) { p.MinBond, p.MaxVotesPerAttest = 1000, 3 })
	id := c.open(t, types.KindOutcome, "s", 60)
	proposed := c.open(t, types.KindMatches, "s", 60)
	ok, stale, bad := claim(id, "ok", 0), claim(99, "ok", 0), claim(id, "bad", 0)
	resp, err := c.queries.Round(c.Ctx, &types.QueryRoundRequest{Id: proposed})
	require.NoError(t, err)
	last := 0
	for c.Text(operator(last)) != resp.Ranks[3] {
		last++
	}
	for name, test := range map[string]struct {
		tx   sdk.Tx
		free bool
	}{
		"a vote":                      {c.attestTx(0, ok), true},
		"stale ones beside a vote":    {c.attestTx(0, stale, stale, ok), true},
		"stale ones only":             {c.attestTx(0, stale, stale), false},
		"malformed":                   {c.attestTx(0, bad), false},
		"out of turn":                 {c.attestTx(last, claim(proposed, "ok", 0)), false},
		"no vote":                     {c.attestTx(0), false},
		"too many votes":              {c.attestTx(0, ok, ok, ok, ok), false},
		"a stranger's":                {c.attestTx(9, ok), false},
		"no address":                  {message{&types.MsgAttest{Feeder: "nobody", Votes: []types.Vote{ok}}}, false},
		"two messages":                {append(c.attestTx(0, ok), c.attestTx(0, ok)...), false},
		"with another message":        {append(c.attestTx(0, ok), &banktypes.MsgSend{}), false},
		"another message":             {message{&banktypes.MsgSend{}}, false},
		"nothing":                     {message{}, false},
		"a late vote within the time": {c.attestTx(1, ok), true},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.free, c.isFree(t, test.tx))
		})
	}

	c.vote(t, 0, ok)
	require.False(t, c.isFree(t, c.attestTx(0, ok)), "it has voted in this block")
	c.NextBlock()
	require.False(t, c.isFree(t, c.attestTx(0, ok)), "and in an earlier one")
	_, err = c.unbond(1, 1)
	require.NoError(t, err)
	require.False(t, c.isFree(t, c.attestTx(1, ok)), "no longer active")
	o := c.oracle(t, 2)
	o.Jailed = true
	require.NoError(t, c.k.Oracles.Set(c.Ctx, operator(2), o))
	require.False(t, c.isFree(t, c.attestTx(2, ok)), "jailed")
}

func TestFreeQuotaOfAnEpoch(t *testing.T) {
	c := withOracles(t, 1, func(p *types.Params) { p.VoteQuota, p.Epoch = 5, 100 })
	var ids []uint64
	for _, s := range []string{"a", "b", "c", "d", "e", "f"} {
		ids = append(ids, c.open(t, types.KindOutcome, s, 600))
	}
	vote := func(i int) types.Vote { return claim(ids[i], "ok", 0) }
	require.True(t, c.isFree(t, c.attestTx(0, vote(0), vote(1), vote(2))))
	require.False(t, c.isFree(t, c.attestTx(0, vote(0), vote(1), vote(2))), "6 of 5")
	require.True(t, c.isFree(t, c.attestTx(0, vote(3), vote(4))), "exactly 5")
	require.False(t, c.isFree(t, c.attestTx(0, vote(5))))
	resp, err := c.queries.Oracle(c.Ctx, &types.QueryOracleRequest{Operator: c.Text(operator(0))})
	require.NoError(t, err)
	require.EqualValues(t, 5, resp.Quota.Used, "what is not free does not count")
	c.vote(t, 0, vote(5)) // over the quota it is a fee, not a refusal
	c.nextEpoch(t)
	require.True(t, c.isFree(t, c.attestTx(0, vote(0), vote(1), vote(2), vote(3), vote(4))))
}

// What the check finds good the handler takes: otherwise a transaction could fail as a whole at no cost.
func TestFreeMessageIsTaken(t *testing.T) {
	c := withOracles(t, 4)
	id := c.open(t, types.KindMatches, "s", 60)
	votes := []types.Vote{claim(99, "ok", 0), claim(id, "bad", 0), claim(id, "ok", 0), hashOnly(id, "ok")}
	for i := range 4 {
		free := c.isFree(t, c.attestTx(i, votes...))
		_, err := c.attest(i, votes...)
		require.Equal(t, free, err == nil)
	}
}

func TestCheckingCostsGas(t *testing.T) {
	c := withOracles(t, 1)
	c.open(t, types.KindOutcome, "s", 60)
	var used [2]uint64
	for i, votes := range [][]types.Vote{{claim(98, "x", 0)}, {claim(98, "x", 0), claim(99, "x", 0)}} {
		ctx := c.Ctx.WithGasMeter(storetypes.NewInfiniteGasMeter())
		_, err := c.k.CheckFeeFree(ctx, c.attestTx(0, votes...))
		require.NoError(t, err)
		used[i] = ctx.GasMeter().GasConsumed()
	}
	require.Greater(t, used[1], used[0]+4_000)
}
