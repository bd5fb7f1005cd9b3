package limits

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/x/authz"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/hours"
	"github.com/foggrid/fogd/offchain/nodeclient"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// grid is a chain with one node, a key that may what it was let, and a machine.
type grid struct {
	node          nodestypes.Node
	change, drain bool
	now           time.Time
	sample        Sample
	broken        error
	sent          int
}

func (g *grid) Node(context.Context, string) (nodestypes.Node, error) { return g.node, nil }

func (g *grid) Params(context.Context) (nodestypes.Params, error) {
	return nodestypes.DefaultParams(), nil
}

func (g *grid) Granted(context.Context, string, string) (bool, bool, error) {
	return g.change, g.drain, nil
}

func (g *grid) Look(context.Context) (Sample, error) { return g.sample, nil }

func (g *grid) Address() string { return "key" }

func (g *grid) Send(_ context.Context, msgs ...sdk.Msg) (*chain.TxResult, error) {
	g.sent++
	if g.broken != nil {
		return nil, g.broken
	}
	inner, err := msgs[0].(*authz.MsgExec).GetMessages()
	if err != nil {
		return nil, err
	}
	switch m := inner[0].(type) {
	case *nodestypes.MsgDrainNode:
		g.node.Status, g.node.Draining = nodestypes.NODE_STATUS_DRAINING, true
	case *nodestypes.MsgResumeNode:
		g.node.Status, g.node.Draining = nodestypes.NODE_STATUS_ACTIVE, false
	case *nodestypes.MsgUpdateNode:
		return nil, g.node.Announce(*m.Hours, g.now.Unix(), nodestypes.DefaultParams())
	}
	return nil, nil
}

func newGrid() *grid {
	return &grid{
		node:   nodestypes.Node{Id: "node1", Owner: "owner", Status: nodestypes.NODE_STATUS_ACTIVE},
		change: true, drain: true, now: time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC),
	}
}

func (g *grid) worker(t *testing.T, terms Terms, dir string) (*Worker, *bytes.Buffer) {
	t.Helper()
	var said bytes.Buffer
	w, err := New(Config{
		Terms: terms, Chain: g, NodeID: "node1", Dir: dir, Log: slog.New(slog.NewTextHandler(&said, nil)), Now: func() time.Time { return g.now },
	})
	require.NoError(t, err)
	return w, &said
}

func TestDrainsWhileInUse(t *testing.T) {
	g, dir := newGrid(), t.TempDir()
	w, _ := g.worker(t, Terms{Use: g, Sender: g, Key: "pricing"}, dir)
	look := func(pass time.Duration) {
		g.now = g.now.Add(pass)
		require.NoError(t, w.look(t.Context()))
	}
	look(0)
	require.Equal(t, nodestypes.NODE_STATUS_ACTIVE, g.node.Status)
	g.sample.Input = g.now
	look(time.Minute)
	require.Equal(t, nodestypes.NODE_STATUS_DRAINING, g.node.Status)
	look(freeAfter - time.Minute)
	require.Equal(t, nodestypes.NODE_STATUS_DRAINING, g.node.Status, "it has been free for too short a time")
	drained, err := Drained(dir, "node1")
	require.NoError(t, err)
	require.True(t, drained)

	w, _ = g.worker(t, Terms{Use: g, Sender: g, Key: "pricing"}, dir) // the agent is started anew
	look(freeAfter)
	require.Equal(t, nodestypes.NODE_STATUS_ACTIVE, g.node.Status)
	drained, err = Drained(dir, "node1")
	require.NoError(t, err)
	require.False(t, drained)

	g.node.Status, g.node.Draining = nodestypes.NODE_STATUS_DRAINING, true
	g.sample.Input = g.now
	look(0)
	look(2 * freeAfter)
	require.Equal(t, nodestypes.NODE_STATUS_DRAINING, g.node.Status, "its owner began that")
}

