package push

import (
	"context"
	"fmt"
	"slices"

	"ostatok/agent/journal"
	"ostatok/agent/mirror"
	"ostatok/agent/stock"
	"ostatok/sync/target"
)

// card is a product as one target sees it.
type card struct {
	product, code, name string
	key                 string // "" when reason says why there is none
	reason              string
	level               stock.Level
	want                stock.Quantity // level in the target's precision; meaningful when level.Valued()

	shown   stock.Quantity // what the mirror has learned of the target's figure
	shownAt int64          // 0: nothing
}

// card is one product as the target sees it.
func (l *lane) card(row *mirror.Row) card {
	c := card{product: row.ID, code: row.Code, name: row.Name, level: row.Level}
	c.key, c.reason = l.Match(row.Product)
	if c.key == "" && c.reason == "" {
		c.reason = "has no key at the target"
	}
	if c.reason != "" {
		c.key = ""
	}
	if c.level.Valued() {
		c.want = l.want(row)
	}
	return c
}

// survey lists the products of the catalogue that have stock, with their keys at
// the target, by product id.
func (e *Engine) survey(ctx context.Context, l *lane) ([]card, error) {
	var cards []card
	first := make(map[string]int)
	for row, err := range e.levels.Rows(ctx, mirror.Query{}) {
		if err != nil {
			return nil, fmt.Errorf("cannot read the levels: %w", err)
		}
		if row.Deleted || row.Service() {
			continue
		}
		c := l.card(&row)
		if l.Shown != nil {
			if q, at, ok := l.Shown(row); ok {
				c.shown, c.shownAt = q, at
			}
		}
		if c.key != "" {
			// Two products of one key would overwrite each other for ever, so
			// neither is written.
			if i, taken := first[c.key]; taken {
				reason := fmt.Sprintf("the key %q belongs to more than one product", c.key)
				cards[i].reason, c.reason = reason, reason
			} else {
				first[c.key] = len(cards)
			}
		}
		cards = append(cards, c)
	}
	return cards, nil
}

// readAgain is how old an observation may be, in ms, when it differs from the
// level: an open plan that waits for days must not read its rows every minute.
const readAgain = 15 * 60 * 1000

// sought is a product whose figure at the target is to be read.
type sought struct {
	product, key string
	want         stock.Quantity
	held         *journal.Held // what is known of it, nil: nothing
}

// seek finds the products of which the target holds something that a plan needs
// and that is not known well enough.
func (e *Engine) seek(ctx context.Context, l *lane, cards []card) ([]sought, error) {
	held, err := e.journal.Held(ctx, l.Name)
	if err != nil {
		return nil, err
	}
	now := e.millis()
	var list []sought
	for i := range cards {
		c := &cards[i]
		if h := held[c.product]; c.reason == "" && c.level.Valued() && e.worthReading(l, c, h, now) {
			list = append(list, sought{product: c.product, key: c.key, want: c.want, held: h})
		}
	}
	return list, nil
}

// observe reads what is sought from the target and keeps it. What was read stays
// read when a later call fails, so the next attempt goes on from there.
func (e *Engine) observe(ctx context.Context, l *lane, list []sought) error {
	now := e.millis()
	parts := slices.Collect(slices.Chunk(list, l.traits.ReadBatch))
	for len(parts) > 0 {
		part := parts[0]
		parts = parts[1:]
		byKey := make(map[string]*sought, len(part))
		keys := make([]string, len(part))
		for i := range part {
			keys[i] = part[i].key
			byKey[part[i].key] = &part[i]
		}
		seen, err := l.Target.Read(ctx, keys)
		switch {
		case err == nil:
		case ctx.Err() != nil || judge(err, true) != permanent:
			return fmt.Errorf("cannot read what %s holds: %w", l.Name, err)
		case len(part) > 1: // one of these keys is to blame
			half := len(part) / 2
			parts = append(parts, part[:half], part[half:])
			continue
		default:
			seen = []target.Observation{{Key: keys[0], Reason: err.Error()}}
		}
		for i := range part { // also of those that the target tells nothing of
			l.looked[part[i].product] = now
		}
		var facts []journal.Held
		for _, o := range seen {
			s := byKey[o.Key]
			if s == nil {
				continue
			}
			fact := observed(l.Name, s.product, o, s.want, now)
			if e.noted(s.held, &fact, now) {
				continue
			}
			delete(l.looked, s.product)
			facts = append(facts, fact)
		}
		if _, err := e.journal.Record(ctx, l.Name, nil, facts); err != nil {
			return err
		}
	}
	return nil
}

// noted tells whether the journal has the same observation already: a plan that
// waits for days must not wear out the card with what nobody changed.
func (e *Engine) noted(h, fact *journal.Held, now int64) bool {
	if h == nil || h.Key != fact.Key || !h.ReadLast || h.Verified != fact.Verified || h.Reason != fact.Reason {
		return false
	}
	if (h.Observed == nil) != (fact.Observed == nil) || h.Observed != nil && *h.Observed != *fact.Observed {
		return false
	}
	age := now - h.ObservedAt
	return age >= 0 && age < e.o.ReadEvery.Milliseconds()
}

func (e *Engine) worthReading(l *lane, c *card, h *journal.Held, now int64) bool {
	if h == nil || h.Key != c.key {
		h = &journal.Held{}
	}
	figure, known := h.Figure()
	at := h.At()
	if c.shownAt > at {
		figure, known, at = c.shown, true, c.shownAt
	}
	age := now - at
	stale := at == 0 || age < 0 // the clock was set back: nobody knows how old it is
	if known && figure == c.want {
		return stale || age >= e.o.ReadEvery.Milliseconds()
	}
	if looked := now - l.looked[c.product]; looked >= 0 && looked < readAgain {
		return false
	}
	return stale || age >= readAgain
}
