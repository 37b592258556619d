package evotor_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"ostatok/agent/stock"
	"ostatok/sync/evotor"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func sample(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "samples", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// member returns one member of an object, as the samples of whole requests and
// of mere bodies need.
func member(t testing.TB, raw []byte, name string) []byte {
	t.Helper()
	dec := jsontext.NewDecoder(strings.NewReader(string(raw)))
	if _, err := dec.ReadToken(); err != nil {
		t.Fatal(err)
	}
	for dec.PeekKind() == '"' {
		token, err := dec.ReadToken()
		if err != nil {
			t.Fatal(err)
		}
		at := token.String()
		value, err := dec.ReadValue()
		if err != nil {
			t.Fatal(err)
		}
		if at == name {
			return value.Clone()
		}
	}
	t.Fatalf("no member %q", name)
	return nil
}

// enveloped makes a document of a documented body.
func enveloped(typ string, body []byte) []byte {
	return fmt.Appendf(nil, `{"type":%q,"id":"d","number":7,"close_date":"2019-01-02T03:04:05.000+0000","device_id":"t","body":%s}`, typ, body)
}

// documents returns the documents of a sample.
func documents(t *testing.T, file string) []evotor.Item[stock.Document] {
	t.Helper()
	raw := sample(t, file)
	number, rest, _ := strings.Cut(file, "-")
	switch {
	case number == "16":
		raw = member(t, raw, "body")
	case number >= "20" && number <= "35":
		typ, _, _ := strings.Cut(rest, "-body")
		raw = enveloped(strings.ToUpper(strings.ReplaceAll(typ, "-", "_")), member(t, raw, "body"))
	case number == "36":
		raw = member(t, raw, "items")
	}
	items, err := evotor.DecodeDocuments(raw)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return items
}

// describe prints a document and what it does, one line each.
func describe(file string, i evotor.Item[stock.Document]) string {
	var b strings.Builder
	d := i.Value
	fmt.Fprintf(&b, "%s: %s %s device=%s number=%d closed=%d arrived=%d complete=%d lines=%d\n",
		file, d.Type, d.ID, d.Device, d.Number, d.Closed, d.Arrived, d.Complete, len(d.Lines))
	if i.Err != nil {
		fmt.Fprintf(&b, "  error: %v\n", i.Err)
	}
	movements, notices := d.Movements(stock.Options{})
	for _, m := range movements {
		stated := "unstated"
		if m.HasStated {
			stated = fmt.Sprintf("stated %v..%v", m.Low, m.High)
		}
		fmt.Fprintf(&b, "  %s %v %s\n", m.Product, m.Moved, stated)
	}
	for _, n := range notices {
		fmt.Fprintf(&b, "  notice: %s %s\n", n.Kind, n.Detail)
	}
	return b.String()
}

func TestSamplesGiveTheseMovements(t *testing.T) {
	files, err := os.ReadDir("testdata/samples")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range files {
		number, _, _ := strings.Cut(f.Name(), "-")
		if filepath.Ext(f.Name()) != ".json" || number < "10" || number == "19" {
			continue // pages of shops, terminals and products, tasks: see their own tests
		}
		for _, item := range documents(t, f.Name()) {
			b.WriteString(describe(f.Name(), item))
		}
	}
	const golden = "testdata/movements.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Error(diff)
	}
}

// one returns the only document of a sample.
func one(t *testing.T, file string) stock.Document {
	t.Helper()
	items := documents(t, file)
	if len(items) != 1 || items[0].Err != nil {
		t.Fatalf("%s: %d documents, %v", file, len(items), items[0].Err)
	}
	return items[0].Value
}

// A real chain: the next document of a product states what the one before left.
func TestStatedStockOfRealChains(t *testing.T) {
	for _, chain := range []struct{ product, first, second string }{
		{"ce699a6f-e5eb-40b4-8a6a-caf76099d939", "12-sell-v2-real-2024-position-discount.json", "13-sell-v2-real-2024-three-positions.json"},
		{"641bd4e0-7e3e-4aa9-8874-ed74f322000d", "10-sell-v2-real-2025-card-two-positions.json", "11-payback-v2-real-2025-of-sample-10.json"},
	} {
		var stated [2]stock.Quantity
		for i, file := range []string{chain.first, chain.second} {
			d := one(t, file)
			for _, l := range d.Lines {
				if l.Product == chain.product {
					stated[i] = l.Stated
				}
			}
		}
		if stated[1] != stated[0]-stock.Unit {
			t.Errorf("%s states %v, then %s states %v: not one less", chain.first, stated[0], chain.second, stated[1])
		}
	}
}

