package mirror_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"ostatok/agent/mirror"
	"ostatok/agent/stock"
)

func TestSweep(t *testing.T) {
	m := open(t, testOptions(t.TempDir()))
	var products []stock.Product
	for n := range 100 {
		products = append(products, stock.Product{ID: fmt.Sprintf("p%03d", n), Name: "n", Cloud: 5, HasCloud: true})
	}
	if err := m.PutProducts(t.Context(), 1, 111, products); err != nil {
		t.Fatal(err)
	}
	if gone, err := m.Sweep(t.Context(), 1, 0); gone != 0 || err != nil {
		t.Fatal(gone, err)
	}
	for i := 0; i < 60; i += 20 { // in pages
		if err := m.PutProducts(t.Context(), 2, 222, products[i:i+20]); err != nil {
			t.Fatal(err)
		}
	}
	var refused *mirror.SweepRefusedError
	if _, err := m.Sweep(t.Context(), 2, 0.3); !errors.As(err, &refused) || refused.Had != 100 || refused.Seen != 60 {
		t.Fatal(err)
	}
	if row(t, m, "p099").Deleted || row(t, m, "p099").CloudAt != 111 || row(t, m, "p000").CloudAt != 222 {
		t.Fatal("the refused run changed something, or figures are dated wrongly")
	}
	if gone, err := m.Sweep(t.Context(), 2, 0.5); gone != 40 || err != nil {
		t.Fatal(gone, err)
	}
	if !row(t, m, "p099").Deleted || row(t, m, "p000").Deleted {
		t.Fatal("deleted the wrong ones")
	}
	if err := m.PutProducts(t.Context(), 3, 333, products[99:]); err != nil {
		t.Fatal(err)
	}
	if row(t, m, "p099").Deleted {
		t.Fatal("a product that came back is still deleted")
	}
}

func TestQueries(t *testing.T) {
	m := open(t, testOptions(t.TempDir()))
	products := []stock.Product{
		{ID: "id-1", Name: "Хлеб Бородинский", Code: "12", Article: "A-1", Barcodes: []string{"460", "461"}},
		{ID: "id-2", Name: "Молоко 100%", Code: "13", Article: "12"},
		{ID: "id-3", Name: "Tea_black", Code: "14"},
		{ID: "id-4", Name: "Зелёный горошек", Code: "15"},
		{ID: "id-5", Name: "Перец желтый", Code: "16"},
	}
	for n := range 1200 { // more than a page
		products = append(products, stock.Product{ID: fmt.Sprintf("many-%04d", n), Name: "чай"})
	}
	if err := m.PutProducts(t.Context(), 1, 1, products); err != nil {
		t.Fatal(err)
	}
	products[0].Barcodes = []string{"461", "462"}
	if err := m.PutProducts(t.Context(), 1, 1, products[:1]); err != nil {
		t.Fatal(err)
	}
	find := func(text string) (ids []string) {
		rows, err := m.Find(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			ids = append(ids, r.ID)
		}
		return ids
	}
	for text, want := range map[string][]string{
		"id-1": {"id-1"}, "12": {"id-1"}, "A-1": {"id-1"}, "a-1": {"id-1"}, "461": {"id-1"}, "462": {"id-1"}, "460": nil,
		"бородин": {"id-1"}, "МОЛОКО": {"id-2"}, "%": {"id-2"}, "_": {"id-3"}, "tea_B": {"id-3"}, " id-3 ": {"id-3"}, "": nil,
		"зеленый": {"id-4"}, "ЗЕЛЁНЫЙ": {"id-4"}, "жёлт": {"id-5"}, "желт": {"id-5"},
	} {
		if got := find(text); !slices.Equal(got, want) {
			t.Errorf("find %q: %v, want %v", text, got, want)
		}
	}
	list := func(q mirror.Query) (ids []string) {
		for r, err := range m.Rows(t.Context(), q) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, r.ID)
		}
		return ids
	}
	if got := list(mirror.Query{}); len(got) != len(products) || !slices.IsSorted(got) {
		t.Errorf("%d rows", len(got))
	}
	if got := list(mirror.Query{Text: "12"}); !slices.Equal(got, []string{"id-1", "id-2"}) {
		t.Errorf("12: %v", got)
	}
	if got := list(mirror.Query{Text: "ЧАЙ", After: "many-0600", Limit: 599}); len(got) != 599 || got[0] != "many-0601" {
		t.Errorf("%d rows from %v", len(got), got[:1])
	}
	put(t, m, mirror.Batch{Documents: []mirror.Document{sale(1, "many-1100", 1, 1000, 5000), sale(2, "unheard", 1, 1000, 5000)}})
	if got := list(mirror.Query{States: []stock.State{stock.Known}}); !slices.Equal(got, []string{"many-1100"}) {
		t.Errorf("known: %v", got)
	}
	if got := list(mirror.Query{States: []stock.State{stock.Known}, Deleted: true}); !slices.Equal(got, []string{"many-1100", "unheard"}) {
		t.Errorf("known, also deleted: %v", got)
	}
	if _, err := m.Row(t.Context(), "nothing"); !errors.Is(err, mirror.ErrNotFound) {
		t.Error(err)
	}
}

// Whoever has learned the catalogue need not read it again before something
// changes by which its products are known elsewhere.
func TestEdition(t *testing.T) {
	m := open(t, testOptions(t.TempDir()))
	milk := stock.Product{ID: "milk", Name: "Milk", Code: "1", Article: "A-1", Barcodes: []string{"460"}, Cloud: 5000, HasCloud: true}
	run := int64(0)
	list := func(products ...stock.Product) {
		t.Helper()
		run++
		if err := m.PutProducts(t.Context(), run, run, products); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Sweep(t.Context(), run, 1); err != nil {
			t.Fatal(err)
		}
	}
	list(milk)
	for _, step := range []struct {
		name    string
		change  func(p *stock.Product)
		another bool
	}{
		{"nothing", func(*stock.Product) {}, false},
		{"what the cloud holds", func(p *stock.Product) { p.Cloud = 4000; p.Updated++ }, false},
		{"the group", func(p *stock.Product) { p.Parent = "dairy" }, false},
		{"the name", func(p *stock.Product) { p.Name = "Cream" }, true},
		{"the code", func(p *stock.Product) { p.Code = "2" }, true},
		{"the article", func(p *stock.Product) { p.Article = "A-2" }, true},
		{"a barcode", func(p *stock.Product) { p.Barcodes = []string{"460", "461"} }, true},
		{"the type", func(p *stock.Product) { p.Type = "SERVICE" }, true},
	} {
		before := m.Edition()
		step.change(&milk)
		list(milk)
		if got := m.Edition() != before; got != step.another {
			t.Errorf("%s: another edition: %t, want %t", step.name, got, step.another)
		}
	}
	before := m.Edition()
	list(milk, stock.Product{ID: "tea"})
	if m.Edition() == before {
		t.Error("a new product is not noticed")
	}
	before = m.Edition()
	list(milk)
	if m.Edition() == before {
		t.Error("a product that went is not noticed")
	}
	before = m.Edition()
	list(milk, stock.Product{ID: "tea"})
	if m.Edition() == before {
		t.Error("a product that came back is not noticed")
	}
}
