package mirror

import (
	"context"
	"database/sql"
	"fmt"
	"math"
)

// Retain collapses what was closed before a moment, epoch ms: of every product
// one state stays in place of its older movements, and the older documents and
// their bodies go; returned is how many. Levels do not change, but the chains of
// Explain begin later. A document that comes in for the collapsed time is
// refused, and its products are no longer known for certain until a count.
//
// While older months are still being fetched nothing is collapsed.
func (m *Mirror) Retain(ctx context.Context, before int64) (documents int, err error) {
	f := m.facts.Load()
	if before <= 0 || before < f.Retained || !f.Coverage.Complete {
		return 0, nil
	}
	// First the door is shut, then the house is cleared: a crash between leaves
	// a mirror that refuses old documents and still has its own.
	err = m.write(ctx, func(tx *sql.Tx) error {
		kept := *m.facts.Load()
		kept.Retained = before
		m.facts.Store(&kept)
		return setMeta(ctx, tx, "retained", before)
	})
	if err != nil {
		return 0, err
	}
	if _, err := m.Fold(ctx, nil); err != nil {
		return 0, err
	}
	for after := int64(0); after >= 0; {
		err := m.write(ctx, func(tx *sql.Tx) (err error) {
			after, err = m.collapse(ctx, tx, after, before)
			return err
		})
		if err != nil {
			return documents, fmt.Errorf("cannot collapse older movements: %w", err)
		}
	}
	for {
		var n int
		err := m.write(ctx, func(tx *sql.Tx) (err error) {
			n, err = retire(ctx, tx, before)
			return err
		})
		if err != nil {
			return documents, fmt.Errorf("cannot remove older documents: %w", err)
		}
		if documents += n; n == 0 {
			return documents, nil
		}
	}
}

// collapse makes base states of the products after one; it returns the last
// product done, or -1 when there are no more.
func (m *Mirror) collapse(ctx context.Context, tx *sql.Tx, after, before int64) (int64, error) {
	var products []int64
	err := each(ctx, tx, func(rows *sql.Rows) error {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		products = append(products, id)
		return nil
	}, "SELECT product FROM level WHERE product > ? ORDER BY product LIMIT ?", after, foldChunk)
	if err != nil || len(products) == 0 {
		return -1, err
	}
	jobs, err := m.jobs(ctx, tx, `SELECT p.id, 0, 0, p.text, p.created, p.type, `+levelColumns+`
		FROM product p LEFT JOIN level l ON l.product = p.id
		WHERE p.id IN `+placeholders(1, len(products))+` ORDER BY p.id`, products)
	if err != nil {
		return 0, err
	}
	f := m.newFolder(ctx, tx)
	for i := range jobs {
		if err := f.product(&jobs[i], nil, &before); err != nil {
			return 0, err
		}
	}
	if _, err := f.finish(); err != nil {
		return 0, err
	}
	return products[len(products)-1], nil
}

// retireStep documents are removed per transaction.
const retireStep = 10_000

func retire(ctx context.Context, tx *sql.Tx, before int64) (int, error) {
	// Ids of documents rise with their arrival, not with their close time.
	var last sql.NullInt64
	err := tx.QueryRowContext(ctx, `SELECT max(id) FROM
		(SELECT id FROM document WHERE closed < ? ORDER BY id LIMIT ?)`, before, retireStep).Scan(&last)
	if err != nil || !last.Valid {
		return 0, err
	}
	var gone int64
	for _, statement := range []string{
		"INSERT OR IGNORE INTO retired SELECT key FROM document WHERE closed < ?1 AND id <= ?2",
		"DELETE FROM document WHERE closed < ?1 AND id <= ?2",
	} {
		result, err := tx.ExecContext(ctx, statement, before, last.Int64)
		if err != nil {
			return 0, err
		}
		if gone, err = result.RowsAffected(); err != nil {
			return 0, err
		}
	}
	// A chunk goes when the last of its documents is gone.
	_, err = tx.ExecContext(ctx, `DELETE FROM raw WHERE id <= ?1 AND NOT EXISTS (SELECT 1 FROM document d
		WHERE d.id >= raw.id AND d.id < ifnull((SELECT min(id) FROM raw r WHERE r.id > raw.id), ?2))`,
		last.Int64, int64(math.MaxInt64))
	return int(gone), err
}

// withoutRetired leaves out documents that were collapsed, and refuses those
// that come too late for the history that is kept.
func (w *writing) withoutRetired(candidates []int) ([]int, error) {
	retained := w.m.facts.Load().Retained
	if retained == 0 {
		return candidates, nil
	}
	keys := make([]any, len(candidates))
	for n, i := range candidates {
		keys[n] = documentKey(w.d.entries[i].header.ID)
	}
	in := placeholders(1, len(keys))
	known := make(map[string]bool) // true for what is collapsed
	err := each(w.ctx, w.tx, func(rows *sql.Rows) error {
		var key any
		var collapsed bool
		if err := rows.Scan(&key, &collapsed); err != nil {
			return err
		}
		known[documentID(key)] = collapsed
		return nil
	}, "SELECT key, 1 FROM retired WHERE key IN "+in+" UNION ALL SELECT key, 0 FROM document WHERE key IN "+in,
		append(keys, keys...)...)
	if err != nil {
		return nil, fmt.Errorf("cannot look collapsed documents up: %w", err)
	}
	left := candidates[:0]
	for _, i := range candidates {
		e := &w.d.entries[i]
		collapsed, here := known[e.header.ID]
		switch {
		case !collapsed && e.header.Closed >= retained:
			left = append(left, i)
		case here:
			w.result.Repeated++
		default:
			known[e.header.ID] = true
			if err := w.tooLate(e); err != nil {
				return nil, err
			}
		}
	}
	return left, nil
}

// tooLate refuses a document from the collapsed time, and marks its products:
// their levels may lack it.
func (w *writing) tooLate(e *entry) error {
	w.result.Refused++
	if _, err := w.tx.ExecContext(w.ctx, "INSERT OR IGNORE INTO retired VALUES (?)", documentKey(e.header.ID)); err != nil {
		return fmt.Errorf("cannot refuse a document: %w", err)
	}
	err := w.quarantine([]Bad{{Where: WhereDocuments, ID: e.header.ID,
		Reason: "it was closed before the history that is kept; its products should be counted"}})
	if err != nil {
		return err
	}
	for _, v := range w.d.moves[e.first:e.last] {
		product, err := w.product(v.product)
		if err != nil {
			return err
		}
		w.late[product] = true
	}
	if e.header.FullCount() {
		for _, id := range w.m.names.products {
			w.late[id] = true
		}
	}
	return nil
}
