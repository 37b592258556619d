package mirror

import (
	"context"
	"database/sql"
	"fmt"
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
