package keycrm

import (
	"strconv"
	"sync"
	"time"

	"ostatok/agent/stock"
)

const (
	ownLife = 5 * time.Minute // an echo comes within seconds, a second life is the most it is kept
	ownMost = 10_000          // figures kept of one life
)

// own remembers the figures that were written lately: KeyCRM tells our own
// changes back by webhook, and reading each of them again would eat the rate
// limit. What is forgotten is merely read. There are two generations, so that
// it stays bounded without being searched.
type own struct {
	mu       sync.Mutex
	since    time.Time
	now, old map[string]ownFigure
}

type ownFigure struct {
	quantity stock.Quantity
	at       time.Time
}

// ownKey names an offer as it was written: by SKU, or by id.
func ownKey(offer int64, sku string) string {
	if sku != "" {
		return sku
	}
	return "\x00" + strconv.FormatInt(offer, 10)
}

// wrote notes rows before they are sent: a request whose answer is lost may have
// been carried out.
func (m *own) wrote(rows []Row, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, row := range rows {
		m.age(at)
		m.now[ownKey(row.Offer, row.SKU)] = ownFigure{row.Quantity, at}
	}
}

func (m *own) forget(rows []Row) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, row := range rows {
		delete(m.now, ownKey(row.Offer, row.SKU))
	}
}

func (m *own) age(at time.Time) {
	if age := at.Sub(m.since); m.now != nil && len(m.now) < ownMost && age >= 0 && age < ownLife {
		return
	}
	m.old, m.now, m.since = m.now, make(map[string]ownFigure), at
}

// echo tells whether a change is one of ours, and forgets it: the next one with
// the same figure is somebody else's.
func (m *own) echo(c Change, at time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range [...]string{ownKey(0, c.SKU), ownKey(c.Offer, "")} {
		for _, generation := range [...]map[string]ownFigure{m.now, m.old} {
			f, ok := generation[name]
			if !ok {
				continue
			}
			if f.quantity != c.Quantity || at.Sub(f.at) > ownLife {
				return false
			}
			delete(generation, name)
			return true
		}
	}
	return false
}
