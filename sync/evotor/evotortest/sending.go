package evotortest

import (
	"fmt"
	"math/rand/v2"
	"regexp"

	"ostatok/agent/stock"
)

// Sending is what terminals send over the shop's network of what happens from its
// making on: most of it at once, some twice, some late, and some never. It judges
// the levels that come of it.
type Sending struct {
	shop   *Shop
	random *rand.Rand
	from   int // documents of the shop from here on are sent
	seen   int // … and up to here were given out, or are held back
	held   []Document
	never  map[string]bool // products of documents that are not sent at all
}

// NewSending begins with what happens in the shop from now on.
func NewSending(shop *Shop, random *rand.Rand) *Sending {
	n := len(shop.Documents())
	return &Sending{shop: shop, random: random, from: n, seen: n, never: make(map[string]bool)}
}

// Before are the shop's documents from before the beginning, Since those after it.
func (s *Sending) Before() []Document { return s.shop.Documents()[:s.from] }

// Since are the shop's documents from the beginning on.
func (s *Sending) Since() []Document { return s.shop.Documents()[s.from:] }

// Next is what is sent now, in this order: what has happened since the last time,
// and what was held back then. A count is sent always: without it no level of a
// product whose documents are missing could be known again.
func (s *Sending) Next() (list []Document) {
	all, late := s.shop.Documents(), s.held
	s.held = nil
	for _, d := range all[s.seen:] {
		switch s.random.IntN(20) {
		case 0:
			if d.Type != stock.Inventory {
				for _, line := range d.Lines {
					s.never[line.Product] = true
				}
				continue
			}
			list = append(list, d)
		case 1, 2:
			s.held = append(s.held, d)
		case 3, 4:
			list = append(list, d, d)
		default:
			list = append(list, d)
		}
	}
	s.seen = len(all)
	return append(list, late...)
}

// Rest is what is still held back, sent at last.
func (s *Sending) Rest() []Document {
	rest := s.held
	s.held = nil
	return rest
}

// Trouble is how many documents are held back and how many products will never be
// told of rightly.
func (s *Sending) Trouble() int { return len(s.held) + len(s.never) }

// Wrong compares levels with what happened in the shop and names those that are
// others. Products of documents that are under way are left out, unless all must
// be there.
func (s *Sending) Wrong(all bool, level func(product string) (q stock.Quantity, ok bool)) (wrong []string, compared int) {
	skip := make(map[string]bool)
	if !all {
		for p := range s.never {
			skip[p] = true
		}
		for _, d := range s.held {
			if d.FullCount() {
				return nil, 0 // it says something of every product
			}
			for _, line := range d.Lines {
				skip[line.Product] = true
			}
		}
	}
	for _, p := range s.shop.Products() {
		want, told := s.shop.Told(p.ID)
		if !told || p.Service() || skip[p.ID] {
			continue
		}
		compared++
		if got, ok := level(p.ID); !ok || got != want {
			wrong = append(wrong, fmt.Sprintf("%s is %v (%v), want %v", p.Name, got, ok, want))
		}
	}
	return wrong, compared
}

// arrivedAt is when the cloud had a document.
var arrivedAt = regexp.MustCompile(`,?"created_at":"[^"]*"`)

// AsTerminal is a document as a terminal sends it that has no line to the cloud:
// in a list, and without what only the cloud can know.
func AsTerminal(document []byte) []byte {
	return append(append([]byte("["), arrivedAt.ReplaceAll(document, nil)...), ']')
}

// AsRelay is a document as a relay passes it on: as the cloud sends it.
func AsRelay(document []byte) []byte { return document }
