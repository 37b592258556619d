package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"ostatok/agent/config"
	"ostatok/agent/local"
	"ostatok/agent/mirror"
	"ostatok/agent/stock"
	"ostatok/sync/evotor"
)

// note remembers what the documents tell of each product now, which is what may
// be written until the shop lives on.
func (r *round) note(ctx context.Context) error {
	_, products, err := r.sandbox.truth(ctx)
	if err != nil {
		return err
	}
	for id, p := range products {
		if p.Told == nil {
			continue
		}
		if r.told[id] == nil {
			r.told[id] = map[stock.Quantity]bool{}
		}
		r.told[id][*p.Told] = true
	}
	return nil
}

// write is a figure that was written while the shop stood still at a time.
type write struct {
	product string
	q       stock.Quantity
	at      time.Time
}

// judgeWrites judges every figure that was written since the last time. What
// is not told by the documents may still be what the rules make of them; that is
// judged in the end.
func (r *round) judgeWrites(ctx context.Context) error {
	at, products, err := r.sandbox.truth(ctx)
	if err != nil {
		return err
	}
	for id, p := range products {
		for _, q := range p.Patched[r.patched[id]:] {
			if q == spoilt {
				continue // not the agent's
			}
			r.t.patches++
			told := slices.Sorted(maps.Keys(r.told[id]))
			if !r.t.check(len(told) > 0, "product %s was set to %s and no document tells of it", id, q) {
				continue
			}
			r.t.check(q > 0 || told[0] <= 0, "product %s was set to %s; there were never less than %s", id, q, told[0])
			if r.told[id][q] {
				r.t.passed++
			} else {
				r.odd = append(r.odd, write{id, q, at})
			}
		}
		r.patched[id] = len(p.Patched)
	}
	return nil
}

// judge compares what the agent came to with what the shop knows.
func (r *round) judge(ctx context.Context) error {
	_, products, err := r.sandbox.truth(ctx)
	if err != nil {
		return err
	}
	e, err := execute(ctx, r.bin, r.log(), nil, "--config", r.config("auto"), "stock", "--format", "json")
	if err != nil {
		return err
	}
	var items []local.Item
	if err := json.Unmarshal(e.out, &items); err != nil || e.code != 0 {
		return fmt.Errorf("stock --format json: exit code %d, %w", e.code, err)
	}
	r.judgeLevels(products, items)
	for state, n := range r.last.outbox {
		r.t.check(state == "verified", "%d figures are %s", n, state)
	}

	c, err := config.Load(r.config("auto"), nil)
	if err != nil {
		return fmt.Errorf("cannot read the configuration: %w", err)
	}
	m, err := r.open(ctx, c, r.data)
	if err != nil {
		return err
	}
	defer m.Close()
	documents, err := r.judgeDocuments(ctx, m)
	if err != nil {
		return err
	}
	bad, err := m.Quarantine(ctx, 0)
	if err != nil {
		return fmt.Errorf("cannot read the quarantine: %w", err)
	}
	for _, b := range bad {
		r.t.check(b.Where == "products" && r.cards > 0, "set aside though nothing was wrong with it: %s %s, %s", b.Where, b.ID, b.Reason)
	}
	return r.judgeChains(ctx, c, m, documents, products)
}

func (r *round) judgeLevels(products map[string]truth, items []local.Item) {
	t, seen := r.t, map[string]bool{}
	for i := range items {
		item := &items[i]
		p, there := products[item.Product]
		t.check(there && !seen[item.Product], "product %s is not in the catalogue, or is listed twice", item.Product)
		seen[item.Product] = true
		if !there || p.Told == nil {
			t.check(item.Quantity == nil, "product %s has a stock of %v and no document tells of it", item.Product, item.Quantity)
			continue
		}
		t.products++
		switch {
		case item.State == stock.Known && item.Quantity != nil:
			t.known++
			t.figures++
			if *item.Quantity == *p.Told {
				t.passed++
			} else {
				// Whether a kill is to blame, the comparison of the chains tells.
				t.wrong++
				t.say("the rules are mistaken: product %s is known to be %s; the documents tell %s", item.Product, item.Quantity, p.Told)
			}
			t.check(p.Cloud == *item.Quantity, "product %s is %s and the cloud holds %s", item.Product, item.Quantity, p.Cloud)
		case item.State == stock.Assumed:
			t.assumed++
		default:
			t.silent++
		}
	}
	for id, p := range products {
		t.check(seen[id] || p.Told == nil, "product %s is missing", id)
	}
}

