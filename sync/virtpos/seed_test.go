package virtpos_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"ostatok/agent/stock"
	"ostatok/sync/rest"
	"ostatok/sync/virtpos"
	"ostatok/sync/virtpos/virtpostest"
)

// The vendor's description of the stock interface, «API :: Store», sentence by
// sentence in its order: what it says, and that client and simulator keep to it.

var (
	ctx  = context.Background()
	here = virtpos.Ref{ID: wh}
)

// dogFoodShop holds the item of the vendor's example.
func dogFoodShop(t *testing.T, adjust func(*virtpos.Options)) *office {
	o := open(t, virtpostest.Settings{}, adjust)
	o.AddItem(virtpostest.Item{ID: "17007", External: "1C-17007", Name: "63838 Корм для собак 2кг", Article: "63838", Price: "1126.00",
		Prices: map[string]string{"3": "866.00", "4": "1126.00"}})
	o.Put(wh, virtpostest.Balance{Item: "17007", Quantity: 2000, Reserved: 1000, Lot: "12345"})
	o.Put(other, virtpostest.Balance{Item: "17007", Quantity: 5000})
	o.Put(wh, virtpostest.Balance{Item: "101", Quantity: 0})
	o.Put(wh, virtpostest.Balance{Item: "102", Quantity: -1000})
	return o
}

// get sends a request as the description's examples do, and returns the answer.
func get(t *testing.T, o *office, pathAndQuery string) string {
	t.Helper()
	answer := httptest.NewRecorder()
	o.Server.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, pathAndQuery, nil))
	return answer.Body.String()
}

// ids are the items of rows, with their warehouses.
func ids(rows []virtpos.Row) (list []string) {
	for _, r := range rows {
		list = append(list, r.Warehouse+"/"+r.Item)
	}
	slices.Sort(list)
	return list
}

// "The interface reads and updates stock data of shops."
func TestSeedReadsAndUpdates(t *testing.T) {
	o := dogFoodShop(t, nil)
	if _, err := o.client.UpdateOnhand(ctx, virtpos.Update{Warehouse: here, Item: virtpos.Ref{ID: "17007"}, Quantity: 4500}); err != nil {
		t.Fatal(err)
	}
	if rows := o.store(t, virtpos.Query{Warehouse: wh, Item: "17007"}); len(rows) != 1 || rows[0].Quantity != 4500 {
		t.Errorf("%+v", rows)
	}
}

// "Data goes over HTTP", at mycompany.virtpos.ru: today's page has https and another
// host, so both come from the configuration.
func TestSeedSchemeAndHostAreConfigured(t *testing.T) {
	for _, address := range []string{"http://mycompany.virtpos.ru", "https://mycompany.myvirtualpos.ru"} {
		asked := ""
		c, err := virtpos.New(virtpos.Options{URL: address, Key: apikey, Transport: tripper(func(r *http.Request) (*http.Response, error) {
			asked = r.URL.Scheme + "://" + r.URL.Host + r.URL.Path
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(rowXML)), Request: r}, nil
		})})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := rowsOf(c); err != nil || asked != address+"/api/store" {
			t.Errorf("%s, %v", asked, err)
		}
	}
}

// "The format is xml or json", and again for each call: "format (get only) may be
// xml or json, optional".
func TestSeedFormatIsXMLOrJSON(t *testing.T) {
	for _, format := range []string{"", virtpos.FormatXML, virtpos.FormatJSON} {
		o := dogFoodShop(t, func(v *virtpos.Options) { v.Format = format })
		rows := o.store(t, virtpos.Query{Warehouse: wh})
		if len(rows) != 3 {
			t.Errorf("%q: %+v", format, rows)
		}
		if _, err := o.client.OnhandVersion(ctx, here); err != nil {
			t.Error(err)
		}
		if _, err := o.client.UpdateOnhand(ctx, virtpos.Update{Warehouse: here, Item: virtpos.Ref{ID: "101"}}); err != nil {
			t.Error(err)
		}
		if err := o.client.SetZeroOnhand(ctx, here, 1); err != nil {
			t.Error(err)
		}
		want := format
		if want == "" {
			want = virtpos.FormatXML
		}
		for _, r := range o.Requests() {
			if r.Query.Get("format") != want || r.Form.Has("format") {
				t.Errorf("%s: format %q in the query, %q in the body", r.Call, r.Query.Get("format"), r.Form.Get("format"))
			}
		}
	}
	// Optional: the simulator answers without it, and what comes is looked at.
	o := dogFoodShop(t, nil)
	if body := get(t, o, "/api/store?apikey=wrong"); !strings.HasPrefix(body, "<?xml") {
		t.Error(body)
	}
	if rows, err := rowsOf(saying(t, 200, "", sample(t, "store.hypothetical-a.json"))); err != nil || len(rows) != 1 {
		t.Errorf("asked for XML, got JSON: %v %v", rows, err)
	}
}

