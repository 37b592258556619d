package match

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"ostatok/agent/stock"
)

// reference is a product as one column names it.
type reference struct{ column, text string }

func (r reference) String() string { return fmt.Sprintf("the %s %q", r.column, r.text) }

// product is how an entry names its product; empty when it does not.
func (e *Entry) product() reference {
	for i, cell := range e.cells()[:4] {
		if *cell != "" {
			return reference{columns()[i][0], *cell}
		}
	}
	return reference{}
}

// Resolve makes the mapping that a file says together with the one that is in
// force, product ids to keys. A product that is not in the catalogue keeps its
// key, for it may come back, until another one wants it. A product with two keys, a key of two products, and a product that is
// not or not surely in the catalogue are mistakes, returned as a *MistakesError.
func Resolve(entries []Entry, inForce map[string]string, products iter.Seq2[stock.Product, error]) (map[string]string, error) {
	wanted := make(map[reference][]string) // ids of the products that are called so
	for i := range entries {
		if entries[i].Key != "" {
			wanted[entries[i].product()] = nil
		}
	}
	table, gone := make(map[string]string), maps.Clone(inForce)
	for p, err := range products {
		if err != nil {
			return nil, err
		}
		if key, mapped := inForce[p.ID]; mapped {
			table[p.ID] = key
			delete(gone, p.ID)
		}
		if p.Service() {
			continue
		}
		names := []reference{{"product_id", p.ID}, {"code", p.Code}, {"article", p.Article}}
		for _, code := range p.Barcodes {
			names = append(names, reference{"barcode", code})
		}
		for _, r := range names {
			if ids, asked := wanted[r]; asked && !slices.Contains(ids, p.ID) {
				wanted[r] = append(ids, p.ID)
			}
		}
	}
	mistakes := new(MistakesError)
	by := make(map[string]*Entry) // product id → what maps it
	for i := range entries {
		e := &entries[i]
		if e.Key == "" {
			continue
		}
		r := e.product()
		switch ids := wanted[r]; {
		case r == reference{}:
			mistakes.add(e.Line, "the key %q has no product", e.Key)
		case len(ids) == 0:
			mistakes.add(e.Line, "no product of the shop has %s; take the line out", r)
		case len(ids) > 1:
			mistakes.add(e.Line, "%d products have %s; name the one that is meant by its product_id: %s", len(ids), r, strings.Join(ids[:min(3, len(ids))], ", "))
		case by[ids[0]] != nil && table[ids[0]] != e.Key:
			mistakes.add(e.Line, "it maps the product to %q and line %d to %q; leave one of them", e.Key, by[ids[0]].Line, table[ids[0]])
		default:
			table[ids[0]], by[ids[0]] = e.Key, e
		}
	}
	owner := mistakes.shared(table, by)
	for product, key := range gone {
		if _, taken := owner[key]; !taken {
			table[product] = key
		}
	}
	return table, mistakes.err()
}

// shared adds keys that would belong to two products, and returns whose they are.
func (e *MistakesError) shared(table map[string]string, by map[string]*Entry) (owner map[string]string) {
	line := func(product string) int {
		if by[product] == nil {
			return 0 // in force already
		}
		return by[product].Line
	}
	// First what is in force, then the lines of the file.
	products := slices.SortedFunc(maps.Keys(table), func(a, b string) int {
		return cmp.Or(cmp.Compare(line(a), line(b)), strings.Compare(a, b))
	})
	owner = make(map[string]string, len(table))
	for _, product := range products {
		key := table[product]
		other, taken := owner[key]
		switch {
		case !taken:
			owner[key] = product
		case by[other] == nil:
			e.add(line(product), "the key %q is that of product %s in the mapping in force; give that one another key in the same file, or use --replace", key, other)
		default:
			e.add(line(product), "the key %q is also in line %d, for another product", key, line(other))
		}
	}
	return owner
}
