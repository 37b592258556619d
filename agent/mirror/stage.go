package mirror

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
)

// unstage clears what waited for a fold when no product is stale any more.
func (m *Mirror) unstage(ctx context.Context, tx *sql.Tx) (waiting bool, err error) {
	if waiting, err = anyStale(ctx, tx); err != nil || waiting {
		return waiting, err
	}
	if m.staged == 0 && len(m.forgotten) == 0 {
		return false, nil
	}
	for _, statement := range []string{"DELETE FROM staged", "DELETE FROM forgotten"} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return false, fmt.Errorf("cannot clear what was staged: %w", err)
		}
	}
	m.staged = 0
	clear(m.forgotten)
	return false, nil
}

// stagedMost movements are held decoded at a time: about 4 MiB.
const stagedMost = 1 << 16

// incoming are movements on their way into the chains of some products.
type incoming map[int64][]record

// merge returns the movements of a product by close time, each document once:
// after a fold that was cut off some are in the chain already.
func merge(chain, in []record, forgotten map[int64]bool) []record {
	all := append(chain, in...)
	if len(forgotten) > 0 {
		all = slices.DeleteFunc(all, func(r record) bool { return forgotten[r.document] })
	}
	slices.SortFunc(all, func(a, b record) int {
		if a.closed != b.closed {
			if a.closed < b.closed {
				return -1
			}
			return 1
		}
		return int(min(max(a.document-b.document, -1), 1))
	})
	return slices.CompactFunc(all, func(a, b record) bool { return a.document == b.document })
}

// scanStaged calls fn for every staged movement.
func scanStaged(ctx context.Context, q querier, fn func(product int64, r *record)) error {
	err := each(ctx, q, func(rows *sql.Rows) error {
		var body sql.RawBytes
		if err := rows.Scan(&body); err != nil {
			return err
		}
		return eachStaged(body, fn)
	}, "SELECT body FROM staged ORDER BY id")
	if err != nil {
		return fmt.Errorf("cannot read staged movements: %w", err)
	}
	return nil
}

// hoard keeps the staged movements of a range of products from one transaction
// of a long fold to the next.
type hoard struct {
	in       incoming
	first    int64 // products
	last     int64
	stagings int64 // of the mirror when it was filled
}

// fill sees to it that the staged movements of the products, which are sorted,
// are at hand.
func (h *hoard) fill(ctx context.Context, tx *sql.Tx, m *Mirror, products []int64) error {
	first, last := products[0], products[len(products)-1]
	if h.in != nil && h.stagings == m.stagings && h.first <= first && last <= h.last {
		return nil
	}
	*h = hoard{first: first, last: math.MaxInt64, stagings: m.stagings, in: make(incoming)}
	if m.staged == 0 {
		return nil
	}
	counts := make(map[int64]int)
	err := scanStaged(ctx, tx, func(product int64, _ *record) {
		if product >= first {
			counts[product]++
		}
	})
	if err != nil {
		return err
	}
	n := 0
	waiting := slices.Sorted(maps.Keys(counts))
	for _, product := range waiting {
		if n+counts[product] > stagedMost && product > last {
			h.last = product - 1
			break
		}
		n += counts[product]
	}
	// One stretch of memory, parted by product.
	all := make([]record, n)
	for _, product := range waiting {
		if product > h.last {
			break
		}
		h.in[product] = all[:0:counts[product]]
		all = all[counts[product]:]
	}
	return scanStaged(ctx, tx, func(product int64, r *record) {
		if h.first <= product && product <= h.last {
			h.in[product] = append(h.in[product], *r)
		}
	})
}

// stage keeps the movements of this batch for a later fold.
func (w *writing) stage() error {
	w.m.stagings++
	in := newInserter(w.ctx, w.tx, "INSERT INTO staged (id, count, body)", 3, 1)
	var body []byte
	first, count := int64(0), 0
	flush := func() error {
		if count == 0 {
			return nil
		}
		w.m.staged += int64(count)
		err := in.add(first, count, body)
		body, count = body[:0], 0
		return err
	}
	for _, f := range w.fresh {
		e := &w.d.entries[f.entry]
		if e.first == e.last {
			continue
		}
		if count == 0 {
			first = f.id
		}
		header := w.record(f)
		body = appendStaged(body, &header, e.last-e.first)
		for _, v := range w.d.moves[e.first:e.last] {
			r := record{flags: v.flags, moved: v.moved, low: v.low, high: v.high}
			body = appendStagedMove(body, w.keys[v.product], &r)
		}
		if count += e.last - e.first; count >= 256 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	return in.close()
}

// moving are the movements of this batch, and of those staged before, of the
// products that this batch touched.
func (w *writing) moving(touched []int64) (incoming, error) {
	var staged hoard
	if len(touched) > 0 && w.m.staged > 0 {
		if err := staged.fill(w.ctx, w.tx, w.m, touched); err != nil {
			return nil, err
		}
	}
	in := make(incoming, len(w.stale))
	maps.Copy(in, staged.in)
	for _, f := range w.fresh {
		e := &w.d.entries[f.entry]
		for _, v := range w.d.moves[e.first:e.last] {
			r := w.record(f)
			r.flags, r.moved, r.low, r.high = v.flags, v.moved, v.low, v.high
			product := w.keys[v.product]
			in[product] = append(in[product], r)
		}
	}
	return in, nil
}

// record is what all movements of a document share.
func (w *writing) record(f freshEntry) record {
	h := &w.d.entries[f.entry].header
	return record{
		closed: h.Closed, arrived: h.Arrived, document: f.id, number: h.Number,
		device: int32(w.m.names.devices.ids[h.Device]), kind: int32(w.m.names.types.ids[string(h.Type)]),
	}
}

func appendKeys(b []byte, keys []int64) []byte {
	for _, key := range keys {
		b = binary.AppendUvarint(b, uint64(key))
	}
	return b
}
