package keeper_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/x/oracle/types"
)

func TestClaimRoundIsAcceptedByAQuorumForOneClaim(t *testing.T) {
	c := withOracles(t, 4)
	id := c.open(t, types.KindOutcome, "s", 60)
	c.vote(t, 0, claim(id, "ok", 10))
	c.vote(t, 1, claim(id, "lie", 999))
	c.vote(t, 2, hashOnly(id, "ok"))
	c.NextBlock()
	require.Equal(t, types.ROUND_STATUS_OPEN, c.round(t, id).Status, "two of three")
	v := hashOnly(id, "ok")
	v.Meter = 7
	c.vote(t, 3, v)
	c.NextBlock()

	r := c.round(t, id)
	require.Equal(t, types.ROUND_STATUS_EXECUTED, r.Status)
	require.Equal(t, hashOnly(0, "ok").Claim, r.Claim)
	require.Equal(t, "ok", c.farm.last.Dog.Name)
	require.Equal(t, "meter 7, voters 3, quorum 3, subject s", c.farm.last.Dog.Size_, "the lower median of 0, 7 and 10")
	require.Equal(t, c.k.Reporter(), c.farm.last.Owner)
	require.EqualValues(t, 1, c.executions())
	require.EqualValues(t, types.Participation{Operator: c.Text(operator(1)), Expected: 1}, c.participation(t, 1), "a minority vote is a miss")
	for _, i := range []int{0, 2, 3} {
		require.EqualValues(t, 1, c.participation(t, i).Voted)
	}
	c.NextBlock()
	require.EqualValues(t, 1, c.executions(), "once")
}

func TestSplitVotesReachNoQuorum(t *testing.T) {
	c := withOracles(t, 4)
	id := c.open(t, types.KindOutcome, "s", 5)
	for i, body := range []string{"a", "a", "b", "b"} {
		c.vote(t, i, claim(id, body, 0))
	}
	c.NextBlockAfter(5 * time.Second)
	require.Equal(t, types.ROUND_STATUS_OPEN, c.round(t, id).Status)
	c.NextBlock()
	r := c.round(t, id)
	require.Equal(t, types.ROUND_STATUS_EXPIRED, r.Status)
	require.Empty(t, r.Claim)
	require.Zero(t, c.executions())
	for i := range 4 {
		require.EqualValues(t, 1, c.participation(t, i).Voted, "nobody contradicted an accepted claim")
	}
}

func TestQuorumWithoutABodyWaitsForIt(t *testing.T) {
	c := withOracles(t, 4)
	id := c.open(t, types.KindOutcome, "s", 60)
	for i := range 3 {
		c.vote(t, i, hashOnly(id, "ok"))
	}
	c.NextBlock()
	require.Equal(t, types.ROUND_STATUS_OPEN, c.round(t, id).Status)
	c.vote(t, 3, claim(id, "ok", 0))
	c.NextBlock()
	require.Equal(t, types.ROUND_STATUS_EXECUTED, c.round(t, id).Status)
	require.EqualValues(t, 1, c.executions())
}

func TestOfEqualBodiesOneIsKept(t *testing.T) {
	c := withOracles(t, 4)
	id := c.open(t, types.KindOutcome, "s", 60)
	c.vote(t, 0, claim(id, "ok", 0))
	c.NextBlock()
	c.vote(t, 1, claim(id, "lie", 0))
	c.vote(t, 2, claim(id, "ok", 0))
	c.vote(t, 3, claim(id, "ok", 0))
	c.NextBlock()
	bodies := map[string]int{}
	for _, v := range c.round(t, id).Votes {
		bodies[string(v.Body)]++
	}
	require.Equal(t, map[string]int{"ok": 1, "lie": 1, "": 2}, bodies)
}

func TestProposersTakeTurns(t *testing.T) {
	c := withOracles(t, 4, func(p *types.Params) { p.ProposerDelay = 3 })
	for range 3 {
		id := c.open(t, types.KindMatches, "s", 600)
		resp, err := c.queries.Round(c.Ctx, &types.QueryRoundRequest{Id: id})
		require.NoError(t, err)
		rank := map[int]int{}
		for i := range 4 {
			for r, op := range resp.Ranks {
				if op == c.Text(operator(i)) {
					rank[r] = i
				}
			}
		}
		require.Len(t, rank, 4)
		_, err = c.attest(rank[1], claim(id, "ok", 0))
		require.ErrorIs(t, err, types.ErrNotProposer)
		c.vote(t, rank[3], hashOnly(id, "ok")) // a hash needs no turn
		c.NextBlock()
		c.NextBlock()
		_, err = c.attest(rank[1], claim(id, "ok", 0))
		require.ErrorIs(t, err, types.ErrNotProposer, "two blocks later")
		c.NextBlock()
		c.vote(t, rank[1], claim(id, "ok", 0))
		_, err = c.attest(rank[2], claim(id, "ok", 0))
		require.ErrorIs(t, err, types.ErrNotProposer)
		c.vote(t, rank[0], claim(id, "ok", 0)) // late, but always its turn
		c.NextBlock()
		require.Equal(t, types.ROUND_STATUS_EXECUTED, c.round(t, id).Status)
	}
}

