package match_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ostatok/agent/stock"
	"ostatok/sync/match"
)

func goods() []stock.Product {
	return []stock.Product{
		{ID: "a", Code: "1", Article: "x", Barcodes: []string{"11", "12"}},
		{ID: "b", Code: "2", Article: "x", Barcodes: []string{"21", "21"}},
		{ID: "c", Code: "3"},
		{ID: "s", Code: "4", Type: "SERVICE"},
	}
}

func TestResolve(t *testing.T) {
	type table = map[string]string
	for name, c := range map[string]struct {
		entries  []match.Entry
		inForce  table
		want     table
		mistakes []match.Mistake // messages in part
	}{
		"by each column": {entries: []match.Entry{{Product: "a", Key: "k1"}, {Barcode: "21", Key: "k2"}, {Code: "3", Key: "k3"}},
			want: table{"a": "k1", "b": "k2", "c": "k3"}},
		"the first filled column counts": {entries: []match.Entry{{Product: "a", Code: "2", Key: "k"}}, want: table{"a": "k"}},
		"no key says nothing":            {entries: []match.Entry{{Product: "a"}, {Product: "nobody"}}, inForce: table{"a": "k"}, want: table{"a": "k"}},
		"what is in force stays":         {entries: []match.Entry{{Code: "2", Key: "k2"}}, inForce: table{"a": "k1"}, want: table{"a": "k1", "b": "k2"}},
		"a key is changed":               {entries: []match.Entry{{Code: "1", Key: "new"}}, inForce: table{"a": "k1"}, want: table{"a": "new"}},
		"two products change keys": {entries: []match.Entry{{Code: "1", Key: "k2"}, {Code: "2", Key: "k1"}},
			inForce: table{"a": "k1", "b": "k2"}, want: table{"a": "k2", "b": "k1"}},
		"a product that is gone gives up a key that is wanted": {entries: []match.Entry{{Code: "1", Key: "k"}}, inForce: table{"gone": "k", "gone2": "l"},
			want: table{"a": "k", "gone2": "l"}},
		"the same line twice": {entries: []match.Entry{{Line: 2, Code: "1", Key: "k"}, {Line: 3, Product: "a", Key: "k"}}, want: table{"a": "k"}},
		"lines without numbers": {entries: []match.Entry{{Code: "1", Key: "k"}, {Code: "1", Key: "l"}},
			mistakes: []match.Mistake{{0, `it maps the product to "l"`}}},
		"two keys": {entries: []match.Entry{{Line: 2, Code: "1", Key: "k"}, {Line: 5, Product: "a", Key: "l"}},
			mistakes: []match.Mistake{{5, `to "l" and line 2 to "k"`}}},
		"two products": {entries: []match.Entry{{Line: 2, Code: "3", Key: "k"}, {Line: 3, Code: "2", Key: "k"}, {Line: 4, Code: "1", Key: "k"}},
			mistakes: []match.Mistake{{3, "also in line 2"}, {4, "also in line 2"}}},
		"a key in force": {entries: []match.Entry{{Line: 7, Code: "2", Key: "k"}}, inForce: table{"a": "k"},
			mistakes: []match.Mistake{{7, "that of product a in the mapping in force"}}},
		"nobody": {entries: []match.Entry{{Line: 2, Code: "9", Key: "k"}, {Line: 3, Code: "4", Key: "l"}, {Line: 4, Key: "m"}},
			mistakes: []match.Mistake{{2, `has the code "9"`}, {3, `has the code "4"`}, {4, "has no product"}}},
		"several": {entries: []match.Entry{{Line: 2, Article: "x", Key: "k"}},
			mistakes: []match.Mistake{{2, `2 products have the article "x"; name the one that is meant by its product_id: a, b`}}},
	} {
		got, err := match.Resolve(c.entries, c.inForce, catalogue(goods()...))
		if len(c.mistakes) == 0 {
			if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
				t.Errorf("%s: %v\n%s", name, err, diff)
			}
			continue
		}
		mistakes, ok := errors.AsType[*match.MistakesError](err)
		same := ok && len(mistakes.Mistakes) == len(c.mistakes)
		for i := 0; same && i < len(c.mistakes); i++ {
			m := mistakes.Mistakes[i]
			same = m.Line == c.mistakes[i].Line && strings.Contains(m.Message, c.mistakes[i].Message)
		}
		if !same {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A mapping that is taken in is what the file says and nothing that it does not
// touch, and never gives one key to two products.
func TestResolvedMappingsAreSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids, keys := rapid.SampledFrom([]string{"a", "b", "c"}), rapid.SampledFrom([]string{"", "k1", "k2", "k3"})
		inForce := make(map[string]string)
		for i, id := range []string{"a", "b"} {
			if rapid.Bool().Draw(t, "in force") {
				inForce[id] = []string{"k1", "k2"}[i]
			}
		}
		entries := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) match.Entry {
			return match.Entry{Line: 2, Product: ids.Draw(t, "product"), Key: keys.Draw(t, "key")}
		}), 0, 4).Draw(t, "entries")
		table, err := match.Resolve(entries, inForce, catalogue(goods()...))
		if err != nil {
			return
		}
		said, owner := make(map[string]bool), make(map[string]string)
		for _, e := range entries {
			if e.Key != "" {
				said[e.Product] = true
				if table[e.Product] != e.Key {
					t.Fatalf("%v became %v", entries, table)
				}
			}
		}
		for product, key := range table {
			if !said[product] && inForce[product] != key {
				t.Fatalf("%s has %q, of which nobody spoke", product, key)
			}
			if other, taken := owner[key]; taken {
				t.Fatalf("%s and %s both have %q", product, other, key)
			}
			owner[key] = product
		}
		for product := range inForce {
			if table[product] == "" {
				t.Fatalf("%s lost its key", product)
			}
		}
	})
}

// A mirror that is being built again has no products yet.
func TestResolveWithoutACatalogue(t *testing.T) {
	inForce := map[string]string{"a": "k1", "b": "k2"}
	got, err := match.Resolve([]match.Entry{{Product: "a"}}, inForce, catalogue())
	if diff := cmp.Diff(inForce, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestResolveOfACatalogueThatBreaksOff(t *testing.T) {
	full := errors.New("the card is full")
	_, err := match.Resolve(nil, nil, func(yield func(stock.Product, error) bool) { yield(stock.Product{}, full) })
	if !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
}
