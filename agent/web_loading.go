package agent

import (
	"context"
	"errors"
	"time"

	"ostatok/agent/mirror"
	"ostatok/agent/stock"
	"ostatok/sync/evotor"
	"ostatok/sync/push"
)

// reminded is how long people are reminded to load figures to the terminals: by
// then each that is switched on has done it by itself, six times.
const reminded = 24 * time.Hour

// What one look at the terminals' documents may cost at most: the rest is for
// the next one.
const (
	loadDocuments = 40
	loadChains    = 20
)

// longest is how long before the reminder its first figure may have been written:
// people are reminded at the end of a delivery.
const longest = 4 * time.Hour

// loading finds out which terminals have loaded what was written to the cloud.
type loading struct {
	since int64           // of the write that they are to load, epoch ms; 0: none
	place int64           // in the mirror, up to which documents were looked at
	marks map[string]bool // terminals whose documents show it
}

// look goes through the documents that came since the last look. A terminal has
// loaded the figures when it states one that was written, or what follows from
// it, and does not merely go on from its own view.
func (l *loading) look(ctx context.Context, a *Agent) error {
	facts, err := a.journal.Target(ctx, push.KindEvotor)
	if err != nil {
		return err
	}
	since := facts.NoticedAt
	if age := a.now().UnixMilli() - since; age < 0 || age >= reminded.Milliseconds() {
		since = 0
	}
	if since != l.since {
		*l = loading{since: since, marks: make(map[string]bool)}
	}
	if since == 0 {
		return nil
	}
	heads, next, err := a.mirror.Heads(ctx, l.place, since, a.now().Add(time.Hour).UnixMilli())
	if err != nil {
		return err
	}
	chains := make(map[string]map[string]bool) // of products that were looked at
	documents := 0
	for i := len(heads) - 1; i >= 0 && documents < loadDocuments && len(chains) < loadChains; i-- { // the newest tell most
		if l.marks[heads[i].Device] {
			continue
		}
		documents++
		products, err := productsOf(ctx, a.mirror, heads[i].ID)
		if err != nil {
			return err
		}
		for _, product := range products {
			if chains[product] == nil {
				if chains[product], err = showedWritten(ctx, a, product, since); err != nil {
					return err
				}
			}
			for device := range chains[product] {
				l.marks[device] = true
			}
		}
	}
	l.place = next
	return nil
}

// productsOf are the products that a document names; none when its body is not
// kept.
func productsOf(ctx context.Context, m *mirror.Mirror, document string) ([]string, error) {
	d, err := m.Document(ctx, document)
	if errors.Is(err, mirror.ErrNotFound) || err == nil && len(d.Raw) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	items, err := evotor.DecodeDocuments(d.Raw)
	if err != nil {
		return nil, nil //nolint:nilerr // it was taken in by an older release: it tells nothing here
	}
	var products []string
	for i := range items {
		for _, line := range items[i].Value.Lines {
			products = append(products, line.Product)
		}
	}
	return products, nil
}

// showedWritten returns the terminals that since a moment stated a figure of the
// product that was written in the delivery before it, or what follows from it.
func showedWritten(ctx context.Context, a *Agent, product string, since int64) (map[string]bool, error) {
	shown := make(map[string]bool)
	held, err := a.journal.HeldOf(ctx, push.KindEvotor, []string{product})
	if err != nil {
		return nil, err
	}
	if h := held[product]; h == nil || h.AcceptedAt < since-longest.Milliseconds() {
		return shown, nil // not of those that were written
	}
	steps, err := a.mirror.Explain(ctx, product)
	if err != nil {
		return nil, err
	}
	written, wrote := stock.Quantity(0), false
	for i := range steps {
		s := &steps[i]
		switch {
		case s.Rule == stock.RuleWrite:
			written, wrote = s.Movement.Moved, true
		case wrote && s.HasStated && s.Movement.Closed >= since && (s.Rule == stock.RuleAgree || s.Rule == stock.RuleLate && s.Stated == written):
			shown[s.Movement.Device] = true
		}
	}
	return shown, nil
}
