// Package match finds out by which key a target knows a product, and why not
// when that cannot be said for sure: a figure at the wrong product is worse than
// none.
package match

import (
	"fmt"
	"iter"
	"strings"
	"sync/atomic"

	"ostatok/agent/stock"
)

// By is the property of a product that is its key at a target.
type By string

// The properties. A product that is mapped has the key of the mapping, whatever
// the property; with Mapping the others have none.
const (
	ID      By = "id"
	Code    By = "code"
	Article By = "article"
	Barcode By = "barcode"
	Mapping By = "mapping"
)

// Matcher gives products their keys at one target. It may be asked while it
// learns.
type Matcher struct {
	by    By
	facts atomic.Pointer[facts]
}

// facts are what the keys depend on besides the product itself.
type facts struct {
	table map[string]string // the mapping: product id → key
	taken map[string][]card // folded key → the products with such keys, where there are several
}

// card is a product with its key, or with the refusal that says why it has none.
type card struct {
	product, code, name string
	key                 string
	mapped              bool
	refusal             *refusal
}

// refusal is why a product has no key of its own.
type refusal struct {
	kind   kind
	reason string
}

type kind int8

const (
	unmatched kind = iota
	ambiguous
	duplicate
	lookAlike
)

// New returns a matcher with a mapping, product ids to keys, which the caller
// leaves alone afterwards. Until it has learned the catalogue it cannot tell
// products apart that share a key.
func New(by By, table map[string]string) *Matcher {
	m := &Matcher{by: by}
	m.facts.Store(&facts{table: table})
	return m
}

// Learn looks through the catalogue for products whose keys cannot be told apart
// under this mapping, and then goes by both. When the catalogue breaks off with
// an error everything stays as it was.
func (m *Matcher) Learn(table map[string]string, products iter.Seq2[stock.Product, error]) error {
	f := &facts{table: table, taken: make(map[string][]card)}
	for p, err := range products {
		if err != nil {
			return err
		}
		if p.Service() {
			continue
		}
		if c := m.card(&p, table); c.refusal == nil {
			fold := Fold(c.key)
			f.taken[fold] = append(f.taken[fold], c)
		}
	}
	f.onlyShared()
	m.facts.Store(f)
	return nil
}

// onlyShared forgets the keys that one product has: nearly all of a catalogue.
func (f *facts) onlyShared() {
	shared := make(map[string][]card)
	for fold, cards := range f.taken {
		if len(cards) > 1 {
			shared[fold] = cards
		}
	}
	f.taken = shared // a new map: one that has shrunk keeps its size
}

// Key returns the product's key at the target, or the reason why it has none,
// which also says what to do.
func (m *Matcher) Key(p stock.Product) (key, reason string) {
	f := m.facts.Load()
	c := m.card(&p, f.table)
	if c.refusal == nil {
		c.refusal = f.conflict(&c)
	}
	if c.refusal != nil {
		return "", c.refusal.reason
	}
	return c.key, ""
}

// card is what can be said of one product without the others.
func (m *Matcher) card(p *stock.Product, table map[string]string) card {
	c := card{product: p.ID, code: p.Code, name: p.Name}
	if c.key, c.mapped = table[p.ID]; c.mapped {
		return c
	}
	switch m.by {
	case ID:
		c.key = p.ID
	case Code:
		c.key = p.Code
	case Article:
		c.key = p.Article
	case Barcode:
		if len(p.Barcodes) > 1 {
			c.refusal = &refusal{ambiguous, fmt.Sprintf("has several barcodes (%s); map it to one of them", strings.Join(p.Barcodes, ", "))}
			return c
		}
		if len(p.Barcodes) == 1 {
			c.key = p.Barcodes[0]
		}
	default:
		c.refusal = &refusal{unmatched, "is not in the mapping; add it with `ostatok mapping import`"}
		return c
	}
	if Fold(c.key) == "" {
		c.refusal = &refusal{unmatched, fmt.Sprintf("has no %s; enter one at the terminal, or map it with `ostatok mapping import`", m.by)}
	}
	return c
}

// conflict is why a key cannot be used although the product has it. Who mapped a
// product has looked at it, so a mapped one gives way to another mapped one only.
func (f *facts) conflict(c *card) *refusal {
	var alike *card
	for i, other := range f.taken[Fold(c.key)] {
		switch {
		case other.product == c.product, c.mapped && !(other.mapped && other.key == c.key):
		case other.key == c.key && other.mapped:
			return &refusal{duplicate, fmt.Sprintf("has the key %q, to which %s is mapped; map one of them to another key", c.key, other.title())}
		case other.key == c.key:
			return &refusal{duplicate, fmt.Sprintf("has the same key %q as %s; tell them apart at the terminal, or map the one that is meant", c.key, other.title())}
		case alike == nil:
			alike = &f.taken[Fold(c.key)][i]
		}
	}
	if alike == nil {
		return nil
	}
	return &refusal{lookAlike, fmt.Sprintf("has the key %q, which looks like %q of %s and differs in %s; map both if they are two products",
		c.key, alike.key, alike.title(), Difference(c.key, alike.key))}
}

// title names a product for people.
func (c *card) title() string { return strings.TrimSpace(c.code + " " + c.name) }
