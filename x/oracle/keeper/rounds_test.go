package keeper_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/x/oracle/types"
)

func TestOpenRoundRefuses(t *testing.T) {
	c := withOracles(t, 1)
	now := c.Ctx.BlockTime().Unix()
	for name, test := range map[string]struct {
		kind     string
		subject  []byte
		deadline int64
		err      error
	}{
		"unknown kind":  {"weather", []byte("s"), now + 1, types.ErrUnknownKind},
		"no subject":    {types.KindOutcome, nil, now + 1, types.ErrInvalidField},
		"long subject":  {types.KindOutcome, make([]byte, types.MaxSubjectLength+1), now + 1, types.ErrInvalidField},
		"past deadline": {types.KindOutcome, []byte("s"), now, types.ErrInvalidField},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.k.OpenRound(c.Ctx, test.kind, test.subject, test.deadline, test.deadline)
			require.ErrorIs(t, err, test.err)
		})
	}
	c.open(t, types.KindOutcome, "s", 10)
	_, err := c.k.OpenRound(c.Ctx, types.KindOutcome, []byte("s"), now+1, now+1)
	require.ErrorIs(t, err, types.ErrRoundExists)
	c.open(t, types.KindMatches, "s", 10) // another kind, another question
}

func TestRoundWithoutAQuorumIsAskedAgainUntilTheFinalDeadline(t *testing.T) {
	c := withOracles(t, 4)
	now := c.Ctx.BlockTime().Unix()
	first, err := c.k.OpenRound(c.Ctx, types.KindOutcome, []byte("s"), now+10, now+25)
	require.NoError(t, err)
	c.vote(t, 0, claim(first, "ok", 0))
	c.NextBlockAfter(10 * time.Second)
	c.NextBlock()
	require.Equal(t, types.ROUND_STATUS_EXPIRED, c.round(t, first).Status)

	again := c.round(t, first+1)
	require.Equal(t, types.ROUND_STATUS_OPEN, again.Status)
	require.EqualValues(t, 2, again.Tries)
	require.Empty(t, again.Votes, "votes are for one round")
	require.Equal(t, []byte("s"), again.Subject)
	require.Equal(t, now+20, again.Deadline)
	c.vote(t, 0, claim(again.Id, "ok", 0)) // the same voter, a new question

	c.NextBlockAfter(10 * time.Second)
	c.NextBlock()
	third := c.round(t, first+2)
	require.EqualValues(t, 3, third.Tries)
	require.Equal(t, now+25, third.Deadline, "not past the final deadline")
	c.NextBlockAfter(10 * time.Second)
	c.NextBlock()
	require.Equal(t, types.ROUND_STATUS_EXPIRED, c.round(t, third.Id).Status)
	open, err := c.k.HasOpenRound(c.Ctx, types.KindOutcome)
	require.NoError(t, err)
	require.False(t, open)
	next, err := c.k.NextRound.Get(c.Ctx)
	require.NoError(t, err)
	require.Equal(t, third.Id+1, next)

	require.EqualValues(t, 3, c.participation(t, 0).Expected)
	require.EqualValues(t, 2, c.participation(t, 0).Voted)
}

func TestALongRoundIsAskedAgainEachPeriod(t *testing.T) {
	c := withOracles(t, 4, func(p *types.Params) { p.ReopenPeriod = 30 })
	now := c.Ctx.BlockTime().Unix()
	first, err := c.k.OpenRound(c.Ctx, types.KindOutcome, []byte("s"), now+1_000, now+9_000)
	require.NoError(t, err)
	c.NextBlockAfter(1_000 * time.Second)
	c.NextBlock()
	require.Equal(t, now+1_030, c.round(t, first+1).Deadline)
	c.NextBlockAfter(30 * time.Second)
	c.NextBlock()
	require.EqualValues(t, 3, c.round(t, first+2).Tries)
}

