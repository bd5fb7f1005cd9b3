package keeper_test

import (
	"fmt"
	"math/bits"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/x/oracle/types"
)

// inEpoch runs an epoch of the given length with one round, in which all vote but those who are silent.
func (c *chain) inEpoch(t *testing.T, kind string, silent ...int) {
	t.Helper()
	id := c.open(t, kind, "epoch", 60)
	for i := range c.n {
		quiet := false
		for _, s := range silent {
			quiet = quiet || s == i
		}
		if !quiet && !c.oracle(t, i).Jailed {
			c.vote(t, i, claim(id, "ok", 0))
		}
	}
	c.NextBlock()
	c.nextEpoch(t)
}

func TestMissedEpochsFillTheWindowAndJail(t *testing.T) {
	c := withOracles(t, 4, func(p *types.Params) {
		p.Epoch, p.MissWindow, p.MaxMissed, p.MinBond, p.DowntimeJail, p.RoundRetention = 100, 5, 2, 100_000, 50, 1
	})
	c.nextEpoch(t) // without rounds nobody misses
	require.Zero(t, c.oracle(t, 3).MissedEpochs)
	for missed := uint32(1); missed <= 2; missed++ {
		c.inEpoch(t, types.KindOutcome, 3)
		require.Equal(t, missed, c.oracle(t, 3).MissedEpochs)
		require.False(t, c.oracle(t, 3).Jailed)
	}
	supply := c.Supply()
	c.inEpoch(t, types.KindOutcome, 3)
	o := c.oracle(t, 3)
	require.True(t, o.Jailed)
	require.False(t, o.Tombstoned)
	require.EqualValues(t, 99_900, o.Bond, "0.1 % of the bond")
	require.EqualValues(t, 99_900, c.locked(t, 3))
	require.Equal(t, supply-100, c.Supply())
	require.Zero(t, o.MissedEpochs, "a new start after the jail")
	for i := range 3 {
		require.Zero(t, c.oracle(t, i).MissedEpochs)
		require.EqualValues(t, 100_000, c.oracle(t, i).Bond)
	}
	require.Len(t, eventsOf(c.Events, "fog.oracle.v1.EventOracleSlashed"), 1)

	// While it is jailed nothing is expected of it, in old rounds or new ones.
	c.inEpoch(t, types.KindOutcome)
	require.Zero(t, c.oracle(t, 3).MissedEpochs)
	_, err := c.msgs.Unjail(c.Ctx, &types.MsgUnjail{Operator: c.Text(operator(3))})
	require.NoError(t, err)
	require.NoError(t, c.bond(3, 100), "the slash took it below min_bond")
	c.NextBlock()
	c.inEpoch(t, types.KindOutcome)
	require.False(t, c.oracle(t, 3).Jailed)
	c.CheckInvariants()
}

func TestWindowForgetsOldEpochs(t *testing.T) {
	c := withOracles(t, 4, func(p *types.Params) { p.Epoch, p.MissWindow, p.MaxMissed, p.RoundRetention = 100, 4, 2, 1 })
	history := []bool{true, true, false, false, true, false, true, false, false}
	for i, missed := range history {
		var silent []int
		if missed {
			silent = []int{0}
		}
		c.inEpoch(t, types.KindOutcome, silent...)
		want := uint32(0)
		for _, m := range history[max(0, i-3) : i+1] {
			if m {
				want++
			}
		}
		o := c.oracle(t, 0)
		require.Equal(t, want, o.MissedEpochs, "after epoch %d", i)
		require.Equal(t, int(want), bits.OnesCount8(o.Window[0]))
		require.False(t, o.Jailed)
	}
}

func TestWindowIsFreshWhenItsLengthChanges(t *testing.T) {
	c := withOracles(t, 4, func(p *types.Params) { p.Epoch, p.MissWindow, p.MaxMissed, p.RoundRetention = 100, 7, 7, 1 })
	for range 8 {
		c.inEpoch(t, types.KindOutcome, 0)
	}
	require.EqualValues(t, 7, c.oracle(t, 0).MissedEpochs)
	p, err := c.k.Params.Get(c.Ctx)
	require.NoError(t, err)
	p.MissWindow, p.MaxMissed = 5, 5 // as many bytes as before
	require.NoError(t, c.k.Params.Set(c.Ctx, p))
	for want := uint32(1); want <= 5; want++ {
		c.inEpoch(t, types.KindOutcome, 0)
		require.Equal(t, want, c.oracle(t, 0).MissedEpochs)
	}
	p.MissWindow, p.MaxMissed = 100, 50
	require.NoError(t, c.k.Params.Set(c.Ctx, p))
	c.inEpoch(t, types.KindOutcome, 0)
	require.EqualValues(t, 1, c.oracle(t, 0).MissedEpochs)
	require.Len(t, c.oracle(t, 0).Window, 13)
}

func TestHalfOfTheRoundsSuffices(t *testing.T) {
	for voted, missed := range map[int]uint32{0: 1, 1: 1, 2: 0, 3: 0, 4: 0} {
		t.Run(fmt.Sprintf("%d of 4", voted), func(t *testing.T) {
			c := withOracles(t, 4, func(p *types.Params) { p.Epoch = 100 })
			for r := range 4 {
				id := c.open(t, types.KindOutcome, fmt.Sprint("s", r), 60)
				for i := range 4 {
					if i > 0 || r < voted {
						c.vote(t, i, claim(id, "ok", 0))
					}
				}
			}
			c.nextEpoch(t)
			require.Equal(t, missed, c.oracle(t, 0).MissedEpochs)
		})
	}
}

