package keeper_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/oracle/types"
)

func TestReportThatFailsChangesNothingAndTheChainGoesOn(t *testing.T) {
	for body, state := range map[string]string{
		"fail":        "undefined/1",
		"refuse":      "oracle/2: invalid field",
		"panic":       "oracle/19: report panicked",
		"gas":         "sdk/11: out of gas",
		"unbuildable": "undefined/1",
	} {
		t.Run(body, func(t *testing.T) {
			c := withOracles(t, 1, func(p *types.Params) { p.ReportGas = 1_000_000 })
			failing, good := c.open(t, types.KindOutcome, "failing", 60), c.open(t, types.KindOutcome, "good", 60)
			c.vote(t, 0, claim(failing, body, 0), claim(good, "ok", 0))
			funds := c.Wallet(c.farm.reporter)
			c.NextBlock()

			r := c.round(t, failing)
			require.Equal(t, types.ROUND_STATUS_FAILED, r.Status)
			require.Equal(t, state, r.Error)
			require.NotEmpty(t, r.Claim)
			require.Equal(t, types.ROUND_STATUS_EXECUTED, c.round(t, good).Status)
			require.EqualValues(t, 1, c.executions(), "that of the other round")
			require.Equal(t, funds-1, c.Wallet(c.farm.reporter))
			require.EqualValues(t, 2, c.participation(t, 0).Voted, "the voters did their part")
			closed := eventsOf(c.Events, "fog.oracle.v1.EventRoundClosed")
			require.Len(t, closed, 2)
			require.Contains(t, closed[0], "FAILED")
			require.Len(t, eventsOf(c.Events, "transfer"), 1, "no event of what did not happen")
			c.NextBlock()
			require.Equal(t, types.ROUND_STATUS_FAILED, c.round(t, failing).Status, "not tried again")
		})
	}
}

// eventsOf lists the events of a type with their attributes as text.
func eventsOf(events sdk.Events, kind string) (out []string) {
	for _, e := range events {
		if e.Type != kind {
			continue
		}
		var text strings.Builder
		for _, a := range e.Attributes {
			fmt.Fprintf(&text, "%s=%s ", a.Key, a.Value)
		}
		out = append(out, text.String())
	}
	return out
}

func TestReportThatNobodyServesFails(t *testing.T) {
	c := withOracles(t, 1)
	id := c.open(t, "orphan", "s", 60)
	c.vote(t, 0, claim(id, "ok", 0))
	c.NextBlock()
	require.Equal(t, types.ROUND_STATUS_FAILED, c.round(t, id).Status)
	require.Equal(t, "oracle/14: unknown kind of round", c.round(t, id).Error)
}

func TestReportsOverTheBlocksLimitWaitInOrder(t *testing.T) {
	c := withOracles(t, 4, func(p *types.Params) { p.MaxReportsPerBlock, p.VoteGrace = 2, 0 })
	var ids []uint64
	for i := range 5 {
		ids = append(ids, c.open(t, types.KindOutcome, fmt.Sprint("s", i), []int64{60, 60, 60, 60, 1}[i]))
	}
	for i := range 3 {
		for _, id := range ids {
			c.vote(t, i, claim(id, "ok", 0))
		}
	}
	statuses := func() (out []types.RoundStatus) {
		for _, id := range ids {
			out = append(out, c.round(t, id).Status)
		}
		return out
	}
	open, done := types.ROUND_STATUS_OPEN, types.ROUND_STATUS_EXECUTED
	c.NextBlock()
	require.Equal(t, []types.RoundStatus{done, done, open, open, open}, statuses())
	require.Equal(t, ids[2:], c.export(t).Accepted)

	// A vote that comes while the report waits counts, and what waits has priority over what is decided now.
	c.vote(t, 3, claim(ids[4], "ok", 0))
	young := c.open(t, types.KindOutcome, "young", 60)
	for i := range 3 {
		c.vote(t, i, claim(young, "ok", 0))
	}
	c.NextBlock() // at the deadline of the last, which was decided in time
	require.Equal(t, []types.RoundStatus{done, done, done, done, open}, statuses())

	c.NextBlock()
	require.Equal(t, []types.RoundStatus{done, done, done, done, done}, statuses())
	require.Equal(t, done, c.round(t, young).Status)
	require.EqualValues(t, 6, c.executions())
	require.Empty(t, c.export(t).Accepted)
	require.EqualValues(t, 1, c.participation(t, 3).Voted)
}

func TestWaitingRoundCanBeCancelled(t *testing.T) {
	c := withOracles(t, 1, func(p *types.Params) { p.MaxReportsPerBlock, p.RoundRetention, p.VoteGrace = 1, 1, 0 })
	ids := []uint64{
		c.open(t, types.KindOutcome, "a", 60), c.open(t, types.KindOutcome, "b", 60),
		c.open(t, types.KindOutcome, "c", 60), c.open(t, types.KindOutcome, "d", 60),
	}
	c.vote(t, 0, claim(ids[0], "ok", 0), claim(ids[1], "cancel:c", 0), claim(ids[2], "ok", 0), claim(ids[3], "ok", 0))
	c.NextBlock()
	require.Equal(t, ids[1:], c.export(t).Accepted)
	require.NoError(t, c.k.CancelRounds(c.Ctx, types.KindOutcome, []byte("d")))
	c.NextBlock() // the report of b cancels c
	require.Equal(t, types.ROUND_STATUS_CANCELLED, c.round(t, ids[2]).Status)
	require.Empty(t, c.export(t).Accepted)
	for range 5 {
		c.NextBlock()
	}
	require.EqualValues(t, 2, c.executions())
}

func TestReportCanTouchItsOwnSubject(t *testing.T) {
	c := withOracles(t, 1)
	self := c.open(t, types.KindOutcome, "self", 60)
	again := c.open(t, types.KindOutcome, "again", 60)
	c.vote(t, 0, claim(self, "cancel:self", 0), claim(again, "again:again", 0))
	c.NextBlock()
	require.Equal(t, types.ROUND_STATUS_EXECUTED, c.round(t, self).Status, "a round that is being executed cannot be cancelled")
	require.Equal(t, types.ROUND_STATUS_EXECUTED, c.round(t, again).Status)
	next := c.round(t, again+1)
	require.Equal(t, types.ROUND_STATUS_OPEN, next.Status)
	c.vote(t, 0, claim(next.Id, "ok", 0))
	c.NextBlock()
	require.EqualValues(t, 3, c.executions())
}

// A round that an earlier report of the block cancels is not executed, though this block's votes would decide it.
func TestReportCancelsARoundDecidedInTheSameBlock(t *testing.T) {
	c := withOracles(t, 1)
	a, b := c.open(t, types.KindOutcome, "a", 60), c.open(t, types.KindOutcome, "b", 60)
	c.vote(t, 0, claim(a, "cancel:b", 0), claim(b, "ok", 0))
	c.NextBlock()
	require.Equal(t, types.ROUND_STATUS_EXECUTED, c.round(t, a).Status)
	require.Equal(t, types.ROUND_STATUS_CANCELLED, c.round(t, b).Status)
	require.EqualValues(t, 1, c.executions())
}
