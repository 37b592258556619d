package evotortest

import (
	"math"
	"slices"
)

// kind is what happens at a till.
type kind uint8

const (
	sale kind = iota
	payback
	acceptance
	writeOff
	returnToSupplier
	buy
	buyback
	revaluation
	cashIncome
	cashOutcome
	xReport
	openSession
	closeSession
	zReport
	fullCount
	partialCount
)

// shares are the kinds that come at random in opening hours, per thousand.
var shares = [...]struct {
	kind  kind
	share int
}{
	{sale, 955}, {payback, 13}, {acceptance, 13}, {writeOff, 6}, {returnToSupplier, 3},
	{cashIncome, 3}, {cashOutcome, 2}, {revaluation, 2}, {xReport, 1}, {buy, 1}, {buyback, 1},
}

func (s *Shop) pickKind() kind {
	n := s.rng.IntN(1000)
	for _, k := range shares {
		if n -= k.share; n < 0 {
			return k.kind
		}
	}
	return sale
}

const (
	opens        = 9 * hour // local
	closes       = 21 * hour
	sessionShare = 0.04 // of all documents, at most
)

// planDay draws the documents of a day and itself for the next.
func (s *Shop) planDay(at int64) {
	midnight := at - (at+zone)%day
	s.push(event{at: midnight + day, action: planDay})
	s.owed += s.perDay * [...]float64{0.85, 0.9, 0.95, 1, 1, 1.2, 1.1}[inZone(midnight).Weekday()]
	n := int(s.owed)
	s.owed -= float64(n)

	chance := math.Min(1, sessionShare*s.perDay/float64(3*len(s.terminals)))
	for i, t := range s.terminals {
		if t.Created > midnight+opens || s.rng.Float64() >= chance {
			continue
		}
		n -= 3
		s.plan(i, openSession, midnight+opens-minute*int64(1+s.rng.IntN(20)))
		evening := midnight + closes + minute*int64(1+s.rng.IntN(20))
		s.plan(i, closeSession, evening)
		s.plan(i, zReport, evening+2*second)
	}
	for range n {
		at := midnight + s.openingHour()
		s.plan(s.pickTerminal(at), s.pickKind(), at)
	}
	for i := range s.cards { // new products wait for their first delivery
		if c := s.cards[i].Created; c > midnight-day && c <= midnight {
			s.want(i)
		}
	}
}

func (s *Shop) plan(terminal int, k kind, at int64) {
	at -= at % second // terminals close documents by the second
	if at > s.now {
		s.push(event{at: at, action: closeDocument, terminal: terminal, kind: k})
	}
}

// openingHour draws a time of day with a rush at noon and after work.
func (s *Shop) openingHour() int64 {
	rush := func(at int64) int64 { return at + int64(s.rng.NormFloat64()*float64(hour)) }
	at := int64(0)
	switch s.rng.IntN(3) {
	case 0:
		at = rush(13 * hour)
	case 1:
		at = rush(18*hour + hour/2)
	}
	if at < opens || at >= closes {
		at = opens + s.rng.Int64N(closes-opens)
	}
	return at
}

// pickTerminal picks one that is activated by then, the busy ones more often.
func (s *Shop) pickTerminal(at int64) int {
	total := 0.0
	for _, t := range s.terminals {
		if t.Created <= at {
			total += t.weight
		}
	}
	x := s.rng.Float64() * total
	for i, t := range s.terminals {
		if t.Created > at {
			continue
		}
		if x -= t.weight; x < 0 {
			return i
		}
	}
	return slices.IndexFunc(s.terminals, func(t *terminal) bool { return t.Created <= at })
}
