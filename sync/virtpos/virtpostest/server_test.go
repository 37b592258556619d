package virtpostest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"ostatok/agent/stock"
	"ostatok/sync/virtpos/virtpostest"
)

// play is a server with the warehouses 1 and 2 and the items 8 and 9.
func play(t *testing.T, s virtpostest.Settings) (*virtpostest.Server, string) {
	t.Helper()
	s.Key = "secret"
	v := virtpostest.New(s)
	v.AddWarehouse("1", "W1", "Магазин 1")
	v.AddWarehouse("2", "W2", "Магазин 2")
	for _, i := range []virtpostest.Item{{ID: "8", External: "E8", Name: "Сыр", Article: "A8"}, {ID: "9", External: "E9"}} {
		v.AddItem(i)
	}
	server := httptest.NewServer(v)
	t.Cleanup(func() { v.Close(); server.Close() })
	return v, server.URL + "/api/"
}

// ask sends get-only parameters in the query and the others in the body.
func ask(t *testing.T, address, query string, form url.Values) (status int, body string) {
	t.Helper()
	if form == nil {
		form = url.Values{}
	}
	form.Set("apikey", "secret")
	resp, err := http.PostForm(address+"?"+query, form)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}

func member(body, name string) string {
	_, rest, _ := strings.Cut(body, "<"+name+">")
	value, _, _ := strings.Cut(rest, "<")
	return value
}

// Parameters that are get only count for nothing in the body.
func TestGetOnly(t *testing.T) {
	v, api := play(t, virtpostest.Settings{})
	_, body := ask(t, api+"store/updateOnhand", "", url.Values{"warehouseid": {"1"}, "itemid": {"8"}, "quantity": {"5"}})
	if member(body, "success") != "0" {
		t.Error(body)
	}
	if _, ok := v.Holds("1", "8"); ok {
		t.Error("written")
	}
	_, body = ask(t, api+"store/updateOnhand", "warehouseid=1&itemid=8", url.Values{"quantity": {"5"}})
	if q, _ := v.Holds("1", "8"); q != 5000 || member(body, "success") != "1" {
		t.Error(body)
	}
	if _, body = ask(t, api+"store", "", url.Values{"format": {"json"}}); !strings.HasPrefix(body, "<?xml") {
		t.Error(body)
	}
}

// Both readings of "lower", with both ways to count. old was written before the
// question, last just before it, fresh after it.
func TestVersions(t *testing.T) {
	for _, c := range []struct {
		settings         virtpostest.Settings
		old, last, fresh bool // what survives
	}{
		{virtpostest.Settings{}, false, false, true},
		{virtpostest.Settings{UpTo: true}, false, false, false},
		{virtpostest.Settings{CountWrites: true}, false, true, true},
		{virtpostest.Settings{CountWrites: true, UpTo: true}, false, false, true},
	} {
		v, api := play(t, c.settings)
		v.AddItem(virtpostest.Item{ID: "7"})
		v.Put("2", virtpostest.Balance{Item: "8", Quantity: 1000})
		v.Put("1", virtpostest.Balance{Item: "7", Quantity: 1000})
		v.Write("1", "8", 1000)
		_, body := ask(t, api+"store/getOnhandVersion", "warehouseid=1", nil)
		version := member(body, "version")
		ask(t, api+"store/updateOnhand", "warehouseid=1&itemid=9", url.Values{"quantity": {"1"}})
		ask(t, api+"store/setZeroOnhand", "warehouseid=1&version="+version, nil)
		for item, survives := range map[string]bool{"7": c.old, "8": c.last, "9": c.fresh} {
			if q, _ := v.Holds("1", item); (q != 0) != survives {
				t.Errorf("%+v: item %s holds %v", c.settings, item, q)
			}
		}
		if q, _ := v.Holds("2", "8"); q != 1000 {
			t.Errorf("another warehouse holds %v", q)
		}
	}
}

// Without a version, or without a warehouse, the simulator does the worst.
func TestZeroingWithoutAVersion(t *testing.T) {
	for refuses, want := range map[bool]stock.Quantity{false: 0, true: 1000} {
		v, api := play(t, virtpostest.Settings{RefuseNoVersion: refuses})
		v.Write("1", "8", 1000)
		v.Write("2", "8", 1000)
		ask(t, api+"store/setZeroOnhand", "", nil)
		for _, w := range []string{"1", "2"} {
			if q, _ := v.Holds(w, "8"); q != want {
				t.Errorf("%v: %v", refuses, q)
			}
		}
	}
}

func TestSalesAndReceiptsMoveVersionsWhenTold(t *testing.T) {
	for _, stamps := range []bool{false, true} {
		v, api := play(t, virtpostest.Settings{SalesStamp: stamps, ReceiptsStamp: stamps})
		v.Put("1", virtpostest.Balance{Item: "8", Quantity: 5000})
		v.Put("1", virtpostest.Balance{Item: "9", Quantity: 5000})
		_, body := ask(t, api+"store/getOnhandVersion", "warehouseid=1", nil)
		v.Sell("1", "8", 1000)
		v.Receive("1", "9", 1000)
		ask(t, api+"store/setZeroOnhand", "warehouseid=1&version="+member(body, "version"), nil)
		sold, _ := v.Holds("1", "8")
		received, _ := v.Holds("1", "9")
		if (sold == 4000) != stamps || (received == 6000) != stamps {
			t.Errorf("%v: %v, %v", stamps, sold, received)
		}
	}
}

