package mirror

import (
	"context"
	"database/sql"
	"fmt"

	"ostatok/agent/stock"
)

// Rules returns the shop's rules in force and the evidence that they rest on.
func (m *Mirror) Rules(ctx context.Context) (stock.Rules, stock.Evidence, error) {
	var sum stock.Evidence
	if _, err := getMeta(ctx, m.db.Read(), "evidence", &sum); err != nil {
		return stock.Rules{}, stock.Evidence{}, err
	}
	return m.facts.Load().Rules, sum, nil
}

// decide derives the rules anew. When they give other levels than those in
// force, they are kept, every level is marked to be folded again, and again is
// true. Evidence does not depend on the rules drawn from it, so this ends.
func (m *Mirror) decide(ctx context.Context, tx *sql.Tx) (again bool, err error) {
	f := *m.facts.Load()
	rules := stock.Decide(stock.Rules{
		Method: m.o.Method, Terminals: len(m.names.first), Started: m.started(&f.Coverage),
		From: f.Coverage.From, Complete: f.Coverage.Complete,
	}, &m.sum, m.o.Pinned)
	if rules.Equal(&f.Rules) {
		return false, nil
	}
	f.Rules = rules
	m.facts.Store(&f)
	if err := setMeta(ctx, tx, "rules", rules); err != nil {
		return false, err
	}
	// Levels of products without movements follow from the rules when read.
	return markAll(ctx, tx)
}

// started lists when terminals were activated, as far as it is known.
func (m *Mirror) started(c *Coverage) (out []stock.Start) {
	for id, device := range m.names.devices.texts {
		at := m.names.created[id]
		if at == 0 && c.Complete {
			at = m.names.first[id]
		}
		if at != 0 {
			out = append(out, stock.Start{Device: device, At: at})
		}
	}
	return out
}

// markAll marks every level to be folded again from its beginning.
func markAll(ctx context.Context, tx *sql.Tx) (some bool, err error) {
	result, err := tx.ExecContext(ctx, `INSERT INTO stale (product, since, late) SELECT product, 0, 0 FROM level WHERE true
		ON CONFLICT (product) DO UPDATE SET since = 0`)
	if err != nil {
		return false, fmt.Errorf("cannot mark all levels: %w", err)
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

func anyStale(ctx context.Context, tx *sql.Tx) (waiting bool, err error) {
	if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM stale)").Scan(&waiting); err != nil {
		return false, fmt.Errorf("cannot read what is stale: %w", err)
	}
	return waiting, nil
}
