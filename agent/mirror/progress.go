package mirror

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"hash/fnv"
)

func putWindow(ctx context.Context, tx *sql.Tx, w *Window) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO sync_window (kind, device, since, until, cursor, done, documents)
		VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (kind, device, since) DO UPDATE SET until = excluded.until, cursor = excluded.cursor,
			done = excluded.done, documents = excluded.documents
		WHERE (until, cursor, done, documents) <> (excluded.until, excluded.cursor, excluded.done, excluded.documents)`,
		w.Kind, w.Device, w.Since, w.Until, w.Cursor, w.Done, w.Documents)
	if err != nil {
		return fmt.Errorf("cannot keep the progress: %w", err)
	}
	return nil
}

// Windows returns the kept progress, newest stretch first.
func (m *Mirror) Windows(ctx context.Context) ([]Window, error) {
	var out []Window
	err := each(ctx, m.db.Read(), func(rows *sql.Rows) error {
		var w Window
		if err := rows.Scan(&w.Kind, &w.Device, &w.Since, &w.Until, &w.Cursor, &w.Done, &w.Documents); err != nil {
			return err
		}
		out = append(out, w)
		return nil
	}, "SELECT kind, device, since, until, cursor, done, documents FROM sync_window ORDER BY since DESC, kind, device")
	if err != nil {
		return nil, fmt.Errorf("cannot read the progress: %w", err)
	}
	return out, nil
}

// DropWindows forgets the progress of one kind.
func (m *Mirror) DropWindows(ctx context.Context, kind string) error {
	return m.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM sync_window WHERE kind = ?", kind); err != nil {
			return fmt.Errorf("cannot forget the progress: %w", err)
		}
		return nil
	})
}

// Coverage returns how much of the history is here.
func (m *Mirror) Coverage(context.Context) (Coverage, error) { return m.facts.Load().Coverage, nil }

// cover keeps the new coverage. The rules follow at the next fold.
func (m *Mirror) cover(ctx context.Context, tx *sql.Tx, c Coverage) error {
	f := *m.facts.Load()
	c.Newest = max(c.Newest, f.Coverage.Newest)
	if c == f.Coverage {
		return nil
	}
	f.Coverage = c
	m.facts.Store(&f)
	return setMeta(ctx, tx, "coverage", c)
}

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
