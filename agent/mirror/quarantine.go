package mirror

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"strconv"
)

// Where an item was met that had to be set aside. A card that cannot be read
// concerns its product, which then has no card and is not written; a document
// may concern any figure.
const (
	WhereProducts  = "products"
	WhereDocuments = "documents"
)

// What the quarantine holds at most: enough to see what is wrong.
const (
	quarantineRows = 1000
	quarantineBody = 64 << 10
)

// quarantine sets aside what cannot be used. The overlap of polls brings the
// same things again and again: they are kept once.
func (w *writing) quarantine(bad []Bad) error {
	if len(bad) == 0 {
		return nil
	}
	now := w.m.o.Now().UnixMilli()
	added := false
	for _, b := range bad {
		hash := fnv.New64a()
		var length [binary.MaxVarintLen64]byte
		for _, part := range [...]string{b.Where, b.ID, string(b.Raw)} {
			_, _ = hash.Write(length[:binary.PutUvarint(length[:], uint64(len(part)))])
			_, _ = hash.Write([]byte(part)) // a hash never fails
		}
		raw := b.Raw[:min(len(b.Raw), quarantineBody)]
		if raw == nil {
			raw = []byte{}
		}
		result, err := w.tx.ExecContext(w.ctx, `INSERT INTO quarantine (hash, place, document, raw, reason, at)
			VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING`,
			int64(hash.Sum64()), b.Where, b.ID, raw, b.Reason, now)
		if err != nil {
			return fmt.Errorf("cannot quarantine: %w", err)
		}
		n, err := result.RowsAffected()
		if err != nil {
			return fmt.Errorf("cannot quarantine: %w", err)
		}
		added = added || n > 0
	}
	if !added {
		return nil
	}
	_, err := w.tx.ExecContext(w.ctx, `DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - ?`, quarantineRows)
	if err != nil {
		return fmt.Errorf("cannot quarantine: %w", err)
	}
	return nil
}

// Quarantine returns what was set aside, newest first; limit 0 is all.
func (m *Mirror) Quarantine(ctx context.Context, limit int) ([]Bad, error) {
	if limit <= 0 {
		limit = quarantineRows
	}
	var out []Bad
	err := each(ctx, m.db.Read(), func(rows *sql.Rows) error {
		var b Bad
		if err := rows.Scan(&b.Where, &b.ID, &b.Raw, &b.Reason, &b.At); err != nil {
			return err
		}
		out = append(out, b)
		return nil
	}, "SELECT place, document, raw, reason, at FROM quarantine ORDER BY id DESC LIMIT ?", limit)
	if err != nil {
		return nil, fmt.Errorf("cannot read the quarantine: %w", err)
	}
	return out, nil
}

// recovered takes out of the quarantine the documents of this batch: they could
// be used after all.
func (w *writing) recovered() error {
	var waiting bool
	if len(w.fresh) == 0 {
		return nil
	}
	if err := w.tx.QueryRowContext(w.ctx, "SELECT EXISTS (SELECT 1 FROM quarantine)").Scan(&waiting); err != nil {
		return fmt.Errorf("cannot read the quarantine: %w", err)
	}
	if !waiting {
		return nil
	}
	return batches(w.fresh, 500, func(some []freshEntry) error {
		ids := make([]any, len(some))
		for i, f := range some {
			ids[i] = w.d.entries[f.entry].header.ID
		}
		_, err := w.tx.ExecContext(w.ctx, "DELETE FROM quarantine WHERE document IN "+placeholders(1, len(ids)), ids...)
		if err != nil {
			return fmt.Errorf("cannot take documents out of the quarantine: %w", err)
		}
		return nil
	})
}

// reviewedKey is the meta key of the newest item that a person has accepted.
const reviewedKey = "quarantine.reviewed"

// Unreviewed counts the documents set aside since Reviewed was called last:
// levels of the products in them may be wrong.
func (m *Mirror) Unreviewed(ctx context.Context) (items int, err error) {
	reviewed, err := m.Meta(ctx, reviewedKey)
	if err != nil {
		return 0, err
	}
	after, _ := strconv.ParseInt(reviewed, 10, 64) // "" is never: everything counts
	err = m.db.Read().QueryRowContext(ctx, "SELECT count(*) FROM quarantine WHERE id > ? AND place <> ?", after, WhereProducts).Scan(&items)
	if err != nil {
		return 0, fmt.Errorf("cannot count the quarantine: %w", err)
	}
	return items, nil
}

// Reviewed notes that a person knows of everything that is set aside.
func (m *Mirror) Reviewed(ctx context.Context) error {
	var newest int64
	err := m.db.Read().QueryRowContext(ctx, "SELECT ifnull(max(id), 0) FROM quarantine").Scan(&newest)
	if err != nil {
		return fmt.Errorf("cannot read the quarantine: %w", err)
	}
	return m.SetMeta(ctx, reviewedKey, strconv.FormatInt(newest, 10))
}
