package keycrm

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"ostatok/agent/stock"
)

// Kind says in what KeyCRM and the shop do not agree about a SKU.
type Kind string

// The kinds of differences.
const (
	Differs    Kind = "differs"    // both have a figure, not the same
	Missing    Kind = "missing"    // no offer of KeyCRM has the SKU
	Ambiguous  Kind = "ambiguous"  // several offers have it
	Unreadable Kind = "unreadable" // KeyCRM's figure cannot be read
)

// Difference is a SKU about which the two do not agree.
type Difference struct {
	SKU    string         `json:"sku"`
	Kind   Kind           `json:"kind"`
	Ours   stock.Quantity `json:"ours"`
	Theirs stock.Quantity `json:"theirs"`  // all that KeyCRM has; with several offers their sum
	Held   stock.Quantity `json:"reserve"` // the part of Theirs that is held for orders
	Offers []int64        `json:"offers,omitempty"`
}

// Comparison is a second opinion on the shop's levels.
type Comparison struct {
	At          int64        `json:"at"`    // when the reading ended, epoch ms
	Equal       int          `json:"equal"` // SKUs whose figures agree
	Extra       int          `json:"extra"` // offers of SKUs that the shop does not have
	Differences []Difference `json:"differences"`
}

// Compare reads what KeyCRM holds in a warehouse (0 is all of them) and says
// where that differs from the levels, which are by SKU. It changes nothing
// anywhere: it is what a target with direction "pull" is for. Figures are
// compared in steps of precision, stock.Unit for whole numbers.
func (c *Client) Compare(ctx context.Context, warehouse int64, precision stock.Quantity, levels map[string]stock.Quantity) (Comparison, error) {
	type seen struct {
		figure Figure
		offers []int64
		bad    bool
	}
	var found map[string]*seen
	var result Comparison
	begin := func() { found, result = make(map[string]*seen, len(levels)), Comparison{} }
	err := c.Sweep(ctx, begin, func(o Offer) error {
		if _, ours := levels[o.SKU]; !ours {
			result.Extra++
			return nil
		}
		f, err := o.In(warehouse)
		if errors.Is(err, errNoWarehouses) {
			return undivided(err)
		}
		s := found[o.SKU]
		if s == nil {
			s = &seen{}
			found[o.SKU] = s
		}
		s.bad = s.bad || err != nil
		s.figure.Quantity += f.Quantity
		s.figure.Reserve += f.Reserve
		s.offers = append(s.offers, o.ID)
		return nil
	})
	if err != nil {
		return Comparison{}, err
	}
	result.At = c.opts.Now().UnixMilli()
	for sku, level := range levels {
		d := Difference{SKU: sku, Ours: level, Kind: Missing}
		if s := found[sku]; s != nil {
			d.Theirs, d.Held, d.Offers = s.figure.Quantity, s.figure.Reserve, s.offers
			switch {
			case s.bad:
				d.Kind = Unreadable
			case len(s.offers) > 1:
				d.Kind = Ambiguous
			case floor(level, precision) == floor(s.figure.Quantity, precision):
				result.Equal++
				continue
			default:
				d.Kind = Differs
			}
		}
		result.Differences = append(result.Differences, d)
	}
	slices.SortFunc(result.Differences, func(a, b Difference) int { return cmp.Compare(a.SKU, b.SKU) })
	return result, nil
}

// floor is the largest step that is not above q.
func floor(q, step stock.Quantity) stock.Quantity {
	step = max(step, 1)
	return q - ((q%step)+step)%step
}
