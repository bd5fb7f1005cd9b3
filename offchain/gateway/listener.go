package gateway

import (
	"net"
	"net/netip"
	"sync"
)

const (
	// maxConnections bounds what slow clients can hold, perAddress what those of one address can, perMachineAddress the same where they show certificates: a data centre may have one address.
	maxConnections, perAddress, perMachineAddress = 4096, 256, 1024
)

// boundedListener lets no more connections in than slots are free; the others wait in the system's queue. Whoever may not come in, or has too many already, is hung up on.
type boundedListener struct {
	net.Listener
	slots chan struct{}
	// may tells who comes in, free who is not counted by address: proxies, and this machine.
	may, free func(netip.Addr) bool
	most      int

	mu   sync.Mutex
	open map[string]int
}

func (s *Server) listener(l net.Listener, most int, may func(netip.Addr) bool) net.Listener {
	return &boundedListener{Listener: l, slots: make(chan struct{}, maxConnections), may: may, free: s.nearby, most: most, open: map[string]int{}}
}

func anybody(netip.Addr) bool { return true }

// nearby is this machine, and the proxies that are trusted: who may come without TLS.
func (s *Server) nearby(at netip.Addr) bool {
	return at.IsLoopback() || isTrusted(at, s.cfg.TrustedProxies)
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		l.slots <- struct{}{}
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.slots
			return nil, err
		}
		if key, ok := l.enter(c.RemoteAddr()); ok {
			return &boundedConn{Conn: c, leave: sync.OnceFunc(func() { l.exit(key) })}, nil
		}
		_ = c.Close() //nolint:errcheck // it is gone all the same
		<-l.slots
	}
}

// enter counts a connection in.
func (l *boundedListener) enter(remote net.Addr) (key string, ok bool) {
	at, err := netip.ParseAddrPort(remote.String())
	if err != nil {
		return "", false
	}
	addr := at.Addr().Unmap()
	if !l.may(addr) {
		return "", false
	}
	if l.free(addr) {
		return "", true
	}
	key = limitKey(addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[key] >= l.most {
		return "", false
	}
	l.open[key]++
	return key, true
}

func (l *boundedListener) exit(key string) {
	<-l.slots
	if key == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[key]--; l.open[key] == 0 {
		delete(l.open, key)
	}
}

type boundedConn struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
