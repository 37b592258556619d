package evotortest_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"ostatok/agent/stock"
	"ostatok/sync/evotor/evotortest"
)

// wire is what the tests read of a document's JSON.
type wire struct {
	Type      stock.Type `json:"type"`
	ID        string     `json:"id"`
	Number    int64      `json:"number"`
	Closed    string     `json:"close_date"`
	Device    string     `json:"device_id"`
	Store     string     `json:"store_id"`
	CreatedAt string     `json:"created_at"`
	Body      struct {
		Complete     *bool          `json:"complete_inventory"`
		BaseDocument string         `json:"base_document_id"`
		Positions    []wirePosition `json:"positions"`
		Payments     []struct {
			Type string `json:"type"`
		} `json:"payments"`
	} `json:"body"`
}

type wirePosition struct {
	Product    *string         `json:"product_id"`
	UUID       string          `json:"uuid"`
	Quantity   *stock.Quantity `json:"quantity"`
	Initial    *stock.Quantity `json:"initial_quantity"`
	Precision  int             `json:"measure_precision"`
	Sub        []wirePosition  `json:"sub_positions"`
	Settlement *struct {
		Type string `json:"type"`
	} `json:"settlement_method"`
}

func stamp(t *testing.T, text string) int64 {
	t.Helper()
	at, err := time.Parse(evotortest.Stamp, text)
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixMilli()
}

func (p *wirePosition) lines() []stock.Line {
	l := stock.Line{}
	if p.Product != nil {
		l.Product = *p.Product
	}
	if p.Quantity != nil {
		l.Quantity = *p.Quantity
	}
	if p.Initial != nil {
		l.Stated, l.HasStated = *p.Initial, true
	}
	if p.Settlement != nil {
		l.Settlement = p.Settlement.Type
	}
	lines := []stock.Line{l}
	for i := range p.Sub {
		sub := p.Sub[i].lines()[0]
		sub.Sub = true
		lines = append(lines, sub)
	}
	return lines
}

// The JSON says what the decoded document says, and every document is valid.
func TestJSONIsTheDocument(t *testing.T) {
	s := evotortest.NewShop(evotortest.Settings{Seed: 21, Terminals: 2, Documents: 6000, Download: time.Hour, FullCounts: 1, PartialCounts: 2, LateShare: 0.1})
	for _, d := range s.Documents() {
		var w wire
		if err := json.Unmarshal(d.JSON, &w); err != nil {
			t.Fatalf("%s: %v", d.JSON, err)
		}
		got := stock.Document{ID: w.ID, Type: w.Type, Device: w.Device, Number: w.Number, Store: w.Store,
			Closed: stamp(t, w.Closed), Arrived: stamp(t, w.CreatedAt)}
		if w.Type.Moves() {
			for _, p := range w.Body.Positions {
				got.Lines = append(got.Lines, p.lines()...)
			}
		}
		if w.Body.Complete != nil {
			got.Complete = stock.CompleteNo
			if *w.Body.Complete {
				got.Complete = stock.CompleteYes
			}
		}
		want := d.Document
		if !slices.Equal(got.Lines, want.Lines) {
			t.Fatalf("lines %v, want %v in %s", got.Lines, want.Lines, d.JSON)
		}
		got.Lines, want.Lines = nil, nil
		if got.ID != want.ID || got.Closed != want.Closed || got.Arrived != want.Arrived || got.Type != want.Type ||
			got.Number != want.Number || got.Device != want.Device || got.Complete != want.Complete || got.Store != want.Store {
			t.Fatalf("document %v, want %v", got, want)
		}
	}
}