func TestMergeRoundEndsWhenAllHaveVoted(t *testing.T) {
	c := withOracles(t, 3)
	id := c.open(t, types.KindLiveness, "e", 60)
	for i := range 3 {
		require.Equal(t, types.ROUND_STATUS_OPEN, c.round(t, id).Status)
		c.vote(t, i, observation(id, "ok"))
		c.NextBlock()
	}
	require.Equal(t, types.ROUND_STATUS_EXECUTED, c.round(t, id).Status)
	require.Equal(t, "ok,ok,ok", c.farm.last.Dog.Name)
	require.Equal(t, "meter 0, voters 3, quorum 3, subject e", c.farm.last.Dog.Size_)
}

func TestMergeRoundAtItsDeadline(t *testing.T) {
	c := withOracles(t, 4)
	quorum, short := c.open(t, types.KindLiveness, "quorum", 10), c.open(t, types.KindLiveness, "short", 10)
	texts := map[string]string{}
	for i, body := range []string{"a", "b", "c"} {
		c.vote(t, i, observation(quorum, body))
		texts[c.Text(operator(i))] = body
	}
	c.vote(t, 0, observation(short, "a"))
	c.vote(t, 1, observation(short, "a"))
	c.NextBlockAfter(9 * time.Second)
	c.NextBlock()
	require.Equal(t, types.ROUND_STATUS_OPEN, c.round(t, quorum).Status)
	c.NextBlock() // EndBlock at the deadline
	r := c.round(t, quorum)
	require.Equal(t, types.ROUND_STATUS_EXECUTED, r.Status)
	require.Equal(t, types.ROUND_STATUS_EXPIRED, c.round(t, short).Status)
	require.EqualValues(t, 1, c.executions())
	require.Len(t, c.farm.last.Dog.Name, len("a,b,c"))

	// The bodies come in the order of the voters' addresses as text, whoever was first.
	want := ""
	set, err := c.k.Sets.Get(c.Ctx, r.Set)
	require.NoError(t, err)
	for _, op := range set.Operators {
		if body, ok := texts[op]; ok {
			want += "," + body
		}
	}
	require.Equal(t, want[1:], c.farm.last.Dog.Name)

	c.vote(t, 3, observation(quorum, "d"))
	c.NextBlock()
	require.EqualValues(t, 1, c.executions(), "a late vote changes nothing")
	require.EqualValues(t, 1, c.participation(t, 3).Voted, "but counts as taking part")
	require.EqualValues(t, 2, c.participation(t, 3).Expected)
	_, err = c.attest(3, observation(quorum, "d"))
	require.ErrorIs(t, err, types.ErrDuplicateVote)
}

func TestLateVotesTakePartOnceAndOnlyIfTheyAgree(t *testing.T) {
	c := withOracles(t, 7, func(p *types.Params) { p.VoteGrace = 10 })
	id := c.open(t, types.KindOutcome, "s", 60)
	for i := range 5 {
		c.vote(t, i, claim(id, "ok", 0))
	}
	c.NextBlock()
	require.Equal(t, types.ROUND_STATUS_EXECUTED, c.round(t, id).Status)
	c.vote(t, 5, claim(id, "ok", 0))
	c.vote(t, 6, claim(id, "lie", 0))
	c.NextBlock()
	_, err := c.attest(5, claim(id, "ok", 0))
	require.ErrorIs(t, err, types.ErrDuplicateVote)
	require.Equal(t, [2]uint64{1, 1}, [2]uint64{c.participation(t, 5).Voted, c.participation(t, 5).Expected})
	require.Equal(t, [2]uint64{0, 1}, [2]uint64{c.participation(t, 6).Voted, c.participation(t, 6).Expected})
	require.Len(t, c.round(t, id).Votes, 7)
	require.EqualValues(t, 1, c.executions())
}
