package main

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/examples/gameserver/wire"
)

// TestArena lets two players see each other over real sockets.
func TestArena(t *testing.T) {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- newArena(conn).run(ctx) }()
	var players []net.Conn
	for i := range 2 {
		c, err := net.Dial("udp", conn.LocalAddr().String())
		require.NoError(t, err)
		defer c.Close()
		_, err = c.Write(wire.AppendPosition(nil, wire.Position{Player: uint32(i), Seq: 1, X: 2}))
		require.NoError(t, err)
		players = append(players, c)
	}
	for _, c := range players {
		require.NoError(t, c.SetReadDeadline(time.Now().Add(20*time.Second)))
		buf := make([]byte, wire.MaxPacket)
		for seen := 0; seen < 2; {
			n, err := c.Read(buf)
			require.NoError(t, err)
			all, ok := wire.ParseSnapshot(buf[:n])
			require.True(t, ok)
			seen = len(all)
		}
	}
	cancel()
	require.NoError(t, <-ended)
}

func TestPlayers(t *testing.T) {
	a := newArena(nil)
	start := time.Unix(1000, 0)
	addr := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port) }
	a.take(addr(1), wire.Position{Seq: 5, X: 5}, start)
	a.take(addr(1), wire.Position{Seq: 4, X: 4}, start) // overtaken
	positions, to := a.snapshot(start)
	require.Equal(t, []wire.Position{{Seq: 5, X: 5}}, positions)
	require.Equal(t, []netip.AddrPort{addr(1)}, to)
	for i := range uint16(2 * maxPlayers) {
		a.take(addr(i), wire.Position{}, start.Add(silence))
	}
	positions, _ = a.snapshot(start.Add(silence))
	require.Len(t, positions, maxPlayers)
	positions, _ = a.snapshot(start.Add(2*silence + 1))
	require.Empty(t, positions)
}