// The example of a reading: warehouseid=1&fields=itemname:article.
func TestSeedExampleOfAReading(t *testing.T) {
	o := dogFoodShop(t, nil)
	o.store(t, virtpos.Query{Warehouse: "1", Fields: []string{virtpos.FieldName, virtpos.FieldArticle}})
	r := o.last(t, virtpostest.CallStore)
	if r.Query.Encode() != "format=xml&warehouseid=1" || r.Form.Get("fields") != "itemname:article" {
		t.Errorf("%+v", r)
	}
	s := virtpostest.New(virtpostest.Settings{Key: "MySecret"})
	s.AddWarehouse("1", "", "Магазин 1")
	s.AddItem(virtpostest.Item{ID: "8", Name: "Сыр", Article: "A8"})
	s.Put("1", virtpostest.Balance{Item: "8", Quantity: 1700})
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, httptest.NewRequest("GET", "/api/store?apikey=MySecret&format=xml&warehouseid=1&fields=itemname:article", nil))
	rows, err := rowsOf(saying(t, 200, "", answer.Body.String()))
	if diff := gocmp.Diff([]virtpos.Row{{Warehouse: "1", Item: "8", Quantity: 1700, Available: 1700, HasAvailable: true, Name: "Сыр", Article: "A8"}}, rows); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// "Parameters that are not marked get only may be sent in either way": those that
// are stand in the query of every request, and the key never does.
func TestSeedGetOnlyParametersStandInTheQuery(t *testing.T) {
	o := dogFoodShop(t, nil)
	o.store(t, virtpos.Query{Warehouse: wh, Item: "101", Article: "A101", Name: "Товар 101", StockOnly: true, Fields: []string{virtpos.FieldCost}})
	ext := func(id string) virtpos.Ref { return virtpos.Ref{ID: id, External: true} }
	for _, u := range []virtpos.Update{
		{Warehouse: here, Item: virtpos.Ref{ID: "101"}, Lot: "L", Cost: "1", Made: noon, Expires: noon},
		{Warehouse: ext(whExt), Item: ext("ext-101")},
	} {
		if _, err := o.client.UpdateOnhand(ctx, u); err != nil {
			t.Error(err)
		}
	}
	version, err := o.client.OnhandVersion(ctx, ext(whExt))
	if err != nil {
		t.Error(err)
	}
	if err := o.client.SetZeroOnhand(ctx, ext(whExt), version); err != nil {
		t.Error(err)
	}
	getOnly := []string{"format", "stockonly", "warehouseid", "itemid", "article", "itemname", "ext_warehouseid", "ext_itemid", "version"}
	seen := map[string]bool{}
	for _, r := range o.Requests() {
		if r.Method != "POST" || r.Query.Has("apikey") || r.Form.Get("apikey") != apikey {
			t.Errorf("%s %s: the key is not in the body only", r.Method, r.URL)
		}
		for name := range r.Query {
			if seen[name] = true; !slices.Contains(getOnly, name) {
				t.Errorf("%s: %s stands in the query", r.Call, name)
			}
		}
		for _, name := range getOnly {
			if r.Form.Has(name) {
				t.Errorf("%s: %s stands in the body", r.Call, name)
			}
		}
	}
	if len(seen) != len(getOnly) {
		t.Errorf("the test sent only %v", seen)
	}
}

// "apikey: the secret key; mandatory."
func TestSeedKeyIsMandatory(t *testing.T) {
	o := open(t, virtpostest.Settings{}, func(v *virtpos.Options) { v.Key = "another-key" })
	if _, err := o.read(virtpos.Query{}); rest.KindOf(err) != rest.Unauthorized {
		t.Error(err)
	}
	if body := get(t, o, "/api/store"); !strings.Contains(body, "<success>0</success>") {
		t.Error(body)
	}
}

