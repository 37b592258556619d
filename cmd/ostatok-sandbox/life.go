package main

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	"ostatok/agent/stock"
	"ostatok/sync/evotor/evotortest"
)

const (
	beat     = 200 * time.Millisecond // how often the shop is brought up to its clock
	summary  = 10 * time.Second       // how often sales and requests are summed up
	wordiest = 5                      // writes printed one by one between two beats
)

// life lets the shop live on and tells of it.
type life struct {
	shop     *evotortest.Shop
	cloud    *evotortest.Cloud
	clock    *clock
	journal  *journal
	backends *backends

	mu       sync.Mutex
	seen     int // documents told of
	written  int // writes told of
	sales    int
	lines    int
	devices  int
	requests map[string]int
	faults   map[evotortest.Fault]int
	told     struct{ requests, faults map[string]int } // of the backends
}

func newLife(shop *evotortest.Shop, cloud *evotortest.Cloud, b *backends, c *clock, j *journal) *life {
	return &life{shop: shop, cloud: cloud, backends: b, clock: c, journal: j, seen: len(shop.Documents()), devices: len(shop.Devices())}
}

// run ends with ctx.
func (l *life) run(ctx context.Context) {
	beats, summaries := time.NewTicker(beat), time.NewTicker(summary)
	defer beats.Stop()
	defer summaries.Stop()
	for {
		select {
		case <-ctx.Done():
			l.sumUp()
			return
		case <-beats.C:
			l.catchUp()
		case <-summaries.C:
			l.sumUp()
		}
	}
}

// catchUp brings the shop to its clock and tells of what is not a sale.
func (l *life) catchUp() {
	l.shop.Run(l.clock.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	documents := l.shop.Documents()
	for _, d := range documents[l.seen:] {
		if d.Type == stock.Sell {
			l.sales, l.lines = l.sales+1, l.lines+len(d.Lines)
			continue
		}
		l.journal.say("document %s %d of %s, %s", d.Type, d.Number, d.Device[:13], plural(len(d.Lines), "line"))
	}
	l.seen = len(documents)
	patches := l.shop.Patches()
	for i, p := range patches[l.written:] {
		if i == wordiest {
			l.journal.say("… and %s more", plural(len(patches)-l.written-i, "quantity", "quantities"))
			break
		}
		l.journal.say("the quantity of %s was set to %s", p.Product, p.Quantity)
	}
	l.written = len(patches)
	if devices := l.shop.Devices(); len(devices) > l.devices {
		l.devices = len(devices)
		l.journal.say("terminal %s was activated", devices[len(devices)-1].ID)
	}
}

// sumUp tells of what comes too often to be told one by one.
func (l *life) sumUp() {
	l.catchUp()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sales > 0 {
		l.journal.say("%s, %s", plural(l.sales, "sale"), plural(l.lines, "line"))
		l.sales, l.lines = 0, 0
	}
	requests, faults := l.cloud.Requests(), l.cloud.Faults()
	if text := difference(requests, l.requests); text != "" {
		l.journal.say("requests: %s", text)
	}
	if text := difference(faults, l.faults); text != "" {
		l.journal.say("faults: %s", text)
	}
	l.requests, l.faults = requests, faults
	asked, failed := l.backends.counts()
	if text := difference(asked, l.told.requests); text != "" {
		l.journal.say("requests to backends: %s", text)
	}
	if text := difference(failed, l.told.faults); text != "" {
		l.journal.say("faults of backends: %s", text)
	}
	l.told.requests, l.told.faults = asked, failed
}

// difference lists what was counted since.
func difference[K ~string](now, before map[K]int) string {
	var parts []string
	for k, n := range now {
		if n > before[k] {
			parts = append(parts, fmt.Sprintf("%s ×%d", string(k), n-before[k]))
		}
	}
	sort.Strings(parts)
	return strings.Join(parts, ", ")
}

func plural(n int, one string, many ...string) string {
	switch {
	case n == 1:
		return "1 " + one
	case len(many) > 0:
		return fmt.Sprintf("%d %s", n, many[0])
	}
	return fmt.Sprintf("%d %ss", n, one)
}
