package mirror

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"ostatok/agent/stock"
)

// ReserveSource is a system that promises goods to buyers.
type ReserveSource struct {
	Name string
	At   int64 // when it was last heard, epoch ms
}

// heardEvery is how far, in ms, the kept time of a source may lag behind when
// nothing has changed: a source that is asked every five minutes must not wear
// out the card. After a crash it looks that much older, which is the safe side.
const heardEvery = 15 * 60 * 1000

// PutReserves keeps what a source has reserved, as read at a time (epoch ms), by
// product id. With whole it is all that the source knows: what it knew before and
// does not name now is reserved no more. Without, only the named products change.
// It returns the products whose reserve is not what it was; unchanged ones are
// not written.
func (m *Mirror) PutReserves(ctx context.Context, source string, at int64, reserves map[string]stock.Quantity, whole bool) (changed []string, err error) {
	err = m.write(ctx, func(tx *sql.Tx) error {
		changed = nil
		id, kept, err := reserveSource(ctx, tx, source, at)
		if err != nil {
			return err
		}
		had, err := reservesOf(ctx, tx, id)
		if err != nil {
			return err
		}
		put, err := tx.PrepareContext(ctx, `INSERT INTO reserve (product, source, quantity) VALUES (?, ?, ?)
			ON CONFLICT (product, source) DO UPDATE SET quantity = excluded.quantity`)
		if err != nil {
			return err
		}
		defer func() { _ = put.Close() }()
		written := false
		for _, product := range slices.Sorted(maps.Keys(reserves)) {
			before, known := had[product]
			q := reserves[product]
			if known && before == q {
				continue
			}
			key, err := m.names.product(ctx, tx, product)
			if err != nil {
				return err
			}
			if _, err := put.ExecContext(ctx, key, id, q); err != nil {
				return err
			}
			written = true
			if before != q {
				changed = append(changed, product)
			}
		}
		if whole {
			for _, product := range slices.Sorted(maps.Keys(had)) {
				if _, named := reserves[product]; named {
					continue
				}
				// Not kept as 0: the source does not know the product any more.
				if _, err := tx.ExecContext(ctx, "DELETE FROM reserve WHERE product = ? AND source = ?",
					m.names.products[product], id); err != nil {
					return err
				}
				written = true
				if had[product] != 0 {
					changed = append(changed, product)
				}
			}
		}
		if age := at - kept; !written && age >= 0 && age < heardEvery {
			return nil
		}
		_, err = tx.ExecContext(ctx, "UPDATE reserve_source SET at = ?1 WHERE id = ?2 AND at <> ?1", at, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot keep the reserves of %s: %w", source, err)
	}
	m.heard.Store(source, at)
	slices.Sort(changed)
	return changed, nil
}

// reserveSource returns the key of a source and its kept time; a new source
// begins with at.
func reserveSource(ctx context.Context, tx *sql.Tx, name string, at int64) (id, kept int64, err error) {
	_, err = tx.ExecContext(ctx, "INSERT INTO reserve_source (name, at) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", name, at)
	if err != nil {
		return 0, 0, err
	}
	err = tx.QueryRowContext(ctx, "SELECT id, at FROM reserve_source WHERE name = ?", name).Scan(&id, &kept)
	return id, kept, err
}

func reservesOf(ctx context.Context, tx *sql.Tx, source int64) (map[string]stock.Quantity, error) {
	had := make(map[string]stock.Quantity)
	err := each(ctx, tx, func(rows *sql.Rows) error {
		var product string
		var q stock.Quantity
		if err := rows.Scan(&product, &q); err != nil {
			return err
		}
		had[product] = q
		return nil
	}, "SELECT p.text, r.quantity FROM reserve r JOIN product p ON p.id = r.product WHERE r.source = ?", source)
	return had, err
}

// ReserveSources returns the sources that have been heard, by name.
func (m *Mirror) ReserveSources(ctx context.Context) (list []ReserveSource, err error) {
	err = each(ctx, m.db.Read(), func(rows *sql.Rows) error {
		var s ReserveSource
		if err := rows.Scan(&s.Name, &s.At); err != nil {
			return err
		}
		if at, ok := m.heard.Load(s.Name); ok {
			s.At = at.(int64)
		}
		list = append(list, s)
		return nil
	}, "SELECT name, at FROM reserve_source ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("cannot read the sources of reserves: %w", err)
	}
	return list, nil
}

// DropReserves forgets a source and all that it has reserved, because it is no
// longer configured.
func (m *Mirror) DropReserves(ctx context.Context, source string) error {
	err := m.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx,
			"DELETE FROM reserve WHERE source = (SELECT id FROM reserve_source WHERE name = ?)", source)
		if err == nil {
			_, err = tx.ExecContext(ctx, "DELETE FROM reserve_source WHERE name = ?", source)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot drop the reserves of %s: %w", source, err)
	}
	m.heard.Delete(source)
	return nil
}
