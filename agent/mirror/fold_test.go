package mirror_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ostatok/agent/mirror"
	"ostatok/agent/stock"
)

// drawShop draws a catalogue and documents that make every kind of trouble:
// equal close times, numbers and devices, repeats of a product, full counts,
// products that nobody listed.
func drawShop(t *rapid.T) ([]stock.Product, []stock.Document) {
	var products []stock.Product
	ids := []string{"a", "b", "c", "d", "unlisted"}
	for _, id := range ids[:4] {
		products = append(products, stock.Product{
			ID: id, Created: rapid.SampledFrom([]int64{0, 1, 50, 120}).Draw(t, "created"),
			Type: rapid.SampledFrom([]string{"NORMAL", "NORMAL", "NORMAL", "SERVICE"}).Draw(t, "type"),
		})
	}
	types := []stock.Type{stock.Sell, stock.Sell, stock.Sell, stock.Payback, stock.Accept, stock.Return, stock.WriteOff,
		stock.Inventory, stock.Write, stock.Revaluation}
	var documents []stock.Document
	for n := range rapid.IntRange(1, 60).Draw(t, "documents") {
		d := stock.Document{
			ID: uuid(n), Type: rapid.SampledFrom(types).Draw(t, "type"),
			Device: rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "device"),
			Number: rapid.Int64Range(1, 3).Draw(t, "number"),
			Closed: rapid.Int64Range(1, 200).Draw(t, "closed"),
		}
		if n%5 == 0 {
			d.ID = fmt.Sprint("NOT-A-UUID-", n)
		}
		if rapid.Bool().Draw(t, "late") {
			d.Arrived = d.Closed + rapid.Int64Range(0, 50).Draw(t, "arrived")
		}
		if d.Type == stock.Write {
			d.Device = ""
		}
		if d.Type == stock.Inventory {
			d.Complete = rapid.SampledFrom([]stock.Completeness{
				stock.CompleteUnsaid, stock.CompleteYes, stock.CompleteNo, stock.CompleteNo}).Draw(t, "complete")
		}
		for range rapid.IntRange(1, 4).Draw(t, "lines") {
			d.Lines = append(d.Lines, stock.Line{
				Product:   rapid.SampledFrom(ids).Draw(t, "product"),
				Quantity:  stock.Quantity(1000 * rapid.Int64Range(1, 3).Draw(t, "quantity")),
				Stated:    stock.Quantity(1000 * rapid.Int64Range(-2, 6).Draw(t, "stated")),
				HasStated: d.Type != stock.Inventory && d.Type != stock.Write && rapid.IntRange(0, 3).Draw(t, "states") > 0,
			})
		}
		documents = append(documents, d)
	}
	return products, documents
}

// However documents come in, the levels are those of one fold in their order.
func TestAnyWayInGivesTheSameLevels(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		products, documents := drawShop(rt)
		coverage := mirror.Coverage{From: 1, Complete: rapid.Bool().Draw(rt, "complete")}
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		o := testOptions(dir)
		m, _, err := mirror.Open(t.Context(), o)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = m.Close() }()

		arriving := rapid.Permutation(documents).Draw(rt, "order")
		for range rapid.IntRange(0, 10).Draw(rt, "repeats") {
			arriving = append(arriving, rapid.SampledFrom(documents).Draw(rt, "repeat"))
		}
		listed := false
		deferred := 0
		reported := make(map[string]stock.Level)
		report := func(changes []mirror.Change) {
			for _, c := range changes {
				if last, ok := reported[c.Product]; ok && last != c.Before {
					rt.Fatalf("%s: change from %+v, reported before %+v", c.Product, c.Before, last)
				}
				reported[c.Product] = c.After
			}
		}
		for len(arriving) > 0 {
			n := rapid.IntRange(1, len(arriving)).Draw(rt, "batch")
			b := mirror.Batch{Defer: rapid.Bool().Draw(rt, "defer")}
			for i, d := range arriving[:n] {
				b.Documents = append(b.Documents, mirror.Document{Document: d, Raw: fmt.Append(nil, d.ID, i)})
			}
			arriving = arriving[n:]
			if b.Defer {
				deferred++
			}
			r, err := m.PutDocuments(t.Context(), b)
			if err != nil {
				rt.Fatal(err)
			}
			report(r.Levels)
			if !listed && rapid.Bool().Draw(rt, "catalogue") {
				if err := m.PutProducts(t.Context(), 1, 1, products); err != nil {
					rt.Fatal(err)
				}
				listed = true
				clear(reported) // a card may move a level, which nobody is told
			}
			switch rapid.IntRange(0, 5).Draw(rt, "between") {
			case 0:
				if err := m.Close(); err != nil {
					rt.Fatal(err)
				}
				if m, _, err = mirror.Open(t.Context(), o); err != nil {
					rt.Fatal(err)
				}
			case 1:
				changes, err := m.Fold(t.Context(), nil)
				if err != nil {
					rt.Fatal(err)
				}
				report(changes)
			}
		}
		if err := m.PutProducts(t.Context(), 2, 1, products); err != nil {
			rt.Fatal(err)
		}
		devices := []mirror.Device{{ID: "x", Created: rapid.Int64Range(0, 100).Draw(rt, "activated")}, {ID: "y"}}
		if _, err := m.PutDevices(t.Context(), devices); err != nil {
			rt.Fatal(err)
		}
		if _, err := m.PutDocuments(t.Context(), mirror.Batch{Coverage: &coverage, Defer: true}); err != nil {
			rt.Fatal(err)
		}
		if _, err := m.Fold(t.Context(), nil); err != nil {
			rt.Fatal(err)
		}
		got := levels(t, m)
		want := direct(o, coverage, devices, products, documents)
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("levels differ (-direct +mirror):\n%s", diff)
		}
		for _, id := range slices.Sorted(maps.Keys(want)) {
			steps, err := m.Explain(t.Context(), id)
			if err != nil {
				rt.Fatal(err)
			}
			if n := len(steps); n > 0 && want[id].Valued() && steps[n-1].Level != want[id].Quantity {
				rt.Fatalf("%s: the chain ends at %s, the level is %s", id, steps[n-1].Level, want[id].Quantity)
			}
		}
		for _, d := range documents {
			raw, err := m.Raw(t.Context(), d.ID)
			if err != nil || !bytes.HasPrefix(raw, []byte(d.ID)) {
				rt.Fatalf("raw of %s: %q, %v", d.ID, raw, err)
			}
		}
		if err := m.DB().Check(t.Context()); err != nil {
			rt.Fatal(err)
		}
	})
}

