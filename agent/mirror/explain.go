package mirror

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"ostatok/agent/stock"
)

// Explain folds a product again in memory and returns the chain of documents
// behind its level, oldest first; it begins where the kept history begins.
func (m *Mirror) Explain(ctx context.Context, product string) (_ []stock.Step, err error) {
	// One snapshot: a fold beside this must not show half of its work.
	tx, err := m.db.Read().BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("cannot explain: %w", err)
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	s := subject{text: product}
	var kind string
	err = tx.QueryRowContext(ctx, "SELECT id, created, type FROM product WHERE text = ?", product).
		Scan(&s.id, &s.created, &kind)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("product %s: %w", product, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot explain: %w", err)
	}
	s.service = (&stock.Product{Type: kind}).Service()
	segments, err := tail(func(fn func(*sql.Rows) error, args ...any) error {
		return each(ctx, tx, fn, segmentQuery, args...)
	}, s.id, math.MinInt64)
	if err != nil {
		return nil, err
	}
	p, err := begin(segments)
	if err != nil {
		return nil, fmt.Errorf("cannot explain: %w", err)
	}
	links, err := m.links(ctx, tx, &s, p, segments)
	if err != nil {
		return nil, err
	}
	rules := m.facts.Load().Rules
	steps := make([]stock.Step, len(links))
	for i := range links {
		steps[i] = p.fold.Apply(&rules, &links[i].Movement)
	}
	return steps, nil
}

// links reads a chain with the ids of its documents.
func (m *Mirror) links(ctx context.Context, tx *sql.Tx, s *subject, p *point, segments []segment) ([]link, error) {
	devices, err := loadBook(ctx, tx, "SELECT id, text FROM device")
	if err != nil {
		return nil, err
	}
	types, err := loadBook(ctx, tx, "SELECT id, name FROM document_type")
	if err != nil {
		return nil, err
	}
	counts, err := loadCounts(ctx, tx)
	if err != nil {
		return nil, err
	}
	chain, err := records(segments)
	if err != nil {
		return nil, fmt.Errorf("chain of %s: %w", s.text, err)
	}
	all := shop{q: tx, devices: devices.texts, types: types.texts, counts: counts}
	var links []link
	err = all.read(ctx, s, p.since, p.seen, chain, func(l *link) error {
		links = append(links, *l)
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	return links, all.identify(ctx, links)
}
