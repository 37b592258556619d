package mirror_test

import (
	"maps"
	"slices"
	"testing"

	"ostatok/agent/mirror"
	"ostatok/agent/stock"
)

// A brief must say what the row says, for every product and every search.
func TestBriefsAgreeWithRows(t *testing.T) {
	m := open(t, testOptions(t.TempDir()))
	put := []stock.Product{
		{ID: "bread", Type: "NORMAL", Name: "Хлеб Бородинский", Code: "1", Barcodes: []string{"4600001"}, Cloud: 5000, HasCloud: true},
		{ID: "milk", Type: "NORMAL", Name: "МОЛОКО", Code: "2", Article: "M-1"},
		{ID: "tea", Type: "NORMAL", Name: "Чай", Code: "3"},
		{ID: "delivery", Type: "SERVICE", Name: "Доставка хлеба", Code: "4"},
	}
	if err := m.PutProducts(t.Context(), 1, 1, put); err != nil {
		t.Fatal(err)
	}
	for n, product := range []string{"bread", "milk"} {
		_, err := m.PutDocuments(t.Context(), mirror.Batch{Documents: []mirror.Document{{Document: stock.Document{
			ID: "d-" + product, Type: stock.Sell, Device: "till", Number: int64(n + 1), Closed: 1_700_000_000_000 + int64(n),
			Lines: []stock.Line{{Product: product, Quantity: 7000, Stated: 4000, HasStated: true}},
		}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{"", "хлеб", "ЧАЙ", "M-1", "4600001", "2", "bread", "nothing"} {
		want := make(map[string]mirror.Brief)
		for r, err := range m.Rows(t.Context(), mirror.Query{Text: text}) {
			if err != nil {
				t.Fatal(err)
			}
			if r.Service() {
				continue
			}
			b := mirror.Brief{ID: r.ID, State: r.Level.State, Cloud: r.Cloud, HasCloud: r.HasCloud}
			if r.Level.Valued() {
				b.Quantity = r.Level.Quantity
			}
			want[r.ID] = b
		}
		got := make(map[string]mirror.Brief)
		for b, err := range m.Briefs(t.Context(), text) {
			if err != nil {
				t.Fatal(err)
			}
			b.Lower = ""
			got[b.ID] = b
		}
		if !maps.Equal(got, want) {
			t.Errorf("%q: %+v, the rows say %+v", text, got, want)
		}
	}
	states := make(map[stock.State]int)
	for b, err := range m.Briefs(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		states[b.State]++
	}
	if counts, err := m.Counts(t.Context()); err != nil || !maps.Equal(counts.States, states) {
		t.Errorf("counted %v, %v; the lists have %v", counts.States, err, states)
	}
	rows, err := m.RowsOf(t.Context(), []string{"tea", "bread", "nothing"})
	if err != nil || !slices.Equal(slices.Sorted(maps.Keys(rows)), []string{"bread", "tea"}) {
		t.Errorf("rows %v, %v", rows, err)
	}
}

// What came in since the last look is all that is read.
func TestLastClosed(t *testing.T) {
	m := open(t, testOptions(t.TempDir()))
	sell := func(id, device string, closed int64, source mirror.Source) {
		t.Helper()
		_, err := m.PutDocuments(t.Context(), mirror.Batch{Documents: []mirror.Document{{Source: source, Document: stock.Document{
			ID: id, Type: stock.Sell, Device: device, Number: closed, Closed: closed,
			Lines: []stock.Line{{Product: "bread", Quantity: 1000}},
		}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	look := func(after int64, want map[string]int64) (next int64) {
		t.Helper()
		last, next, err := m.LastClosed(t.Context(), after)
		if err != nil || !maps.Equal(last, want) {
			t.Fatalf("%v, %v, want %v", last, err, want)
		}
		return next
	}
	sell("a", "till-1", 20, mirror.Cloud)
	sell("b", "till-1", 10, mirror.Cloud)
	sell("c", "till-2", 15, mirror.Shop)
	sell("w", "", 99, mirror.Own)
	next := look(0, map[string]int64{"till-1": 20, "till-2": 15})
	next = look(next, map[string]int64{})
	sell("d", "till-2", 30, mirror.Cloud)
	look(next, map[string]int64{"till-2": 30})
	look(next+100, map[string]int64{"till-1": 20, "till-2": 30}) // of a mirror that was replaced
}

func BenchmarkBriefs(b *testing.B) {
	m := open(b, testOptions(b.TempDir()))
	loadHistory(b, m, 10_000)
	for b.Loop() {
		n := 0
		for _, err := range m.Briefs(b.Context(), "") {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != benchProducts {
			b.Fatal(n)
		}
	}
}
