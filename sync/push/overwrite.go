package push

import (
	"context"
	"fmt"

	"ostatok/agent/journal"
	"ostatok/agent/stock"
)

// overwrittenRow is a figure that the target held and nobody knew of: somebody
// else writes to it, or it sold something that has not been pulled yet.
type overwrittenRow struct {
	Product  string         `json:"product_id"`
	Believed stock.Quantity `json:"believed"`
	Before   stock.Quantity `json:"before"`
	Written  stock.Quantity `json:"written"`
}

// surprised compares what the target says that it held with what was believed,
// and returns the products where they differ. The documents are then pulled anew
// before anything else is sent: a sale that they bring may just have been undone.
func (e *Engine) surprised(ctx context.Context, r *run, p *parcel) (map[string]bool, error) {
	var products []string
	for i := range p.jobs {
		if p.before[i] != nil && p.fate[i] == nil {
			products = append(products, p.jobs[i].entry.Product)
		}
	}
	if len(products) == 0 {
		return nil, nil
	}
	// What has happened has happened, also when ctx has ended meanwhile.
	held, err := e.journal.HeldOf(context.WithoutCancel(ctx), r.Name, products)
	if err != nil {
		return nil, err
	}
	surprised := make(map[string]bool)
	for i := range p.jobs {
		j, before := &p.jobs[i], p.before[i]
		if before == nil || p.fate[i] != nil || *before == j.want || j.maybe != nil && *before == *j.maybe {
			continue
		}
		h := held[j.entry.Product]
		if h == nil || h.Key != j.entry.Key {
			continue
		}
		believed, known := h.Figure()
		if !known || believed == *before {
			continue
		}
		surprised[j.entry.Product] = true
		if r.overwrites++; len(r.overwritten) < notedMost {
			r.overwritten = append(r.overwritten, overwrittenRow{j.entry.Product, believed, *before, j.want})
		}
	}
	if len(surprised) > 0 {
		e.pulls.expire()
	}
	return surprised, nil
}

// overwrote tells people of figures that were not what was believed.
func (e *Engine) overwrote(ctx context.Context, r *run) error {
	return e.event(ctx, "figure_overwritten", journal.Warning,
		fmt.Sprintf("%d figures of %s had been changed by somebody else and were overwritten", r.overwrites, r.Name),
		map[string]any{"target": r.Name, "overwritten": r.overwrites, "first": r.overwritten})
}
