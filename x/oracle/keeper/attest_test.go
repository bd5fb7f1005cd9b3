package keeper_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/oracle/types"
)

func TestRefusedVotes(t *testing.T) {
	c := withOracles(t, 4, func(p *types.Params) { p.VoteGrace, p.MaxBodyBytes = 5, 1024 })
	open := c.open(t, types.KindOutcome, "open", 100)
	voted := c.open(t, types.KindOutcome, "voted", 100)
	proposed := c.open(t, types.KindMatches, "proposed", 100)
	merge := c.open(t, types.KindLiveness, "merge", 100)
	cancelled := c.open(t, types.KindOutcome, "cancelled", 100)
	short := c.open(t, types.KindOutcome, "short", 2)
	done := c.open(t, types.KindOutcome, "done", 100)
	for i := range 3 {
		c.vote(t, i, claim(done, "ok", 0))
	}
	c.vote(t, 3, claim(voted, "ok", 0))
	require.NoError(t, c.k.CancelRounds(c.Ctx, types.KindOutcome, []byte("cancelled")))
	c.NextBlockAfter(6 * time.Second)
	c.NextBlock()
	ranks, err := c.queries.Round(c.Ctx, &types.QueryRoundRequest{Id: proposed})
	require.NoError(t, err)
	last := 0
	for c.Text(operator(last)) != ranks.Ranks[3] {
		last++
	}

	for name, test := range map[string]struct {
		voter int
		vote  types.Vote
		err   error
	}{
		"stranger":                {9, claim(open, "ok", 0), types.ErrNotFeeder},
		"unknown round":           {3, claim(999, "ok", 0), types.ErrUnknownRound},
		"twice":                   {3, claim(voted, "ok", 0), types.ErrDuplicateVote},
		"another claim":           {3, claim(voted, "other", 0), types.ErrDuplicateVote},
		"after the deadline":      {3, claim(short, "ok", 0), types.ErrRoundOver},
		"after the grace":         {3, claim(done, "ok", 0), types.ErrRoundOver},
		"cancelled":               {3, claim(cancelled, "ok", 0), types.ErrRoundOver},
		"no claim":                {3, types.Vote{RoundId: open}, types.ErrInvalidVote},
		"short claim":             {3, types.Vote{RoundId: open, Claim: make([]byte, 31)}, types.ErrInvalidVote},
		"body of another claim":   {3, types.Vote{RoundId: open, Claim: make([]byte, 32), Body: []byte("ok")}, types.ErrInvalidVote},
		"malformed body":          {3, claim(open, "bad", 0), types.ErrInvalidVote},
		"body too long":           {3, claim(open, strings.Repeat("x", 1025), 0), types.ErrInvalidVote},
		"body out of turn":        {last, claim(proposed, "ok", 0), types.ErrNotProposer},
		"claim in a merge round":  {3, claim(merge, "ok", 0), types.ErrInvalidVote},
		"meter in a merge round":  {3, types.Vote{RoundId: merge, Meter: 1, Body: []byte("ok")}, types.ErrInvalidVote},
		"no body in a merge":      {3, types.Vote{RoundId: merge}, types.ErrInvalidVote},
		"malformed body in merge": {3, observation(merge, "bad"), types.ErrInvalidVote},
	} {
		t.Run(name, func(t *testing.T) {
			before := c.export(t)
			_, err := c.attest(test.voter, test.vote)
			require.ErrorIs(t, err, test.err)
			require.Equal(t, before, c.export(t))
		})
	}
}