// What the shop is said to do, it does.
func TestEverythingOccurs(t *testing.T) {
	s := evotortest.NewShop(evotortest.Settings{Seed: 26, Terminals: 3, Products: 1000, Documents: 30000, Download: 4 * time.Hour,
		Outside: 1, LateShare: 0.05, FullCounts: 1, PartialCounts: 3})
	seen := map[string]int{}
	numbers := map[string]int64{}
	sold := map[string]bool{}
	listed := map[string]bool{}
	named := map[string]int64{}
	for _, p := range s.Products() {
		listed[p.ID] = true
		if p.Service() {
			seen["service"]++
		}
		if p.Created > s.Settings().From.UnixMilli() {
			seen["product created later"]++
		}
	}
	documents := s.Documents()
	for _, d := range documents {
		seen[string(d.Type)]++
		if d.Number < numbers[d.Device] {
			seen["number reset"]++
		}
		numbers[d.Device] = d.Number
		if d.Arrived-d.Closed > int64(time.Hour/time.Millisecond) {
			seen["late document"]++
		}
		if bytes.Contains(d.JSON, []byte(`"type":"ADVANCE","parts"`)) && bytes.Contains(d.JSON, []byte("CHECKOUT_FULL")) {
			seen["advance payment"]++
		}
		if d.Type == stock.Payback {
			var w wire
			if err := json.Unmarshal(d.JSON, &w); err != nil {
				t.Fatal(err)
			}
			if w.Body.BaseDocument != "" && sold[w.Body.Positions[0].UUID] {
				seen["returned line"]++
			}
		}
		once := map[string]bool{}
		for _, l := range d.Lines {
			if d.Type != stock.Inventory { // a count names what nobody ever sold
				named[l.Product] = max(named[l.Product], d.Closed)
			}
			switch {
			case l.Product == "":
				seen["free price"]++
			case l.Sub:
				seen["sub position"]++
			case once[l.Product]:
				seen["repeated product"]++
			case !listed[l.Product]:
				seen["vanished product"]++
			}
			once[l.Product] = true
			if l.Quantity%stock.Unit != 0 {
				seen["weighed"]++
			}
			seen[l.Settlement]++
		}
		if d.Type == stock.Sell {
			for _, part := range strings.Split(string(d.JSON), `"uuid":"`)[1:] {
				sold[part[:36]] = true
			}
		}
	}
	halfYear := s.Settings().To.AddDate(0, -6, 0).UnixMilli()
	for id := range listed {
		switch at := named[id]; {
		case at == 0:
			seen["silent product"]++
		case at < halfYear:
			seen["long silent product"]++
		}
	}
	for _, what := range []string{
		"SELL", "PAYBACK", "ACCEPT", "RETURN", "WRITE_OFF", "BUY", "BUYBACK", "INVENTORY", "REVALUATION", "CASH_INCOME", "CASH_OUTCOME",
		"OPEN_SESSION", "CLOSE_SESSION", "Z_REPORT", "X_REPORT", "CHECKOUT_FULL", "PREPAYMENT_FULL", "ADVANCE", "CREDIT_PASS",
		"service", "product created later", "number reset", "late document", "advance payment", "returned line", "free price", "sub position",
		"repeated product", "vanished product", "weighed", "silent product",
	} {
		if seen[what] == 0 {
			t.Errorf("never occurs: %s", what)
		}
	}
	if n := len(documents); n < 28500 || n > 31500 {
		t.Errorf("%d documents, asked for about 30000", n)
	}
	if share := float64(seen["SELL"]) / float64(len(documents)); share < 0.90 || share > 0.96 {
		t.Errorf("%.2f of the documents are sales", share)
	}
	below := 0
	for _, p := range s.Products() {
		if s.Physical(p.ID) < 0 {
			below++
		}
	}
	if below == 0 || below > 40 {
		t.Errorf("%d products below zero: a few should be, which are sold and never received", below)
	}
	if n := len(s.Devices()); n != 3 || s.Devices()[2].Created <= s.Settings().From.UnixMilli() {
		t.Errorf("%d terminals, the last of three should be activated in the middle", n)
	}
}

func TestLongSilentProducts(t *testing.T) {
	s := evotortest.NewShop(evotortest.Settings{Seed: 23, Products: 500, Documents: 20000, NoJSON: true})
	halfYear := s.Settings().To.AddDate(0, -6, 0).UnixMilli()
	long := 0
	for _, p := range s.Products() {
		_, ever := s.Told(p.ID)
		if _, lately := s.ToldFrom(p.ID, halfYear); ever && !lately {
			long++
		}
	}
	if long < 5 {
		t.Errorf("%d products have only documents older than six months", long)
	}
}
