package push

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"ostatok/agent/journal"
	"ostatok/agent/mirror"
	"ostatok/agent/stock"
)

// FullRow is a product as a full run needs it.
type FullRow struct {
	Product string
	Code    string
	Name    string
	Key     string         // the target's id of the product; "" when there is none, or an ambiguous one
	Want    stock.Quantity // the figure that may be sent, in the target's precision

	Sendable bool
	Reason   string // why not: no key, an ambiguous one, no figure that may be sent
}

// ErrFullRun says that a full run has the target.
var ErrFullRun = errors.New("a full run is under way")

// ErrNoFigure says that there is no figure that may be sent for a key.
var ErrNoFigure = errors.New("there is no figure that may be sent")

// Full is a target as its full runs need it: what may be sent, under the same
// policy and guards as deliveries. Under Auto that is the figure of now of a known
// level, as long as no guard fires. Otherwise it is a figure that was approved, or
// that the target holds anyway, or else the one that it accepted last.
//
// One Full is used for all runs of a target; its methods may be called from any
// goroutine.
type Full struct {
	e *Engine
	l *lane

	mu       sync.Mutex
	surveyed *surveyed // nil before the first survey
}

// surveyed is what a survey found out for the calls that follow it. It does not
// change.
type surveyed struct {
	products map[string]string // key → product; keys that can be used only
	auto     bool              // known levels may be sent without being approved
	reserves ReserveState
}

// Full returns the full-run side of a target. The error is ErrNoTarget, or
// *OffError when its policy forbids writing.
func (e *Engine) Full(name string) (*Full, error) {
	l, err := e.lane(name)
	if err != nil {
		return nil, err
	}
	if l.Policy == Off {
		return nil, &OffError{Target: l.Name}
	}
	return &Full{e: e, l: l}, nil
}

// Hold keeps deliveries away from the target until release is called; they end
// at once and say so. It waits for the part of one that is under way. The error is
// ErrFullRun or the context's.
func (f *Full) Hold(ctx context.Context) (release func(), err error) {
	if !f.l.full.CompareAndSwap(false, true) {
		return nil, ErrFullRun
	}
	if err := f.l.turn.take(ctx); err != nil {
		f.l.full.Store(false)
		return nil, fmt.Errorf("cannot begin a full run of %s: %w", f.l.Name, err)
	}
	f.l.turn.give()
	return sync.OnceFunc(func() { f.l.full.Store(false) }), nil
}

// Refresh pulls documents, however new they are: a run asks because something was
// sold since.
func (f *Full) Refresh(ctx context.Context) error {
	f.e.pulls.expire()
	return f.e.refresh(ctx)
}