func TestVotesOfAJailedOracleAreRefused(t *testing.T) {
	c := withOracles(t, 4)
	id := c.open(t, types.KindOutcome, "s", 60)
	o := c.oracle(t, 0)
	o.Jailed, o.JailedUntil = true, c.Ctx.BlockTime().Unix()+5
	require.NoError(t, c.k.Oracles.Set(c.Ctx, operator(0), o))
	_, err := c.attest(0, claim(id, "ok", 0))
	require.ErrorIs(t, err, types.ErrJailed)
	unjail := func() error {
		_, err := c.msgs.Unjail(c.Ctx, &types.MsgUnjail{Operator: c.Text(operator(0))})
		return err
	}
	require.ErrorIs(t, unjail(), types.ErrJailed, "too early")
	c.NextBlockAfter(5 * time.Second)
	require.NoError(t, unjail())
	c.vote(t, 0, claim(id, "ok", 0)) // a round of before
}

func TestMessageIsTakenInPart(t *testing.T) {
	c := withOracles(t, 4)
	a, b := c.open(t, types.KindOutcome, "a", 60), c.open(t, types.KindOutcome, "b", 60)
	resp, err := c.attest(0, claim(a, "ok", 0), claim(99, "ok", 0), claim(a, "ok", 0), claim(b, "ok", 0))
	require.NoError(t, err)
	require.EqualValues(t, 2, resp.Recorded)
	require.Len(t, resp.Refused, 2)
	require.EqualValues(t, 99, resp.Refused[0].RoundId)
	require.Equal(t, types.ErrUnknownRound.ABCICode(), resp.Refused[0].Code)
	require.NotEmpty(t, resp.Refused[0].Reason)
	require.Equal(t, types.ErrDuplicateVote.ABCICode(), resp.Refused[1].Code, "in the same message")

	_, err = c.attest(0, claim(a, "ok", 0), claim(99, "ok", 0))
	require.ErrorIs(t, err, types.ErrDuplicateVote, "all refused, in another transaction of the block")
	c.NextBlock()
	require.Len(t, c.round(t, a).Votes, 1)
	require.Len(t, c.round(t, b).Votes, 1)
	require.EqualValues(t, 2, c.participation(t, 0).Refused, "the failed message counts nothing")
	_, err = c.attest(0, claim(a, "ok", 0))
	require.ErrorIs(t, err, types.ErrDuplicateVote, "in a later block")
}

func TestMessagesOfOneBlockAddUp(t *testing.T) {
	c := withOracles(t, 4)
	var ids []uint64
	for i := range uint64(4) {
		ids = append(ids, c.open(t, types.KindOutcome, fmt.Sprint("s", i), 60))
	}
	for i := range uint64(4) { // the highest round first, each with a refused vote; oracles not in the order of their addresses
		for _, oracle := range []int{2, 0, 1} {
			resp, err := c.attest(oracle, claim(ids[3-i], "ok", i), claim(99, "ok", 0))
			require.NoError(t, err)
			require.EqualValues(t, 1, resp.Recorded)
		}
		for _, voted := range ids[3-i:] {
			_, err := c.attest(1, claim(voted, "ok", 0))
			require.ErrorIs(t, err, types.ErrDuplicateVote)
		}
	}
	c.NextBlock()
	require.EqualValues(t, 4, c.participation(t, 0).Refused)
	for i, id := range ids {
		r := c.round(t, id)
		require.Equal(t, types.ROUND_STATUS_EXECUTED, r.Status)
		require.Len(t, r.Votes, 3)
		require.EqualValues(t, 3-i, r.Votes[0].Meter)
		var voters []sdk.AccAddress
		for _, v := range r.Votes {
			voter, err := c.Addresses.StringToBytes(v.Operator)
			require.NoError(t, err)
			voters = append(voters, voter)
		}
		require.True(t, slices.IsSortedFunc(voters, func(a, b sdk.AccAddress) int { return bytes.Compare(a, b) }))
	}
}

func TestListsAreBounded(t *testing.T) {
	c := withOracles(t, 1, func(p *types.Params) { p.MaxVotesPerAttest = 2 })
	id := c.open(t, types.KindOutcome, "a", 60)
	_, err := c.attest(0)
	require.ErrorIs(t, err, types.ErrInvalidField)
	_, err = c.attest(0, claim(id, "ok", 0), claim(id, "ok", 0), claim(id, "ok", 0))
	require.ErrorIs(t, err, types.ErrInvalidField)
	require.ErrorContains(t, err, "votes")
}

