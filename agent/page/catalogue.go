package page

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"

	"ostatok/agent/stock"
)

// A filter is one way to look at the stock.
type filter string

const (
	showAll      filter = ""
	showKnown    filter = "known"
	showUnsure   filter = "unsure"
	showUnknown  filter = "unknown"
	showNegative filter = "negative"
	showDrift    filter = "drift"
)

var filters = [...]filter{showAll, showKnown, showUnsure, showUnknown, showNegative, showDrift}

func (f filter) takes(b *Brief) bool {
	switch f {
	case showAll:
		return true
	case showKnown:
		return b.State == stock.Known
	case showUnsure:
		return b.State == stock.Assumed
	case showUnknown:
		return !b.valued()
	case showNegative:
		return b.valued() && b.Quantity < 0
	case showDrift:
		return b.State == stock.Known && b.HasCloud && b.Cloud != b.Quantity
	}
	return false
}

func (b *Brief) valued() bool { return b.State == stock.Known || b.State == stock.Assumed }

// brief is the product as the filters see it.
func (p *Product) brief() *Brief {
	b := &Brief{ID: p.Product, Lower: strings.ToLower(p.Name), State: p.State, HasCloud: p.Cloud != nil}
	if p.Quantity != nil {
		b.Quantity = *p.Quantity
	}
	if p.Cloud != nil {
		b.Cloud = *p.Cloud
	}
	return b
}

// countable tells whether somebody should count the product: nothing is known
// of it and nothing more will come, or what is known is in doubt or impossible.
func countable(b *Brief) bool {
	return b.State == stock.Unknown || showUnsure.takes(b) || showNegative.takes(b)
}

// place is where a product stands in the alphabet.
type place struct{ key, id string }

func (b *Brief) place() place { return place{alphabetic(b.Lower), b.ID} }

func (a place) compare(b place) int {
	return cmp.Or(strings.Compare(a.key, b.key), strings.Compare(a.id, b.id))
}

// alphabetic puts ё beside е, where people look for it.
func alphabetic(lower string) string { return strings.ReplaceAll(lower, "ё", "е") }

// choice is one page of the stock.
type choice struct {
	rows   []Product
	next   place // of the last one
	more   bool
	counts map[filter]int // of what the text names
}

// briefs goes through the catalogue as Shop.Briefs does, one visitor after the
// other: a box has one core to do it with, and several at once would only need
// their memory at the same time.
func (p *Page) briefs(ctx context.Context, text string) iter.Seq2[Brief, error] {
	return func(yield func(Brief, error) bool) {
		select {
		case p.walk <- struct{}{}:
			defer func() { <-p.walk }()
		case <-ctx.Done():
			yield(Brief{}, ctx.Err())
			return
		}
		for b, err := range p.o.Shop.Briefs(ctx, text) {
			if !yield(b, err) {
				return
			}
		}
	}
}

// choose reads the catalogue once and keeps the first products after a place in
// the alphabet, never more of them than twice a page.
func (p *Page) choose(ctx context.Context, text string, by filter, after place, limit int) (choice, error) {
	c := choice{counts: make(map[filter]int, len(filters))}
	kept := make([]place, 0, 2*limit+2)
	var last *place // nothing behind it is kept
	cut := func() {
		slices.SortFunc(kept, place.compare)
		if len(kept) > limit+1 {
			kept = kept[:limit+1]
			end := kept[limit]
			last = &end
		}
	}
	for b, err := range p.briefs(ctx, text) {
		if err != nil {
			return c, err
		}
		for _, f := range filters {
			if f.takes(&b) {
				c.counts[f]++
			}
		}
		at := b.place()
		if !by.takes(&b) || at.compare(after) <= 0 || (last != nil && at.compare(*last) >= 0) {
			continue
		}
		if kept = append(kept, at); len(kept) == cap(kept) {
			cut()
		}
	}
	cut()
	c.more = len(kept) > limit
	kept = kept[:min(limit, len(kept))]
	if len(kept) == 0 {
		return c, nil
	}
	c.next = kept[len(kept)-1]
	ids := make([]string, len(kept))
	for i := range kept {
		ids[i] = kept[i].id
	}
	var err error
	c.rows, err = p.o.Shop.Products(ctx, ids)
	return c, err
}

// places are the ids of all products that the text and the filter leave, in the
// alphabet's order.
func (p *Page) places(ctx context.Context, text string, by filter) ([]string, error) {
	var all []place
	for b, err := range p.briefs(ctx, text) {
		if err != nil {
			return nil, err
		}
		if by.takes(&b) {
			all = append(all, b.place())
		}
	}
	slices.SortFunc(all, place.compare)
	ids := make([]string, len(all))
	for i := range all {
		ids[i] = all[i].id
	}
	return ids, nil
}
