package mirror

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"

	"ostatok/agent/stock"
)

// subject is the product whose chain is folded.
type subject struct {
	id      int64
	text    string
	created int64 // epoch ms, 0 when not told
	service bool
}

// link is one movement of a chain.
type link struct {
	stock.Movement
	document int64
	record   *record // nil for a zero by a full count that does not list the product
}

// fullCount is a count of everything.
type fullCount struct {
	document int64
	header   stock.Document // without lines
}

func loadCounts(ctx context.Context, q querier) ([]fullCount, error) {
	var out []fullCount
	err := each(ctx, q, func(rows *sql.Rows) error {
		var c fullCount
		var key any
		var unsaid bool
		h := &c.header
		if err := rows.Scan(&c.document, &key, &h.Closed, &h.Device, &h.Number, &h.Arrived, &unsaid); err != nil {
			return err
		}
		h.ID, h.Type, h.Complete = documentID(key), stock.Inventory, stock.CompleteYes
		if unsaid {
			h.Complete = stock.CompleteUnsaid
		}
		out = append(out, c)
		return nil
	}, `SELECT c.document, c.key, c.closed, d.text, c.number, c.arrived, c.unsaid
		FROM full_count c JOIN device d ON d.id = c.device`)
	if err != nil {
		return nil, fmt.Errorf("cannot load the full counts: %w", err)
	}
	slices.SortFunc(out, func(a, b fullCount) int { return orderOf(&a.header).Compare(orderOf(&b.header)) })
	return out, nil
}

func orderOf(d *stock.Document) stock.Order {
	return stock.Order{Closed: d.Closed, Device: d.Device, Number: d.Number, Document: d.ID}
}

// shop is what the movements of all products share.
type shop struct {
	q       querier
	devices map[int64]string
	types   map[int64]string
	counts  []fullCount
}

// chainReader hands on the movements of one product in the order in which they
// are folded, with the zeros of full counts put in their places.
type chainReader struct {
	*shop
	ctx     context.Context
	subject *subject
	seen    bool // a document named the product before
	next    int  // the next full count
	tie     []link
	fn      func(*link) error
}

// read calls fn for every movement that follows from the records, which are in
// the order of their close times, and from the full counts since a moment.
func (s *shop) read(ctx context.Context, subject *subject, since int64, seen bool, records []record, fn func(*link) error) error {
	r := chainReader{shop: s, ctx: ctx, subject: subject, seen: seen, fn: fn}
	for r.next < len(s.counts) && s.counts[r.next].header.Closed < since {
		r.next++
	}
	for len(records) > 0 {
		n := 1
		for n < len(records) && records[n].closed == records[0].closed {
			n++
		}
		if err := r.together(records[:n]); err != nil {
			return err
		}
		records = records[n:]
	}
	return r.zeros(math.MaxInt64)
}

func (r *chainReader) link(rec *record) link {
	return link{
		Movement: stock.Movement{
			Order: stock.Order{Closed: rec.closed, Device: r.devices[int64(rec.device)], Number: rec.number},
			Type:  stock.Type(r.types[int64(rec.kind)]), Product: r.subject.text, Arrived: rec.arrived,
			Moved: rec.moved, Low: rec.low, High: rec.high, HasStated: rec.flags&flagStated != 0,
		},
		document: rec.document, record: rec,
	}
}

// together hands on the records of one close time. Their order is by the text of
// the device, and by the document's id at last.
func (r *chainReader) together(records []record) error {
	closed := records[0].closed
	if err := r.zeros(closed); err != nil {
		return err
	}
	r.tie = r.tie[:0]
	for i := range records {
		r.tie = append(r.tie, r.link(&records[i]))
	}
	for r.next < len(r.counts) && r.counts[r.next].header.Closed == closed {
		count := &r.counts[r.next]
		r.next++
		if !slices.ContainsFunc(records, func(rec record) bool { return rec.document == count.document }) {
			r.tie = append(r.tie, r.zero(count))
		}
	}
	if err := r.arrange(); err != nil {
		return err
	}
	for i := range r.tie {
		if l := &r.tie[i]; l.record != nil || r.existed(closed) {
			if err := r.pass(l); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *chainReader) pass(l *link) error {
	r.seen = r.seen || l.record != nil
	return r.fn(l)
}

// zeros hands on what the full counts before a close time make of the product:
// none of them lists it, or it would have a record there.
func (r *chainReader) zeros(before int64) error {
	for ; r.next < len(r.counts) && r.counts[r.next].header.Closed < before; r.next++ {
		if count := &r.counts[r.next]; r.existed(count.header.Closed) {
			l := r.zero(count)
			if err := r.pass(&l); err != nil {
				return err
			}
		}
	}
	return nil
}

// existed tells whether a full count sets the product to zero when it does not
// list it: services have no stock, and what was created later was not there.
func (r *chainReader) existed(closed int64) bool {
	switch {
	case r.subject.service:
		return false
	case r.subject.created != 0:
		return r.subject.created <= closed
	}
	return r.seen
}

func (r *chainReader) zero(count *fullCount) link {
	return link{Movement: count.header.Zero(r.subject.text), document: count.document}
}

// arrange sorts the movements of one close time. Ids of documents are fetched
// only when nothing else tells two of them apart.
func (r *chainReader) arrange() error {
	if len(r.tie) < 2 {
		return nil
	}
	short := func(l *link) stock.Order {
		return stock.Order{Closed: l.Closed, Device: l.Device, Number: l.Number}
	}
	slices.SortFunc(r.tie, func(a, b link) int { return short(&a).Compare(short(&b)) })
	for i := range r.tie[1:] {
		if short(&r.tie[i]) == short(&r.tie[i+1]) {
			if err := r.identify(r.ctx, r.tie); err != nil {
				return err
			}
			slices.SortFunc(r.tie, func(a, b link) int { return a.Order.Compare(b.Order) })
			break
		}
	}
	return nil
}

// identify fills in the ids of the documents.
func (s *shop) identify(ctx context.Context, links []link) error {
	return batches(links, 500, func(some []link) error {
		keys := make([]any, len(some))
		for i := range some {
			keys[i] = some[i].document
		}
		texts := make(map[int64]string, len(some))
		err := each(ctx, s.q, func(rows *sql.Rows) error {
			var id int64
			var key any
			if err := rows.Scan(&id, &key); err != nil {
				return err
			}
			texts[id] = documentID(key)
			return nil
		}, "SELECT id, key FROM document WHERE id IN "+placeholders(1, len(keys)), keys...)
		if err != nil {
			return fmt.Errorf("cannot read the ids of documents: %w", err)
		}
		for i := range some {
			if text, ok := texts[some[i].document]; ok {
				some[i].Document = text
			}
		}
		return nil
	})
}
