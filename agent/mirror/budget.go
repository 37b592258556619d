package mirror

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"
)

// bodiesKept is how long the bodies of documents stay whatever the budget says:
// a copy of a document that comes later is compared with what is here, and
// support asks for the latest ones.
const bodiesKept = 60 * 24 * time.Hour

// shrink lets go of what the levels do not need until the file is within
// Options.Budget: first the bodies of older documents, then single documents
// that are older than Options.Least. Levels, the catalogue and the newest
// documents are never let go; then the file is larger than it should be. newest
// is when the newest document was closed, epoch ms.
func (m *Mirror) shrink(ctx context.Context, newest int64) error {
	used, err := m.used(ctx)
	if err != nil || m.o.Budget == 0 || used <= m.o.Budget {
		return err
	}
	bodies := 0
	for used > m.o.Budget {
		var n int
		err := m.write(ctx, func(tx *sql.Tx) (err error) {
			n, err = dropBodies(ctx, tx, newest-bodiesKept.Milliseconds())
			return err
		})
		if err != nil {
			return fmt.Errorf("cannot let go of older documents' bodies: %w", err)
		}
		if bodies += n; n == 0 {
			break
		}
		if used, err = m.used(ctx); err != nil {
			return err
		}
	}
	documents := 0
	if used > m.o.Budget && m.o.Least > 0 {
		if documents, err = m.Retain(ctx, newest-m.o.Least.Milliseconds()); err != nil {
			return err
		}
		if used, err = m.used(ctx); err != nil {
			return err
		}
	}
	m.log.Warn().Int64("budget", m.o.Budget).Int64("used", used).Int("bodies", bodies).Int("documents", documents).
		Msg("mirror made smaller to keep to its budget")
	return nil
}

// used is the size of the file without its free pages.
func (m *Mirror) used(ctx context.Context) (bytes int64, err error) {
	err = m.db.Read().QueryRowContext(ctx, `SELECT (page_count - freelist_count) * page_size
		FROM pragma_page_count, pragma_freelist_count, pragma_page_size`).Scan(&bytes)
	if err != nil {
		return 0, fmt.Errorf("cannot read the mirror's size: %w", err)
	}
	return bytes, nil
}

// dropBodies deletes some chunks of bodies of which no document was closed after a
// time, epoch ms.
func dropBodies(ctx context.Context, tx *sql.Tx, before int64) (int, error) {
	const some = 8
	result, err := tx.ExecContext(ctx, `DELETE FROM raw WHERE id IN (SELECT r.id FROM raw r WHERE NOT EXISTS (
		SELECT 1 FROM document d WHERE d.closed >= ?1 AND d.id >= r.id
			AND d.id < ifnull((SELECT min(n.id) FROM raw n WHERE n.id > r.id), ?2)) ORDER BY r.id LIMIT ?3)`,
		before, int64(math.MaxInt64), some)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}