// One terminal, one product, version 1: balanceQuantity as the vendor's chain has it.
func TestStatedStockOfVersion1Chain(t *testing.T) {
	for _, want := range []struct {
		file             string
		typ              stock.Type
		quantity, stated stock.Quantity
	}{
		{"v1-06-accept-documented.json", stock.Accept, 10000, 10000},
		{"v1-07-sell-documented.json", stock.Sell, 1000, 10000},
		{"v1-08-payback-documented.json", stock.Payback, -1000, 10000},
		{"v1-13-inventory-documented.json", stock.Inventory, 12000, 10000},
		{"v1-14-return-documented.json", stock.Return, 1000, 11000},
		{"v1-15-write-off-documented.json", stock.WriteOff, 1000, 10000},
		{"v1-20-open-tare-documented.json", stock.OpenTare, 1000, -1000},
	} {
		d := one(t, want.file)
		if d.Type != want.typ || len(d.Lines) != 1 {
			t.Errorf("%s: %s with %d lines", want.file, d.Type, len(d.Lines))
			continue
		}
		if l := d.Lines[0]; l.Quantity != want.quantity || l.Stated != want.stated || !l.HasStated {
			t.Errorf("%s: %+v, want %v stated %v", want.file, l, want.quantity, want.stated)
		}
	}
}

// What is printed in the golden file is read here once more by hand.
func TestDecodeDocument(t *testing.T) {
	d := one(t, "20-sell-body-documented.json") // wrapped, with a sub_position and a splitted_position
	id := "1022722e-9441-4beb-beae-c6bc5e7af30d"
	want := []stock.Line{
		{Product: id, Quantity: 123123, Stated: 123123, HasStated: true, Settlement: "CHECKOUT_FULL"},
		{Product: id, Quantity: 123123, Stated: 123123, HasStated: true, Sub: true},
	}
	if diff := cmp.Diff(want, d.Lines); diff != "" {
		t.Error(diff)
	}
	d = one(t, "16-webhook-document-put-real-2025.json")
	if d.Closed != 1738491488000 || d.Arrived != 1738491490007 || d.Number != 45376 ||
		d.Store != "20240713-F175-4064-800E-05AB2824DF98" || d.Device != "20240713-2F0F-40E2-80FB-E4201EA0E05A" {
		t.Errorf("%+v", d)
	}
	if d := one(t, "27-inventory-body-documented.json"); d.Complete != stock.CompleteYes {
		t.Errorf("complete_inventory true reads %v", d.Complete)
	}
	if d := one(t, "v1-free-price-sell-real-2022.json"); d.Complete != stock.CompleteUnsaid || d.Lines[0].Product != "" {
		t.Errorf("%+v", d)
	}
	for _, file := range []string{"28-revaluation-body-documented.json", "v1-cash-outcome-real-2022.json", "35-z-report-body-documented.json"} {
		if d := one(t, file); len(d.Lines) != 0 {
			t.Errorf("%s has lines %v", file, d.Lines)
		}
	}
}

func TestReceiptCreated(t *testing.T) {
	items := documents(t, "41-webhook-receipt-created-ver2.json")
	if len(items) != 2 {
		t.Fatal(len(items))
	}
	sale := items[0].Value
	want := stock.Document{
		ID: "20250101-DDDD-4000-8000-000000000001", Type: stock.Sell, Closed: 1785846123000, Arrived: 1785846125899,
		Store: "20170928-3176-40EB-80E2-A11F032E282A",
		Lines: []stock.Line{{Product: "c5f72831-aa24-4e0e-ab81-0c27401c9280", Quantity: 2000}},
	}
	if diff := cmp.Diff(want, sale); diff != "" || items[0].Err != nil {
		t.Error(diff, items[0].Err)
	}
	if back := items[1]; !errors.Is(back.Err, evotor.ErrNoTime) || back.Value.Lines[0].Quantity != -834 {
		t.Errorf("%+v", back)
	}

	_, err := evotor.DecodeDocument([]byte(`{"type":"ReceiptCreated","timestamp":5,"data":{"id":"r","type":"SELL","items":[{"id":"p"}]}}`))
	if !errors.Is(err, evotor.ErrNoBody) {
		t.Errorf("a receipt cut down to ids: %v", err)
	}
	d, err := evotor.DecodeDocument([]byte(`{"data":{"items":[{"id":"p","quantity":1}],"type":"SELL","id":"r"},"timestamp":5,"type":"ReceiptCreated"}`))
	if err != nil || d.Closed != 5 || len(d.Lines) != 1 {
		t.Errorf("members in another order: %+v, %v", d, err)
	}
}

