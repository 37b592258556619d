package evotortest_test

import (
	"crypto/sha256"
	"encoding/json"
	"testing"
	"time"

	"ostatok/agent/stock"
	"ostatok/sync/evotor/evotortest"
)

// shops are the kinds of shop that the invariants must hold for.
var shops = map[string]evotortest.Settings{
	"one terminal":     {Seed: 1, Download: 4 * time.Hour, Outside: 2, PartialCounts: 5},
	"never downloads":  {Seed: 2, Terminals: 4, Outside: 3, FullCounts: 1},
	"late terminals":   {Seed: 3, Terminals: 3, Download: 6 * time.Hour, Outside: 2, LateShare: 0.2, PartialCounts: 20, FullCounts: 2},
	"nothing outside":  {Seed: 4, Terminals: 6, Download: 24 * time.Hour, LateShare: 0.1},
	"stated before":    {Seed: 5, Terminals: 2, Download: time.Hour, AcceptReading: stock.Before},
	"a shop to itself": {Seed: 6},
}

func eachShop(t *testing.T, check func(*testing.T, *evotortest.Shop)) {
	for name, settings := range shops {
		t.Run(name, func(t *testing.T) {
			settings.Documents, settings.NoJSON = 6000, true
			check(t, evotortest.NewShop(settings))
		})
	}
}

var signs = map[stock.Type]stock.Quantity{
	stock.Sell: -1, stock.Return: -1, stock.WriteOff: -1, stock.Buyback: -1,
	stock.Payback: 1, stock.Accept: 1, stock.Buy: 1,
}

func effect(d *stock.Document, l stock.Line) stock.Quantity {
	if l.Settlement == "PREPAYMENT_FULL" || l.Settlement == "ADVANCE" {
		return 0
	}
	return signs[d.Type] * l.Quantity
}

// shelf replays a history by the book: documents and outside changes in the
// order of time, counts set.
type shelf struct {
	shop     *evotortest.Shop
	services map[string]bool
	created  map[string]int64
	levels   map[string]stock.Quantity
	outside  []evotortest.Outside
}

func newShelf(s *evotortest.Shop) *shelf {
	r := &shelf{shop: s, services: map[string]bool{}, created: map[string]int64{},
		levels: map[string]stock.Quantity{}, outside: s.History().Outside}
	for _, p := range s.Products() {
		r.services[p.ID], r.created[p.ID] = p.Service(), p.Created
		r.levels[p.ID] = s.Initial(p.ID)
	}
	for _, d := range s.History().Documents { // products that have vanished since
		for _, l := range d.Lines {
			if l.Product != "" {
				r.levels[l.Product] = s.Initial(l.Product)
			}
		}
	}
	return r
}

func (r *shelf) outsideUntil(at int64) {
	for len(r.outside) > 0 && r.outside[0].At <= at {
		r.levels[r.outside[0].Product] += r.outside[0].By
		r.outside = r.outside[1:]
	}
}

func (r *shelf) apply(d *stock.Document) {
	if d.Type == stock.Inventory {
		if d.Complete == stock.CompleteYes {
			for id := range r.levels {
				if !r.services[id] && r.created[id] <= d.Closed {
					r.levels[id] = 0
				}
			}
		}
		for _, l := range d.Lines {
			r.levels[l.Product] = l.Quantity
		}
		return
	}
	for _, l := range d.Lines {
		r.levels[l.Product] += effect(d, l)
	}
}

func TestShelfIsWhatHappened(t *testing.T) {
	eachShop(t, func(t *testing.T, s *evotortest.Shop) {
		r := newShelf(s)
		for _, d := range s.History().Documents {
			r.outsideUntil(d.Closed)
			r.apply(&d)
		}
		r.outsideUntil(s.Now().UnixMilli())
		for id, want := range r.levels {
			if got := s.Physical(id); got != want && id != "" && !r.services[id] {
				t.Errorf("product %s: %s on the shelf, its history gives %s", id, got, want)
			}
		}
	})
}

