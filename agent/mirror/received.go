package mirror

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"ostatok/agent/stock"
)

// keysStep is how many ids one statement is asked for.
const keysStep = 500

// Have returns where the documents of these ids came from; what is not here is
// left out. A collapsed document counts as the cloud's: nothing is awaited of it.
func (m *Mirror) Have(ctx context.Context, ids []string) (map[string]Source, error) {
	have := make(map[string]Source, len(ids))
	err := batches(ids, keysStep, func(some []string) error {
		keys := make([]any, len(some))
		for i, id := range some {
			keys[i] = documentKey(id)
		}
		in := placeholders(1, len(keys))
		return each(ctx, m.db.Read(), func(rows *sql.Rows) error {
			var key any
			var source Source
			if err := rows.Scan(&key, &source); err != nil {
				return err
			}
			have[documentID(key)] = source
			return nil
		}, "SELECT key, source FROM document WHERE key IN "+in+" UNION ALL SELECT key, 0 FROM retired WHERE key IN "+in,
			append(keys, keys...)...)
	})
	if err != nil {
		return nil, fmt.Errorf("cannot look documents up: %w", err)
	}
	return have, nil
}

// Heads returns the documents closed from one moment to another (epoch ms, both
// included) that came in after a place, without lines and bodies, but not our own
// writes. next is the place up to which was looked; 0 is the beginning. A place
// beyond the end is one of a mirror that has been replaced since, and counts as
// the beginning.
func (m *Mirror) Heads(ctx context.Context, after, from, to int64) (list []Document, next int64, err error) {
	if next, err = m.Newest(ctx); err != nil {
		return nil, 0, err
	}
	if after > next {
		after = 0
	}
	if after == next {
		return nil, next, nil
	}
	err = each(ctx, m.db.Read(), func(rows *sql.Rows) error {
		var d Document
		var key any
		if err := rows.Scan(&key, &d.Type, &d.Device, &d.Number, &d.Closed, &d.Source); err != nil {
			return err
		}
		d.ID, d.Store = documentID(key), m.o.Store
		list = append(list, d)
		return nil
	}, `SELECT d.key, t.name, v.text, d.number, d.closed, d.source
		FROM document d JOIN document_type t ON t.id = d.type JOIN device v ON v.id = d.device
		WHERE d.id > ? AND d.id <= ? AND d.closed BETWEEN ? AND ? AND d.source <> ? ORDER BY d.id`, after, next, from, to, Own)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot read documents: %w", err)
	}
	return list, next, nil
}

// Newest returns the place of the document that came in last, for Heads.
func (m *Mirror) Newest(ctx context.Context) (place int64, err error) {
	if err := m.db.Read().QueryRowContext(ctx, "SELECT ifnull(max(id), 0) FROM document").Scan(&place); err != nil {
		return 0, fmt.Errorf("cannot read documents: %w", err)
	}
	return place, nil
}

// Awaited returns the products whose levels include documents received in the
// shop that the cloud has not shown yet: its own figure may still move by them.
func (m *Mirror) Awaited(ctx context.Context) ([]string, error) {
	products := make(map[int64]bool)
	err := each(ctx, m.db.Read(), func(rows *sql.Rows) error {
		var keys sql.RawBytes
		if err := rows.Scan(&keys); err != nil {
			return err
		}
		for c := (cursor{b: keys}); len(c.b) > 0; {
			products[int64(c.uint())] = true
		}
		return nil
	}, "SELECT s.products FROM shop_document s JOIN document d ON d.id = s.id")
	if err != nil {
		return nil, fmt.Errorf("cannot read what is awaited: %w", err)
	}
	ids := make([]int64, 0, len(products))
	for id := range products {
		ids = append(ids, id)
	}
	texts := make([]string, 0, len(ids))
	err = batches(ids, keysStep, func(some []int64) error {
		return each(ctx, m.db.Read(), func(rows *sql.Rows) error {
			var text string
			if err := rows.Scan(&text); err != nil {
				return err
			}
			texts = append(texts, text)
			return nil
		}, "SELECT text FROM product WHERE id IN "+placeholders(1, len(some)), anys(some)...)
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read what is awaited: %w", err)
	}
	return texts, nil
}

// Withdraw removes documents received in the shop as if they had not come; others
// stay. It is for one that turns out to be here under another id.
func (m *Mirror) Withdraw(ctx context.Context, ids []string) ([]Change, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	err := m.write(ctx, func(tx *sql.Tx) error {
		w := &writing{m: m, ctx: ctx, tx: tx, d: &draft{m: m}, stale: make(map[int64]int64), late: make(map[int64]bool)}
		for i, id := range ids {
			w.d.entries = append(w.d.entries, entry{header: stock.Document{ID: id}})
			if err := w.forget(i); err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
		return w.mark(false)
	})
	if err != nil {
		return nil, fmt.Errorf("cannot withdraw documents: %w", err)
	}
	return m.Fold(ctx, nil)
}
