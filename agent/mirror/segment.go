package mirror

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"ostatok/agent/stock"
)

const (
	segmentStep = 128 // movements after which a chain is cut
	segmentBits = 24  // of a segment's key that are its ordinal
)

// segment is a stretch of a product's chain.
type segment struct {
	id      int64
	since   int64 // movements closed before this are in the state
	applied int64
	seen    bool
	last    int64  // document of the last movement in the state
	state   []byte // of stock.Fold; nil for none
	count   int
	body    []byte
}

func (s *segment) same(o *segment) bool {
	return s.since == o.since && s.applied == o.applied && s.seen == o.seen && s.last == o.last &&
		bytes.Equal(s.state, o.state) && (s.state == nil) == (o.state == nil) && bytes.Equal(s.body, o.body)
}

const (
	segmentNames = "(id, since, applied, seen, last, state, count, body)"
	segmentWidth = 8
	segmentQuery = `SELECT id, since, applied, seen, last, state, count, body FROM segment
		WHERE id BETWEEN ? AND ? ORDER BY id DESC`
)

func segmentRange(product int64) (first, last int64) {
	return product << segmentBits, product<<segmentBits | (1<<segmentBits - 1)
}

// errEnough ends the reading of rows.
var errEnough = errors.New("enough")

// tail reads the end of a chain, in its order: from the newest segment that
// begins before a moment, or else all of it. query runs segmentQuery.
func tail(query func(fn func(*sql.Rows) error, args ...any) error, product, before int64) ([]segment, error) {
	var found []segment
	first, last := segmentRange(product)
	err := query(func(rows *sql.Rows) error {
		var s segment
		if err := rows.Scan(&s.id, &s.since, &s.applied, &s.seen, &s.last, &s.state, &s.count, &s.body); err != nil {
			return err
		}
		found = append(found, s)
		if s.since < before {
			return errEnough
		}
		return nil
	}, first, last)
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("cannot read a chain: %w", err)
	}
	slices.Reverse(found)
	return found, nil
}

// point is how far a chain has been folded.
type point struct {
	since   int64 // movements closed before this are in it
	applied int64
	seen    bool
	last    int64 // document of the last movement
	fold    stock.Fold
}

// begin is the point at which a stretch of segments begins.
func begin(segments []segment) (*point, error) {
	p := &point{since: math.MinInt64}
	if len(segments) == 0 || segments[0].state == nil {
		return p, nil
	}
	s := &segments[0]
	p.since, p.applied, p.seen, p.last = s.since, s.applied, s.seen, s.last
	return p, p.fold.UnmarshalBinary(s.state)
}

// records reads the movements of segments.
func records(segments []segment) (out []record, err error) {
	n := 0
	for i := range segments {
		n += segments[i].count
	}
	out = make([]record, 0, n)
	for i := range segments {
		if out, err = appendRecords(out, segments[i].body); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// record is a movement of one product as it is kept.
type record struct {
	closed, arrived  int64
	document, number int64
	moved, low, high stock.Quantity
	device, kind     int32
	flags            uint8
}

const (
	flagStated uint8 = 1 << iota
	flagSpread       // low and high differ
	flagArrived
)

// appendRecord appends a record; previous is the one before it in the body, or
// a zero one: neighbours are close in time.
func appendRecord(b []byte, r, previous *record) []byte {
	flags := r.flags &^ (flagSpread | flagArrived)
	if r.low != r.high {
		flags |= flagSpread
	}
	if r.arrived != 0 {
		flags |= flagArrived
	}
	b = append(b, flags)
	b = binary.AppendVarint(b, r.closed-previous.closed)
	b = binary.AppendVarint(b, r.document-previous.document)
	b = binary.AppendVarint(b, r.number)
	b = binary.AppendUvarint(b, uint64(r.device))
	b = binary.AppendUvarint(b, uint64(r.kind))
	b = binary.AppendVarint(b, int64(r.moved))
	if flags&flagArrived != 0 {
		b = binary.AppendVarint(b, r.arrived-r.closed)
	}
	if flags&flagStated != 0 {
		b = binary.AppendVarint(b, int64(r.low))
		if flags&flagSpread != 0 {
			b = binary.AppendVarint(b, int64(r.high))
		}
	}
	return b
}

var errBody = errors.New("damaged movements")

// cursor reads the varints of a body.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) int() int64 {
	v, n := binary.Varint(c.b)
	if n <= 0 {
		c.bad, c.b = true, nil
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *cursor) uint() uint64 {
	v, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.bad, c.b = true, nil
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *cursor) byte() uint8 {
	if len(c.b) == 0 {
		c.bad = true
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

// record reads what appendRecord wrote.
func (c *cursor) record(previous *record) (r record) {
	r.flags = c.byte()
	r.closed = previous.closed + c.int()
	r.document = previous.document + c.int()
	r.number = c.int()
	r.device = int32(c.uint())
	r.kind = int32(c.uint())
	r.moved = stock.Quantity(c.int())
	if r.flags&flagArrived != 0 {
		r.arrived = r.closed + c.int()
	}
	if r.flags&flagStated != 0 {
		r.low = stock.Quantity(c.int())
		r.high = r.low
		if r.flags&flagSpread != 0 {
			r.high = stock.Quantity(c.int())
		}
	}
	r.flags &^= flagSpread | flagArrived
	return r
}

// appendRecords reads all records of a segment's body.
func appendRecords(out []record, body []byte) ([]record, error) {
	c := cursor{b: body}
	var previous record
	for len(c.b) > 0 {
		previous = c.record(&previous)
		if c.bad {
			return nil, errBody
		}
		out = append(out, previous)
	}
	return out, nil
}

// Staged movements are kept as they come: for each document its record with
// nothing moved, the number of products, and for each product its key and what
// moved.

func appendStaged(b []byte, header *record, products int) []byte {
	b = appendRecord(b, header, &record{})
	return binary.AppendUvarint(b, uint64(products))
}

func appendStagedMove(b []byte, product int64, r *record) []byte {
	b = binary.AppendUvarint(b, uint64(product))
	flags := r.flags
	if r.low != r.high {
		flags |= flagSpread
	}
	b = append(b, flags)
	b = binary.AppendVarint(b, int64(r.moved))
	if flags&flagStated != 0 {
		b = binary.AppendVarint(b, int64(r.low))
		if flags&flagSpread != 0 {
			b = binary.AppendVarint(b, int64(r.high))
		}
	}
	return b
}

// eachStaged calls fn for every movement of a staged body; the record is the
// callee's only during the call.
func eachStaged(body []byte, fn func(product int64, r *record)) error {
	c := cursor{b: body}
	var header, r record
	for len(c.b) > 0 {
		header = c.record(&record{})
		for n := c.uint(); n > 0 && !c.bad; n-- {
			r = header
			product := int64(c.uint())
			r.flags = c.byte()
			r.moved = stock.Quantity(c.int())
			if r.flags&flagStated != 0 {
				r.low = stock.Quantity(c.int())
				r.high = r.low
				if r.flags&flagSpread != 0 {
					r.high = stock.Quantity(c.int())
				}
			}
			r.flags &^= flagSpread
			if !c.bad {
				fn(product, &r)
			}
		}
		if c.bad {
			return fmt.Errorf("staged: %w", errBody)
		}
	}
	return nil
}
