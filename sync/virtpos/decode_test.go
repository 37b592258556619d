package virtpos_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"ostatok/agent/stock"
	"ostatok/sync/rest"
	"ostatok/sync/virtpos"
	"ostatok/sync/virtpos/virtpostest"
)

func sample(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// dogFood is the row of the vendor's example.
var dogFood = virtpos.Row{
	Warehouse: "3", Item: "17007", Quantity: 2000, Lot: "12345", Available: 1000, HasAvailable: true,
	Name: "63838 Корм для собак 2кг", Article: "63838", Cost: "0.00", Price: "1126.00",
	Prices: []virtpos.Price{{List: "4", Price: "1126.00"}, {List: "3", Price: "866.00"}},
}

func TestSamplesOfStore(t *testing.T) {
	numbers := dogFood
	numbers.Cost, numbers.Price = "0", "1126"
	numbers.Prices = []virtpos.Price{{List: "4", Price: "1126"}, {List: "3", Price: "866"}}
	for name, want := range map[string]virtpos.Row{
		"store.response.xml": dogFood, "store.hypothetical-a.json": dogFood, "store.hypothetical-b.json": numbers,
	} {
		rows, err := rowsOf(saying(t, 200, "", sample(t, name)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff([]virtpos.Row{want}, rows); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestSamplesOfOtherCalls(t *testing.T) {
	before := stock.Quantity(1700)
	got, err := saying(t, 200, "", sample(t, "updateOnhand.response.xml")).UpdateOnhand(context.Background(),
		virtpos.Update{Warehouse: virtpos.Ref{ID: "1"}, Item: virtpos.Ref{ID: "8"}})
	if diff := cmp.Diff(virtpos.Updated{Row: "3", Item: "8", Warehouse: "1", Before: &before}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	version, err := saying(t, 200, "", sample(t, "getOnhandVersion.hypothetical.xml")).OnhandVersion(context.Background(), virtpos.Ref{ID: "1"})
	if version != 12345 || err != nil {
		t.Error(version, err)
	}
	_, err = rowsOf(saying(t, 200, "", sample(t, "error.hypothetical.xml")))
	if refusal, ok := errors.AsType[*virtpos.RefusedError](err); !ok || refusal.Info != "Item not found" || rest.KindOf(err) != rest.Invalid {
		t.Error(err)
	}
	var entries []virtpos.Entry
	fragment := sample(t, "item.response.fragment.xml")
	each := func(e virtpos.Entry) { entries = append(entries, e) }
	if err := saying(t, 200, "", fragment).Items(context.Background(), nil, each); rest.KindOf(err) != rest.Protocol {
		t.Errorf("the fragment announces two items: %v", err)
	}
	entries = nil
	err = saying(t, 200, "", strings.Replace(fragment, "<count>2", "<count>1", 1)).Items(context.Background(), nil, each)
	if diff := cmp.Diff([]virtpos.Entry{{ID: "1", Name: "Коробка конфет Рафаэлло"}}, entries); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// forms are all the forms of JSON that the simulator speaks.
func forms() (all []virtpostest.JSON) {
	for _, shape := range []virtpostest.JSON{{}, {Tree: true}, {Keyed: true}, {Single: true}, {Tree: true, Root: true}} {
		for _, numbers := range []bool{false, true} {
			for _, empty := range []string{"[]", "{}", `""`, "null"} {
				for _, success := range []string{"1", `"1"`, "true"} {
					f := shape
					f.Numbers, f.Empty, f.Success = numbers, empty, success
					all = append(all, f)
				}
			}
		}
	}
	return all
}

// Whatever the form, the same balances are read.
func TestEveryFormSaysTheSame(t *testing.T) {
	for _, n := range []int{0, 1, 5} {
		want := []virtpos.Row(nil)
		check := func(t *testing.T, o *office, form any) {
			o.AddItem(virtpostest.Item{ID: "7", Name: `Сыр "Гауда" & <масло>`, Article: "07", Price: "5.50", Prices: map[string]string{"2": "5.00"}})
			for i := range n {
				o.Put(wh, virtpostest.Balance{Item: items(12)[i], Quantity: stock.Quantity(i*1250 - 1000), Reserved: 500, Lot: "L"})
			}
			if n > 0 {
				o.Put(wh, virtpostest.Balance{Item: "7", Quantity: 236, Cost: "3.10"})
			}
			got := o.store(t, virtpos.Query{Fields: []string{virtpos.FieldName, virtpos.FieldArticle, virtpos.FieldCost, virtpos.FieldPrice, virtpos.FieldPrices}})
			for i := range got { // 5.50 is 5.5 as a number
				got[i].Cost, got[i].Price = trimZeros(got[i].Cost), trimZeros(got[i].Price)
				for j := range got[i].Prices {
					got[i].Prices[j].Price = trimZeros(got[i].Prices[j].Price)
				}
			}
			if want == nil {
				want = got
				if len(got) != n+min(n, 1) {
					t.Fatalf("%d rows", len(got))
				}
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%+v: %s", form, diff)
			}
		}
		check(t, open(t, virtpostest.Settings{}, nil), "XML")
		for _, form := range forms() {
			check(t, open(t, virtpostest.Settings{JSON: form}, func(v *virtpos.Options) { v.Format = virtpos.FormatJSON }), form)
		}
	}
}

func trimZeros(sum string) string {
	if strings.Contains(sum, ".") {
		sum = strings.TrimSuffix(strings.TrimRight(sum, "0"), ".")
	}
	return sum
}

const rowXML = `<root><success>1</success><warehouses><warehouse><id>3</id><items><item><id>1</id><quantity>2.000</quantity></item></items></warehouse></warehouses></root>`

func TestWhatIsNoAnswer(t *testing.T) {
	long := strings.Repeat(" ", 40<<10)
	for name, c := range map[string]struct {
		body string
		kind rest.Kind
	}{
		"nothing":                {"", rest.Temporary},
		"only blanks":            {" \n\ufeff", rest.Temporary},
		"an empty object":        {"{}", rest.Protocol},
		"an empty root":          {"<root/>", rest.Protocol},
		"a list":                 {`[{"success":1}]`, rest.Protocol},
		"a page":                 {"<html><body>Войдите</body></html>", rest.Protocol},
		"a warning of PHP":       {"Warning: mysqli_connect()", rest.Protocol},
		"… before":               {"<br /><b>Warning</b>" + rowXML, rest.Protocol},
		"… after":                {rowXML + "<br/>", rest.Protocol},
		"… after JSON":           {`{"success":1,"count":0} {"x":1}`, rest.Protocol},
		"cut XML":                {rowXML[:len(rowXML)-20], rest.Temporary},
		"cut in a tag":           {rowXML[:len(rowXML)-3], rest.Temporary},
		"cut in a late tag":      {long + rowXML[:60], rest.Temporary},
		"cut JSON":               {`{"success":1,"warehouses":[{"id":3,"items":[{"id":1,"quantity":2`, rest.Temporary},
		"cut JSON after a row":   {`{"success":1,"warehouses":[{"id":3,"items":[{"id":1,"quantity":2}`, rest.Temporary},
		"no success":             {strings.Replace(rowXML, "<success>1</success>", "", 1), rest.Protocol},
		"an empty success":       {strings.Replace(rowXML, "<success>1<", "<success><", 1), rest.Protocol},
		"null for success":       {`{"success":null,"count":0}`, rest.Protocol},
		"another success":        {`{"success":"ok","count":0}`, rest.Protocol},
		"success twice":          {strings.Replace(rowXML, "<success>1</success>", "<success>1</success><success>0</success>", 1), rest.Protocol},
		"success twice in JSON":  {`{"success":1,"success":0,"count":0}`, rest.Protocol},
		"success in an item":     {`{"warehouses":[{"id":3,"items":[{"success":1}]}]}`, rest.Protocol},
		"no list":                {"<root><success>1</success></root>", rest.Protocol},
		"no list, but a number":  {"<root><success>1</success><count>4</count></root>", rest.Protocol},
		"no items":               {`{"success":1,"warehouses":[{"id":3,"count":2}]}`, rest.Protocol},
		"fewer than announced":   {strings.Replace(rowXML, "<items>", "<count>2</count><items>", 1), rest.Protocol},
		"fewer in all":           {strings.Replace(rowXML, "<warehouses>", "<count>2</count><warehouses>", 1), rest.Protocol},
		"a warehouse with no id": {strings.Replace(rowXML, "<id>3</id>", "", 1), rest.Protocol},
		"too deep":               {strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100), rest.Protocol},
		"too deep to skip":       {`{"success":1,"count":0,"x":` + strings.Repeat(`[`, 100) + strings.Repeat("]", 100) + "}", rest.Protocol},
		"another root":           {`<response><success>1</success><count>0</count></response>`, rest.Protocol},
		"tags that do not match": {"<root><success>1</succes></root>", rest.Protocol},
	} {
		if rows, err := rowsOf(saying(t, 200, "", c.body)); rest.KindOf(err) != c.kind {
			t.Errorf("%s: %v, rows %v", name, err, rows)
		}
	}
}

func TestOddAnswers(t *testing.T) {
	one := []virtpos.Row{{Warehouse: "3", Item: "1", Quantity: 2000}}
	for name, c := range map[string]struct {
		body string
		want []virtpos.Row
	}{
		"a mark before":            {"\ufeff\n" + rowXML, one},
		"success at the end":       {strings.Replace(strings.Replace(rowXML, "<success>1</success>", "", 1), "</root>", "<success> 1 </success></root>", 1), one},
		"comments and sections":    {strings.Replace(rowXML, "2.000", "<!-- two --><![CDATA[2.]]>000", 1), one},
		"unknown members":          {strings.Replace(rowXML, "<quantity>", "<new><id>9</id></new><quantity>", 1), one},
		"a list in an unknown one": {`{"success":1,"x":[[1,{"id":2}],[]],"warehouses":[{"id":3,"items":[{"id":1,"quantity":"2.000","y":{"items":[]}}]}]}`, one},
		"items before the id":      {`{"success":1,"warehouses":[{"items":[{"quantity":2,"id":1}],"id":"3"}]}`, one},
		"lists in lists":           {`{"success":1,"warehouses":[[{"id":3,"items":{"item":[[{"id":1,"quantity":2}]]}}]]}`, one},
		"by their ids":             {`{"success":1,"warehouses":{"3":{"id":3,"items":{"1":{"id":1,"quantity":2}}}}}`, one},
		"exponent":                 {`{"success":1,"warehouses":[{"id":3,"items":[{"id":1,"quantity":2e0}]}]}`, one},
		"nothing there":            {`<root><success>1</success><count>0</count></root>`, nil},
		"an empty warehouse":       {`{"success":1,"warehouses":[{"id":3,"items":null}]}`, nil},
		"more than announced":      {strings.Replace(rowXML, "<items>", "<count>0</count><items>", 1), one},
		"a count that is none":     {strings.Replace(rowXML, "<items>", "<count>?</count><items>", 1), one},
		"an entity of web pages":   {strings.Replace(rowXML, "<quantity>", "<name>a&nbsp;b</name><quantity>", 1), []virtpos.Row{{Warehouse: "3", Item: "1", Quantity: 2000, Name: "a\u00a0b"}}},
	} {
		rows, err := rowsOf(saying(t, 200, "", c.body))
		if diff := cmp.Diff(c.want, rows); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

// A figure that cannot be read is not zero: the row says so, the others count.
func TestRowsThatCannotBeRead(t *testing.T) {
	for name, item := range map[string]string{
		"no quantity":    `{"id":1}`,
		"empty quantity": `{"id":1,"quantity":""}`,
		"null":           `{"id":1,"quantity":null}`,
		"an object":      `{"id":1,"quantity":{}}`,
		"a comma":        `{"id":1,"quantity":"2,000"}`,
		"four decimals":  `{"id":1,"quantity":"0.0001"}`,
		"words":          `{"id":1,"quantity":"много"}`,
		"no id":          `{"quantity":2}`,
		"an empty id":    `{"id":"","quantity":2}`,
	} {
		rows, err := rowsOf(saying(t, 200, "", `{"success":1,"warehouses":[{"id":3,"items":[`+item+`,{"id":2,"quantity":5}]}]}`))
		if err != nil || len(rows) != 2 || rows[0].Err == nil || rows[0].Quantity != 0 || rows[1].Err != nil || rows[1].Quantity != 5000 {
			t.Errorf("%s: %+v, %v", name, rows, err)
		}
	}
}

func TestVersionAnswers(t *testing.T) {
	for body, want := range map[string]virtpos.Version{
		`{"success":1,"version":12}`:                             12,
		`{"success":true,"onhand_version":"12"}`:                 12,
		`{"success":"1","onhandVersion":12,"id":3}`:              12,
		`<root><success>1</success><version>12</version></root>`: 12,
		`{"success":1,"version":7,"api_version":2}`:              7,
		`{"success":1,"onhand_version":7,"data_version":8}`:      0,
		`{"success":1,"version":0}`:                              0,
		`{"success":1,"version":""}`:                             0,
		`{"success":1,"version":-1}`:                             0,
		`{"success":1,"version":"2026-11-21"}`:                   0,
		`{"success":1,"version":1.5}`:                            0,
		`{"success":1,"version":99999999999999999999}`:           0,
		`{"success":1}`:                                          0,
		`{"success":1,"version":{"id":5}}`:                       0,
	} {
		got, err := saying(t, 200, "", body).OnhandVersion(context.Background(), virtpos.Ref{ID: "1"})
		if got != want || (want == 0) != errors.Is(err, virtpos.ErrNoVersion) {
			t.Errorf("%s: %d, %v", body, got, err)
		}
	}
}

// Random shops are read the same from XML and from any JSON.
func TestRandomShopsReadTheSame(t *testing.T) {
	all := forms()
	rapid.Check(t, func(r *rapid.T) {
		form := rapid.SampledFrom(all).Draw(r, "form")
		settings := virtpostest.Settings{JSON: form, Lots: rapid.Bool().Draw(r, "lots")}
		var balances []virtpostest.Balance
		for range rapid.IntRange(0, 8).Draw(r, "rows") {
			balances = append(balances, virtpostest.Balance{
				Item:     rapid.SampledFrom(items(12)).Draw(r, "item"),
				Quantity: stock.Quantity(rapid.Int64Range(-1e9, 1e12).Draw(r, "quantity")),
				Lot:      rapid.StringMatching(`[A-Z]{1,3}`).Draw(r, "lot"),
			})
		}
		read := func(format string) []virtpos.Row {
			o := open(t, settings, func(v *virtpos.Options) { v.Format = format })
			for _, b := range balances {
				o.Put(wh, b)
			}
			rows, err := o.read(virtpos.Query{Fields: []string{virtpos.FieldName}})
			if err != nil {
				r.Fatal(err)
			}
			if want := len(o.Balances(wh)); len(rows) != want {
				r.Fatalf("%d rows of %d", len(rows), want)
			}
			for i, b := range o.Balances(wh) {
				if rows[i].Item != b.Item || rows[i].Quantity != b.Quantity || rows[i].Lot != b.Lot {
					r.Fatalf("%+v of %+v", rows[i], b)
				}
			}
			return rows
		}
		if a, b := read(virtpos.FormatXML), read(virtpos.FormatJSON); !slices.EqualFunc(a, b, func(x, y virtpos.Row) bool { return cmp.Equal(x, y) }) {
			r.Fatal(cmp.Diff(a, b))
		}
	})
}
