// Package pushtest holds what every target must pass before the engine may write
// to it, and the small shop and target that such tests need.
package pushtest

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"

	"ostatok/agent/mirror"
	"ostatok/agent/stock"
)

// Shop is a mirror in memory: products with levels, moved by documents.
type Shop struct {
	mu     sync.Mutex
	rows   map[string]mirror.Row
	steps  map[string][]stock.Step
	number int64
}

// NewShop returns a shop without products.
func NewShop() *Shop {
	return &Shop{rows: make(map[string]mirror.Row), steps: make(map[string][]stock.Step)}
}

// Put adds or replaces a product and its level. It counts as a document.
func (s *Shop) Put(product string, q stock.Quantity, state stock.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := s.rows[product]
	row.Product.ID, row.Product.Name = product, "name of "+product
	row.Level = stock.Level{State: state}
	if state == stock.Assumed {
		row.Level.Reason = stock.ReasonAlone
	}
	s.move(&row, q, stock.RuleFirst)
	s.rows[product] = row
}

// Sell is a sale: the level falls and its state stays.
func (s *Shop) Sell(product string, q stock.Quantity) { s.document(product, q, stock.RuleOwnView) }

// Surprise is a document that reveals that stock was changed outside.
func (s *Shop) Surprise(product string, q stock.Quantity) {
	s.document(product, q, stock.RuleOutside)
}

func (s *Shop) document(product string, less stock.Quantity, rule stock.Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := s.rows[product]
	s.move(&row, row.Level.Quantity-less, rule)
	s.rows[product] = row
}

func (s *Shop) move(row *mirror.Row, q stock.Quantity, rule stock.Rule) {
	s.number++
	order := stock.Order{Closed: s.number * 1000, Device: "till", Number: s.number, Document: fmt.Sprintf("document-%d", s.number)}
	row.Level.Quantity, row.Level.Last, row.Level.AsOf = q, order, order.Closed
	valued := row.Level.Valued()
	if !valued {
		row.Level.Quantity = 0
	}
	s.steps[row.Product.ID] = append(s.steps[row.Product.ID], stock.Step{
		Movement: stock.Movement{Order: order, Type: stock.Sell, Product: row.Product.ID},
		Rule:     rule, Level: q, Valued: valued,
	})
}

// Reserve says how much of a product is ordered and not yet taken away.
func (s *Shop) Reserve(product string, q stock.Quantity, at int64) {
	s.Edit(product, func(row *mirror.Row) { row.Reserved, row.ReservedAt = q, at })
}

// Edit changes a product's row as the catalogue may.
func (s *Shop) Edit(product string, edit func(*mirror.Row)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := s.rows[product]
	edit(&row)
	s.rows[product] = row
}

// Clear takes all products away, as an empty answer of the source would.
func (s *Shop) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.rows)
}

// Rows implements push.Levels.
func (s *Shop) Rows(_ context.Context, q mirror.Query) iter.Seq2[mirror.Row, error] {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rows []mirror.Row
	for _, row := range s.rows {
		if !row.Deleted || q.Deleted {
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, func(a, b mirror.Row) int { return cmp.Compare(a.Product.ID, b.Product.ID) })
	return func(yield func(mirror.Row, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}
}

// Row implements push.Levels.
func (s *Shop) Row(_ context.Context, product string) (mirror.Row, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row, ok := s.rows[product]
	if !ok {
		return row, fmt.Errorf("product %s: %w", product, mirror.ErrNotFound)
	}
	return row, nil
}

// Explain implements push.Levels.
func (s *Shop) Explain(_ context.Context, product string) ([]stock.Step, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.steps[product]), nil
}
