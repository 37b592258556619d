package evotortest

import (
	"math"
	"slices"

	"ostatok/agent/stock"
)

// happen lets one event happen.
func (s *Shop) happen(e *event) {
	switch e.action {
	case planDay:
		s.planDay(e.at)
	case changeOutside:
		s.changeOutside(e.at)
		s.push(event{at: e.at + s.wait(s.gap), action: changeOutside})
	case goOffline:
		s.terminals[e.terminal].offline = true
		s.push(event{at: e.at + s.offlineStretch(), action: goOnline, terminal: e.terminal})
	case goOnline:
		s.goOnline(e.at, e.terminal)
	case arrive:
		s.arrive(e.at, e.document)
	case download:
		s.download(e)
	case closeDocument:
		s.closeDocument(e)
	}
}

// The stretches without a network are between an hour and three days, short
// ones more often.
const (
	shortestOffline = float64(hour)
	longestOffline  = float64(3 * day)
)

func (s *Shop) offlineStretch() int64 {
	return int64(shortestOffline * math.Pow(longestOffline/shortestOffline, s.rng.Float64()))
}

// onlineMean is the mean time online that makes the share of time offline
// LateShare.
func (s *Shop) onlineMean() float64 {
	mean := (longestOffline - shortestOffline) / math.Log(longestOffline/shortestOffline)
	share := min(s.set.LateShare, 0.95)
	return mean * (1 - share) / share
}

// goOnline uploads what was closed without a network and downloads after it.
func (s *Shop) goOnline(at int64, terminal int) {
	t := s.terminals[terminal]
	t.offline = false
	t.arrival = max(t.arrival, at)
	for _, d := range t.queue {
		s.travel(t, d, 40+s.rng.Int64N(160))
	}
	t.queue = nil
	if s.set.Download > 0 {
		s.push(event{at: t.arrival + 1 + s.rng.Int64N(5*second), action: download, terminal: terminal, once: true})
	}
	s.push(event{at: at + s.wait(s.onlineMean()), action: goOffline, terminal: terminal})
}

// travel sends a document to the cloud; a terminal uploads in order.
func (s *Shop) travel(t *terminal, d *draft, takes int64) {
	t.arrival = max(t.arrival, s.now) + takes
	t.inFlight++
	s.push(event{at: t.arrival, action: arrive, terminal: d.terminal, document: d})
}

// download replaces the terminal's view by the cloud's figures. A terminal
// uploads before it downloads, so its own sales are never lost from its view.
func (s *Shop) download(e *event) {
	t := s.terminals[e.terminal]
	first := !t.activated
	if !e.once && s.set.Download > 0 {
		wait := int64(s.set.Download / 1e6)
		if first {
			wait = 1 + s.rng.Int64N(wait) // phase
		} else if jitter := int64(s.set.DownloadJitter / 1e6); jitter > 0 {
			wait = max(wait-jitter+s.rng.Int64N(2*jitter+1), second)
		}
		s.push(event{at: e.at + wait, action: download, terminal: e.terminal})
	}
	if t.offline {
		return
	}
	if t.inFlight > 0 {
		s.push(event{at: t.arrival + 1, action: download, terminal: e.terminal, once: true})
		return
	}
	if first {
		t.activated = true
		t.sessionID = uuid(s.ids)
	}
	copy(t.view, s.cloud)
	t.downloaded = e.at
	s.downloads = append(s.downloads, Download{Device: t.ID, At: e.at})
}

// changeOutside is an accounting system at work: a delivery or a correction of
// some product, on the shelf and in the cloud at once, and no document.
func (s *Shop) changeOutside(at int64) {
	i := s.rng.IntN(len(s.cards))
	c := &s.cards[i]
	if c.Service() || !c.listed(at) {
		return
	}
	by := s.amount(c, 10)
	if s.rng.IntN(10) < 3 { // a correction, of either sign
		by = stock.Unit * stock.Quantity(1+s.rng.IntN(5))
		if c.weighed {
			by = stock.Quantity(100 + s.rng.IntN(3000))
		}
		if s.rng.IntN(2) == 0 && s.physical[i] >= by {
			by = -by
		}
	}
	s.physical[i] += by
	s.cloud[i] += by
	c.Updated = at
	s.outside[i] = append(s.outside[i], Outside{Product: c.ID, At: at, By: by})
	for _, d := range s.open {
		d.add(int32(i), by)
	}
}

// amount is what is delivered of a product to last for some days.
func (s *Shop) amount(c *card, days float64) stock.Quantity {
	expected := c.daily * days * (0.7 + 0.6*s.rng.Float64())
	if c.weighed {
		return stock.Quantity(expected*1200) + stock.Quantity(2000+s.rng.IntN(4000))
	}
	return stock.Unit * (stock.Quantity(expected*1.3) + stock.Quantity(4+s.rng.IntN(12)))
}

// arrive puts a document into the cloud: from now on it is listed and counts
// in the cloud's figures. The cloud orders by close time as a reader does: a
// count that arrives keeps what later documents did, and a document older than
// the newest count changes nothing.
func (s *Shop) arrive(at int64, d *draft) {
	t := s.terminals[d.terminal]
	t.inFlight--
	d.document.Arrived = at
	s.closed[d.seq].Arrived = at
	s.travelling = slices.DeleteFunc(s.travelling, func(o *draft) bool { return o == d })
	if d.counts != nil {
		s.open = slices.DeleteFunc(s.open, func(o *draft) bool { return o == d })
		for i, q := range d.counts {
			if s.counted[i] < d.seq {
				s.counted[i], s.cloud[i] = d.seq, q+d.later[i]
			}
		}
	}
	for i := range d.lines {
		l := &d.lines[i]
		if l.effect == 0 {
			continue
		}
		if d.seq > s.counted[l.product] {
			s.cloud[l.product] += l.effect
		}
		for _, count := range s.open {
			if count.seq < d.seq {
				count.add(l.product, l.effect)
			}
		}
	}
	document := Document{Document: d.document}
	if !s.set.NoJSON {
		document.JSON = s.renderer.render(s, d)
	}
	s.documents = append(s.documents, document)
}