// "stockonly=1 returns only items whose stock is above zero."
func TestSeedStockOnly(t *testing.T) {
	o := dogFoodShop(t, nil)
	if got := ids(o.store(t, virtpos.Query{Warehouse: wh, StockOnly: true})); !slices.Equal(got, []string{"3/17007"}) {
		t.Error(got)
	}
	// Zeros and negatives are hidden, so nothing that decides on stock asks so.
	if _, err := o.target().Read(ctx, []string{"101", "102"}); err != nil {
		t.Error(err)
	}
	d := newDesk(t, virtpostest.Settings{}, map[string]int{"101": 1}, map[string]int{"105": 1})
	d.finish(t)
	for _, r := range append(o.Requests()[1:], d.Requests()...) {
		if r.Query.Has("stockonly") {
			t.Errorf("%s", r.URL)
		}
	}
}

// "warehouseid: the shop; if absent, all shops."
func TestSeedWarehouseFilter(t *testing.T) {
	o := dogFoodShop(t, nil)
	if got := ids(o.store(t, virtpos.Query{Warehouse: other})); !slices.Equal(got, []string{"4/17007"}) {
		t.Error(got)
	}
	if got := ids(o.store(t, virtpos.Query{})); !slices.Equal(got, []string{"3/101", "3/102", "3/17007", "4/17007"}) {
		t.Error(got)
	}
}

// "itemid: the item; if absent, all items", and the same for article and itemname.
func TestSeedItemFilters(t *testing.T) {
	o := dogFoodShop(t, nil)
	for _, q := range []virtpos.Query{{Item: "17007"}, {Article: "63838"}, {Name: "63838 Корм для собак 2кг"}} {
		if got := ids(o.store(t, q)); !slices.Equal(got, []string{"3/17007", "4/17007"}) {
			t.Errorf("%+v: %v", q, got)
		}
	}
}

// "fields: additional fields, joined by a colon; optional: itemname, article, cogs,
// price, optionalprices."
func TestSeedFields(t *testing.T) {
	o := dogFoodShop(t, nil)
	for _, c := range []struct {
		field string
		want  func(*virtpos.Row)
	}{
		{"", func(*virtpos.Row) {}},
		{virtpos.FieldName, func(r *virtpos.Row) { r.Name = dogFood.Name }},
		{virtpos.FieldArticle, func(r *virtpos.Row) { r.Article = dogFood.Article }},
		{virtpos.FieldCost, func(r *virtpos.Row) { r.Cost = dogFood.Cost }},
		{virtpos.FieldPrice, func(r *virtpos.Row) { r.Price = dogFood.Price }},
		{virtpos.FieldPrices, func(r *virtpos.Row) {
			r.Prices = []virtpos.Price{{List: "3", Price: "866.00"}, {List: "4", Price: "1126.00"}}
		}},
	} {
		want := virtpos.Row{Warehouse: wh, Item: "17007", Quantity: 2000, Lot: "12345", Available: 1000, HasAvailable: true}
		c.want(&want)
		q := virtpos.Query{Warehouse: wh, Item: "17007"}
		if c.field != "" {
			q.Fields = []string{c.field}
		}
		if diff := gocmp.Diff([]virtpos.Row{want}, o.store(t, q)); diff != "" {
			t.Errorf("%q: %s", c.field, diff)
		}
	}
	o.store(t, virtpos.Query{Fields: []string{virtpos.FieldName, virtpos.FieldPrices}})
	if got := o.last(t, virtpostest.CallStore).Form.Get("fields"); got != "itemname:optionalprices" {
		t.Error(got)
	}
}

// "The answer always has success", "1 is done, 0 is an error", "info says more of
// the error": for readings and for updates.
func TestSeedSuccessAndInfo(t *testing.T) {
	for body, done := range map[string]bool{
		`<root><success>1</success><count>0</count></root>`:                      true,
		`<root><success>0</success><info>Товар не найден</info></root>`:          false,
		`<root><success>0</success><info>Товар не найден</info><count/></root>`:  false,
		`<root><count>0</count></root>`:                                          false,
		`{"success":0,"info":"Товар не найден","warehouses":[],"quantity":"20"}`: false,
	} {
		c := saying(t, 200, "", body)
		_, read := rowsOf(c)
		_, write := c.UpdateOnhand(ctx, virtpos.Update{Warehouse: here, Item: virtpos.Ref{ID: "1"}})
		for _, err := range []error{read, write} {
			if (err == nil) != done {
				t.Errorf("%s: %v", body, err)
			}
			if refusal, ok := errors.AsType[*virtpos.RefusedError](err); ok && refusal.Info != "Товар не найден" {
				t.Errorf("%s: %v", body, refusal)
			}
		}
	}
}

