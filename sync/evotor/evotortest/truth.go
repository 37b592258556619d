package evotortest

import (
	"cmp"
	"slices"

	"ostatok/agent/stock"
)

// Outside is a change of stock without a document.
type Outside struct {
	Product string
	At      int64 // epoch ms
	By      stock.Quantity
}

// Download is a terminal's replacing its view by the cloud's figures; its first
// one is the activation.
type Download struct {
	Device string
	At     int64 // epoch ms
}

// Patch is a figure that a client wrote to the cloud.
type Patch struct {
	Product  string
	At       int64 // epoch ms
	Quantity stock.Quantity
}

// History is everything that happened, for tests that want to know why.
type History struct {
	Outside   []Outside        // in order of time
	Downloads []Download       // in order of time
	Patches   []Patch          // in order of time
	Documents []stock.Document // in order of closing; Arrived is 0 when the cloud does not have it yet
}

// statement is a document's word on a product.
type statement struct {
	document   int   // index in closed
	downloaded int64 // when the terminal had last downloaded, epoch ms
	sets       bool  // a count
}

// state notes that a document states or sets a product.
func (s *Shop) state(product int32, d *draft, downloaded int64, sets bool) {
	all := s.stated[product]
	if n := len(all); n > 0 && all[n-1].document == d.seq {
		return
	}
	s.stated[product] = append(all, statement{d.seq, downloaded, sets})
}

// stateUnlisted notes that a complete count sets a product by not naming it.
// The count is not closed yet: it will be the next document.
func (s *Shop) stateUnlisted(product int, d *draft) {
	s.stated[product] = append(s.stated[product], statement{len(s.closed), 0, true})
}

// Told returns what the documents that the cloud has can tell of a product: what
// is on the shelf, without the outside changes that no document tells of and
// without documents that have not arrived. An outside change is told when a
// terminal downloaded after it and then closed a document that states the
// product, or when a count set the product after it. A figure written to the
// cloud wipes out the outside changes that it did not know of: only a count
// tells of them then.
//
// ok is false when no document ever stated or set the product.
func (s *Shop) Told(product string) (q stock.Quantity, ok bool) { return s.ToldFrom(product, 0) }

// ToldFrom is Told judged by the documents closed at from (epoch ms) or later
// alone: what a reader with an incomplete history can know.
func (s *Shop) ToldFrom(product string, from int64) (q stock.Quantity, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.index[product]
	if !ok {
		return 0, false
	}
	all := s.stated[n]
	words := make([]statement, 0, len(all))
	for _, w := range all {
		if d := &s.closed[w.document]; d.Arrived != 0 && d.Closed >= from {
			words = append(words, w)
		}
	}
	if len(words) == 0 {
		return 0, false
	}
	q = s.physical[n] - s.travellingEffect(n)
	for _, o := range s.outside[n] {
		if !s.tells(words, o, s.patches[n]) {
			q -= o.By
		}
	}
	return q, true
}

func (s *Shop) tells(words []statement, o Outside, patches []Patch) bool {
	wiped := int64(1<<63 - 1)
	for _, p := range patches {
		if p.At >= o.At {
			wiped = p.At
			break
		}
	}
	return slices.ContainsFunc(words, func(w statement) bool {
		if w.sets {
			return s.closed[w.document].Closed >= o.At
		}
		return w.downloaded >= o.At && w.downloaded <= wiped
	})
}

// travellingEffect is what documents that have not arrived did to the product,
// unless a count that has arrived found it on the shelf.
func (s *Shop) travellingEffect(product int32) stock.Quantity {
	sum := stock.Quantity(0)
	for _, d := range s.travelling {
		if d.seq <= s.counted[product] {
			continue
		}
		sum += d.found[product]
		for i := range d.lines {
			if d.lines[i].product == product {
				sum += d.lines[i].effect
			}
		}
	}
	return sum
}

// History returns everything that happened so far.
func (s *Shop) History() History {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := History{Downloads: slices.Clone(s.downloads), Patches: slices.Clone(s.written), Documents: slices.Clone(s.closed)}
	for i := range s.cards {
		h.Outside = append(h.Outside, s.outside[i]...)
	}
	slices.SortStableFunc(h.Outside, func(a, b Outside) int { return cmp.Compare(a.At, b.At) })
	return h
}

// Patches returns the figures that clients wrote, in order of time. The slice
// is a snapshot: it does not grow.
func (s *Shop) Patches() []Patch {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written[:len(s.written):len(s.written)]
}