// document builds a sale around one position.
func saleOf(position string) string {
	return `{"id":"d","close_date":"2024-12-05T04:29:52.000+0000","type":"SELL","body":{"positions":[` + position + `]}}`
}

func TestTolerance(t *testing.T) {
	line := stock.Line{Product: "p", Quantity: 1000}
	for name, c := range map[string]struct {
		json string
		want stock.Line
	}{
		"nulls are absent":         {saleOf(`{"product_id":"p","quantity":1,"initial_quantity":null,"settlement_method":null,"sub_positions":null}`), line},
		"price as object":          {saleOf(`{"product_id":"p","quantity":1,"price":{"before":1,"after":2}}`), line},
		"Cyrillic bar_code":        {saleOf(`{"product_id":"p","bar_сode":"1","quantity":1}`), line},
		"quantity as text":         {saleOf(`{"product_id":"p","quantity":"1.000"}`), line},
		"duplicate names":          {saleOf(`{"product_id":"x","product_id":"p","quantity":1}`), line},
		"invalid UTF-8 elsewhere":  {saleOf("{\"product_id\":\"p\",\"product_name\":\"\xff\xfe\",\"quantity\":1}"), line},
		"escaped name and value":   {saleOf(`{"product\u005fid":"\u0070","quantity":1}`), line},
		"escaped quote":            {saleOf(`{"product_name":"\\\"{[\\","product_id":"p","quantity":1}`), line},
		"splitted positions":       {saleOf(`{"product_id":"p","quantity":1,"splitted_positions":[{"splitted_position":{"quantity":1}}]}`), line},
		"settlement as a word":     {saleOf(`{"product_id":"p","quantity":1,"settlement_method":"ADVANCE"}`), stock.Line{Product: "p", Quantity: 1000, Settlement: "ADVANCE"}},
		"its name of 2018":         {saleOf(`{"product_id":"p","quantity":1,"payment_feature":{"type":"ADVANCE"}}`), stock.Line{Product: "p", Quantity: 1000, Settlement: "ADVANCE"}},
		"stated zero is stated":    {saleOf(`{"product_id":"p","quantity":1,"initial_quantity":0}`), stock.Line{Product: "p", Quantity: 1000, HasStated: true}},
		"binary noise":             {saleOf(`{"product_id":"p","quantity":1,"initial_quantity":1.9339999999999997}`), stock.Line{Product: "p", Quantity: 1000, Stated: 1934, HasStated: true}},
		"binary noise below zero":  {saleOf(`{"product_id":"p","quantity":1,"initial_quantity":-0.30000000000000004}`), stock.Line{Product: "p", Quantity: 1000, Stated: -300, HasStated: true}},
		"binary noise around zero": {saleOf(`{"product_id":"p","quantity":1,"initial_quantity":5.551115123125783e-17}`), stock.Line{Product: "p", Quantity: 1000, HasStated: true}},
		"type after the body":      {`{"body":{"positions":[{"product_id":"p","quantity":1}]},"type":"SELL","id":"d","close_date":"2024-12-05T04:29:52Z"}`, line},
		"numbers as text":          {`{"number":"7","session_number":"x","body":{"positions":[{"product_id":"p","quantity":1}]},"type":"SELL","id":"d","close_date":"2024-12-05T04:29:52Z"}`, line},
		"positions said twice":     {`{"body":{"positions":[{"product_id":"x","quantity":1}],"positions":[{"product_id":"p","quantity":1}]},"type":"SELL","id":"d","close_date":"2024-12-05T04:29:52Z"}`, line},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := evotor.DecodeDocument([]byte(c.json))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]stock.Line{c.want}, d.Lines); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRefusal(t *testing.T) {
	text := func(s string) func(error) bool {
		return func(err error) bool { return err != nil && strings.Contains(err.Error(), s) }
	}
	is := func(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }
	for name, c := range map[string]struct {
		json string
		want func(error) bool
	}{
		"no id":                    {`{"type":"SELL","close_date":"2024-12-05T04:29:52Z","body":{"positions":[]}}`, is(evotor.ErrNoID)},
		"no type":                  {`{"id":"d","close_date":"2024-12-05T04:29:52Z"}`, text("no type")},
		"no time":                  {`{"id":"d","type":"SELL","body":{"positions":[]}}`, is(evotor.ErrNoTime)},
		"time is garbage":          {`{"id":"d","type":"SELL","close_date":"yesterday","body":{"positions":[]}}`, text("not a time")},
		"no body":                  {`{"id":"d","type":"SELL","close_date":"2024-12-05T04:29:52Z"}`, is(evotor.ErrNoBody)},
		"null body":                {`{"id":"d","type":"SELL","close_date":"2024-12-05T04:29:52Z","body":null}`, is(evotor.ErrNoBody)},
		"body without positions":   {`{"id":"d","type":"INVENTORY","close_date":"2024-12-05T04:29:52Z","body":{}}`, is(evotor.ErrNoBody)},
		"null positions":           {`{"id":"d","type":"INVENTORY","close_date":"2024-12-05T04:29:52Z","body":{"positions":null}}`, is(evotor.ErrNoBody)},
		"count of nothing":         {`{"id":"d","type":"INVENTORY","close_date":"2024-12-05T04:29:52Z","body":{"positions":[]}}`, is(evotor.ErrEmptyCount)},
		"line without quantity":    {saleOf(`{"product_id":"p"}`), text("no quantity")},
		"sub line without one":     {saleOf(`{"product_id":"p","quantity":1,"sub_positions":[{"product_id":"s"}]}`), text("line 2 has no quantity")},
		"quantity is garbage":      {saleOf(`{"product_id":"p","quantity":"many"}`), is(stock.ErrQuantity)},
		"four decimals":            {saleOf(`{"product_id":"p","quantity":0.1234}`), is(stock.ErrQuantity)},
		"hexadecimal text":         {saleOf(`{"product_id":"p","quantity":"0x10"}`), is(stock.ErrQuantity)},
		"stated stock is garbage":  {saleOf(`{"product_id":"p","quantity":1,"initial_quantity":true}`), is(stock.ErrQuantity)},
		"product is an object":     {saleOf(`{"product_id":{},"quantity":1}`), text("not text")},
		"position is no object":    {saleOf(`3`), text("not an object")},
		"not JSON":                 {`{"id":`, text("cannot read the document")},
		"more after the end":       {`{} {}`, text("cannot read the document")},
		"an array":                 {`[]`, text("not an object")},
		"number is no whole":       {`{"id":"d","type":"SELL","number":1.5,"close_date":"2024-12-05T04:29:52Z","body":{"positions":[]}}`, text("whole number")},
		"V1 line without quantity": {`{"uuid":"d","type":"SELL","closeDate":"2024-12-05T04:29:52Z","transactions":[{"type":"REGISTER_POSITION","commodityUuid":"p"}]}`, text("no quantity")},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := evotor.DecodeDocument([]byte(c.json))
			if !c.want(err) {
				t.Errorf("%v (%+v)", err, d)
			}
		})
	}
}