// A handler that writes the persistent store could conflict with another oracle's.
func TestAttestWritesNoPersistentState(t *testing.T) {
	c := withOracles(t, 4)
	id := c.open(t, types.KindOutcome, "a", 60)
	before := c.export(t)
	for i := range 4 {
		c.vote(t, i, claim(id, "ok", 0))
		_, err := c.attest(i, claim(id, "ok", 0), claim(id+1, "ok", 0))
		require.Error(t, err)
	}
	require.Equal(t, before, c.export(t))
	c.NextBlock()
	require.Equal(t, types.ROUND_STATUS_EXECUTED, c.round(t, id).Status)
}

func TestGasGrowsWithVotesAndBodies(t *testing.T) {
	c := withOracles(t, 4)
	var ids []uint64
	for _, s := range []string{"a", "b", "c", "d"} {
		ids = append(ids, c.open(t, types.KindOutcome, s, 60))
	}
	gas := func(i int, votes ...types.Vote) (used uint64) {
		require.NoError(t, c.Tx(func(ctx sdk.Context) error {
			ctx = ctx.WithGasMeter(storetypes.NewInfiniteGasMeter())
			_, err := c.msgs.Attest(ctx, &types.MsgAttest{Feeder: c.Text(feeder(i)), Votes: votes})
			used = ctx.GasMeter().GasConsumed()
			return err
		}))
		return used
	}
	one := gas(0, hashOnly(ids[0], "ok"))
	require.Greater(t, gas(1, hashOnly(ids[0], "ok"), hashOnly(ids[1], "ok")), one+4_000)
	require.GreaterOrEqual(t, gas(2, claim(ids[0], strings.Repeat("x", 1000), 0)), one+30_000)
}

func TestTooLittleGasLeavesNothing(t *testing.T) {
	c := withOracles(t, 1)
	id := c.open(t, types.KindOutcome, "a", 60)
	before := c.export(t)
	require.Panics(t, func() {
		if err := c.Tx(func(ctx sdk.Context) error {
			_, err := c.msgs.Attest(ctx.WithGasMeter(storetypes.NewGasMeter(8_000)),
				&types.MsgAttest{Feeder: c.Text(feeder(0)), Votes: []types.Vote{claim(id, "ok", 0)}})
			return err
		}); err != nil {
			panic(err)
		}
	})
	require.Equal(t, before, c.export(t))
	c.vote(t, 0, claim(id, "ok", 0))
	c.NextBlock()
	require.EqualValues(t, 1, c.executions())
}

// The SDK's simulator delivers after EndBlock, where the object store is dropped at the commit.
func TestVotesOutsideOfABlockAreCountedAtOnce(t *testing.T) {
	c := withOracles(t, 1)
	id := c.open(t, types.KindOutcome, "a", 60)
	outside := func(vote types.Vote) error {
		return c.Tx(func(ctx sdk.Context) error {
			_, err := c.msgs.Attest(ctx.WithTxIndex(-1), &types.MsgAttest{
				Feeder: c.Text(feeder(0)), Votes: []types.Vote{vote, {RoundId: 99}},
			})
			return err
		})
	}
	require.NoError(t, outside(claim(id, "ok", 0)))
	require.Len(t, c.round(t, id).Votes, 1)
	require.Equal(t, []uint64{id}, c.export(t).Accepted)
	require.EqualValues(t, 1, c.participation(t, 0).Refused)
	require.ErrorIs(t, outside(claim(id, "ok", 0)), types.ErrDuplicateVote)
	require.Zero(t, c.executions(), "execution waits for EndBlock")
	c.NextBlock()
	require.EqualValues(t, 1, c.executions())
	require.EqualValues(t, 1, c.participation(t, 0).Voted)
	require.Empty(t, c.export(t).Accepted)
}