// open opens a mirror as the agent does.
func (r *round) open(ctx context.Context, c *config.Config, dir string) (*mirror.Mirror, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot open the mirror: %w", err)
	}
	m, notice, err := mirror.Open(ctx, mirror.Options{
		Dir: dir, Store: c.Store, Rules: c.Stock.Options(), Method: c.Stock.Method, Pinned: c.Stock.Pinned(), Keep: c.Mirror.Keep,
	})
	if err != nil {
		return nil, fmt.Errorf("cannot open the mirror: %w", err)
	}
	r.t.check(notice == nil, "%s had to be mended: %v", dir, notice)
	return m, nil
}

// bodyEvery is of how many documents the exact body is compared.
const bodyEvery = 10

// judgeDocuments compares the mirror's documents with the cloud's and returns
// those that it must have.
func (r *round) judgeDocuments(ctx context.Context, m *mirror.Mirror) ([]mirror.Document, error) {
	coverage, err := m.Coverage(ctx)
	if err != nil {
		return nil, err
	}
	cloud, err := r.cloud(ctx)
	if err != nil {
		return nil, err
	}
	have, err := documentIDs(ctx, filepath.Join(r.dir, "look", "mirror.db"), mirror.Cloud)
	if err != nil {
		return nil, err
	}
	times := map[string]int{}
	for _, id := range have {
		times[id]++
	}
	var must []mirror.Document
	for i := range cloud {
		d := &cloud[i]
		n := times[d.ID]
		delete(times, d.ID)
		if d.Closed < coverage.From && n == 0 {
			continue
		}
		r.t.documents++
		r.t.check(n == 1, "document %s of %s is in the mirror %d times", d.ID, time.UnixMilli(d.Closed).UTC(), n)
		if i%bodyEvery == 0 && n == 1 {
			raw, err := m.Raw(ctx, d.ID)
			r.t.check(err == nil && string(raw) == string(d.Raw), "the body of document %s is not what was received: %v", d.ID, err)
		}
		must = append(must, *d)
	}
	for id := range times {
		r.t.check(false, "document %s is in the mirror and not in the cloud", id)
	}
	return must, nil
}

// cloud reads all documents of the cloud.
func (r *round) cloud(ctx context.Context) ([]mirror.Document, error) {
	client, err := evotor.New(evotor.Options{URL: r.sandbox.URL, Token: r.sandbox.Token})
	if err != nil {
		return nil, fmt.Errorf("cannot ask the cloud: %w", err)
	}
	defer client.Close()
	var all []mirror.Document
	for cursor := ""; ; {
		page, err := client.Documents(ctx, evotor.DocumentsQuery{Store: r.sandbox.Store, Cursor: cursor}, func(i evotor.Item[stock.Document]) error {
			all = append(all, mirror.Document{Document: i.Value, Raw: slices.Clone(i.Raw), Source: mirror.Cloud})
			return i.Err
		})
		if err != nil {
			return nil, fmt.Errorf("cannot read the cloud's documents: %w", err)
		}
		if cursor = page.Next; cursor == "" {
			return all, nil
		}
	}
}

