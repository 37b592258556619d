package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
)

// Requeue makes rows of a target planned and due at once, in one durable step.
// A row that is not in the outbox comes into it; of one that is, the figure, its
// key and Fixed are taken over, and what was approved stays. Rows that are under
// way already are left alone: they will be sent anyway.
func (j *Journal) Requeue(ctx context.Context, target string, entries []Entry) error {
	now := j.now().UnixMilli()
	err := j.db.Write(ctx, func(tx *sql.Tx) error {
		put, err := tx.PrepareContext(ctx,
			`INSERT INTO outbox (target, product, key, wanted, level, level_state, basis, state, plan, next_try, changed_at, fixed)
			 VALUES (?, ?, ?, ?, ?, ?, ?, 'planned', 0, ?8, ?8, ?)
			 ON CONFLICT (target, product) DO UPDATE SET key = excluded.key, wanted = excluded.wanted, state = 'planned',
			   reason = '', revision = revision + 1, attempts = 0, mismatches = 0, next_try = excluded.next_try,
			   changed_at = excluded.changed_at, last_error = '', fixed = excluded.fixed
			 WHERE next_try IS NULL`)
		if err != nil {
			return err
		}
		defer func() { _ = put.Close() }()
		for i := range entries {
			e := &entries[i]
			basis, err := json.Marshal(e.Basis)
			if err != nil {
				return err
			}
			if _, err := put.ExecContext(ctx, target, e.Product, e.Key, e.Wanted, e.Level, e.LevelState, string(basis), now, e.Fixed); err != nil {
				return fmt.Errorf("product %s: %w", e.Product, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot put rows of %s into the outbox again: %w", target, err)
	}
	return nil
}
