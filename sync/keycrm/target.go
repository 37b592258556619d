package keycrm

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ostatok/agent/stock"
	"ostatok/sync/rest"
	"ostatok/sync/target"
)

// TargetOptions say which figures a target writes, and how. Only Warehouse is
// required.
type TargetOptions struct {
	Name      string // for people, "" is "KeyCRM"
	Warehouse string // the id of the warehouse, digits only
	ByOffer   bool   // keys are ids of offers; otherwise SKUs

	// Batch is the most rows of one write, 0 is 200. Every figure of a batch is
	// as old as the batch, and checking it costs a request for each PageRows.
	Batch int

	// Precision is the smallest step that is written, 0 is a thousandth: the
	// document says "number", and decimals are nowhere shown. stock.Unit is
	// whole numbers.
	Precision stock.Quantity

	// Negative writes figures below zero as they are; whether KeyCRM takes them is
	// not documented. Otherwise they become 0, because it sells from them.
	Negative bool
}

const batchRows = 200

// Target is one warehouse as a system to write to. Its figures are quantities,
// reserved goods included (backends.md §3.6).
func (c *Client) Target(o TargetOptions) (target.Target, error) {
	id, err := strconv.ParseInt(o.Warehouse, 10, 64)
	if err != nil || id <= 0 {
		return nil, fmt.Errorf("cannot use %q as a KeyCRM warehouse: set the target's warehouse to its number in the account", o.Warehouse)
	}
	switch {
	case o.Batch < 0 || o.Batch > BatchRows:
		return nil, fmt.Errorf("cannot write %d rows at once: KeyCRM takes 1 to %d", o.Batch, BatchRows)
	case o.Precision < 0:
		return nil, fmt.Errorf("cannot write in steps of %s", o.Precision)
	}
	if o.Batch == 0 {
		o.Batch = batchRows
	}
	if o.Precision == 0 {
		o.Precision = 1
	}
	if o.Name == "" {
		o.Name = "KeyCRM"
	}
	return &warehouse{client: c, id: id, o: o, ids: make(map[string][]int64), shared: make(map[string][]int64)}, nil
}

type warehouse struct {
	client *Client
	id     int64
	o      TargetOptions

	ids    map[string][]int64 // offers of SKUs that cannot be asked for, as far as they are known
	swept  time.Time          // when they were last looked for
	shared map[string][]int64 // SKUs that several offers have, as last read
}

func (w *warehouse) Traits() target.Traits {
	return target.Traits{
		Name: w.o.Name, Reads: true, Batch: w.o.Batch, ReadBatch: w.client.opts.PageRows,
		Precision: w.o.Precision, Sells: !w.o.Negative,
	}
}

// Read reads the figures of the warehouse. A SKU that several offers have is
// told as not found: there is no figure that could be said to be its own.
func (w *warehouse) Read(ctx context.Context, keys []string) ([]target.Observation, error) {
	found := make(map[string][]Offer, len(keys))
	if w.o.ByOffer {
		if err := w.readOffers(ctx, keys, found); err != nil {
			return nil, err
		}
	} else if err := w.readSKUs(ctx, keys, found); err != nil {
		return nil, err
	}
	now := w.client.opts.Now().UnixMilli()
	var out []target.Observation
	for _, key := range keys {
		o := target.Observation{Key: key, At: now}
		delete(w.shared, key)
		switch offers := found[key]; len(offers) {
		case 0:
		case 1:
			f, err := offers[0].In(w.id)
			if errors.Is(err, errNoWarehouses) {
				return nil, undivided(err)
			}
			if err != nil {
				w.client.opts.Log.Warn().Str("key", key).Err(err).Msg("keycrm figure cannot be read")
				continue // there is one, and nobody knows which
			}
			o.Quantity, o.Found = f.Quantity, true
		default:
			for i := range offers {
				w.shared[key] = append(w.shared[key], offers[i].ID)
			}
			o.Reason = fmt.Sprintf("%d offers share this SKU: %s; give each its own in KeyCRM", len(offers), numbers(w.shared[key]))
			w.client.opts.Log.Warn().Str("sku", key).Ints64("offers", w.shared[key]).Msg("keycrm has several offers of one sku")
		}
		out = append(out, o)
	}
	return out, nil
}

func (w *warehouse) readOffers(ctx context.Context, keys []string, found map[string][]Offer) error {
	var ids []int64
	for _, key := range keys {
		// A key that is no number names no offer, which is told as not found.
		if id, err := strconv.ParseInt(key, 10, 64); err == nil && id > 0 && strconv.FormatInt(id, 10) == key {
			ids = append(ids, id)
		}
	}
	return w.client.ByID(ctx, ids, func(o Offer) error {
		key := strconv.FormatInt(o.ID, 10)
		found[key] = append(found[key], o)
		return nil
	})
}