// Types that do not move stock are kept whatever their body is like.
func TestSilentTypesNeedNoBody(t *testing.T) {
	for _, typ := range []string{"OPEN_SESSION", "Z_REPORT", "CORRECTION_INCOME", "SOMETHING_NEW"} {
		raw := fmt.Sprintf(`{"id":"d","type":%q,"close_date":"2024-12-05T04:29:52Z","body":{"positions":[{"quantity":"many"}]}}`, typ)
		if d, err := evotor.DecodeDocument([]byte(raw)); err != nil || len(d.Lines) != 0 {
			t.Errorf("%s: %v, %v", typ, d.Lines, err)
		}
	}
}

func FuzzDecodeDocument(f *testing.F) {
	files, err := filepath.Glob("testdata/samples/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		compact := jsontext.Value(raw)
		if compact.Compact() == nil {
			f.Add([]byte(compact))
		}
	}
	f.Add([]byte(saleOf(`{"product_id":"p","quantity":1e3}`)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		items, err := evotor.DecodeDocuments(raw)
		if err != nil {
			return
		}
		for _, i := range items {
			if i.Err == nil && (i.Value.ID == "" || i.Value.Type == "" || i.Value.Closed == 0) {
				t.Errorf("accepted without identity: %+v", i.Value)
			}
			if i.Err == nil && i.Value.Type == stock.Inventory && len(i.Value.Lines) == 0 {
				t.Errorf("accepted a count of nothing")
			}
			// The same document alone, in another layout, reads the same.
			indented := jsontext.Value(i.Raw).Clone()
			if indented.Indent(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) != nil {
				continue
			}
			again, err := evotor.DecodeDocument(indented)
			if (err == nil) != (i.Err == nil) || !cmp.Equal(again, i.Value) {
				t.Errorf("%s\n%v %v\n%s", i.Raw, err, i.Err, cmp.Diff(i.Value, again))
			}
		}
	})
}