// A vote of one epoch in a round that ends in the next is neither lost nor a miss.
func TestRoundThatSpansEpochsCountsInOne(t *testing.T) {
	c := withOracles(t, 4, func(p *types.Params) { p.Epoch = 100 })
	c.nextEpoch(t)
	id := c.open(t, types.KindLiveness, "s", 150)
	for i := range 3 {
		c.vote(t, i, observation(id, "ok"))
	}
	c.nextEpoch(t)
	require.Equal(t, types.ROUND_STATUS_OPEN, c.round(t, id).Status)
	require.Zero(t, c.participation(t, 0).Voted)
	c.nextEpoch(t)
	require.Equal(t, types.ROUND_STATUS_EXECUTED, c.round(t, id).Status)
	for i, missed := range []uint32{0, 0, 0, 1} {
		require.Equal(t, missed, c.oracle(t, i).MissedEpochs, "oracle %d", i)
	}
}

func TestRoundsOfAJailedOracleAreNotExpectedOfIt(t *testing.T) {
	c := withOracles(t, 4)
	a := c.open(t, types.KindOutcome, "a", 60)
	o := c.oracle(t, 3)
	o.Jailed, o.JailedUntil = true, 0
	require.NoError(t, c.k.Oracles.Set(c.Ctx, operator(3), o))
	for i := range 3 {
		c.vote(t, i, claim(a, "ok", 0))
	}
	c.NextBlock()
	require.Zero(t, c.participation(t, 3).Expected)
	require.EqualValues(t, 1, c.participation(t, 0).Expected)
	b := c.open(t, types.KindOutcome, "b", 60)
	require.EqualValues(t, 3, c.round(t, b).Quorum, "⌊6/3⌋+1 of the three that are left")
}

func TestRefusedVotesArePaidWhenTheEpochEnds(t *testing.T) {
	c := withOracles(t, 3, func(p *types.Params) { p.Epoch, p.MinBond, p.RefusedVoteFee, p.UnbondingTime = 100, 1000, 10, 10_000 })
	id := c.open(t, types.KindOutcome, "s", 60)
	for i := range 3 {
		resp, err := c.attest(i, claim(id, "ok", 0), claim(98, "ok", 0), claim(99, "ok", 0))
		require.NoError(t, err)
		require.Len(t, resp.Refused, 2)
	}
	// One leaves before it pays, one has little left.
	_, err := c.unbond(1, 995)
	require.NoError(t, err)
	c.NextBlock()
	require.EqualValues(t, 1000, c.oracle(t, 0).Bond, "not yet")
	supply := c.Supply()
	c.nextEpoch(t)
	require.EqualValues(t, 980, c.oracle(t, 0).Bond)
	require.EqualValues(t, 0, c.oracle(t, 1).Bond)
	under, err := c.k.UnbondingsOf(c.Ctx, operator(1))
	require.NoError(t, err)
	require.EqualValues(t, 980, under[0].Amount)
	require.Equal(t, supply-60, c.Supply())
	c.nextEpoch(t)
	require.EqualValues(t, 980, c.oracle(t, 0).Bond, "once")
	c.CheckInvariants()
}

func TestRefusedVotesTakeAtMostWhatThereIs(t *testing.T) {
	c := withOracles(t, 1, func(p *types.Params) { p.Epoch, p.MinBond, p.RefusedVoteFee = 100, 1000, 1<<40 })
	id := c.open(t, types.KindOutcome, "s", 60)
	_, err := c.attest(0, claim(id, "ok", 0), claim(99, "ok", 0))
	require.NoError(t, err)
	part := c.participation(t, 0)
	part.Refused = 1 << 40 // the product does not fit in 64 bits
	c.NextBlock()
	require.NoError(t, c.k.Participation.Set(c.Ctx, operator(0), part))
	c.nextEpoch(t)
	require.Zero(t, c.oracle(t, 0).Bond)
	require.Zero(t, c.locked(t, 0))
	c.CheckInvariants()
}

func TestOneEpochIsJudgedAfterALongHalt(t *testing.T) {
	c := withOracles(t, 2, func(p *types.Params) { p.Epoch = 100 })
	epoch, err := c.k.Epoch.Get(c.Ctx)
	require.NoError(t, err)
	c.NextBlockAfter(100 * 100 * time.Second)
	c.NextBlock()
	after, err := c.k.Epoch.Get(c.Ctx)
	require.NoError(t, err)
	require.Equal(t, epoch.Number+1, after.Number)
	require.Greater(t, after.Ends, c.Ctx.BlockTime().Unix())
	require.EqualValues(t, 1, c.oracle(t, 0).WindowPosition)
}

func TestEpochEndsWithTheBlockAtItsSecond(t *testing.T) {
	c := withOracles(t, 1, func(p *types.Params) { p.Epoch = 100 })
	epoch, err := c.k.Epoch.Get(c.Ctx)
	require.NoError(t, err)
	c.NextBlockAfter(time.Duration(epoch.Ends-1-c.Ctx.BlockTime().Unix()) * time.Second)
	c.NextBlock()
	require.Equal(t, epoch.Ends, c.Ctx.BlockTime().Unix())
	same, err := c.k.Epoch.Get(c.Ctx)
	require.NoError(t, err)
	require.Equal(t, epoch, same, "a second early")
	c.NextBlock()
	next, err := c.k.Epoch.Get(c.Ctx)
	require.NoError(t, err)
	require.Equal(t, types.Epoch{Number: epoch.Number + 1, Ends: epoch.Ends + 100}, next)
}