// judgeChains builds a mirror at once from the same documents and compares
// every level and every step behind it: a movement that is missing, or there
// twice, or was folded too early, shows.
func (r *round) judgeChains(ctx context.Context, c *config.Config, m *mirror.Mirror, documents []mirror.Document, products map[string]truth) error {
	var rows []mirror.Row
	var cards []stock.Product
	chains := map[string][]stock.Step{}
	for row, err := range m.Rows(ctx, mirror.Query{Deleted: true}) {
		if err != nil {
			return fmt.Errorf("cannot read levels: %w", err)
		}
		steps, err := m.Explain(ctx, row.ID)
		if err != nil {
			return err
		}
		rows, cards, chains[row.ID] = append(rows, row), append(cards, row.Product), steps
		writes := own(steps)
		documents = append(documents, writes...)
		if patched := products[row.ID].Patched; len(patched) > 0 {
			lost := unnoted(patched, writes)
			r.t.check(lost == 0, "product %s was written %d times without a note in its chain", row.ID, lost)
		}
	}
	whole, err := r.open(ctx, c, filepath.Join(r.dir, "at-once"))
	if err != nil {
		return err
	}
	defer whole.Close()
	devices, err := m.Devices(ctx)
	if err != nil {
		return err
	}
	coverage, err := m.Coverage(ctx)
	if err != nil {
		return err
	}
	if err := whole.PutProducts(ctx, 1, time.Now().UnixMilli(), cards); err != nil {
		return err
	}
	if _, err := whole.PutDevices(ctx, devices); err != nil {
		return err
	}
	if _, err := whole.PutDocuments(ctx, mirror.Batch{Documents: documents, Coverage: &coverage, Defer: true}); err != nil {
		return err
	}
	if _, err := whole.Fold(ctx, nil); err != nil {
		return err
	}
	for _, row := range rows {
		same, err := whole.Row(ctx, row.ID)
		if err != nil {
			return err
		}
		r.t.check(same.Level == row.Level, "product %s is %+v; built at once it is %+v", row.ID, row.Level, same.Level)
		steps, err := whole.Explain(ctx, row.ID)
		if err != nil {
			return err
		}
		r.t.steps += len(steps)
		r.judgeOdd(row.ID, steps)
		r.t.check(reflect.DeepEqual(steps, chains[row.ID]), "product %s: %s", row.ID, difference(chains[row.ID], steps))
	}
	return nil
}

// judgeOdd judges figures of one product that no document tells: they must be
// what the rules made of the documents of that time.
func (r *round) judgeOdd(product string, steps []stock.Step) {
	for _, w := range r.odd {
		if w.product != product {
			continue
		}
		level := stock.Quantity(0)
		for i := range steps {
			if m := &steps[i].Movement; m.Type != stock.Write && m.Closed <= w.at.UnixMilli() {
				level = steps[i].Level
			}
		}
		r.t.misled++
		r.t.check(w.q == level, "product %s was set to %s at %s, when it was %s; documents told %v", product, w.q, w.at.UTC(), level,
			slices.Collect(maps.Keys(r.told[product])))
	}
}

// unnoted counts the figures that the chain does not name. Also a kill between
// the cloud's answer and the note of it must leave none: the shop stands still,
// so the cloud still holds the figure when it is looked at.
func unnoted(patched []stock.Quantity, writes []mirror.Document) int {
	n := 0
	for _, q := range patched {
		if q != spoilt && !slices.ContainsFunc(writes, func(w mirror.Document) bool { return w.Lines[0].Quantity == q }) {
			n++
		}
	}
	return n
}

// own are the figures that the agent wrote, as documents.
func own(steps []stock.Step) []mirror.Document {
	var writes []mirror.Document
	for i := range steps {
		m := &steps[i].Movement
		if m.Type != stock.Write {
			continue
		}
		writes = append(writes, mirror.Document{Source: mirror.Own, Document: stock.Document{
			ID: m.Document, Type: m.Type, Device: m.Device, Number: m.Number, Closed: m.Closed, Arrived: m.Arrived,
			Lines: []stock.Line{{Product: m.Product, Quantity: m.Moved}},
		}})
	}
	return writes
}

func difference(have, want []stock.Step) string {
	for i := range min(len(have), len(want)) {
		if !reflect.DeepEqual(have[i], want[i]) {
			return fmt.Sprintf("step %d of %d is %+v; built at once it is %+v", i+1, len(have), have[i], want[i])
		}
	}
	return fmt.Sprintf("its chain has %d steps; built at once it has %d", len(have), len(want))
}