// A long chain goes through checkpoints; late documents go back to them.
func TestLateDocumentsInALongChain(t *testing.T) {
	m := open(t, testOptions(t.TempDir()))
	var documents []stock.Document
	var batch mirror.Batch
	for n := range 3000 {
		d := sale(n, "bread", int64(10_000+10*n), 1000, stock.Quantity(1000*(5000-n)))
		documents = append(documents, d.Document)
		if n%100 != 50 {
			batch.Documents = append(batch.Documents, d)
		}
		if len(batch.Documents) == 700 || n == 2999 {
			put(t, m, batch)
			batch.Documents = nil
		}
	}
	for n := 2950; n >= 0; n -= 100 {
		put(t, m, mirror.Batch{Documents: []mirror.Document{{Document: documents[n]}}})
	}
	want := direct(testOptions(""), mirror.Coverage{}, nil, nil, documents)
	if diff := cmp.Diff(want, levels(t, m)); diff != "" {
		t.Fatalf("levels differ (-direct +mirror):\n%s", diff)
	}
	steps, err := m.Explain(t.Context(), "bread")
	if err != nil || len(steps) != 3000 || steps[2999].Movement.Document != uuid(2999) {
		t.Fatalf("%d steps, %v", len(steps), err)
	}
	var segments int
	if err := m.DB().Read().QueryRow("SELECT count(*) FROM segment").Scan(&segments); err != nil || segments < 20 {
		t.Fatalf("%d segments, %v", segments, err)
	}
}

// Chains of many segments, with ties and counts, in any order and any batches.
func TestLongChainsAnyWayIn(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 7))
			m := open(t, testOptions(t.TempDir()))
			products := []stock.Product{{ID: "a", Created: 1}, {ID: "b"}, {ID: "c", Created: 400}}
			if err := m.PutProducts(t.Context(), 1, 1, products); err != nil {
				t.Fatal(err)
			}
			var documents []stock.Document
			types := []stock.Type{stock.Sell, stock.Sell, stock.Sell, stock.Payback, stock.Accept}
			for n := range 1500 {
				d := stock.Document{ID: uuid(n), Type: types[random.IntN(len(types))], Device: string(rune('x' + random.IntN(3))),
					Number: int64(n), Closed: 1 + random.Int64N(1000)}
				if random.IntN(200) == 0 {
					d.Type, d.Complete = stock.Inventory, stock.CompleteYes
				}
				for _, id := range []string{"a", "b", "c"}[:1+random.IntN(3)] {
					d.Lines = append(d.Lines, stock.Line{Product: id, Quantity: stock.Quantity(1000 * (1 + random.Int64N(3))),
						Stated: stock.Quantity(1000 * random.Int64N(9)), HasStated: random.IntN(3) > 0})
				}
				documents = append(documents, d)
			}
			random.Shuffle(len(documents), func(i, j int) { documents[i], documents[j] = documents[j], documents[i] })
			for rest := documents; len(rest) > 0; {
				n := min(len(rest), 1+random.IntN(300))
				b := mirror.Batch{Defer: random.IntN(3) == 0}
				for _, d := range rest[:n] {
					b.Documents = append(b.Documents, mirror.Document{Document: d})
				}
				put(t, m, b)
				rest = rest[n:]
			}
			if _, err := m.Fold(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			want := direct(testOptions(""), mirror.Coverage{}, nil, products, documents)
			if diff := cmp.Diff(want, levels(t, m)); diff != "" {
				t.Fatalf("levels differ (-direct +mirror):\n%s", diff)
			}
			if c, err := m.Counts(t.Context()); err != nil || c.Movements < 2000 {
				t.Fatalf("%+v, %v", c, err)
			}
		})
	}
}
