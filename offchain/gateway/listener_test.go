package gateway

import (
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// One address has a part of the connections, which come back when they end; a trusted proxy has all.
func TestConnectionsOfOneAddress(t *testing.T) {
	for name, trusted := range map[string][]netip.Prefix{"anybody": nil, "proxy": {netip.MustParsePrefix("127.0.0.0/8")}} {
		t.Run(name, func(t *testing.T) {
			lis, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			bounded := newBoundedListener(lis, 10, 2, trusted)
			accepted := make(chan net.Conn, 10)
			go func() {
				for {
					conn, err := bounded.Accept()
					if err != nil {
						close(accepted)
						return
					}
					accepted <- conn
				}
			}()
			dial := func() net.Conn {
				conn, err := net.Dial("tcp", lis.Addr().String())
				require.NoError(t, err)
				t.Cleanup(func() { _ = conn.Close() })
				return conn
			}
			dial()
			dial()
			first := <-accepted
			<-accepted
			third := dial()
			if trusted == nil {
				require.NoError(t, third.SetReadDeadline(time.Now().Add(time.Minute)))
				_, err := io.ReadAll(third)
				require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "it is closed")
				require.NoError(t, first.Close())
				dial()
			}
			select {
			case <-accepted:
			case <-time.After(time.Minute):
				t.Fatal("one more is let in")
			}
			require.NoError(t, lis.Close())
			for range accepted {
				t.Fatal("no more came")
			}
		})
	}
}
