package zelenka

import (
	"context"
	"errors"

	"ostatok/agent/stock"
	"ostatok/sync/rest"
	"ostatok/sync/target"
)

// TargetOptions name the point of sale to keep in step.
type TargetOptions struct {
	Warehouse Warehouse
}

// Target is one point of sale as a system to write to. Keys are the supplier's
// item codes. Figures are what may be sold: Zelenka has no reserves.
func (c *Client) Target(o TargetOptions) target.Target { return &pointOfSale{c, o.Warehouse} }

type pointOfSale struct {
	client    *Client
	warehouse Warehouse
}

// BatchRows is the most rows in one Write: half a megabyte of the sixteen that
// Zelenka takes, because a figure is computed when its batch is sent.
const BatchRows = 10_000

// Traits: nothing can be read back, so accepted is the best there is.
func (p *pointOfSale) Traits() target.Traits {
	return target.Traits{Name: "Zelenka", Batch: BatchRows, BatchBytes: MaxBody / 2, Precision: stock.Unit, Sells: true, FullRun: true}
}

var errWriteOnly = errors.New("cannot read stock from Zelenka: it has no call for that")

// Read always fails.
func (p *pointOfSale) Read(context.Context, []string) ([]target.Observation, error) {
	return nil, errWriteOnly
}

// Write sends the rows in as few requests as they fit into. What Zelenka says of
// a row is that row's outcome. What concerns the account, the point of sale or
// the line ends the call, with the outcomes so far. While a full run is under way
// the error is a *BusyError.
func (p *pointOfSale) Write(ctx context.Context, rows []target.Row) ([]target.Outcome, error) {
	select {
	case p.client.lane <- struct{}{}:
		defer func() { <-p.client.lane }()
	default:
		return nil, &BusyError{}
	}
	w := &writing{pointOfSale: p, narrowing: narrowingMost}
	rows = w.sort(rows)
	for len(rows) > 0 {
		n := w.fits(rows)
		if err := w.send(ctx, rows[:n]); err != nil {
			return w.outcomes, err
		}
		rows = rows[n:]
	}
	return w.outcomes, nil
}

// narrowingMost is how many requests one Write may spend on finding out which
// rows were taken when an answer does not add up.
const narrowingMost = 64

// writing is one call of Write.
type writing struct {
	*pointOfSale
	outcomes  []target.Outcome
	narrowing int
}

func (w *writing) tell(key string, err error) {
	w.outcomes = append(w.outcomes, target.Outcome{Key: key, Err: err})
}

var errTwice = errors.New("it is in the list twice")

// sort takes out the rows that cannot be sent.
func (w *writing) sort(rows []target.Row) []target.Row {
	good := make([]target.Row, 0, len(rows))
	seen := make(map[string]bool, len(rows))
	for _, row := range rows {
		err := checkKey(row.Key)
		if err == nil && seen[row.Key] {
			err = errTwice
		}
		if err != nil {
			w.tell(row.Key, &KeyError{row.Key, err})
			continue
		}
		seen[row.Key] = true
		good = append(good, row)
	}
	return good
}

// fits is how many of the rows go into one request.
func (w *writing) fits(rows []target.Row) int {
	size := 1
	for i, row := range rows {
		// Six bytes is what the longest escape makes of one.
		size += 6*len(row.Key) + 96
		if size > MaxBody && i > 0 {
			return i
		}
	}
	return len(rows)
}

// send sends rows in one request and tells what became of them. When the answer
// does not add up, it looks in halves for the rows that are to blame, and asks
// for those one by one: update says what was taken.
func (w *writing) send(ctx context.Context, rows []target.Row) error {
	t, err := w.client.batch(ctx, w.warehouse, rows)
	if err != nil {
		return err
	}
	open := rows[:0:0]
	for _, row := range rows {
		if refusal := t.refused[row.Key]; refusal != nil {
			w.tell(row.Key, refusal)
			continue
		}
		open = append(open, row)
	}
	if t.adds(len(rows)) {
		for _, row := range open {
			w.tell(row.Key, nil)
		}
		return nil
	}
	fault := &CountError{Rows: len(rows), Taken: t.taken, Refused: len(t.refused), Nameless: t.nameless}
	w.client.opts.Log.Warn().Stringer("warehouse", w.warehouse).Int("rows", fault.Rows).Int64("taken", fault.Taken).
		Int("refused", fault.Refused).Int("nameless", fault.Nameless).Msg("zelenka's answer does not add up")
	return w.narrow(ctx, open, fault)
}

func (w *writing) narrow(ctx context.Context, rows []target.Row, fault *CountError) error {
	switch {
	case len(rows) == 0:
		return nil
	case w.narrowing <= 0:
		for _, row := range rows {
			w.tell(row.Key, fault)
		}
		return nil
	case len(rows) == 1:
		w.narrowing--
		return w.single(ctx, rows[0])
	}
	w.narrowing -= 2
	half := len(rows) / 2
	if err := w.send(ctx, rows[:half]); err != nil {
		return err
	}
	return w.send(ctx, rows[half:])
}

func (w *writing) single(ctx context.Context, row target.Row) error {
	taken, err := w.client.Update(ctx, w.warehouse, row)
	switch rest.KindOf(err) {
	case rest.NotFound, rest.Gone, rest.Invalid:
		w.tell(row.Key, err)
		return nil
	}
	if err != nil {
		return err
	}
	if sent := Whole(row.Quantity); taken.Quantity != sent {
		err = &TakenError{Key: row.Key, Sent: sent.String(), Taken: taken.Quantity.String()}
	}
	w.tell(row.Key, err)
	return nil
}