func TestCancelledRounds(t *testing.T) {
	c := withOracles(t, 4)
	id := c.open(t, types.KindOutcome, "s", 60)
	c.vote(t, 0, claim(id, "ok", 0))
	c.NextBlock()
	for i := range 2 {
		c.vote(t, i+1, claim(id, "ok", 0)) // would decide it in this block
	}
	require.NoError(t, c.k.CancelRounds(c.Ctx, types.KindOutcome, []byte("s")))
	require.NoError(t, c.k.CancelRounds(c.Ctx, types.KindOutcome, []byte("s")), "nothing left to cancel")
	require.NoError(t, c.k.CancelRounds(c.Ctx, types.KindOutcome, []byte("never")))
	again := c.open(t, types.KindOutcome, "s", 60)
	c.NextBlock()
	require.Equal(t, types.ROUND_STATUS_CANCELLED, c.round(t, id).Status)
	require.Equal(t, types.ROUND_STATUS_OPEN, c.round(t, again).Status)
	require.Zero(t, c.executions())
	require.Zero(t, c.participation(t, 3).Expected, "nobody is expected to vote on what is gone")
	require.Zero(t, c.participation(t, 0).Voted)
}

func TestFinishedRoundsAreKeptAndThenRemoved(t *testing.T) {
	c := withOracles(t, 1, func(p *types.Params) { p.RoundRetention, p.VoteGrace = 100, 0 })
	early := c.open(t, types.KindOutcome, "early", 30)  // its deadline comes before the retention is over
	long := c.open(t, types.KindOutcome, "long", 200)   // and after
	expired := c.open(t, types.KindOutcome, "none", 30) // ends at its deadline
	c.vote(t, 0, claim(early, "ok", 0), claim(long, "ok", 0))
	c.NextBlock()
	start := c.Ctx.BlockTime().Unix()
	kept := func() (ids []uint64) {
		for _, r := range c.export(t).Rounds {
			ids = append(ids, r.Id)
		}
		return ids
	}
	at := func(seconds int64) {
		c.NextBlockAfter(time.Duration(start+seconds-c.Ctx.BlockTime().Unix()) * time.Second)
		c.NextBlock()
	}
	at(95)
	require.Equal(t, []uint64{early, long, expired}, kept())
	at(100)
	require.Equal(t, []uint64{long, expired}, kept())
	at(198)
	require.Equal(t, []uint64{long}, kept(), "the expired one ended at 95")
	at(200)
	require.Empty(t, kept())
	iter, err := c.k.RoundQueue.Iterate(c.Ctx, nil)
	require.NoError(t, err)
	require.False(t, iter.Valid(), "nothing is left in the queue")
	require.NoError(t, iter.Close())
}

func TestClosingIsBounded(t *testing.T) {
	c := withOracles(t, 1, func(p *types.Params) { p.MaxReportsPerBlock = 2 })
	var ids []uint64
	for _, s := range []string{"a", "b", "c", "d", "e"} {
		ids = append(ids, c.open(t, types.KindOutcome, s, 5))
	}
	c.NextBlockAfter(6 * time.Second)
	for _, closed := range []int{2, 4, 5} {
		c.NextBlock()
		n := 0
		for _, id := range ids {
			r := c.round(t, id)
			if r.Status == types.ROUND_STATUS_EXPIRED {
				n++
				continue
			}
			_, err := c.attest(0, claim(id, "ok", 0))
			require.ErrorIs(t, err, types.ErrRoundOver, "its deadline is over, whether it was closed or not")
		}
		require.Equal(t, closed, n)
	}
}

