package evotortest

import (
	"slices"

	"ostatok/agent/stock"
)

const (
	moreLines = 0.62 // chance of one more line in a receipt
	meanLines = 2.6
	longest   = 12   // lines of a receipt
	soldKept  = 2000 // sales that may still come back
)

// closeDocument makes a document at a till.
func (s *Shop) closeDocument(e *event) {
	t := s.terminals[e.terminal]
	if !t.activated || e.at <= t.lastClosed { // one document a second
		e.at = max(t.lastClosed, e.at) + second
		s.push(*e)
		return
	}
	if t.resetAt != 0 && e.at >= t.resetAt {
		t.resetAt, t.number = 0, 0
	}
	d := &draft{terminal: e.terminal}
	d.document.Closed = e.at
	complete := stock.CompleteUnsaid
	switch e.kind {
	case sale:
		d.document.Type = stock.Sell
		s.sell(d, e.at)
	case payback:
		if !s.payBack(d, e.at) {
			return
		}
	case acceptance:
		d.document.Type = stock.Accept
		s.accept(d, e.at)
	case writeOff:
		s.takeAway(d, e.at, stock.WriteOff)
	case returnToSupplier:
		s.takeAway(d, e.at, stock.Return)
	case buy, buyback:
		d.document.Type = stock.Buy
		if e.kind == buyback {
			d.document.Type = stock.Buyback
		}
		if i, ok := s.pick(d, e.at); ok {
			s.addLine(d, i, stock.Unit, settledFull, false)
		}
	case revaluation:
		d.document.Type = stock.Revaluation
		s.revalue(d, e.at)
	case fullCount:
		complete = stock.CompleteYes
		s.countAll(d, e.at)
	case partialCount:
		complete = stock.CompleteNo
		s.countSome(d, e.at)
	default:
		s.paperwork(d, e.kind)
	}
	s.finish(d, complete)
	if d.document.Type == stock.Sell {
		s.remember(d)
	}
}

// paperwork are documents that have no goods.
func (s *Shop) paperwork(d *draft, k kind) {
	t := s.terminals[d.terminal]
	switch k {
	case openSession:
		d.document.Type = "OPEN_SESSION"
		t.session++
		t.sessionID = uuid(s.ids)
	case closeSession:
		d.document.Type = "CLOSE_SESSION"
	case zReport:
		d.document.Type = "Z_REPORT"
	case xReport:
		d.document.Type = "X_REPORT"
	case cashIncome:
		d.document.Type = "CASH_INCOME"
	case cashOutcome:
		d.document.Type = "CASH_OUTCOME"
	}
}

// pick finds a product for a line that the document does not have yet; one that
// keeps stock must be on the shelf.
func (s *Shop) pick(d *draft, at int64) (int, bool) {
	for range 12 {
		i := s.popularity.pick(s.rng)
		c := &s.cards[i]
		if !c.sellable(at) || slices.ContainsFunc(d.lines, func(l draftLine) bool { return int(l.product) == i }) {
			continue
		}
		if sign(d.document.Type) < 0 && !c.untracked && !c.Service() && s.physical[i] < stock.Unit {
			s.want(i)
			continue
		}
		return i, true
	}
	return 0, false
}

// quantity is what a customer takes of a product.
func (s *Shop) quantity(product int) stock.Quantity {
	c := &s.cards[product]
	if c.weighed {
		return s.onShelf(product, stock.Quantity(50+s.rng.IntN(1800)))
	}
	n := stock.Quantity(1)
	switch k := s.rng.IntN(20); {
	case k == 0:
		n = 3
	case k < 4:
		n = 2
	}
	return s.onShelf(product, n*stock.Unit)
}

// onShelf is at most what is there.
func (s *Shop) onShelf(product int, q stock.Quantity) stock.Quantity {
	c := &s.cards[product]
	if c.untracked || c.Service() || q <= s.physical[product] {
		return q
	}
	if c.weighed {
		return max(s.physical[product], 1)
	}
	return max(s.physical[product]/stock.Unit, 1) * stock.Unit
}

func (s *Shop) sell(d *draft, at int64) {
	settlement := settledFull
	switch s.rng.IntN(400) {
	case 0:
		settlement = "PREPAYMENT_FULL"
	case 1:
		settlement = "ADVANCE"
	case 2:
		settlement = "CREDIT_PASS"
	case 3:
		d.advance = true
	}
	d.cash = s.rng.IntN(5) < 2
	repeats := s.rng.IntN(25) == 0
	for n := 0; n == 0 || (n < longest && s.rng.Float64() < moreLines); n++ {
		if s.rng.IntN(120) == 0 {
			s.addFreePrice(d)
			continue
		}
		i, ok := s.pick(d, at)
		if !ok {
			continue
		}
		s.addLine(d, i, s.quantity(i), settlement, false)
		if s.rng.IntN(300) == 0 && settlement == settledFull {
			if sub, ok := s.pick(d, at); ok && !s.cards[sub].Service() {
				s.addLine(d, sub, s.quantity(sub), "", true)
			}
		}
		for repeats && s.physical[i] >= 3*stock.Unit { // a line for every piece, or weighed twice
			s.addLine(d, i, s.quantity(i), settlement, false)
			repeats = s.rng.IntN(2) == 0
		}
	}
	if len(d.lines) == 0 {
		s.addFreePrice(d)
	}
}

