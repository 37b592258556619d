package stock

import (
	"maps"
	"slices"
)

// uncertain tells whether it is open if initial_quantity of this type is the
// stock before or after the document (evotor-cloud §13.4). SELL and PAYBACK are
// proved by real data.
func (t Type) uncertain() bool {
	switch t {
	case Accept, Return, WriteOff, OpenTare, Buy, Buyback:
		return true
	}
	return false
}

// standard is the reading that holds until a shop's own documents say otherwise:
// after for ACCEPT (guide, step 4), before for the rest (field descriptions).
func (t Type) standard() Reading {
	if t == Accept {
		return After
	}
	return Before
}

// reading returns the reading in force and whether it is settled.
func (r *Rules) reading(t Type) (Reading, bool) {
	if !t.uncertain() {
		return Before, true
	}
	if in, ok := r.Readings[t]; ok {
		return in.Reading, in.Settled
	}
	return t.standard(), false
}

// before returns the stock before the movement that its statement means.
func (m *Movement) before(reading Reading, effect Quantity) Quantity {
	down := m.Type.sign() < 0
	if reading == Before {
		if down {
			return m.High // the first of several lines shows the most
		}
		return m.Low
	}
	if down {
		return m.Low - effect // the last of several lines shows the least
	}
	return m.High - effect
}

// oldest is how far back, epoch ms, the download behind a statement can be. A
// terminal whose document took long to arrive was offline, and its last
// download may be of any age.
func (r *Rules) oldest(m *Movement) int64 {
	age := r.Fresh[m.Device]
	if age == 0 || !m.prompt() {
		return 0
	}
	return m.Closed - age
}

// prompt tells whether the document came to the cloud at once, so that its
// terminal was online.
func (m *Movement) prompt() bool { return m.Arrived-m.Closed <= onTheWay }

// recent tells whether a terminal's first statement is surely younger than the
// beginning of the known history, so that no document behind it is missing.
func (r *Rules) recent(m *Movement) bool {
	age := r.Fresh[m.Device]
	return age > 0 && m.prompt() && m.Closed-age > r.From
}

// Equal tells whether two sets of rules give every product the same level.
func (r *Rules) Equal(other *Rules) bool {
	return r.Method == other.Method && r.Complete == other.Complete &&
		(r.Complete || r.From == other.From) &&
		(r.Terminals > 1) == (other.Terminals > 1) &&
		slices.Equal(r.Started, other.Started) && maps.Equal(r.Readings, other.Readings) &&
		maps.Equal(r.Fresh, other.Fresh) && maps.Equal(r.Never, other.Never)
}

// bare are the rules under which evidence is gathered: what holds before any
// document of the shop was seen.
func (r *Rules) bare() Rules {
	return Rules{Method: Ledger, Terminals: r.Terminals, From: r.From, Complete: r.Complete, Started: r.Started}
}

// learned tells whether the rules hold anything that evidence or configuration
// added to the bare ones.
func (r *Rules) learned() bool { return len(r.Readings) > 0 || len(r.Fresh) > 0 || len(r.Never) > 0 }
