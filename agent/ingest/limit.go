package ingest

import (
	"math"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Two days of documents that a terminal sends one by one must not take long; a
// wrong token must.
const (
	burst        = 300
	perSecond    = 30
	refusalCost  = 30 // a refused request is as dear as so many
	addressesMax = 512
)

// limiter is a bucket of requests for each address.
type limiter struct {
	now func() time.Time

	mu      sync.Mutex
	buckets map[netip.Prefix]*bucket
}

type bucket struct {
	left float64 // may be below zero
	at   time.Time
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, buckets: make(map[netip.Prefix]*bucket)}
}

// take takes requests out of an address's bucket and returns 0, or how long it is
// until there are some again.
func (l *limiter) take(from netip.Prefix, cost float64) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	b := l.buckets[from]
	if b == nil {
		if len(l.buckets) >= addressesMax {
			l.forget(now)
		}
		b = &bucket{left: burst, at: now}
		l.buckets[from] = b
	}
	b.fill(now)
	if b.left < 1 {
		return time.Duration((1 - b.left) / perSecond * float64(time.Second))
	}
	b.left -= cost
	return 0
}

// fill adds what time has brought. A clock that was set back brings nothing.
func (b *bucket) fill(now time.Time) {
	b.left = min(burst, b.left+max(0, now.Sub(b.at).Seconds())*perSecond)
	b.at = now
}

// forget makes room: the address that has asked least loses nothing.
func (l *limiter) forget(now time.Time) {
	var least netip.Prefix
	most := math.Inf(-1)
	for from, b := range l.buckets {
		if b.fill(now); b.left > most {
			least, most = from, b.left
		}
	}
	delete(l.buckets, least)
}

// network is what counts as one address: a household's whole IPv6 network.
func network(r *http.Request) netip.Prefix {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	addr = addr.Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
