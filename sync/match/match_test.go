package match_test

import (
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ostatok/agent/stock"
	"ostatok/sync/match"
)

// catalogue is what a mirror hands over.
func catalogue(products ...stock.Product) iter.Seq2[stock.Product, error] {
	return func(yield func(stock.Product, error) bool) {
		for _, p := range products {
			if !yield(p, nil) {
				return
			}
		}
	}
}

// learned is a matcher that knows the catalogue.
func learned(t testing.TB, by match.By, table map[string]string, products ...stock.Product) *match.Matcher {
	t.Helper()
	m := match.New(by, nil)
	if err := m.Learn(table, catalogue(products...)); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestKeyOfOneProduct(t *testing.T) {
	milk := stock.Product{ID: "p1", Code: "17", Article: "МЛ-1", Barcodes: []string{"4607025392408"}, Name: "Milk"}
	bare := stock.Product{ID: "p2", Article: " \u00a0", Name: "Bare"}
	two := stock.Product{ID: "p3", Barcodes: []string{"1111", "2222"}, Name: "Two"}
	for _, c := range []struct {
		by      match.By
		table   map[string]string
		product stock.Product
		key     string
		reason  string // a part of it
	}{
		{match.ID, nil, milk, "p1", ""},
		{match.Code, nil, milk, "17", ""},
		{match.Article, nil, milk, "МЛ-1", ""},
		{match.Barcode, nil, milk, "4607025392408", ""},
		{match.Mapping, nil, milk, "", "not in the mapping"},
		{match.Mapping, map[string]string{"p1": "k"}, milk, "k", ""},
		{match.Article, map[string]string{"p1": "k"}, milk, "k", ""},
		{match.Code, nil, bare, "", "has no code"},
		{match.Article, nil, bare, "", "has no article"},
		{match.Article, map[string]string{"p2": "k"}, bare, "k", ""},
		{match.Barcode, nil, bare, "", "has no barcode"},
		{match.Barcode, nil, two, "", "has several barcodes (1111, 2222)"},
		{match.Barcode, map[string]string{"p3": "2222"}, two, "2222", ""},
		{"", nil, milk, "", "not in the mapping"},
	} {
		key, reason := match.New(c.by, c.table).Key(c.product)
		if key != c.key || !strings.Contains(reason, c.reason) || (reason == "") != (c.reason == "") {
			t.Errorf("%s by %q with %v: key %q because %q, want %q because %q", c.product.Name, c.by, c.table, key, reason, c.key, c.reason)
		}
	}
}

func article(id, article string) stock.Product {
	return stock.Product{ID: id, Code: "c-" + id, Name: "Product " + id, Article: article}
}

func TestProductsThatCannotBeToldApart(t *testing.T) {
	cyrillic, latin := article("a", "АВС-1"), article("b", "ABC-1")
	for _, c := range []struct {
		name     string
		table    map[string]string
		products []stock.Product
		want     map[string]string // id → key, or a part of the reason after "!"
	}{
		{"letters that look alike", nil, []stock.Product{cyrillic, latin, article("c", "ABC-2")},
			map[string]string{"a": "!differs in letters of another alphabet", "b": "!looks like \"АВС-1\" of c-a Product a", "c": "ABC-2"}},
		{"both mapped", map[string]string{"a": "1", "b": "2"}, []stock.Product{cyrillic, latin}, map[string]string{"a": "1", "b": "2"}},
		{"one mapped elsewhere leaves the other alone", map[string]string{"a": "1"}, []stock.Product{cyrillic, latin},
			map[string]string{"a": "1", "b": "ABC-1"}},
		{"one mapped to its own key", map[string]string{"a": "АВС-1"}, []stock.Product{cyrillic, latin},
			map[string]string{"a": "АВС-1", "b": "!looks like"}},
		{"the same key", nil, []stock.Product{article("a", "7"), article("b", "7")}, map[string]string{"a": "!same key", "b": "!same key"}},
		{"a mapping takes the key", map[string]string{"a": "7"}, []stock.Product{article("a", ""), article("b", "7")},
			map[string]string{"a": "7", "b": "!c-a Product a is mapped"}},
		{"a table that maps two to one key", map[string]string{"a": "7", "b": "7"}, []stock.Product{article("a", ""), article("b", "")},
			map[string]string{"a": "!is mapped", "b": "!is mapped"}},
		{"leading zeros", nil, []stock.Product{article("a", "007"), article("b", "7")}, map[string]string{"a": "!leading zeros", "b": "!leading zeros"}},
		{"a space at the end", nil, []stock.Product{article("a", "x"), article("b", "x\u00a0")}, map[string]string{"a": "!spaces", "b": "!spaces"}},
		{"a service has no stock to confuse", nil, []stock.Product{{ID: "s", Type: "SERVICE", Article: "7"}, article("b", "7")}, map[string]string{"b": "7"}},
		{"a mapping of a product that is gone", map[string]string{"gone": "7"}, []stock.Product{article("b", "7")}, map[string]string{"b": "7"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := learned(t, match.Article, c.table, c.products...)
			got := make(map[string]string)
			for _, p := range c.products {
				if p.Service() {
					continue
				}
				key, reason := m.Key(p)
				if reason != "" {
					key = "!" + reason
					if part, ok := strings.CutPrefix(c.want[p.ID], "!"); ok && strings.Contains(reason, part) {
						key = c.want[p.ID]
					}
				}
				got[p.ID] = key
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A catalogue that breaks off must not make the matcher forget what it has
// learned.
func TestLearningThatFails(t *testing.T) {
	a, b := article("a", "x"), article("b", "х")
	m := learned(t, match.Article, nil, a, b)
	full := errors.New("the card is full")
	err := m.Learn(map[string]string{"a": "1"}, func(yield func(stock.Product, error) bool) {
		_ = yield(a, nil) && yield(stock.Product{}, full)
	})
	if !errors.Is(err, full) {
		t.Fatalf("error %v", err)
	}
	if key, reason := m.Key(a); reason == "" {
		t.Errorf("key %q after a catalogue that broke off", key)
	}
}

// A product that was renamed after the last look is still compared.
func TestKeyChangedSinceTheLastLook(t *testing.T) {
	m := learned(t, match.Article, nil, article("a", "x"), article("b", "х"), article("c", "y"))
	if key, reason := m.Key(article("c", "X")); reason == "" {
		t.Errorf("key %q", key)
	}
}

// keys are short and made of few characters, so that they collide.
func keys() *rapid.Generator[string] {
	return rapid.StringOfN(rapid.SampledFrom([]rune("AАaа0O7-– \u00a0")), 0, 4, -1)
}

// Whatever the catalogue and the mapping: no two products get one key, products
// that are not mapped never get keys that look alike, and Key agrees with Check.
func TestNoTwoProductsGetOneKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		by := rapid.SampledFrom([]match.By{match.Code, match.Article, match.Barcode, match.Mapping}).Draw(t, "by")
		table := make(map[string]string)
		var products []stock.Product
		for i := range rapid.IntRange(0, 8).Draw(t, "products") {
			id := string(rune('a' + i))
			products = append(products, stock.Product{
				ID: id, Code: keys().Draw(t, "code"), Article: keys().Draw(t, "article"),
				Barcodes: rapid.SliceOfN(keys(), 0, 2).Draw(t, "barcodes"),
			})
			if rapid.IntRange(0, 3).Draw(t, "mapped") == 0 {
				table[id] = keys().Filter(func(k string) bool { return k != "" }).Draw(t, "key")
			}
		}
		m := match.New(by, nil)
		if err := m.Learn(table, catalogue(products...)); err != nil {
			t.Fatal(err)
		}
		owner, alike := make(map[string]string), make(map[string]string)
		refused := make(map[string]string)
		for _, p := range products {
			key, reason := m.Key(p)
			if (key == "") == (reason == "") {
				t.Fatalf("%v: key %q, reason %q", p, key, reason)
			}
			if reason != "" {
				refused[p.ID] = reason
				continue
			}
			if other, taken := owner[key]; taken {
				t.Fatalf("%s and %s both have %q", other, p.ID, key)
			}
			owner[key] = p.ID
			if _, mapped := table[p.ID]; !mapped {
				if other, taken := alike[match.Fold(key)]; taken {
					t.Fatalf("%s and %s cannot be told apart by %q", other, p.ID, key)
				}
				alike[match.Fold(key)] = p.ID
			}
		}
		report, err := m.Check(catalogue(products...), nil)
		if err != nil {
			t.Fatal(err)
		}
		found := make(map[string]string)
		for _, f := range slices.Concat(report.Unmatched, report.Ambiguous, report.Duplicate, report.LookAlike) {
			found[f.Product] = f.Reason
		}
		if !maps.Equal(found, refused) || report.Matched != len(owner) {
			t.Fatalf("the check says %v and %d fit; the keys say %v and %d", found, report.Matched, refused, len(owner))
		}
	})
}