// "quantity: the present amount", "available_quantity: with reserves taken into
// account": we keep the first in step, which is what is there.
func TestSeedQuantityIsPhysical(t *testing.T) {
	o := dogFoodShop(t, nil)
	rows := o.store(t, virtpos.Query{Warehouse: wh, Item: "17007"})
	if rows[0].Quantity != 2000 || rows[0].Available != 1000 {
		t.Errorf("%+v", rows[0])
	}
	seen, err := o.target().Read(ctx, []string{"17007"})
	if err != nil || seen[0].Quantity != 2000 {
		t.Errorf("%+v, %v", seen, err)
	}
}

// The example of an answer to a reading: TestSamplesOfStore reads it; the simulator
// writes it, but for the order of the price lists.
func TestSeedExampleOfAnAnswer(t *testing.T) {
	o := dogFoodShop(t, nil)
	rows := o.store(t, virtpos.Query{Warehouse: wh, StockOnly: true, Fields: []string{"itemname", "article", "cogs", "price", "optionalprices"}})
	want := dogFood
	want.Prices = []virtpos.Price{{List: "3", Price: "866.00"}, {List: "4", Price: "1126.00"}}
	if diff := gocmp.Diff([]virtpos.Row{want}, rows); diff != "" {
		t.Error(diff)
	}
}

// The example of an update: warehouseid=1&itemid=1&quantity=20.
func TestSeedExampleOfAnUpdate(t *testing.T) {
	o := dogFoodShop(t, nil)
	if _, err := o.client.UpdateOnhand(ctx, virtpos.Update{Warehouse: here, Item: virtpos.Ref{ID: "101"}, Quantity: units(20)}); err != nil {
		t.Fatal(err)
	}
	r := o.last(t, virtpostest.CallUpdate)
	if r.Query.Encode() != "format=xml&itemid=101&warehouseid=3" || r.Form.Encode() != (url.Values{"apikey": {apikey}, "quantity": {"20"}}).Encode() {
		t.Errorf("%+v", r)
	}
	o.holds(t, "101", 20)
	s := virtpostest.New(virtpostest.Settings{Key: "MySecret"})
	s.AddWarehouse("1", "", "")
	s.AddItem(virtpostest.Item{ID: "1"})
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, httptest.NewRequest("GET", "/api/store/updateOnhand?apikey=MySecret&format=xml&warehouseid=1&itemid=1&quantity=20", nil))
	if q, _ := s.Holds("1", "1"); q != units(20) {
		t.Error(answer.Body)
	}
}

// "ext_warehouseid and ext_itemid: codes of another system, used only if the own
// number is absent": both can never be sent, because the own one would win.
func TestSeedExternalCodes(t *testing.T) {
	for _, c := range []struct{ warehouse, item virtpos.Ref }{
		{here, virtpos.Ref{ID: "101"}},
		{here, virtpos.Ref{ID: "ext-101", External: true}},
		{virtpos.Ref{ID: whExt, External: true}, virtpos.Ref{ID: "101"}},
		{virtpos.Ref{ID: whExt, External: true}, virtpos.Ref{ID: "ext-101", External: true}},
	} {
		o := dogFoodShop(t, nil)
		got, err := o.client.UpdateOnhand(ctx, virtpos.Update{Warehouse: c.warehouse, Item: c.item, Quantity: units(20)})
		if err != nil || got.Item != "101" || got.Warehouse != wh {
			t.Errorf("%+v, %v", got, err)
		}
		o.holds(t, "101", 20)
		q := o.last(t, virtpostest.CallUpdate).Query
		if q.Has("itemid") == q.Has("ext_itemid") || q.Has("warehouseid") == q.Has("ext_warehouseid") {
			t.Errorf("%v", q)
		}
	}
	s := virtpostest.New(virtpostest.Settings{})
	s.AddWarehouse("1", "W1", "")
	s.AddWarehouse("2", "W2", "")
	s.AddItem(virtpostest.Item{ID: "8", External: "E8"})
	s.AddItem(virtpostest.Item{ID: "9", External: "E9"})
	s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET",
		"/api/store/updateOnhand?apikey=x&warehouseid=1&ext_warehouseid=W2&itemid=8&ext_itemid=E9&quantity=7", nil))
	if got := s.Balances("1"); len(got) != 1 || got[0].Item != "8" || len(s.Balances("2")) != 0 {
		t.Errorf("the own numbers do not win: %+v", got)
	}
}