// remember keeps the lines of a sale for customers who bring things back.
func (s *Shop) remember(d *draft) {
	for _, l := range d.lines {
		if l.product >= 0 && !l.sub && l.effect != 0 {
			s.sold = append(s.sold, soldLine{l, d.document.ID, d.document.Number})
		}
	}
	if len(s.sold) > 2*soldKept {
		s.sold = slices.Clone(s.sold[len(s.sold)-soldKept:])
	}
}

// payBack returns a line that was sold, with the uuid that it was sold under.
func (s *Shop) payBack(d *draft, at int64) bool {
	if len(s.sold) == 0 {
		return false
	}
	n := s.rng.IntN(len(s.sold))
	sold := s.sold[n]
	s.sold = slices.Delete(s.sold, n, n+1)
	if !s.cards[sold.line.product].sellable(at) {
		return false
	}
	d.document.Type = stock.Payback
	d.base = &sold
	l := s.addLine(d, int(sold.line.product), sold.line.quantity, sold.line.settlement, false)
	l.uuid, l.half, l.price = sold.line.uuid, sold.line.half, sold.line.price
	return true
}

// accept receives what was ordered, or something when nothing was.
func (s *Shop) accept(d *draft, at int64) {
	most := 10 + s.rng.IntN(20)
	waiting := s.needs
	s.needs = nil
	for _, i := range waiting {
		c := &s.cards[i]
		switch {
		case len(d.lines) >= most:
			s.needs = append(s.needs, i)
		case c.sellable(at):
			c.needed = false
			s.addLine(d, int(i), s.amount(c, 14), "", false)
		default:
			c.needed = false
		}
	}
	for n := 1 + s.rng.IntN(3); len(d.lines) < n; n-- {
		if i, ok := s.pick(d, at); ok && !s.cards[i].Service() && !s.cards[i].untracked {
			s.addLine(d, i, s.amount(&s.cards[i], 3), "", false)
		}
	}
	if s.rng.IntN(20) == 0 && len(d.lines) > 0 { // delivered in two boxes, written twice
		i := int(d.lines[0].product)
		s.addLine(d, i, s.amount(&s.cards[i], 1), "", false)
	}
}

// takeAway writes goods off or sends them back to the supplier.
func (s *Shop) takeAway(d *draft, at int64, t stock.Type) {
	d.document.Type = t
	for range 1 + s.rng.IntN(3) {
		if i, ok := s.pick(d, at); ok && !s.cards[i].Service() {
			s.addLine(d, i, s.quantity(i), "", false)
		}
	}
}

// revalue changes prices; it names products and says nothing of stock.
func (s *Shop) revalue(d *draft, at int64) {
	if i, ok := s.pick(d, at); ok {
		c := &s.cards[i]
		l := draftLine{product: int32(i), price: c.price}
		randomID(s.ids, &l.uuid)
		c.price += 100 * int64(1+s.rng.IntN(30))
		c.Updated = at
		d.lines = append(d.lines, l)
	}
}

// count sets a product to what is on the shelf; stock below zero is a matter of
// the books, a count finds nothing there.
func (s *Shop) count(d *draft, product int) stock.Quantity {
	if d.counts == nil {
		d.counts, d.found = make(map[int32]stock.Quantity), make(map[int32]stock.Quantity)
	}
	q := max(s.physical[product], 0)
	if q != s.physical[product] {
		d.found[int32(product)] = q - s.physical[product]
	}
	d.counts[int32(product)] = q
	s.physical[product] = q
	return q
}

func (s *Shop) addCounted(d *draft, product int, q stock.Quantity) {
	l := draftLine{product: int32(product), quantity: q, stated: s.terminals[d.terminal].view[product]}
	randomID(s.ids, &l.uuid)
	d.lines = append(d.lines, l)
}

// countAll counts the whole shop. Products with nothing on the shelf are mostly
// left out: a complete count says zero by not naming them.
func (s *Shop) countAll(d *draft, at int64) {
	d.document.Type = stock.Inventory
	view := s.terminals[d.terminal].view
	for i := range s.cards {
		c := &s.cards[i]
		if c.Service() || c.Created > at {
			continue
		}
		q := s.count(d, i)
		if q != 0 || (c.listed(at) && s.rng.IntN(4) == 0) {
			s.addCounted(d, i, q)
		} else {
			s.stateUnlisted(i, d)
		}
		view[i] = q
	}
	s.open = append(s.open, d)
}

// countSome counts a shelf.
func (s *Shop) countSome(d *draft, at int64) {
	d.document.Type = stock.Inventory
	view := s.terminals[d.terminal].view
	wanted := 5 + s.rng.IntN(40)
	for range 4 * wanted {
		i := s.rng.IntN(len(s.cards))
		c := &s.cards[i]
		if _, again := d.counts[int32(i)]; again || c.Service() || !c.sellable(at) {
			continue
		}
		q := s.count(d, i)
		s.addCounted(d, i, q)
		view[i] = q
		if len(d.lines) == wanted {
			break
		}
	}
	s.open = append(s.open, d)
}
