package push

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"ostatok/agent/journal"
	"ostatok/agent/stock"
	"ostatok/sync/target"
)

// Plan compares the levels with what the target holds and stores the
// differences as the target's current plan; an open plan with other content is
// superseded. A target that can be read is read first, as far as what it holds
// is not known well enough. Under Auto a plan without guards is approved at
// once, except for its assumed rows: they make a plan of their own next time and
// wait. The error is ErrNoTarget, or that of the target, the mirror or the
// journal; the stored plan is then left as it was.
func (e *Engine) Plan(ctx context.Context, name string) (Plan, error) {
	l, err := e.lane(name)
	if err != nil {
		return Plan{}, err
	}
	if err := l.turn.take(ctx); err != nil {
		return Plan{}, err
	}
	defer l.turn.give()
	if err := e.whole.take(ctx); err != nil {
		return Plan{}, err
	}
	defer e.whole.give()
	cards, err := e.survey(ctx, l)
	if err != nil {
		return Plan{}, err
	}
	// What a full run has written so far is neither the old figures nor the new.
	if l.traits.Reads && !l.full.Load() {
		sought, err := e.seek(ctx, l, cards)
		if err != nil {
			return Plan{}, err
		}
		if len(sought) > 0 {
			cards = nil // reading takes its time; levels may have moved then
			if err := e.whole.aside(func() error { return e.observe(ctx, l, sought) }); err != nil {
				return Plan{}, err
			}
			if cards, err = e.survey(ctx, l); err != nil {
				return Plan{}, err
			}
		}
	}
	reserves := e.reserves(ctx, l)
	guards := append(e.readiness(ctx), reserves.guards()...)

	e.deciding.Lock()
	defer e.deciding.Unlock()
	p, err := e.compare(ctx, l, cards, reserves)
	if err != nil {
		return Plan{}, err
	}
	p.Guards = append(guards, p.Guards...)
	if p, err = e.store(ctx, l, p); err != nil {
		return Plan{}, err
	}
	if l.Policy == Auto && p.State == journal.PlanOpen && len(p.Guards) == 0 && anyReady(p.Rows) {
		if _, err := e.approve(ctx, p.ID, false, "policy"); err != nil {
			return Plan{}, err
		}
		return e.journal.Plan(ctx, p.ID)
	}
	return p, nil
}

func (e *Engine) readiness(ctx context.Context) []Guard {
	if e.o.Ready == nil {
		return nil
	}
	return e.o.Ready(ctx)
}

// store saves the plan and tells people of one that waits for them.
func (e *Engine) store(ctx context.Context, l *lane, p Plan) (Plan, error) {
	before, err := e.journal.OpenPlan(ctx, l.Name)
	if err != nil {
		return p, err
	}
	if p, err = e.journal.SavePlan(ctx, p); err != nil {
		return p, err
	}
	// Only the first of a series: after that every sale makes another plan.
	waits := p.State == journal.PlanOpen && before == "" && (l.Policy == Approve || l.Policy == Auto && len(p.Guards) > 0)
	if !waits {
		return p, nil
	}
	return p, e.event(ctx, "plan_waits", journal.Warning,
		fmt.Sprintf("plan %s for %s waits for approval: %d rows", p.ID, l.Name, len(p.Rows)),
		map[string]any{"target": l.Name, "plan": p.ID, "rows": len(p.Rows), "guards": append([]journal.Guard{}, p.Guards...)})
}

