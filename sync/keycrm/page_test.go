package keycrm_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ostatok/agent/stock"
	"ostatok/sync/keycrm"
)

func decodePage(t *testing.T, body []byte) keycrm.Page {
	t.Helper()
	p, err := keycrm.DecodePage(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSamplesOfPages(t *testing.T) {
	p := decodePage(t, sample(t, "offers-stocks.details.response.json"))
	figure := keycrm.Figure{Quantity: 98_000, Reserve: 8_000}
	want := keycrm.Page{Total: 100, Number: 1, More: true, Offers: []keycrm.Offer{
		{ID: 22, SKU: "sku001", Figure: figure, Warehouses: []keycrm.Warehouse{{ID: 22, Name: "Основний", Figure: figure}}},
	}}
	if diff := cmp.Diff(want, p, cmpopts.IgnoreUnexported(keycrm.Offer{})); diff != "" {
		t.Error(diff)
	}
	// Live the links are an array, and the end is told by last_page.
	if p := decodePage(t, sample(t, "list-envelope.live-2026.redacted.json")); p.Total != 45329 || !p.More || len(p.Offers) != 0 {
		t.Errorf("%+v", p)
	}
}

func TestEndOfAList(t *testing.T) {
	for name, c := range map[string]struct {
		envelope string
		more     bool
		refused  string
	}{
		"last_page reached":         {`"current_page":3,"last_page":3,"next_page_url":"x"`, false, ""},
		"last_page not reached":     {`"current_page":2,"last_page":3,"next_page_url":null`, true, ""},
		"only a next page":          {`"current_page":2,"next_page_url":"https://x?page=3"`, true, ""},
		"only no next page":         {`"next_page_url":null`, false, ""},
		"quoted numbers":            {`"current_page":"2","last_page":"3"`, true, ""},
		"links mean nothing":        {`"links":[{"url":"x","label":"2","active":false}],"next_page_url":null`, false, ""},
		"nothing tells":             {`"total":1`, false, "whether another page follows"},
		"last_page without a place": {`"last_page":3`, false, "whether another page follows"},
		"strange total":             {`"total":{},"next_page_url":null`, false, "total"},
		"strange last_page":         {`"current_page":1,"last_page":"soon"`, false, "last_page"},
	} {
		p, err := keycrm.DecodePage(strings.NewReader(`{"data":[],` + c.envelope + `}`))
		if c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: %v", name, err)
			}
		} else if err != nil || p.More != c.more {
			t.Errorf("%s: more %v, %v", name, p.More, err)
		}
	}
	for _, body := range []string{``, `{}`, `[]`, `null`, `{"data":null,"next_page_url":null}`, `{"data":{},"next_page_url":null}`, `{"total":0,"next_page_url":null}`, `{"data":[`, `{"data":[{}`} {
		if p, err := keycrm.DecodePage(strings.NewReader(body)); err == nil {
			t.Errorf("%s is no page: %+v", body, p)
		}
	}
}

// A row that cannot be read does not take the page with it, and never has a
// figure that could be taken for one.
func TestRows(t *testing.T) {
	row := func(s string) keycrm.Offer {
		p := decodePage(t, []byte(`{"next_page_url":null,"data":[`+s+`]}`))
		return p.Offers[0]
	}
	for s, want := range map[string]keycrm.Figure{
		`{"id":1,"sku":"a","quantity":98,"reserve":8}`:                    {Quantity: 98_000, Reserve: 8_000},
		`{"id":"1","sku":"a","quantity":"98.5","reserve":"0.25"}`:         {Quantity: 98_500, Reserve: 250},
		`{"id":1,"sku":"a","quantity":-3,"reserve":null}`:                 {Quantity: -3_000},
		`{"id":1,"sku":null,"quantity":1.9339999999999997,"reserve":0}`:   {Quantity: 1_934},
		`{"id":1,"sku":557722,"quantity":5.5e-17,"reserve":1e3}`:          {Reserve: 1_000_000},
		`{"id":1,"quantity":-0.0015,"reserve":0,"warehouse":null,"x":{}}`: {Quantity: -2},
		"{\"id\":1,\"sku\":\"\xff\",\"quantity\":1,\"reserve\":0}":        {Quantity: 1_000},
	} {
		if o := row(s); o.Err != nil || o.Figure != want {
			t.Errorf("%s: %+v, %v", s, o.Figure, o.Err)
		}
	}
	for _, s := range []string{
		`{"id":1,"sku":"a","quantity":98}`,                // a reserve that is not told is not none
		`{"id":1,"sku":"a","quantity":98,"in_reserve":8}`, // … nor under the name that it has elsewhere
		`{"id":1,"sku":"a","quantity":null,"reserve":0}`,
		`{"id":1,"sku":"a","quantity":"many","reserve":0}`,
		`{"id":1,"sku":"a","quantity":1e300,"reserve":0}`,
		`{"id":1,"sku":"a","quantity":1e999999999,"reserve":0}`,
		`{"id":1,"sku":"a","quantity":[],"reserve":0}`,
		`{"sku":"a","quantity":1,"reserve":0}`,
		`{"id":1,"sku":{},"quantity":1,"reserve":0}`,
		`{"id":1,"sku":"a","quantity":1,"reserve":0,"warehouse":{}}`,
		`{"id":1,"sku":"a","quantity":1,"reserve":0,"warehouse":[{"id":1,"quantity":1}]}`,
		`7`,
	} {
		o := row(s)
		if _, err := o.In(0); err == nil {
			t.Errorf("%s was read as %+v", s, o)
		}
	}
	// Without details the sum must not pass for a warehouse's figure.
	sum := row(`{"id":1,"sku":"a","quantity":98,"reserve":8}`)
	if f, err := sum.In(2); err == nil {
		t.Errorf("%+v", f)
	}
	if f, err := sum.In(0); err != nil || f.Quantity != 98_000 {
		t.Errorf("%+v, %v", f, err)
	}
	twice := row(`{"id":1,"sku":"a","quantity":2,"reserve":0,"warehouse":[{"id":2,"quantity":1,"reserve":0},{"id":2,"quantity":1,"reserve":0}]}`)
	if f, err := twice.In(2); err == nil {
		t.Errorf("%+v", f)
	}
}

