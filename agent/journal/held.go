package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
)

const selectHeld = `SELECT product, key, accepted, accepted_at, observed, observed_at, read_last, verified, reason
	FROM held WHERE target = ?`

// Held returns what a target is known to hold, by product.
func (j *Journal) Held(ctx context.Context, target string) (map[string]*Held, error) {
	return j.held(ctx, target, selectHeld, target)
}

// HeldOf is Held for some products.
func (j *Journal) HeldOf(ctx context.Context, target string, products []string) (map[string]*Held, error) {
	list, err := json.Marshal(products)
	if err != nil {
		return nil, err
	}
	return j.held(ctx, target, selectHeld+` AND product IN (SELECT value FROM json_each(?))`, target, string(list))
}

func (j *Journal) held(ctx context.Context, target, query string, args ...any) (map[string]*Held, error) {
	rows, err := j.db.Read().QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("cannot read what %s holds: %w", target, err)
	}
	defer func() { _ = rows.Close() }()
	held := make(map[string]*Held)
	for rows.Next() {
		h := &Held{Target: target}
		var accepted, observed sql.NullInt64
		if err := rows.Scan(&h.Product, &h.Key, &accepted, &h.AcceptedAt, &observed, &h.ObservedAt,
			&h.ReadLast, &h.Verified, &h.Reason); err != nil {
			return nil, fmt.Errorf("cannot read what %s holds: %w", target, err)
		}
		h.Accepted, h.Observed = quantity(accepted), quantity(observed)
		held[h.Product] = h
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("cannot read what %s holds: %w", target, err)
	}
	return held, nil
}

// putHeld adds to what is known: a part without a time leaves the stored one,
// unless the key has changed, because then it is of another thing. What is put
// is the latest.
func putHeld(ctx context.Context, tx *sql.Tx, held []Held) error {
	for i := range held {
		h := &held[i]
		_, err := tx.ExecContext(ctx,
			`INSERT INTO held (target, product, key, accepted, accepted_at, observed, observed_at, read_last, verified, reason)
			 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			 ON CONFLICT (target, product) DO UPDATE SET
			   accepted    = CASE WHEN excluded.accepted_at = 0 AND key = excluded.key THEN accepted ELSE excluded.accepted END,
			   accepted_at = CASE WHEN excluded.accepted_at = 0 AND key = excluded.key THEN accepted_at ELSE excluded.accepted_at END,
			   observed    = CASE WHEN excluded.observed_at = 0 AND key = excluded.key THEN observed ELSE excluded.observed END,
			   observed_at = CASE WHEN excluded.observed_at = 0 AND key = excluded.key THEN observed_at ELSE excluded.observed_at END,
			   read_last = excluded.read_last, verified = excluded.verified, key = excluded.key,
			   reason = excluded.reason`,
			h.Target, h.Product, h.Key, nullQuantity(h.Accepted), h.AcceptedAt, nullQuantity(h.Observed), h.ObservedAt,
			h.ObservedAt != 0, h.Verified, h.Reason)
		if err != nil {
			return fmt.Errorf("cannot store what %s holds of product %s: %w", h.Target, h.Product, err)
		}
	}
	return nil
}