func TestRoundsQuery(t *testing.T) {
	c := withOracles(t, 1)
	done := c.open(t, types.KindOutcome, "s", 60)
	c.vote(t, 0, claim(done, "ok", 0))
	c.NextBlock()
	open := c.open(t, types.KindOutcome, "s", 60)
	other := c.open(t, types.KindLiveness, "s", 60)

	ids := func(req types.QueryRoundsRequest) (out []uint64) {
		resp, err := c.queries.Rounds(c.Ctx, &req)
		require.NoError(t, err)
		for _, r := range resp.Rounds {
			out = append(out, r.Id)
		}
		return out
	}
	s := []byte("s")
	require.Equal(t, []uint64{done, open, other}, ids(types.QueryRoundsRequest{}))
	require.ElementsMatch(t, []uint64{open, other}, ids(types.QueryRoundsRequest{Status: types.ROUND_STATUS_OPEN}))
	require.Equal(t, []uint64{other}, ids(types.QueryRoundsRequest{Status: types.ROUND_STATUS_OPEN, Kind: types.KindLiveness}))
	require.Equal(t, []uint64{open}, ids(types.QueryRoundsRequest{Status: types.ROUND_STATUS_OPEN, Kind: types.KindOutcome, Subject: s}))
	require.Empty(t, ids(types.QueryRoundsRequest{Status: types.ROUND_STATUS_OPEN, Kind: types.KindOutcome, Subject: []byte("t")}))
	require.Equal(t, []uint64{done, open}, ids(types.QueryRoundsRequest{Kind: types.KindOutcome, Subject: s}))
	require.Equal(t, []uint64{done}, ids(types.QueryRoundsRequest{Status: types.ROUND_STATUS_EXECUTED}))
	_, err := c.queries.Rounds(c.Ctx, &types.QueryRoundsRequest{Subject: s})
	require.ErrorContains(t, err, "kind")
	_, err = c.queries.Round(c.Ctx, &types.QueryRoundRequest{Id: 99})
	require.ErrorContains(t, err, "99")
}

func TestRoundsQueryPages(t *testing.T) {
	c := withOracles(t, 1)
	var want []uint64
	for _, s := range []string{"a", "b", "c", "d", "e"} {
		want = append(want, c.open(t, types.KindOutcome, s, 60))
	}
	for _, reverse := range []bool{false, true} {
		var got []uint64
		page := &query.PageRequest{Limit: 2, Reverse: reverse}
		for pages := 0; ; pages++ {
			require.Less(t, pages, 3)
			resp, err := c.queries.Rounds(c.Ctx, &types.QueryRoundsRequest{Kind: types.KindOutcome, Pagination: page})
			require.NoError(t, err)
			require.LessOrEqual(t, len(resp.Rounds), 2)
			for _, r := range resp.Rounds {
				if reverse {
					got = append([]uint64{r.Id}, got...)
				} else {
					got = append(got, r.Id)
				}
			}
			if page.Key = resp.Pagination.NextKey; len(page.Key) == 0 {
				break
			}
		}
		require.Equal(t, want, got)
	}
	_, err := c.queries.Rounds(c.Ctx, &types.QueryRoundsRequest{Pagination: &query.PageRequest{Offset: 1}})
	require.ErrorContains(t, err, "offset")
	_, err = c.queries.Rounds(c.Ctx, &types.QueryRoundsRequest{Pagination: &query.PageRequest{Key: []byte{1}}})
	require.ErrorContains(t, err, "key")
}

func TestOraclesQuery(t *testing.T) {
	c := withOracles(t, 3, func(p *types.Params) { p.MinBond = 1000 })
	_, err := c.unbond(1, 1)
	require.NoError(t, err)
	for active, want := range map[bool]int{false: 3, true: 2} {
		resp, err := c.queries.Oracles(c.Ctx, &types.QueryOraclesRequest{ActiveOnly: active})
		require.NoError(t, err)
		require.Len(t, resp.Oracles, want)
	}
	resp, err := c.queries.Oracle(c.Ctx, &types.QueryOracleRequest{Operator: c.Text(operator(1))})
	require.NoError(t, err)
	require.False(t, resp.Active)
	require.Len(t, resp.Unbondings, 1)
	_, err = c.queries.Oracle(c.Ctx, &types.QueryOracleRequest{Operator: c.Text(operator(9))})
	require.Error(t, err)
	_, err = c.queries.Oracle(c.Ctx, &types.QueryOracleRequest{Operator: "nobody"})
	require.ErrorContains(t, err, "operator")
}