// What each fault does to an update, and what is left of it.
func TestFaults(t *testing.T) {
	for fault, want := range map[virtpostest.Fault]struct {
		status int
		holds  stock.Quantity
		says   string
	}{
		virtpostest.Broken:      {500, 0, "Error"},
		virtpostest.BrokenAfter: {500, 5000, "Error"},
		virtpostest.Lost:        {0, 5000, "EOF"},
		virtpostest.Refused:     {200, 0, "<success>0"},
		virtpostest.Busy:        {200, 0, "<success>0"},
		virtpostest.Silent:      {200, 5000, "<isnew>"},
		virtpostest.HTML:        {200, 0, "<html>"},
		virtpostest.Disguised:   {200, 0, "<html>"},
		virtpostest.Cut:         {0, 5000, "unexpected EOF"},
		virtpostest.CutClean:    {200, 5000, "<root>"},
		virtpostest.Empty:       {200, 0, ""},
		virtpostest.Limited:     {429, 0, "slow"},
	} {
		v, api := play(t, virtpostest.Settings{})
		v.Fail(virtpostest.CallUpdate, fault, 1, 1)
		ask(t, api+"store/updateOnhand", "warehouseid=1&itemid=9", url.Values{"quantity": {"1"}})
		status, body := ask(t, api+"store/updateOnhand", "warehouseid=1&itemid=8", url.Values{"quantity": {"5"}})
		q, _ := v.Holds("1", "8")
		if status != want.status || q != want.holds || !strings.Contains(body, want.says) {
			t.Errorf("%s: %d, %v, %s", fault, status, q, body)
		}
		if status, _ = ask(t, api+"store/updateOnhand", "warehouseid=1&itemid=8", url.Values{"quantity": {"5"}}); status != 200 {
			t.Errorf("%s: goes on", fault)
		}
	}
}

func TestMeanwhileHappensOnce(t *testing.T) {
	v, api := play(t, virtpostest.Settings{})
	v.Put("1", virtpostest.Balance{Item: "8", Quantity: 5000})
	v.Meanwhile(virtpostest.CallUpdate, 1, func() { v.Sell("1", "8", 1000) })
	for _, before := range []string{"5.000", "1.000", "2.000"} {
		_, body := ask(t, api+"store/updateOnhand", "warehouseid=1&itemid=8", url.Values{"quantity": {"2"}})
		if got := member(body, "quantity_before"); got != before {
			t.Errorf("before %s, want %s", got, before)
		}
	}
}

func TestJSONForms(t *testing.T) {
	for want, form := range map[string]virtpostest.JSON{
		`{"success":"1","type":"store","count":"1","warehouses":[{"id":"1","name":"Магазин 1","count":"1","items":[{"id":"8","quantity":"2.500","available_quantity":"2.500","lot_number":""}]}]}`: {},
		`{"root":{"success":true,"type":"store","count":1,"warehouses":{"warehouse":{"id":1,"name":"Магазин 1","count":1,"items":{"item":{"id":8,"quantity":2.5,"available_quantity":2.5,"lot_number":""}}}}}}`: {
			Tree: true, Root: true, Numbers: true, Success: "true"},
		`{"success":"1","type":"store","count":"1","warehouses":{"0":{"id":"1","name":"Магазин 1","count":"1","items":{"0":{"id":"8","quantity":"2.500","available_quantity":"2.500","lot_number":""}}}}}`: {Keyed: true},
		`{"success":"1","type":"store","count":"1","warehouses":{"id":"1","name":"Магазин 1","count":"1","items":{"id":"8","quantity":"2.500","available_quantity":"2.500","lot_number":""}}}`:             {Single: true},
	} {
		v, api := play(t, virtpostest.Settings{JSON: form})
		v.Put("1", virtpostest.Balance{Item: "8", Quantity: 2500})
		if _, body := ask(t, api+"store", "format=json&warehouseid=1", nil); body != want {
			t.Errorf("%+v:\n%s\n%s", form, body, want)
		}
	}
	v, api := play(t, virtpostest.Settings{JSON: virtpostest.JSON{Empty: "null"}})
	_, body := ask(t, api+"store", "format=json&warehouseid=9", nil)
	if want := `{"success":"1","type":"store","count":"0","warehouses":null}`; body != want {
		t.Error(body)
	}
	if got := v.Calls(virtpostest.CallStore); got != 1 {
		t.Errorf("%d calls", got)
	}
}

func TestWrongKey(t *testing.T) {
	_, api := play(t, virtpostest.Settings{ErrorStatus: 403})
	resp, err := http.Get(api + "store?apikey=guess")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 403 || member(string(body), "success") != "0" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}
