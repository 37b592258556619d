package evotortest

import (
	"ostatok/agent/stock"
)

// draft is a document between the till and the cloud.
type draft struct {
	document stock.Document
	terminal int
	seq      int // place in the order of closing
	lines    []draftLine

	counts map[int32]stock.Quantity // a count: what every product it sets was found to be
	found  map[int32]stock.Quantity // … and what that changed of products that stood below zero
	later  map[int32]stock.Quantity // … and what later documents and outside changes did before it arrived

	base      *soldLine // the sale that a PAYBACK returns
	session   int64
	sessionID string
	receipt   int64
	line      int64 // running number of the first position
	advance   bool  // paid in part by an earlier prepayment
	cash      bool
}

// draftLine is a line with what its JSON shows; product is an index of the
// catalogue, or -1 at a free price.
type draftLine struct {
	product    int32
	quantity   stock.Quantity
	stated     stock.Quantity
	effect     stock.Quantity
	settlement string
	sub        bool
	price      int64 // kopecks
	half       bool  // sold at half the price
	uuid       [16]byte
}

// soldLine is remembered so that it can be returned.
type soldLine struct {
	line     draftLine
	document string
	number   int64
}

// add keeps what happened to a product after the count was closed.
func (d *draft) add(product int32, by stock.Quantity) {
	if _, ok := d.counts[product]; !ok {
		return
	}
	if d.later == nil {
		d.later = make(map[int32]stock.Quantity)
	}
	d.later[product] += by
}

// sign is the effect of a line on the shelf, by the type of its document.
func sign(t stock.Type) stock.Quantity {
	switch t {
	case stock.Sell, stock.Return, stock.WriteOff, stock.Buyback:
		return -1
	case stock.Payback, stock.Accept, stock.Buy:
		return 1
	}
	return 0
}

// addLine writes a line as the terminal does: it states its own view of the
// product, and changes the view and the shelf at once.
func (s *Shop) addLine(d *draft, product int, q stock.Quantity, settlement string, sub bool) *draftLine {
	t, c := s.terminals[d.terminal], &s.cards[product]
	l := draftLine{product: int32(product), quantity: q, settlement: settlement, sub: sub, price: c.price}
	if s.rng.IntN(50) == 0 && d.document.Type == stock.Sell && !sub {
		l.half = true
	}
	randomID(s.ids, &l.uuid)
	if !c.Service() {
		if moves(settlement) {
			l.effect = sign(d.document.Type) * q
		}
		l.stated = t.view[product]
		if s.set.reading(d.document.Type) == stock.After {
			l.stated += l.effect
		}
		t.view[product] += l.effect
		s.physical[product] += l.effect
		s.want(product)
	}
	d.lines = append(d.lines, l)
	return &d.lines[len(d.lines)-1]
}

// addFreePrice writes a line without a product.
func (s *Shop) addFreePrice(d *draft) {
	l := draftLine{product: -1, quantity: stock.Unit, settlement: settledFull, price: 100 * int64(10+s.rng.IntN(500))}
	randomID(s.ids, &l.uuid)
	d.lines = append(d.lines, l)
}

const settledFull = "CHECKOUT_FULL"

func moves(settlement string) bool {
	return settlement != "PREPAYMENT_FULL" && settlement != "ADVANCE"
}

// want puts a product that runs out on the list of what to order.
func (s *Shop) want(product int) {
	c := &s.cards[product]
	if c.needed || c.untracked || c.Service() {
		return
	}
	least := stock.Quantity(c.daily*3*1300) + 2*stock.Unit
	if s.physical[product] < least {
		c.needed = true
		s.needs = append(s.needs, int32(product))
	}
}

// finish closes the document: it takes its place in the history and leaves for
// the cloud, at once or when the terminal is online again.
func (s *Shop) finish(d *draft, complete stock.Completeness) {
	t := s.terminals[d.terminal]
	t.number++
	doc := &d.document
	doc.ID, doc.Device, doc.Store = uuid(s.ids), t.ID, s.set.Store
	doc.Number, doc.Complete = t.number, complete
	t.lastClosed = doc.Closed
	d.seq, d.session, d.sessionID, d.line = len(s.closed), t.session, t.sessionID, t.line
	t.line += 2 * int64(len(d.lines))
	if doc.Type == stock.Sell || doc.Type == stock.Payback {
		t.receipt++
	}
	d.receipt = t.receipt
	if len(d.lines) > 0 && doc.Type.Moves() {
		doc.Lines = make([]stock.Line, len(d.lines))
	}
	for i := range doc.Lines {
		l := &d.lines[i]
		line := stock.Line{Quantity: l.quantity, Stated: l.stated, HasStated: true, Settlement: l.settlement, Sub: l.sub}
		if l.product >= 0 {
			line.Product = s.cards[l.product].ID
			if !s.cards[l.product].Service() {
				s.state(l.product, d, t.downloaded, doc.Type == stock.Inventory)
			}
		}
		doc.Lines[i] = line
	}
	s.closed = append(s.closed, *doc)
	s.travelling = append(s.travelling, d)
	if t.offline {
		t.queue = append(t.queue, d)
		return
	}
	s.travel(t, d, second+s.rng.Int64N(2*second))
}