func (w *warehouse) readSKUs(ctx context.Context, keys []string, found map[string][]Offer) error {
	var skus []string
	awkward := make(map[string]bool)
	for _, key := range keys {
		if Askable(key) {
			skus = append(skus, key)
		} else if key != "" {
			awkward[key] = true
		}
	}
	each := func(o Offer) error {
		found[o.SKU] = append(found[o.SKU], o)
		return nil
	}
	if err := w.client.BySKU(ctx, skus, each); err != nil {
		return err
	}
	if len(awkward) == 0 {
		return nil
	}
	return w.readAwkward(ctx, awkward, found)
}

// sweepEvery is how often all offers are read for the sake of SKUs that cannot
// be asked for and whose offers are not known.
const sweepEvery = 24 * time.Hour

// readAwkward reads SKUs that cannot be asked for, by the ids of their offers,
// which a sweep finds.
func (w *warehouse) readAwkward(ctx context.Context, skus map[string]bool, found map[string][]Offer) error {
	var ids []int64
	unknown := false
	for sku := range skus {
		ids = append(ids, w.ids[sku]...)
		unknown = unknown || len(w.ids[sku]) == 0
	}
	now := w.client.opts.Now()
	if age := now.Sub(w.swept); unknown && (w.swept.IsZero() || age < 0 || age >= sweepEvery) {
		var offers map[string][]Offer
		err := w.client.Sweep(ctx, func() { offers = make(map[string][]Offer) }, func(o Offer) error {
			if !Askable(o.SKU) && o.SKU != "" {
				offers[o.SKU] = append(offers[o.SKU], o)
			}
			return nil
		})
		if err != nil {
			return err
		}
		w.swept = now
		clear(w.ids)
		for sku, list := range offers {
			for i := range list {
				w.ids[sku] = append(w.ids[sku], list[i].ID)
			}
			if skus[sku] {
				found[sku] = list
			}
		}
		return nil
	}
	return w.client.ByID(ctx, ids, func(o Offer) error {
		if skus[o.SKU] { // it may have been given another one
			found[o.SKU] = append(found[o.SKU], o)
		}
		return nil
	})
}

// Write sets the figures of the warehouse. Accepted rows may still be unknown to
// KeyCRM: only reading them proves anything. A refused call tells nothing about
// single rows, so the engine looks in halves for the one to blame.
func (w *warehouse) Write(ctx context.Context, rows []target.Row) ([]target.Outcome, error) {
	outcomes := make([]target.Outcome, 0, len(rows))
	send := make([]Row, 0, len(rows))
	sent := make([]string, 0, len(rows))
	for _, row := range rows {
		r, err := w.row(row)
		if err != nil {
			outcomes = append(outcomes, target.Outcome{Key: row.Key, Err: err})
			continue
		}
		send, sent = append(send, r), append(sent, row.Key)
	}
	if len(send) == 0 {
		return outcomes, nil
	}
	w.client.own.wrote(send, w.client.opts.Now())
	if err := w.client.SetStocks(ctx, w.id, send); err != nil {
		if !rest.Retryable(err) && rest.KindOf(err) != "" {
			w.client.own.forget(send) // certainly not carried out, so there is no echo
		}
		return outcomes, err
	}
	for _, key := range sent {
		outcomes = append(outcomes, target.Outcome{Key: key})
	}
	return outcomes, nil
}

func (w *warehouse) row(row target.Row) (Row, error) {
	if offers := w.shared[row.Key]; len(offers) > 0 {
		return Row{}, &SharedError{SKU: row.Key, Offers: offers}
	}
	if !w.o.ByOffer {
		return Row{SKU: row.Key, Quantity: row.Quantity}, nil
	}
	id, err := strconv.ParseInt(row.Key, 10, 64)
	if err != nil || id <= 0 {
		return Row{}, &KeyError{Key: row.Key}
	}
	return Row{Offer: id, Quantity: row.Quantity}, nil
}

// SharedError refuses a row: nobody could say which offer the figure is of.
type SharedError struct {
	SKU    string
	Offers []int64
}

func (e *SharedError) Error() string {
	return fmt.Sprintf("cannot set the stock of SKU %q: the offers %s share it, give each its own in KeyCRM", e.SKU, numbers(e.Offers))
}

// numbers lists ids for people.
func numbers(ids []int64) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.FormatInt(id, 10)
	}
	return strings.Join(texts, ", ")
}

// KeyError refuses a row whose key is no id of an offer.
type KeyError struct{ Key string }

func (e *KeyError) Error() string {
	return fmt.Sprintf("cannot set the stock of %q: it is not the number of an offer in KeyCRM, correct the mapping", e.Key)
}
