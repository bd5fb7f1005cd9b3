package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate is how many requests come in a second on average, and how many at once.
type Rate struct {
	PerSecond float64
	Burst     int
}

// maxBuckets bounds the memory of a limiter, at some 200 bytes each.
const maxBuckets = 1 << 16

// limiter has a bucket for each key.
type limiter struct {
	rate Rate
	now  func() time.Time

	mu      sync.Mutex
	buckets map[string]*bucket
}

type bucket struct {
	limit *rate.Limiter
	used  time.Time
}

func newLimiter(r Rate, now func() time.Time) *limiter {
	return &limiter{rate: r, now: now, buckets: map[string]*bucket{}}
}

// take returns how long the key has to wait, zero if it may go on.
func (l *limiter) take(key string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	b := l.buckets[key]
	if b == nil {
		if len(l.buckets) >= maxBuckets {
			l.evict(now)
		}
		b = &bucket{limit: rate.NewLimiter(rate.Limit(l.rate.PerSecond), l.rate.Burst)}
		l.buckets[key] = b
	}
	b.used = now
	if b.limit.AllowN(now, 1) {
		return 0
	}
	return max(time.Duration((1-b.limit.TokensAt(now))/l.rate.PerSecond*float64(time.Second)), time.Millisecond)
}

// evict drops the buckets that are full again, which nobody notices, and if there are few, all: whoever has so many addresses has
// got around a limit by address anyway.
func (l *limiter) evict(now time.Time) {
	full := time.Duration(float64(l.rate.Burst) / l.rate.PerSecond * float64(time.Second))
	before := len(l.buckets)
	for key, b := range l.buckets {
		if now.Sub(b.used) > full {
			delete(l.buckets, key)
		}
	}
	if len(l.buckets) > before/4*3 { // or the next one would have to look through all of them again
		clear(l.buckets)
	}
}

// clientAddress is where a request comes from. Behind trusted proxies it is the last address of X-Forwarded-For that is none of theirs:
// those before it are the client's to invent.
func clientAddress(req *http.Request, trusted []netip.Prefix) netip.Addr {
	host, _, err := net.SplitHostPort(req.RemoteAddr)
	if err != nil {
		host = req.RemoteAddr
	}
	at, err := netip.ParseAddr(host)
	if err != nil {
		return netip.IPv6Unspecified()
	}
	at = at.Unmap()
	hops := strings.Split(strings.Join(req.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && isTrusted(at, trusted); i-- {
		next, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		at = next.Unmap()
	}
	return at
}

func isTrusted(at netip.Addr, trusted []netip.Prefix) bool {
	for _, p := range trusted {
		if p.Contains(at) {
			return true
		}
	}
	return false
}

// limitKey is what shares a rate: an address of IPv4, or the network of 64 bits that one customer has in IPv6.
func limitKey(at netip.Addr) string {
	if at.Is6() {
		if p, err := at.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return at.String()
}

// IsLoopback tells whether a host, or host and port, is this machine.
func IsLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	at, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && at.Unmap().IsLoopback()
}