// With no document on its way, the cloud has seen everything, whatever the order
// in which it came.
func TestCloudCatchesUp(t *testing.T) {
	eachShop(t, func(t *testing.T, s *evotortest.Shop) {
		settings := s.Settings()
		settings.QuantityShown = true
		s = evotortest.NewShop(settings)
		travelling := map[string]bool{}
		for _, d := range s.History().Documents {
			if d.Arrived == 0 {
				for _, l := range d.Lines {
					travelling[l.Product] = true
				}
			}
		}
		for _, p := range s.Products() {
			if got, want := s.Cloud(p.ID), s.Physical(p.ID); got != want && !travelling[p.ID] && !p.Service() {
				t.Errorf("product %s: the cloud says %s, the shelf %s", p.Code, got, want)
			}
		}
	})
}

// One terminal that downloads often states what is on the shelf, less what
// changed outside since its last download.
func TestOneTerminalStatesTheShelf(t *testing.T) {
	s := evotortest.NewShop(evotortest.Settings{Seed: 7, Documents: 8000, Download: 30 * time.Minute, Outside: 5, PartialCounts: 10, NoJSON: true})
	history := s.History()
	downloads, states := history.Downloads, 0
	r := newShelf(s)
	downloaded := int64(0)
	for _, d := range history.Documents {
		for len(downloads) > 0 && downloads[0].At <= d.Closed {
			downloaded = downloads[0].At
			downloads = downloads[1:]
		}
		r.outsideUntil(d.Closed)
		unseen := map[string]stock.Quantity{}
		for _, o := range history.Outside {
			if o.At > downloaded && o.At <= d.Closed {
				unseen[o.Product] += o.By
			}
		}
		running := map[string]stock.Quantity{}
		for _, l := range d.Lines {
			if l.Product == "" || r.services[l.Product] {
				if l.Stated != 0 {
					t.Errorf("a line without stock states %s", l.Stated)
				}
				continue
			}
			want := r.levels[l.Product] - unseen[l.Product] + running[l.Product]
			running[l.Product] += effect(&d, l)
			if d.Type == stock.Accept {
				want += effect(&d, l)
			}
			// A count makes the unseen changes known before the next download.
			if _, again := unseen[l.Product]; !again && l.Stated != want {
				t.Fatalf("%s %d states %s, should state %s", d.Type, d.Number, l.Stated, want)
			}
			states++
		}
		r.apply(&d)
	}
	if states < 8000 {
		t.Errorf("only %d statements were checked", states)
	}
}

func digest(s *evotortest.Shop) [32]byte {
	h := sha256.New()
	for _, d := range s.Documents() {
		h.Write(d.JSON)
	}
	products, err := json.Marshal(s.Products())
	if err != nil {
		panic(err)
	}
	h.Write(products)
	return [32]byte(h.Sum(nil))
}

func TestSameSeedSameShop(t *testing.T) {
	settings := evotortest.Settings{Seed: 11, Terminals: 3, Documents: 4000, Download: 4 * time.Hour, Outside: 2, LateShare: 0.1, FullCounts: 1}
	later := evotortest.NewShop(settings)
	again := evotortest.NewShop(settings)
	if digest(later) != digest(again) {
		t.Fatal("the same settings gave two shops")
	}
	until := later.Now().Add(100 * time.Hour)
	later.Run(until)
	for at := again.Now(); at.Before(until); at = at.Add(37 * time.Minute) {
		again.Run(at)
	}
	again.Run(until)
	if digest(later) != digest(again) {
		t.Error("the steps in which a shop runs change what happens in it")
	}
	settings.Seed++
	if digest(evotortest.NewShop(settings)) == digest(again) {
		t.Error("the seed changes nothing")
	}
}

func TestToldWithoutOutsideChangesIsTheShelf(t *testing.T) {
	for _, download := range []time.Duration{0, 4 * time.Hour} {
		s := evotortest.NewShop(evotortest.Settings{Seed: 8, Terminals: 3, Download: download, FullCounts: 1, NoJSON: true})
		for _, p := range s.Products() {
			if q, ok := s.Told(p.ID); ok && q != s.Physical(p.ID) {
				t.Errorf("download %v, product %s: told %s, shelf %s", download, p.Code, q, s.Physical(p.ID))
			}
		}
	}
}

