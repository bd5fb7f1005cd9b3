package gateway

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// boundedListener lets no more connections in than slots are free; the others wait in the system's queue. Of those, one address has a part at most,
// so that it cannot keep the others out; proxies that are trusted have as many as they need.
type boundedListener struct {
	net.Listener
	slots   chan struct{}
	each    int
	trusted []netip.Prefix

	mu   sync.Mutex
	open map[string]int // by limitKey
}

func newBoundedListener(l net.Listener, most, each int, trusted []netip.Prefix) net.Listener {
	return &boundedListener{Listener: l, slots: make(chan struct{}, most), each: each, trusted: trusted, open: map[string]int{}}
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	l.slots <- struct{}{}
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.slots
			return nil, err
		}
		key, ok := l.admit(c.RemoteAddr())
		if ok {
			return &boundedConn{Conn: c, leave: func() { l.leave(key) }}, nil
		}
		_ = io.Closer(c).Close() // nothing was said yet
	}
}

// admit counts a connection for its address, unless that has its part.
func (l *boundedListener) admit(from net.Addr) (key string, ok bool) {
	at, err := netip.ParseAddrPort(from.String())
	if err != nil {
		return "", true
	}
	if isTrusted(at.Addr().Unmap(), l.trusted) {
		return "", true
	}
	key = limitKey(at.Addr().Unmap())
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[key] >= l.each {
		return "", false
	}
	l.open[key]++
	return key, true
}

func (l *boundedListener) leave(key string) {
	<-l.slots
	if key == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[key]--; l.open[key] <= 0 {
		delete(l.open, key)
	}
}

type boundedConn struct {
	net.Conn
	leave  func()
	closed atomic.Bool
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.leave()
	}
	return c.Conn.Close()
}
