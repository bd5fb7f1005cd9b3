package oracle

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

func testWorker(operator string) *Worker {
	return &Worker{
		cfg: Config{Operator: operator}, log: slog.New(slog.DiscardHandler), pulse: newPulse(time.Second),
		report: newReportBook(), tracked: map[uint64]*task{},
	}
}

func node(id string, index uint32, status nodestypes.NodeStatus) nodestypes.Node {
	return nodestypes.Node{Id: id, Index: index, Status: status, Owner: "provider", Boot: "aaaaaaaa"}
}

func TestPulseNeedsTwoFailures(t *testing.T) {
	p := newPulse(time.Second)
	up, down, _ := p.view("n")
	require.False(t, up || down, "a node that was never tested is neither up nor down")

	p.note("n", false, "")
	up, down, _ = p.view("n")
	require.False(t, up || down, "one failed test decides nothing")

	p.note("n", false, "")
	_, down, _ = p.view("n")
	require.True(t, down)

	p.note("n", true, "bbbbbbbb")
	up, down, boot := p.view("n")
	require.True(t, up)
	require.False(t, down)
	require.Equal(t, "bbbbbbbb", boot)
}

func TestPulseAgainstHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		history := rapid.SliceOfN(rapid.Bool(), 1, 20).Draw(t, "history")
		p := newPulse(time.Second)
		for _, up := range history {
			p.note("n", up, "aaaaaaaa")
		}
		n := len(history)
		up, down, _ := p.view("n")
		if want := history[n-1]; up != want {
			t.Fatalf("up is %t after %v", up, history)
		}
		if want := n >= 2 && !history[n-1] && !history[n-2]; down != want {
			t.Fatalf("down is %t after %v", down, history)
		}
	})
}

func TestObserveNamesWhatTheChainDoesNotKnow(t *testing.T) {
	w := testWorker("operator")
	w.pulse.note("dead", false, "")
	w.pulse.note("dead", false, "")
	w.pulse.note("back", true, "aaaaaaaa")
	w.pulse.note("fine", true, "aaaaaaaa")
	w.pulse.note("restarted", true, "bbbbbbbb")
	w.pulse.note("gone", false, "")
	w.pulse.note("gone", false, "")
	own := node("own", 6, nodestypes.NODE_STATUS_ACTIVE)
	own.Owner = "operator"
	w.pulse.note("own", false, "")
	w.pulse.note("own", false, "")

	o, err := w.observe([]nodestypes.Node{
		node("restarted", 4, nodestypes.NODE_STATUS_DRAINING),
		node("dead", 1, nodestypes.NODE_STATUS_ACTIVE),
		node("back", 2, nodestypes.NODE_STATUS_INACTIVE),
		node("fine", 3, nodestypes.NODE_STATUS_ACTIVE),
		node("gone", 5, nodestypes.NODE_STATUS_INACTIVE),
		own,
		node("pending", 0, nodestypes.NODE_STATUS_PENDING),
		node("unknown", 7, nodestypes.NODE_STATUS_ACTIVE),
	})
	require.NoError(t, err)
	require.Equal(t, []uint32{1}, o.Down, "a node that is INACTIVE already, one of the operator's own and one not tested yet are not named")
	require.Equal(t, []uint32{2}, o.Up)
	require.Equal(t, []nodestypes.Restart{{Index: 4, Boot: "bbbbbbbb"}}, o.Restarted)
	require.NoError(t, o.Validate())
}

func TestOracleThatSeesEverybodyDownAbstains(t *testing.T) {
	for _, tt := range []struct {
		nodes, down int
		abstains    bool
	}{
		{1, 1, false}, // a grid of one machine could else never lose it
		{3, 3, false},
		{4, 2, false}, // half is not more than half
		{4, 3, true},
		{10, 6, true},
	} {
		w := testWorker("operator")
		var nodes []nodestypes.Node
		for i := range tt.nodes {
			id := string(rune('a' + i))
			nodes = append(nodes, node(id, uint32(i+1), nodestypes.NODE_STATUS_ACTIVE))
			for range failuresToDown {
				w.pulse.note(id, i >= tt.down, "aaaaaaaa")
			}
		}
		_, err := w.observe(nodes)
		require.Equal(t, tt.abstains, errors.Is(err, errAbstain), "%d of %d down", tt.down, tt.nodes)
	}
}

func TestNetworkOfANode(t *testing.T) {
	var n network
	_, ok := n.view()
	require.False(t, ok)
	for i := range 9 {
		n.note(time.Duration(10+i%2) * time.Millisecond)
	}
	_, ok = n.view()
	require.False(t, ok, "nine pings say too little")
	n.note(0)
	v, ok := n.view()
	require.True(t, ok)
	require.Equal(t, nodestypes.Network{RttUs: 10_000, JitterUs: 1_000, LossPpm: 100_000}, v)
	for range 200 {
		n.note(5 * time.Millisecond)
	}
	v, _ = n.view()
	require.Equal(t, nodestypes.Network{RttUs: 5_000}, v, "what is long ago is forgotten")
}

func TestNetworksNamesWhatDiffers(t *testing.T) {
	w := testWorker("operator")
	ping := func(id string, trip time.Duration) {
		for range 20 {
			w.pulse.notePing(id, trip)
		}
	}
	ping("new", 30*time.Millisecond)
	ping("same", 30*time.Millisecond)
	ping("slower", 90*time.Millisecond)
	ping("own", 90*time.Millisecond)
	known := func(n nodestypes.Node) nodestypes.Node {
		n.Network = nodestypes.Network{RttUs: 29_000, Time: 7}
		return n
	}
	own := node("own", 6, nodestypes.NODE_STATUS_ACTIVE)
	own.Owner = "operator"
	got := w.networks(1, []nodestypes.Node{
		node("new", 1, nodestypes.NODE_STATUS_ACTIVE), known(node("same", 2, nodestypes.NODE_STATUS_ACTIVE)),
		known(node("slower", 3, nodestypes.NODE_STATUS_DRAINING)), node("silent", 4, nodestypes.NODE_STATUS_ACTIVE), own,
	})
	require.Equal(t, []nodestypes.NetworkObservation{{Index: 1, RttUs: 30_000}, {Index: 3, RttUs: 90_000}}, got)
	require.NoError(t, nodestypes.LivenessObservation{Network: got}.Validate())
}

func TestNetworksOfALargeGridTakeTurns(t *testing.T) {
	w := testWorker("operator")
	var nodes []nodestypes.Node
	for i := range 2*nodestypes.MaxNetworkNodes + 10 {
		n := node(fmt.Sprint(i), uint32(i+1), nodestypes.NODE_STATUS_ACTIVE)
		for range 10 {
			w.pulse.notePing(n.Id, time.Millisecond*40)
		}
		nodes = append(nodes, n)
	}
	named := map[uint32]bool{}
	for round := range uint64(3) {
		got := w.networks(round, nodes)
		require.Len(t, got, nodestypes.MaxNetworkNodes)
		require.NoError(t, nodestypes.LivenessObservation{Network: got}.Validate())
		for _, o := range got {
			named[o.Index] = true
		}
	}
	require.Len(t, named, len(nodes))
}