// "quantity, manuf_date, cogs, expir_date, lot_number can be changed."
func TestSeedWhatCanBeChanged(t *testing.T) {
	o := dogFoodShop(t, nil)
	day := time.Date(2026, 5, 9, 0, 0, 0, 0, time.UTC)
	_, err := o.client.UpdateOnhand(ctx, virtpos.Update{Warehouse: here, Item: virtpos.Ref{ID: "101"}, Quantity: 236,
		Lot: "77", Cost: "12.50", Made: day, Expires: day.AddDate(0, 1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range o.Balances(wh) {
		if b.Item == "101" && (b.Quantity != 236 || b.Lot != "77" || b.Cost != "12.50" || b.Made != "2026-05-09" || b.Expires != "2026-06-09") {
			t.Errorf("%+v", b)
		}
	}
}

// "itemid and warehouseid: the own numbers of what was changed", "isnew: 1 if the
// stock was added for the first time, 0 if it was updated", "quantity_before: the
// amount before the update". The example of the answer is in TestSamplesOfOtherCalls.
func TestSeedAnswerOfAnUpdate(t *testing.T) {
	o := dogFoodShop(t, nil)
	for _, want := range []virtpos.Updated{
		{Row: "5", Item: "103", Warehouse: wh, New: true, Before: new(stock.Quantity)},
		{Row: "5", Item: "103", Warehouse: wh, Before: new(stock.Quantity)},
	} {
		*want.Before = map[bool]stock.Quantity{true: 0, false: 1700}[want.New]
		got, err := o.client.UpdateOnhand(ctx, virtpos.Update{Warehouse: virtpos.Ref{ID: whExt, External: true},
			Item: virtpos.Ref{ID: "ext-103", External: true}, Quantity: 1700})
		if diff := gocmp.Diff(want, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
	}
}

// "1. Get the version. 2. Update the items with stock. 3. Zero what was not updated
// (its version is lower)."
func TestSeedZeroingInThreeSteps(t *testing.T) {
	d := newDesk(t, virtpostest.Settings{}, map[string]int{"101": 3, "102": 5}, map[string]int{"101": 1, "105": 9})
	d.finish(t)
	if got := d.calls(); !slices.Equal(got, []string{"getOnhandVersion", "updateOnhand", "updateOnhand", "setZeroOnhand"}) {
		t.Error(got)
	}
	for item, n := range map[string]int{"101": 3, "102": 5, "105": 0} {
		d.holds(t, item, n)
	}
}

// "getOnhandVersion takes warehouseid or ext_warehouseid" (and the example).
func TestSeedVersionOfAWarehouse(t *testing.T) {
	o := dogFoodShop(t, nil)
	for ref, query := range map[virtpos.Ref]string{here: "format=xml&warehouseid=3", {ID: whExt, External: true}: "ext_warehouseid=ext-W3&format=xml"} {
		version, err := o.client.OnhandVersion(ctx, ref)
		if err != nil || version <= 0 || o.last(t, virtpostest.CallVersion).Query.Encode() != query {
			t.Errorf("%d, %v, %s", version, err, o.last(t, virtpostest.CallVersion).URL)
		}
	}
}

// "setZeroOnhand takes version, as getOnhandVersion gave it, and warehouseid or
// ext_warehouseid." The description's own example has no version: we never send it
// so.
func TestSeedZeroingOfAWarehouse(t *testing.T) {
	for ref, query := range map[virtpos.Ref]string{here: "format=xml&version=2&warehouseid=3", {ID: whExt, External: true}: "ext_warehouseid=ext-W3&format=xml&version=2"} {
		o := dogFoodShop(t, nil)
		version, err := o.client.OnhandVersion(ctx, ref)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.client.SetZeroOnhand(ctx, ref, version); err != nil || o.last(t, virtpostest.CallZero).Query.Encode() != query {
			t.Errorf("%v, %s", err, o.last(t, virtpostest.CallZero).URL)
		}
		o.holds(t, "17007", 0)
		if q, _ := o.Holds(other, "17007"); q != 5000 {
			t.Errorf("another warehouse holds %v", q)
		}
	}
}
