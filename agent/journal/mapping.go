package journal

import (
	"context"
	"database/sql"
	"fmt"
)

// Mapping returns the keys of a target that were set for products, by product.
func (j *Journal) Mapping(ctx context.Context, target string) (map[string]string, error) {
	keys, err := mapping(ctx, j.db.Read(), target)
	if err != nil {
		return nil, fmt.Errorf("cannot read the mapping of %s: %w", target, err)
	}
	return keys, nil
}

func mapping(ctx context.Context, q querier, target string) (map[string]string, error) {
	rows, err := q.QueryContext(ctx, `SELECT product, key FROM mapping WHERE target = ?`, target)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	keys := make(map[string]string)
	for rows.Next() {
		var product, key string
		if err := rows.Scan(&product, &key); err != nil {
			return nil, err
		}
		keys[product] = key
	}
	return keys, rows.Err()
}

// SetMapping keeps the keys of products at a target in one durable step. A product
// with the key "" loses its own; with replace so do all that are not named. That
// no key belongs to two products is the caller's to see.
func (j *Journal) SetMapping(ctx context.Context, target string, keys map[string]string, replace bool) error {
	err := j.db.Write(ctx, func(tx *sql.Tx) error {
		before, err := mapping(ctx, tx, target)
		if err != nil {
			return err
		}
		for product, key := range keys {
			if key == "" || before[product] == key {
				continue
			}
			if _, err := tx.ExecContext(ctx,
				`INSERT INTO mapping (target, product, key) VALUES (?, ?, ?)
				 ON CONFLICT (target, product) DO UPDATE SET key = excluded.key`, target, product, key); err != nil {
				return err
			}
		}
		for product := range before {
			if key, named := keys[product]; named && key != "" || !named && !replace {
				continue
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM mapping WHERE target = ? AND product = ?`, target, product); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot keep the mapping of %s: %w", target, err)
	}
	return nil
}
