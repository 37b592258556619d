package match

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"

	"ostatok/agent/stock"
	"ostatok/sync/target"
)

// Finding is a product that is not written to a target, or a key of the target
// that nobody keeps in step.
type Finding struct {
	Product    string `json:"product_id,omitempty"`
	Code       string `json:"code,omitempty"`
	Name       string `json:"name"`
	Key        string `json:"key,omitempty"`        // the product's own, which is not used
	Reason     string `json:"reason"`               // and what to do
	Suggestion string `json:"suggestion,omitempty"` // a key that is probably the right one, for somebody to look at
}

// Report is what a check of all products found, in the order of their names.
type Report struct {
	Matched   int       `json:"matched"`    // products that have a key
	Unmatched []Finding `json:"unmatched"`  // without a key, or with one that the target does not know
	Ambiguous []Finding `json:"ambiguous"`  // several keys fit the product, or several things of the target the key
	Duplicate []Finding `json:"duplicate"`  // several products have the key
	LookAlike []Finding `json:"look_alike"` // the key could be taken for another one
	Unused    []Finding `json:"unused"`     // the target's keys that no product has
}

// Clean tells whether every product can be written.
func (r *Report) Clean() bool {
	return len(r.Unmatched)+len(r.Ambiguous)+len(r.Duplicate)+len(r.LookAlike) == 0
}

func (r *Report) add(k kind, f Finding) {
	of := map[kind]*[]Finding{unmatched: &r.Unmatched, ambiguous: &r.Ambiguous, duplicate: &r.Duplicate, lookAlike: &r.LookAlike}[k]
	*of = append(*of, f)
}

// Check looks at every product as Key does, and when the target's own keys are
// known, not nil, at whether they fit. It only looks: what was learned stays.
func (m *Matcher) Check(products iter.Seq2[stock.Product, error], known []target.Known) (Report, error) {
	f := &facts{table: m.facts.Load().table, taken: make(map[string][]card)}
	var cards []card
	codes := make(map[string][]string) // barcodes of products that have several
	for p, err := range products {
		if err != nil {
			return Report{}, err
		}
		if p.Service() {
			continue
		}
		c := m.card(&p, f.table)
		if c.refusal == nil {
			fold := Fold(c.key)
			f.taken[fold] = append(f.taken[fold], c)
		} else if c.refusal.kind == ambiguous {
			codes[p.ID] = p.Barcodes
		}
		cards = append(cards, c)
	}
	slices.SortFunc(cards, func(a, b card) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.product, b.product))
	})
	keys := list(known)
	r := Report{Unmatched: []Finding{}, Ambiguous: []Finding{}, Duplicate: []Finding{}, LookAlike: []Finding{}}
	for i := range cards {
		c := &cards[i]
		if c.refusal == nil {
			c.refusal = f.conflict(c)
		}
		if c.refusal == nil && known != nil {
			c.refusal = keys.conflict(c)
		}
		if c.refusal == nil {
			r.Matched++
			continue
		}
		r.add(c.refusal.kind, Finding{
			Product: c.product, Code: c.code, Name: c.name, Key: c.key,
			Reason: c.refusal.reason, Suggestion: keys.suggest(c, codes[c.product], f.taken),
		})
	}
	r.Unused = keys.unused(f.taken)
	return r, nil
}

// known are a target's own keys.
type known struct {
	all   []target.Known
	count map[string]int      // by key
	alike map[string][]string // keys by their fold
	named map[string][]string // keys by the fold of their names
}

func list(all []target.Known) *known {
	k := &known{all: all, count: make(map[string]int, len(all)), alike: make(map[string][]string, len(all)), named: make(map[string][]string)}
	for _, e := range all {
		if k.count[e.Key]++; k.count[e.Key] > 1 {
			continue
		}
		fold := Fold(e.Key)
		k.alike[fold] = append(k.alike[fold], e.Key)
		if name := Fold(e.Name); name != "" {
			k.named[name] = append(k.named[name], e.Key)
		}
	}
	return k
}

// conflict is what speaks against a key at the target.
func (k *known) conflict(c *card) *refusal {
	var alike string // another key of the target that could be meant
	for _, other := range k.alike[Fold(c.key)] {
		if other != c.key {
			alike = other
			break
		}
	}
	switch n := k.count[c.key]; {
	case n > 1:
		return &refusal{ambiguous, fmt.Sprintf("has the key %q, which the target has %d times; tell them apart there, or map the product to another key", c.key, n)}
	case n == 0 && c.mapped:
		return &refusal{unmatched, fmt.Sprintf("is mapped to %q, which the target does not know; correct the mapping", c.key)}
	case n == 0 && alike == "":
		return &refusal{unmatched, fmt.Sprintf("has the key %q, which the target does not know; enter it there, or map the product", c.key)}
	case n == 0:
		return &refusal{lookAlike, fmt.Sprintf("has the key %q; the target knows only %q, which differs in %s; map the product to it if it is the same",
			c.key, alike, Difference(c.key, alike))}
	case alike != "" && !c.mapped:
		return &refusal{lookAlike, fmt.Sprintf("has the key %q, and the target also knows %q, which differs in %s; map the product to the right one",
			c.key, alike, Difference(c.key, alike))}
	}
	return nil
}

// suggest looks for the one key of the target that nobody has and that the
// product probably means.
func (k *known) suggest(c *card, barcodes []string, taken map[string][]card) string {
	free := func(keys []string) string {
		var fit []string
		for _, key := range keys {
			if key != c.key && k.count[key] == 1 && !holds(taken[Fold(key)], key) {
				fit = append(fit, key)
			}
		}
		if len(fit) != 1 {
			return ""
		}
		return fit[0]
	}
	var alike []string
	if fold := Fold(c.key); fold != "" {
		alike = k.alike[fold]
	}
	return cmp.Or(free(barcodes), free(alike), free(k.named[Fold(c.name)]))
}

// holds tells whether one of the products has exactly this key.
func holds(cards []card, key string) bool {
	return slices.ContainsFunc(cards, func(c card) bool { return c.key == key })
}

func (k *known) unused(taken map[string][]card) []Finding {
	out := []Finding{}
	for _, e := range k.all {
		if !holds(taken[Fold(e.Key)], e.Key) {
			out = append(out, Finding{Name: e.Name, Key: e.Key, Reason: "no product of the shop has this key"})
		}
	}
	return out
}