func TestToldKnowsWhatTerminalsSaw(t *testing.T) {
	settings := evotortest.Settings{Seed: 9, Terminals: 2, Products: 100, Documents: 5000, Outside: 4, NoJSON: true}
	never := evotortest.NewShop(settings)
	outside := map[string]stock.Quantity{}
	for _, o := range never.History().Outside {
		if o.At > joined(never) { // the last terminal downloads once, when it is activated
			outside[o.Product] += o.By
		}
	}
	for _, p := range never.Products() {
		q, ok := never.Told(p.ID)
		if !ok || outside[p.ID] == 0 {
			continue
		}
		if q > never.Physical(p.ID)-outside[p.ID] && outside[p.ID] > 0 {
			t.Errorf("product %s: told %s of %s with %s unseen by any terminal", p.Code, q, never.Physical(p.ID), outside[p.ID])
		}
	}
	settings.Download = time.Hour
	often := evotortest.NewShop(settings)
	told, mentioned := 0, 0
	for _, p := range often.Products() {
		if q, ok := often.Told(p.ID); ok {
			mentioned++
			if q == often.Physical(p.ID) {
				told++
			}
		}
	}
	if told < mentioned*8/10 || told == mentioned {
		t.Errorf("%d of %d products told whole; most should be, and the last changes not", told, mentioned)
	}
}

func joined(s *evotortest.Shop) int64 {
	last := int64(0)
	for _, d := range s.Devices() {
		last = max(last, d.Created)
	}
	return last
}

func TestToldFromAnIncompleteHistory(t *testing.T) {
	s := evotortest.NewShop(evotortest.Settings{Seed: 10, Products: 300, Documents: 5000, Outside: 2, Download: 4 * time.Hour, NoJSON: true})
	halfYear := s.Settings().To.AddDate(0, -6, 0).UnixMilli()
	whole, half, none := 0, 0, 0
	for _, p := range s.Products() {
		_, all := s.Told(p.ID)
		_, some := s.ToldFrom(p.ID, halfYear)
		switch {
		case some && !all:
			t.Errorf("product %s: half the history tells more than all of it", p.Code)
		case some:
			half++
		case all:
			whole++
		default:
			none++
		}
	}
	if whole == 0 || half == 0 || none == 0 {
		t.Errorf("%d products only in old documents, %d in new ones, %d in none: each should occur", whole, half, none)
	}
}

func TestPatchWipesOutWhatItDidNotKnow(t *testing.T) {
	s := evotortest.NewShop(evotortest.Settings{Seed: 12, Products: 40, Documents: 20000, Download: time.Hour, NoJSON: true})
	var product string
	for _, p := range s.Products() {
		if _, ok := s.Told(p.ID); ok && p.Type == "NORMAL" {
			product = p.ID
			break
		}
	}
	if s.Cloud(product) != 0 {
		t.Fatal("the cloud reports a figure before anybody wrote one")
	}
	wrong := s.Physical(product) + 50*stock.Unit
	if !s.SetQuantity(product, wrong, s.Now()) || s.Cloud(product) != wrong {
		t.Fatalf("the cloud reports %s after %s was written", s.Cloud(product), wrong)
	}
	before := len(s.Documents())
	s.Run(s.Now().Add(72 * time.Hour))
	last := stock.Quantity(0)
	for _, d := range s.Documents()[before:] {
		for _, l := range d.Lines {
			if l.Product != product {
				continue
			}
			last = l.Stated
			if d.Type != stock.Accept {
				last += effect(&d.Document, l)
			}
		}
	}
	if q, _ := s.Told(product); q != s.Physical(product) {
		t.Errorf("told %s: a wrong figure in the cloud is no truth, the shelf has %s", q, s.Physical(product))
	}
	if last != s.Physical(product)+50*stock.Unit {
		t.Errorf("terminals came to %s, want the shelf's %s and the 50 that were written too many", last, s.Physical(product))
	}
	if s.SetQuantity("no such product", 1, s.Now()) {
		t.Error("a product that does not exist was written")
	}
}
