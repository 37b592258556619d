package virtpos

import (
	"context"
	"errors"
	"fmt"

	"ostatok/agent/stock"
	"ostatok/sync/rest"
	"ostatok/sync/target"
)

// TargetOptions name the warehouse to keep in step.
type TargetOptions struct {
	Warehouse Ref
	External  bool // the keys of rows are external codes of items, not VirtPOS's numbers
}

// Target is one warehouse as a system to write to. Figures are what is
// physically there, never less reserves.
func (c *Client) Target(o TargetOptions) target.Target { return c.warehouse(o) }

// warehouse is one warehouse and what was learned of it. It is used by one
// goroutine at a time.
type warehouse struct {
	client *Client
	o      TargetOptions
	id     string             // VirtPOS's own number, "" until it is known
	items  map[string]string  // external code → VirtPOS's number; only when keys are external
	known  map[string]balance // by VirtPOS's number of the item
}

// balance is what VirtPOS was last known to hold of an item, over all its rows.
type balance struct {
	quantity stock.Quantity
	rows     int
	err      error // a row could not be read
}

func (c *Client) warehouse(o TargetOptions) *warehouse {
	return &warehouse{client: c, o: o, items: make(map[string]string), known: make(map[string]balance)}
}

// Traits: a figure is one request, and what is sold between the first and the
// last of a batch would be overwritten, so batches are small. Readings are not:
// many keys are one listing.
func (w *warehouse) Traits() target.Traits {
	return target.Traits{Name: "VirtPOS", Reads: true, Batch: 20, ReadBatch: 100_000, Precision: 1, FullRun: true}
}

// Read adds up what an item has in all its lots. An item that exists and has no
// balance row holds 0; one that VirtPOS does not know is not found. A row whose
// figure cannot be read ends the call with a RowError.
func (w *warehouse) Read(ctx context.Context, keys []string) ([]target.Observation, error) {
	if err := w.resolve(ctx, keys); err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(keys))
	for _, key := range keys {
		if id := w.item(key); id != "" {
			ids = append(ids, id)
		}
	}
	at := w.client.opts.Now().UnixMilli()
	seen, err := w.balances(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]target.Observation, len(keys))
	for i, key := range keys {
		out[i] = target.Observation{Key: key, At: at}
		b, ok := seen[w.item(key)]
		if !ok {
			continue
		}
		if b.err != nil {
			return nil, &RowError{key, fmt.Errorf("%w: %w", ErrFigure, b.err)}
		}
		out[i].Quantity, out[i].Found = b.quantity, true
	}
	return out, nil
}

// item is VirtPOS's number of a key, "" when there is none.
func (w *warehouse) item(key string) string {
	if w.o.External {
		return w.items[key]
	}
	return key
}

func (w *warehouse) ref(key string) Ref { return Ref{ID: key, External: w.o.External} }

// Write sets the figures one by one: there is no batch call. What concerns one
// item is that row's outcome. What concerns the key, the warehouse or the line
// ends the call, with the outcomes so far; what became of the row then under way
// is not known.
func (w *warehouse) Write(ctx context.Context, rows []target.Row) ([]target.Outcome, error) {
	out := make([]target.Outcome, 0, len(rows))
	asked := false
	for _, row := range rows {
		before, err := w.set(ctx, row.Key, row.Quantity)
		if isRefusal(err) && !asked {
			if err := w.refusesAll(ctx, err); err != nil {
				return out, err
			}
			asked = true
		}
		if err != nil && !isRefusal(err) && !isRow(err) {
			return out, err
		}
		out = append(out, target.Outcome{Key: row.Key, Err: err, Before: before})
	}
	return out, nil
}

// isRefusal tells whether VirtPOS refused the call and it is open whether for
// the item or for something else.
func isRefusal(err error) bool {
	switch rest.KindOf(err) {
	case rest.Invalid, rest.NotFound, rest.Gone:
		return true
	}
	return false
}

func isRow(err error) bool {
	_, ok := errors.AsType[*RowError](err)
	return ok
}

// refusesAll tells an item that is refused from an account that is: reasons come
// in free words only, so it asks for the warehouse, too. nil: it is the item.
func (w *warehouse) refusesAll(ctx context.Context, refusal error) error {
	found, err := w.find(ctx)
	switch {
	case err == nil && found != "":
		return nil
	case err == nil:
		return w.noWarehouse(refusal)
	case isRefusal(err) && rest.KindOf(err) == rest.Invalid:
		return &AccountError{Reason: "it refuses every call, check the key: " + refusal.Error(), kind: rest.Unauthorized, Err: refusal}
	case isRefusal(err):
		return &AccountError{Reason: "there is no interface at this address, check it: " + refusal.Error(), kind: rest.Forbidden, Err: refusal}
	}
	return err
}

func (w *warehouse) noWarehouse(refusal error) error {
	code := "number"
	if w.o.Warehouse.External {
		code = "external code"
	}
	return &AccountError{Reason: fmt.Sprintf("it knows no warehouse with the %s %q", code, w.o.Warehouse.ID), kind: rest.Forbidden, Err: refusal}
}

// set writes one figure and returns what was overwritten. An item whose rows are
// not known is read first: one that is kept by lots must not be written.
func (w *warehouse) set(ctx context.Context, key string, q stock.Quantity) (before *stock.Quantity, err error) {
	id := w.item(key)
	held, known := w.known[id]
	if id == "" || !known {
		seen, err := w.Read(ctx, []string{key})
		if err != nil {
			return nil, err
		}
		if !seen[0].Found {
			return nil, &RowError{key, ErrUnknown}
		}
		id = w.item(key)
		held = w.known[id]
	}
	return w.put(ctx, w.ref(key), id, held, q)
}

// put writes the figure of the item with VirtPOS's number id, of which held is
// known.
func (w *warehouse) put(ctx context.Context, item Ref, id string, held balance, q stock.Quantity) (before *stock.Quantity, err error) {
	switch {
	case held.rows > 1:
		return nil, &RowError{item.ID, ErrLots}
	case held.err != nil:
		return nil, &RowError{item.ID, fmt.Errorf("%w: %w", ErrFigure, held.err)}
	}
	var done Updated
	err = w.client.write(ctx, func() (err error) {
		done, err = w.client.UpdateOnhand(ctx, Update{Warehouse: w.o.Warehouse, Item: item, Quantity: q})
		return err
	})
	if err != nil {
		delete(w.known, id) // it may have been carried out all the same
		return nil, err
	}
	if err := w.confirm(item.ID, id, held, done); err != nil {
		return done.Before, err
	}
	w.known[id] = balance{quantity: q, rows: 1}
	return done.Before, nil
}

// confirm checks that what was changed is what was meant.
func (w *warehouse) confirm(key, id string, held balance, done Updated) error {
	switch {
	case done.Item != "" && done.Item != id, done.Warehouse != "" && w.id != "" && done.Warehouse != w.id:
		delete(w.known, id)
		delete(w.items, key)
		return &RowError{key, ErrOther}
	case done.New && held.rows > 0:
		w.known[id] = balance{rows: held.rows + 1}
		return &RowError{key, ErrNewRow}
	case done.Before != nil && *done.Before != held.quantity:
		w.client.opts.Log.Warn().Str("item", key).Stringer("believed", held.quantity).Stringer("before", *done.Before).
			Msg("a figure was changed by someone else before it was overwritten")
	}
	return nil
}
