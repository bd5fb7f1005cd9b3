package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/internal/fixture"
	"github.com/foggrid/fogd/x/nodes/types"
)

// daily are hours of each day that begin so many seconds from now, rounded down to the minute.
func (w *world) daily(in int64, minutes uint32) types.OfflineHours {
	var h types.OfflineHours
	first := ((w.Ctx.BlockTime().Unix() + in - monday) / 60) % (24 * 60)
	for day := range int64(7) {
		h.Weekly = append(h.Weekly, types.WeeklyHours{Start: uint32(day*24*60 + first), Minutes: minutes})
	}
	return h
}

func (w *world) announce(id escrowtypes.ID, h types.OfflineHours) error {
	n := w.node(id)
	return w.send(&types.MsgUpdateNode{Owner: n.Owner, NodeId: n.Id, Hours: &h})
}

func TestAnnouncedHoursCostNothing(t *testing.T) {
	w := newWorld(t)
	id := w.active(w.rich("alice", 5*fog, 100*fog), "one")
	hours := w.daily(2*3600, 600)
	require.NoError(t, w.announce(id, hours))
	since := w.Ctx.BlockTime().Unix() + 3600
	said := eventsOf[*types.EventNodeHours](w)
	require.Len(t, said, 1)
	require.Equal(t, hours.Weekly, said[0].Hours.Weekly)
	require.Equal(t, since, said[0].Since)
	require.Equal(t, hours, w.node(id).OfflineHours())

	w.end(2*3600 + 60)
	for day := range 10 {
		require.True(t, w.node(id).AbsentAt(w.Ctx.BlockTime().Unix()))
		w.end(600*60+60, w.seen(down(1)))
		n := w.node(id)
		require.Equal(t, types.NODE_STATUS_INACTIVE, n.Status, "it is what it is")
		require.True(t, n.LeftAsAnnounced())
		require.Equal(t, []string{"inactive " + n.Id}, w.heard(), "work that it has is lost all the same")
		require.Equal(t, "seen down by a quorum, as announced", eventsOf[*types.EventNodeStatusChanged](w)[0].Reason)
		w.end(24*3600-600*60-60, w.seen(up(1)))
		require.Equal(t, types.NODE_STATUS_ACTIVE, w.node(id).Status, "day %d", day)
		require.Empty(t, w.node(id).Outages)
		w.heard()
	}
	w.check()
}

func TestLateReturnsCount(t *testing.T) {
	w := newWorld(t)
	id := w.active(w.rich("alice", 5*fog, 100*fog), "one")
	require.NoError(t, w.announce(id, w.daily(2*3600, 600)))
	w.end(2*3600 + 60)
	for times := range 3 {
		w.end(600*60+600, w.seen(down(1)))
		require.Equal(t, types.NODE_STATUS_INACTIVE, w.node(id).Status, "going as announced jails nobody")
		w.end(24*3600-600*60-600, w.seen(up(1)))
		require.Len(t, w.node(id).Outages, times+1)
	}
	n := w.node(id)
	require.Equal(t, types.NODE_STATUS_JAILED, n.Status)
	require.Equal(t, "went down too often", n.JailReason)
	w.check()
}

// What is announced or taken back while a node is away changes nothing of the time before it holds.
func TestHoursChangedWhileAway(t *testing.T) {
	nearlyAlways := types.OfflineHours{Weekly: []types.WeeklyHours{{Minutes: 10_079}}}
	const away = 2 * day
	for name, c := range map[string]struct {
		before, after types.OfflineHours
		counted       int64
		status        types.NodeStatus
	}{
		"announced":  {types.OfflineHours{}, nearlyAlways, lead, types.NODE_STATUS_ACTIVE},
		"taken back": {nearlyAlways, types.OfflineHours{}, away - lead, types.NODE_STATUS_JAILED},
		"kept":       {nearlyAlways, nearlyAlways, 0, types.NODE_STATUS_ACTIVE},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := w.active(w.rich("alice", 5*fog, 100*fog), "one")
			for (w.Ctx.BlockTime().Unix()-monday)%week < 2*3600 || (w.Ctx.BlockTime().Unix()-monday)%week > 4*day { // far from the minute that it is there
				w.end(3600)
			}
			require.NoError(t, w.announce(id, c.before))
			w.end(lead + 60)
			w.end(60, w.seen(down(1)))
			require.NoError(t, w.announce(id, c.after))
			w.end(2 * lead)
			require.NoError(t, w.announce(id, c.after), "what held before is not forgotten as long as it bears on an outage")
			w.end(away - 2*lead - 60)
			w.end(60, w.seen(up(1)))
			require.Equal(t, c.status, w.node(id).Status)
			require.InDelta(t, c.counted, w.node(id).Away(w.Ctx.BlockTime().Unix(), types.DefaultParams()), 60)
			w.check()
		})
	}
}

func TestAnnounceRefuses(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 5*fog, 300*fog)
	id := w.active(alice, "one")
	require.ErrorIs(t, w.announce(id, types.OfflineHours{Weekly: []types.WeeklyHours{{Start: 10_080, Minutes: 1}}}), types.ErrInvalidField)
	now := w.Ctx.BlockTime().Unix()
	require.ErrorIs(t, w.announce(id, types.OfflineHours{Spans: []types.Span{{From: now + 60, To: now + 120}}}), types.ErrInvalidField)
	n := w.node(id)
	require.ErrorIs(t, w.send(&types.MsgUpdateNode{
		Owner: w.Text(fixture.Address("bob")), NodeId: n.Id, Hours: &types.OfflineHours{},
	}), types.ErrNotOwner)
	require.NoError(t, w.retire(n))
	require.ErrorIs(t, w.announce(id, types.OfflineHours{}), types.ErrWrongStatus)
}
