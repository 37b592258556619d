package push

import (
	"context"
	"errors"
	"fmt"

	"ostatok/agent/journal"
	"ostatok/agent/mirror"
	"ostatok/agent/stock"
)

// current computes the figure that an approved row stands for now. A reason
// instead of a figure means that the row must not be sent.
//
// What covers a row: a known level always, because a person (or the policy) said
// that this product is to be kept in step. An assumed level only when the row
// was approved as assumed and the figure rests on the same assumption still: see
// sameAssumption. A fixed row stands for its own figure.
func (e *Engine) current(ctx context.Context, l *lane, entry *journal.Entry) (want stock.Quantity, reason string, err error) {
	row, err := e.levels.Row(ctx, entry.Product)
	switch {
	case errors.Is(err, mirror.ErrNotFound) || err == nil && row.Deleted:
		return 0, "the product is no longer in the catalogue", nil
	case err != nil:
		return 0, "", fmt.Errorf("cannot read the level of product %s: %w", entry.Product, err)
	case row.Service():
		return 0, "the product is a service now", nil
	}
	key, why := l.Match(row.Product)
	switch {
	case why != "" || key == "":
		return 0, "the product has no key at the target any more: " + why, nil
	case key != entry.Key:
		return 0, fmt.Sprintf("the product's key at the target is now %q, it was %q", key, entry.Key), nil
	}
	if entry.Fixed {
		return entry.Wanted, "", nil
	}
	level := row.Level
	switch level.State {
	case stock.Known:
	case stock.Assumed:
		if entry.LevelState != stock.Assumed {
			return 0, fmt.Sprintf("the level rests on an assumption now (%s): approve it by name", level.Reason), nil
		}
		same, err := e.sameAssumption(ctx, entry, level)
		if err != nil {
			return 0, "", err
		}
		if !same {
			return 0, "the assumption that was approved gives another figure now: approve it again", nil
		}
	default:
		return 0, fmt.Sprintf("the level is not known any more (%s)", level.Reason), nil
	}
	return l.want(&row), "", nil
}

// sameAssumption tells whether an assumed level is what was approved, moved by
// nothing but documents: at the document behind the approved figure the chain
// still gives that figure, and no step after it takes a stated stock for more
// than the sum of the documents. When the chain no longer reaches back so far,
// that cannot be shown and the answer is no.
func (e *Engine) sameAssumption(ctx context.Context, entry *journal.Entry, level stock.Level) (bool, error) {
	if level.Quantity == entry.Level {
		return true, nil
	}
	steps, err := e.levels.Explain(ctx, entry.Product)
	if err != nil {
		return false, fmt.Errorf("cannot read the chain of product %s: %w", entry.Product, err)
	}
	reached := false
	for i := range steps {
		s := &steps[i]
		if s.Movement.Type == stock.Write {
			continue
		}
		switch {
		case s.Movement.Compare(entry.Basis) < 0:
		case s.Movement.Order == entry.Basis:
			if !s.Valued || s.Level != entry.Level {
				return false, nil
			}
			reached = true
		case !reached, s.Rule == stock.RuleFirst, s.Rule == stock.RuleOutside:
			return false, nil
		}
	}
	return reached, nil
}

// holdBack keeps back the rows that would bring products to zero which nobody
// has approved as zero, when they are so many that the source is to be doubted
// (see Guards). They are blocked and come up in the next plan, whose guard
// fires for the same reason. The other rows are returned.
func (e *Engine) holdBack(ctx context.Context, r *run, due []string) ([]string, error) {
	if len(due) < e.o.Guards.FallFloor {
		return due, nil
	}
	held, err := e.journal.Held(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	fallen := make(map[string]bool)
	err = e.eachEntry(ctx, r.lane, due, func(entry *journal.Entry) error {
		want, reason, err := e.current(ctx, r.lane, entry)
		if err != nil || reason != "" {
			return err
		}
		from, known := held[entry.Product].Figure()
		if want <= 0 && entry.Wanted > 0 && (!known || from > 0) {
			fallen[entry.Product] = true
		}
		return nil
	})
	if err != nil || len(fallen) < e.o.Guards.FallFloor {
		return due, err
	}
	cards, err := e.survey(ctx, r.lane)
	if err != nil {
		return nil, err
	}
	valued := 0
	for i := range cards {
		if cards[i].reason == "" && cards[i].level.Valued() {
			valued++
		}
	}
	if !e.falls(len(fallen), valued) {
		return due, nil
	}
	reason := fmt.Sprintf("%d of %d products would fall to zero or below since they were approved: look at the next plan", len(fallen), valued)
	var rest, stopped []string
	for _, product := range due {
		if fallen[product] {
			stopped = append(stopped, product)
		} else {
			rest = append(rest, product)
		}
	}
	var blocked []journal.Entry
	err = e.eachEntry(ctx, r.lane, stopped, func(entry *journal.Entry) error {
		r.rest(entry, journal.Blocked, reason)
		entry.ChangedAt = e.millis()
		blocked = append(blocked, *entry)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if _, err := e.journal.Record(ctx, r.Name, blocked, nil); err != nil {
		return nil, err
	}
	r.report.Reason = reason
	return rest, e.event(ctx, "guard_fired", journal.Warning, "deliveries to "+r.Name+" are held back: "+reason,
		map[string]any{"target": r.Name, "guard": GuardFall, "products": len(fallen)})
}

// eachEntry reads the outbox rows of the products in parts, so that a delivery
// of a whole catalogue is never held in memory.
func (e *Engine) eachEntry(ctx context.Context, l *lane, products []string, fn func(*journal.Entry) error) error {
	const part = 500
	for len(products) > 0 {
		n := min(part, len(products))
		entries, err := e.journal.Entries(ctx, l.Name, products[:n])
		if err != nil {
			return err
		}
		products = products[n:]
		for i := range entries {
			if !entries[i].UnderWay() {
				continue
			}
			if err := fn(&entries[i]); err != nil {
				return err
			}
		}
	}
	return nil
}