// Figures lists every product of the catalogue that has stock, zeros included, by
// product; no two rows with a key have the same. It begins with a survey, so it is
// not to be ranged over for one row. An error ends it.
func (f *Full) Figures(ctx context.Context) iter.Seq2[FullRow, error] {
	return func(yield func(FullRow, error) bool) {
		cards, outbox, held, err := f.load(ctx)
		if err != nil {
			yield(FullRow{}, err)
			return
		}
		s := f.survey(ctx, cards, held)
		if !s.reserves.Known {
			yield(FullRow{}, errors.New(s.reserves.unknown()))
			return
		}
		for i := range cards {
			c := &cards[i]
			row := FullRow{Product: c.product, Code: c.code, Name: c.name, Reason: c.reason}
			if c.reason == "" {
				row.Key = c.key
				var fig figure
				if fig, err = f.figure(ctx, s, c, outbox[c.product], held[c.product]); err != nil {
					yield(FullRow{}, err)
					return
				}
				row.Want, row.Sendable, row.Reason = fig.q, fig.reason == "", fig.reason
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// load reads what Figures compares.
func (f *Full) load(ctx context.Context) (cards []card, outbox map[string]*journal.Entry, held map[string]*journal.Held, err error) {
	if cards, err = f.e.survey(ctx, f.l); err != nil {
		return nil, nil, nil, err
	}
	outbox = make(map[string]*journal.Entry)
	for entry, err := range f.e.journal.Outbox(ctx, f.l.Name) {
		if err != nil {
			return nil, nil, nil, err
		}
		outbox[entry.Product] = &entry
	}
	held, err = f.e.journal.Held(ctx, f.l.Name)
	return cards, outbox, held, err
}

// survey finds out what the figures of the cards rest on, and keeps it.
func (f *Full) survey(ctx context.Context, cards []card, held map[string]*journal.Held) *surveyed {
	s := &surveyed{products: make(map[string]string, len(cards)), reserves: f.e.reserves(ctx, f.l)}
	var p Plan
	fall := 0
	for i := range cards {
		c := &cards[i]
		p.Counts.Products++
		if c.reason != "" {
			continue
		}
		s.products[c.key] = c.product
		p.Counts.Matched++
		if !countLevel(&p.Counts, c.level) || c.want > 0 {
			continue
		}
		if from, known := held[c.product].Figure(); !known || from > 0 {
			fall++
		}
	}
	guards := append(f.e.readiness(ctx), f.e.guards(&p, fall)...)
	s.auto = f.l.Policy == Auto && len(guards) == 0
	f.mu.Lock()
	defer f.mu.Unlock()
	f.surveyed = s
	return s
}

// known returns the last survey, or makes the first.
func (f *Full) known(ctx context.Context) (*surveyed, error) {
	f.mu.Lock()
	s := f.surveyed
	f.mu.Unlock()
	if s != nil {
		return s, nil
	}
	cards, _, held, err := f.load(ctx)
	if err != nil {
		return nil, err
	}
	return f.survey(ctx, cards, held), nil
}

// figure is what may be sent for a product.
type figure struct {
	q      stock.Quantity
	fresh  bool   // it is the figure of now, not the one that was accepted last
	reason string // why there is none
}

func (f *Full) figure(ctx context.Context, s *surveyed, c *card, entry *journal.Entry, h *journal.Held) (figure, error) {
	if h != nil && h.Key != c.key {
		h = nil
	}
	if entry != nil && entry.Key != c.key {
		entry = nil
	}
	from, known := h.Figure()
	fig, err := f.fresh(ctx, s, c, entry, from, known)
	if err != nil {
		return figure{}, err
	}
	if fig.reason == "" {
		fig.reason = s.reserves.againstRaising(from, known, fig.q)
	}
	if fig.reason != "" && h != nil && h.Accepted != nil {
		return figure{q: *h.Accepted}, nil
	}
	return fig, nil
}

// fresh is the figure of now, or why it may not be sent.
func (f *Full) fresh(ctx context.Context, s *surveyed, c *card, entry *journal.Entry, from stock.Quantity, known bool) (figure, error) {
	now := figure{q: c.want, fresh: true}
	switch {
	case entry != nil && entry.UnderWay():
		want, reason, err := f.e.current(ctx, f.l, entry)
		return figure{want, !entry.Fixed, reason}, err
	case !c.level.Valued():
		return figure{reason: fmt.Sprintf("its level is not known (%s)", c.level.Reason)}, nil
	case known && from == c.want, s.auto && c.level.State == stock.Known:
		return now, nil
	case entry != nil && entry.Wanted == c.want && (entry.State == journal.Accepted || entry.State == journal.Verified):
		return now, nil
	}
	return figure{reason: "its figure waits for approval"}, nil
}

// Figure is the figure of one key that may be sent now. The error wraps
// ErrNoFigure when there is none.
func (f *Full) Figure(ctx context.Context, key string) (stock.Quantity, error) {
	s, err := f.known(ctx)
	if err != nil {
		return 0, err
	}
	product, ok := s.products[key]
	if !ok {
		return 0, fmt.Errorf("key %q: %w: no product has it, or more than one", key, ErrNoFigure)
	}
	c, err := f.card(ctx, product, key)
	if err != nil {
		return 0, err
	}
	entries, err := f.e.journal.Entries(ctx, f.l.Name, []string{product})
	if err != nil {
		return 0, err
	}
	held, err := f.e.journal.HeldOf(ctx, f.l.Name, []string{product})
	if err != nil {
		return 0, err
	}
	var entry *journal.Entry
	if len(entries) > 0 {
		entry = &entries[0]
	}
	fig, err := f.figure(ctx, s, c, entry, held[product])
	if err != nil {
		return 0, err
	}
	if fig.reason != "" {
		return 0, fmt.Errorf("key %q: %w: %s", key, ErrNoFigure, fig.reason)
	}
	return fig.q, nil
}

// card is one product as it is now. The error wraps ErrNoFigure when it has left
// the catalogue, or has the key no more.
func (f *Full) card(ctx context.Context, product, key string) (*card, error) {
	row, err := f.e.levels.Row(ctx, product)
	switch {
	case errors.Is(err, mirror.ErrNotFound), err == nil && (row.Deleted || row.Service()):
		return nil, fmt.Errorf("key %q: %w: its product is no longer in the catalogue", key, ErrNoFigure)
	case err != nil:
		return nil, fmt.Errorf("cannot read the level of product %s: %w", product, err)
	}
	c := f.l.card(&row)
	if c.key != key {
		return nil, fmt.Errorf("key %q: %w: its product has another key now", key, ErrNoFigure)
	}
	return &c, nil
}