// compare makes the plan: one row for each figure that the target is not known
// to hold. Levels that are not known are never rows.
func (e *Engine) compare(ctx context.Context, l *lane, cards []card, reserves ReserveState) (Plan, error) {
	held, err := e.journal.Held(ctx, l.Name)
	if err != nil {
		return Plan{}, err
	}
	outbox := make(map[string]journal.Entry)
	for entry, err := range e.journal.Outbox(ctx, l.Name) {
		if err != nil {
			return Plan{}, err
		}
		outbox[entry.Product] = entry
	}
	p := Plan{Target: l.Name}
	var settled []journal.Entry
	var facts []journal.Held
	fall := 0
	for i := range cards {
		c := &cards[i]
		p.Counts.Products++
		if c.reason != "" {
			p.Unmatched = append(p.Unmatched, Unmatched{Product: c.product, Reason: c.reason})
			continue
		}
		p.Counts.Matched++
		if !countLevel(&p.Counts, c.level) {
			continue
		}
		entry, queued := outbox[c.product]
		if queued && entry.UnderWay() {
			p.Counts.UnderWay++ // the newest level is sent anyway
			continue
		}
		if reason := l.mustWait(c.product); reason != "" {
			p.Unmatched = append(p.Unmatched, Unmatched{Product: c.product, Reason: reason})
			continue
		}
		h := held[c.product]
		if h != nil && h.Key != c.key {
			h = nil
		}
		from, known := h.Figure()
		if c.shownAt != 0 && (h == nil || c.shownAt > h.At()) {
			if !known || from != c.shown {
				facts = append(facts, observed(l.Name, c.product,
					target.Observation{Key: c.key, Quantity: c.shown, Found: true}, c.want, c.shownAt))
			}
			from, known = c.shown, true
		} else if h.Missing() {
			p.Counts.Matched--
			p.Unmatched = append(p.Unmatched, Unmatched{Product: c.product, Reason: cmp.Or(h.Reason, fmt.Sprintf("the target does not know the key %q", c.key))})
			continue
		}
		if known && from == c.want {
			p.Counts.Right++
			if queued && (entry.State == journal.Rejected || entry.State == journal.Blocked) {
				entry.State, entry.Reason, entry.Wanted, entry.ChangedAt = journal.Verified, "", c.want, e.millis()
				settled = append(settled, entry)
			}
			continue
		}
		if queued && refused(&entry, c) {
			p.Counts.Refused++
			p.Unmatched = append(p.Unmatched, Unmatched{Product: c.product, Reason: string(entry.State) + ": " + entry.Reason})
			continue
		}
		if reason := reserves.againstRaising(from, known, c.want); reason != "" {
			p.Unmatched = append(p.Unmatched, Unmatched{Product: c.product, Reason: reason})
			continue
		}
		row := rowOf(c)
		if known {
			row.From = &from
		}
		if row.To <= 0 && (!known || from > 0) {
			fall++
		}
		p.Rows = append(p.Rows, row)
	}
	p.ID = contentID(l.Name, p.Rows)
	p.Guards = e.guards(&p, fall)
	if len(settled)+len(facts) > 0 {
		if _, err := e.journal.Record(ctx, l.Name, settled, facts); err != nil {
			return Plan{}, err
		}
	}
	return p, nil
}

func rowOf(c *card) PlanRow {
	row := PlanRow{
		Product: c.product, Code: c.code, Name: c.name, Key: c.key, To: c.want,
		LevelState: c.level.State, State: journal.Ready, Level: c.level.Quantity, Basis: c.level.Last,
	}
	if c.level.State == stock.Assumed {
		row.State, row.Reason = journal.Assumed, string(c.level.Reason)
	}
	return row
}

// refused tells whether the target would not take this very figure: it is not
// proposed again until the figure or the key changes, or a person retries it.
func refused(entry *journal.Entry, c *card) bool {
	if entry.Wanted != c.want || entry.Key != c.key {
		return false
	}
	return entry.State == journal.Rejected || entry.State == journal.Blocked && entry.Mismatches >= mismatchesMost
}

// countLevel counts a matched product and tells whether it has a figure.
func countLevel(n *journal.Counts, level stock.Level) bool {
	switch level.State {
	case stock.Known:
		n.Known++
	case stock.Assumed:
		n.Assumed++
	case stock.Unresolved:
		n.Unresolved++
	default:
		n.Unknown++
	}
	return level.Valued()
}

func anyReady(rows []PlanRow) bool {
	for i := range rows {
		if rows[i].State == journal.Ready {
			return true
		}
	}
	return false
}

// contentID is the first 12 hex digits of a hash of the target and the rows,
// which come in the order of product ids.
func contentID(name string, rows []PlanRow) string {
	hash := sha256.New()
	var line strings.Builder
	fmt.Fprintf(&line, "%q\n", name)
	for i := range rows {
		r := &rows[i]
		from := "-"
		if r.From != nil {
			from = r.From.String()
		}
		fmt.Fprintf(&line, "%q %q %s %s %s\n", r.Product, r.Key, from, r.To, r.LevelState)
		hash.Write([]byte(line.String()))
		line.Reset()
	}
	hash.Write([]byte(line.String()))
	return hex.EncodeToString(hash.Sum(nil))[:12]
}

// observed is an observation as the journal keeps it. at (epoch ms) is of the
// engine's clock: how old it has become is measured by that.
func observed(name, product string, o target.Observation, want stock.Quantity, at int64) journal.Held {
	h := journal.Held{Target: name, Product: product, Key: o.Key, ObservedAt: at}
	if o.Found {
		q := o.Quantity
		h.Observed, h.Verified = &q, q == want
	} else {
		h.Reason = o.Reason
	}
	return h
}