func TestSampleOfTheWrite(t *testing.T) {
	body, err := keycrm.EncodeRows(1, []keycrm.Row{{Offer: 1, Quantity: stock.Unit}, {SKU: "001-242", Quantity: stock.Unit}})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer("\n", "", " ", "").Replace(string(sample(t, "offers-stocks.put.request.json")))
	if string(body) != want {
		t.Errorf("%s, want %s", body, want)
	}
	body, err = keycrm.EncodeRows(7, []keycrm.Row{{SKU: `a"b\c`, Quantity: -1234}})
	if err != nil || string(body) != `{"warehouse_id":7,"stocks":[{"sku":"a\"b\\c","quantity":-1.234}]}` {
		t.Errorf("%s, %v", body, err)
	}
	for _, rows := range [][]keycrm.Row{{{Quantity: 1}}, {{SKU: "\xff", Quantity: 1}}} {
		if body, err := keycrm.EncodeRows(1, rows); err == nil {
			t.Errorf("%s", body)
		}
	}
}

func FuzzDecodePage(f *testing.F) {
	f.Add(sample(f, "offers-stocks.details.response.json"))
	f.Add(sample(f, "list-envelope.live-2026.redacted.json"))
	f.Add([]byte(`{"data":[{"id":1,"quantity":1e-7,"reserve":0,"warehouse":[{"id":1,"quantity":"x"}]}],"next_page_url":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := keycrm.DecodePage(bytes.NewReader(body))
		if err != nil {
			return
		}
		for _, o := range p.Offers {
			figure, err := o.In(0)
			if err == nil && (figure.Quantity.Abs() > 1e15 || figure.Reserve.Abs() > 1e15) {
				t.Errorf("%+v", figure)
			}
			if err == nil && o.Err != nil {
				t.Error("a figure of a row that was not read")
			}
		}
	})
}

func FuzzDecodeHooks(f *testing.F) {
	f.Add(sample(f, "webhook-stock.json"))
	f.Add(sample(f, "webhook-order-status.shape.json"))
	f.Add([]byte(`{"sku":7,"in_stock":"1","in_reserve":-1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		changes, err := keycrm.DecodeChanges(body)
		for _, c := range changes {
			if err == nil && c.SKU == "" && c.Offer == 0 {
				t.Error("a change of nothing")
			}
		}
		if e, err := keycrm.DecodeOrderEvent(body); err == nil && e.Order <= 0 {
			t.Error("an event of no order")
		}
	})
}

func FuzzDecodeOrder(f *testing.F) {
	f.Add([]byte(`{"id":1,"status_id":2,"products":[{"sku":"a","quantity":2,"offer":{"id":5,"sku":"b"},"warehouse":{"id":2}}]}`))
	f.Add([]byte(`{"id":1,"products":[{"sku":null,"quantity":"0.5","offer":null,"warehouse":[]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		o, err := keycrm.DecodeOrder(body)
		if err == nil && len(o.SKUs()) > len(o.Lines) {
			t.Errorf("%+v", o)
		}
	})
}