func TestWhoMayNotIsTold(t *testing.T) {
	week, err := hours.Parse("mon-fri 19:00-07:00")
	require.NoError(t, err)
	g := newGrid()
	g.change, g.drain = false, false
	g.sample.Desktop = true
	dir := t.TempDir()
	w, said := g.worker(t, Terms{Work: &week, Use: g, Sender: g, Key: "pricing"}, dir)
	for range 3 {
		require.NoError(t, w.look(t.Context()))
	}
	require.Zero(t, g.sent)
	require.Equal(t, 1, bytes.Count(said.Bytes(), []byte("fog node drain node1")), said.String())
	require.Contains(t, said.String(), "fog node grant-pricing key --drain")
	require.Equal(t, 1, bytes.Count(said.Bytes(), []byte("fog node hours weekly node1")), "one does not keep the other back")
	drained, err := Drained(dir, "node1")
	require.NoError(t, err)
	require.False(t, drained, "nothing was done that is to be taken back")

	w, said = g.worker(t, Terms{Work: &week, Key: "pricing"}, dir)
	require.NoError(t, w.look(t.Context()))
	require.Contains(t, said.String(), "fog keys add pricing")
	require.Contains(t, said.String(), `fog node hours weekly node1 --work`)
}

func TestHoursFollowTheClock(t *testing.T) {
	week, err := hours.Parse("daily 19:00-07:00")
	require.NoError(t, err)
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	g := newGrid()
	span := nodestypes.Span{From: g.now.Unix() + 30*24*3600, To: g.now.Unix() + 31*24*3600}
	require.NoError(t, g.node.Announce(nodestypes.OfflineHours{Spans: []nodestypes.Span{span}}, g.now.Unix(), nodestypes.DefaultParams()))
	w, _ := g.worker(t, Terms{Work: &week, Zone: berlin, Sender: g}, t.TempDir())
	require.NoError(t, w.look(t.Context()))
	require.NoError(t, w.look(t.Context()))
	require.Equal(t, 1, g.sent, "once is enough")
	h := g.node.OfflineHours()
	require.Equal(t, []nodestypes.Span{span}, h.Spans, "what the owner announced besides stays")
	require.Equal(t, nodestypes.WeeklyHours{Start: 6 * 60, Minutes: 12 * 60}, h.Weekly[0], "07:00 to 19:00 in winter")

	// Summer time begins on 29 March at 01:00 UTC; what is announced an hour ahead holds from then on.
	g.now = time.Date(2026, 3, 28, 23, 59, 0, 0, time.UTC)
	require.NoError(t, w.look(t.Context()))
	require.Equal(t, 1, g.sent)
	g.now = g.now.Add(time.Minute)
	require.NoError(t, w.look(t.Context()))
	require.Equal(t, nodestypes.WeeklyHours{Start: 5 * 60, Minutes: 12 * 60}, g.node.OfflineHours().Weekly[0])
	require.True(t, g.node.AbsentAt(time.Date(2026, 3, 29, 5, 0, 0, 0, time.UTC).Unix()))
	require.False(t, g.node.AbsentAt(time.Date(2026, 3, 29, 4, 59, 59, 0, time.UTC).Unix()))
}

func TestRefusalIsTriedAgainLater(t *testing.T) {
	g := newGrid()
	g.broken = errors.New("no room")
	g.sample.Desktop = true
	w, _ := g.worker(t, Terms{Use: g, Sender: g}, t.TempDir())
	require.ErrorContains(t, w.look(t.Context()), "fog node drain node1: no room")
	require.NoError(t, w.look(t.Context()))
	require.Equal(t, 1, g.sent)
	g.broken, g.now = nil, g.now.Add(retry)
	require.NoError(t, w.look(t.Context()))
	require.Equal(t, nodestypes.NODE_STATUS_DRAINING, g.node.Status)
}

var _ Chain = (*nodeclient.Client)(nil)
