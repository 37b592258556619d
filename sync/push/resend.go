package push

import (
	"context"
	"errors"
	"slices"

	"ostatok/agent/journal"
	"ostatok/agent/stock"
	"ostatok/sync/target"
)

// rowsAtOnce is how many rows of a full run are kept in one durable step.
const rowsAtOnce = 500

// Accepted records what a full run has delivered: the target holds it, and rows of
// the outbox that stood for just that need not be sent any more.
func (f *Full) Accepted(ctx context.Context, rows []target.Row) error {
	for part := range slices.Chunk(rows, rowsAtOnce) {
		if err := f.accepted(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

func (f *Full) accepted(ctx context.Context, rows []target.Row) error {
	m, err := f.match(ctx, rows)
	if err != nil {
		return err
	}
	now := f.e.millis()
	var entries []journal.Entry
	var facts []journal.Held
	for i := range rows {
		product, ok := m.surveyed.products[rows[i].Key]
		if !ok {
			continue // nothing of ours: zeroed because only the target knows it
		}
		q := rows[i].Quantity
		if h := m.held[product]; !f.told(h, &rows[i], now) {
			facts = append(facts, journal.Held{Target: f.l.Name, Product: product, Key: rows[i].Key, Accepted: &q, AcceptedAt: now})
		}
		entry := m.entries[product]
		if entry == nil || entry.Key != rows[i].Key {
			continue
		}
		same := entry.Wanted == q && (entry.State == journal.Rejected || entry.State == journal.Blocked)
		if entry.UnderWay() {
			want, reason, err := f.e.current(ctx, f.l, entry)
			if err != nil {
				return err
			}
			same = reason == "" && want == q
		}
		if !same {
			continue
		}
		entry.State, entry.Reason, entry.Wanted, entry.ChangedAt = journal.Accepted, "", q, now
		entry.Attempts, entry.LastError, entry.NextTry = 0, "", 0
		if f.l.traits.Reads {
			entry.NextTry = now // read back in the next delivery
		}
		entries = append(entries, *entry)
	}
	if len(entries)+len(facts) == 0 {
		return nil
	}
	_, err = f.e.journal.Record(ctx, f.l.Name, entries, facts)
	return err
}

// told tells whether the journal says the same already, and not long ago: a daily
// run over a whole catalogue must not wear out the card.
func (f *Full) told(h *journal.Held, row *target.Row, now int64) bool {
	if h == nil || h.Key != row.Key || h.ReadLast || h.Accepted == nil || *h.Accepted != row.Quantity {
		return false
	}
	age := now - h.AcceptedAt
	return !f.l.traits.Reads || age >= 0 && age < f.e.o.ReadEvery.Milliseconds()
}

// Resend makes rows due in the outbox, durably, with the figures that Figures gave
// them: they were refused by a full run, or it is not certain that they arrived.
// What is under way already is left to itself. A product that has left the
// catalogue meanwhile is left out.
func (f *Full) Resend(ctx context.Context, rows []target.Row) error {
	for part := range slices.Chunk(rows, rowsAtOnce) {
		m, err := f.match(ctx, part)
		if err != nil {
			return err
		}
		var again []journal.Entry
		for i := range part {
			entry, err := f.again(ctx, m, &part[i])
			if errors.Is(err, ErrNoFigure) {
				continue
			}
			if err != nil {
				return err
			}
			again = append(again, entry)
		}
		if err := f.e.journal.Requeue(ctx, f.l.Name, again); err != nil {
			return err
		}
	}
	return nil
}

// again is the outbox row for a row that is sent once more. It moves with the
// level only where the policy lets known levels be sent; otherwise nobody has
// approved anything but this very figure.
func (f *Full) again(ctx context.Context, m *matched, row *target.Row) (journal.Entry, error) {
	product, ok := m.surveyed.products[row.Key]
	if !ok {
		return journal.Entry{}, ErrNoFigure
	}
	c, err := f.card(ctx, product, row.Key)
	if err != nil {
		return journal.Entry{}, err
	}
	fig, err := f.figure(ctx, m.surveyed, c, m.entries[product], m.held[product])
	if err != nil {
		return journal.Entry{}, err
	}
	return journal.Entry{
		Product: product, Key: row.Key, Wanted: row.Quantity,
		Level: c.level.Quantity, LevelState: c.level.State, Basis: c.level.Last,
		Fixed: !m.surveyed.auto || !fig.fresh || c.level.State != stock.Known,
	}, nil
}

// matched is what is known of the products of some rows.
type matched struct {
	surveyed *surveyed
	entries  map[string]*journal.Entry
	held     map[string]*journal.Held
}

func (f *Full) match(ctx context.Context, rows []target.Row) (*matched, error) {
	s, err := f.known(ctx)
	if err != nil {
		return nil, err
	}
	m := &matched{surveyed: s, entries: make(map[string]*journal.Entry)}
	products := make([]string, 0, len(rows))
	for i := range rows {
		if product, ok := s.products[rows[i].Key]; ok {
			products = append(products, product)
		}
	}
	entries, err := f.e.journal.Entries(ctx, f.l.Name, products)
	if err != nil {
		return nil, err
	}
	for i := range entries {
		m.entries[entries[i].Product] = &entries[i]
	}
	m.held, err = f.e.journal.HeldOf(ctx, f.l.Name, products)
	return m, err
}
