package virtpos_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"ostatok/agent/stock"
	"ostatok/sync/rest"
	"ostatok/sync/virtpos"
	"ostatok/sync/virtpos/virtpostest"
)

func TestNewRefuses(t *testing.T) {
	ok := "https://mycompany.myvirtualpos.ru"
	for name, o := range map[string]virtpos.Options{
		"no key":          {URL: ok},
		"a blank key":     {URL: ok, Key: " \n"},
		"a broken key":    {URL: ok, Key: "a\nb"},
		"a Cyrillic key":  {URL: ok, Key: "ключ"},
		"no address":      {Key: apikey},
		"no scheme":       {Key: apikey, URL: "mycompany.virtpos.ru"},
		"another format":  {Key: apikey, URL: ok, Format: "csv"},
		"a copied link":   {Key: apikey, URL: ok + "/api/store?apikey=" + url.QueryEscape(apikey)},
		"a copied path":   {Key: apikey, URL: ok + "/api/store"},
		"a key as a user": {Key: apikey, URL: "https://" + apikey + "@mycompany.myvirtualpos.ru"},
		"a key as a mark": {Key: apikey, URL: ok + "/#" + apikey},
		"no address, key": {Key: apikey, URL: "://" + apikey},
	} {
		if _, err := virtpos.New(o); err == nil || leaks(err.Error()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, address := range []string{ok, ok + "/", "http://127.0.0.1:8080", ok + "/shop"} {
		if _, err := virtpos.New(virtpos.Options{Key: apikey, URL: address}); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// What an update looks like on the line.
func TestUpdateOnhandOnTheLine(t *testing.T) {
	o := open(t, virtpostest.Settings{}, nil)
	day := time.Date(2026, 5, 9, 23, 30, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		update virtpos.Update
		query  url.Values
		form   url.Values
	}{
		"own numbers": {
			virtpos.Update{Warehouse: virtpos.Ref{ID: wh}, Item: virtpos.Ref{ID: "101"}, Quantity: 236},
			url.Values{"format": {"xml"}, "warehouseid": {wh}, "itemid": {"101"}},
			url.Values{"apikey": {apikey}, "quantity": {"0.236"}},
		},
		"external codes": {
			virtpos.Update{Warehouse: virtpos.Ref{ID: whExt, External: true}, Item: virtpos.Ref{ID: "ext-101", External: true}, Quantity: -4000},
			url.Values{"format": {"xml"}, "ext_warehouseid": {whExt}, "ext_itemid": {"ext-101"}},
			url.Values{"apikey": {apikey}, "quantity": {"-4"}},
		},
		"everything": {
			virtpos.Update{Warehouse: virtpos.Ref{ID: wh}, Item: virtpos.Ref{ID: "ext-102", External: true}, Quantity: 0,
				Lot: "L&1", Cost: "12.50", Made: day, Expires: day.AddDate(1, 0, 0)},
			url.Values{"format": {"xml"}, "warehouseid": {wh}, "ext_itemid": {"ext-102"}},
			url.Values{"apikey": {apikey}, "quantity": {"0"}, "lot_number": {"L&1"}, "cogs": {"12.50"}, "manuf_date": {"2026-05-09"}, "expir_date": {"2027-05-09"}},
		},
	} {
		if _, err := o.client.UpdateOnhand(context.Background(), c.update); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		r := o.last(t, virtpostest.CallUpdate)
		if diff := gocmp.Diff(c.query, r.Query) + gocmp.Diff(c.form, r.Form); diff != "" || r.Method != "POST" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestCallsWithoutAnItemOrWarehouse(t *testing.T) {
	o := open(t, virtpostest.Settings{}, nil)
	ctx, here, item := context.Background(), virtpos.Ref{ID: wh}, virtpos.Ref{ID: "101"}
	_, noItem := o.client.UpdateOnhand(ctx, virtpos.Update{Warehouse: here})
	_, noWarehouse := o.client.UpdateOnhand(ctx, virtpos.Update{Item: item})
	_, noVersion := o.client.OnhandVersion(ctx, virtpos.Ref{ID: " ", External: true})
	for _, err := range []error{noItem, noWarehouse, noVersion} {
		if err == nil || rest.KindOf(err) != "" {
			t.Error(err)
		}
	}
	if n := len(o.Requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// Refusals come in free words; what is not recognised is permanent.
func TestRefusalsAreClassified(t *testing.T) {
	for info, kind := range map[string]rest.Kind{
		"Item not found":      rest.Invalid,
		"Товар не найден":     rest.Invalid,
		"":                    rest.Invalid,
		"Что-то пошло не так": rest.Invalid,
		"Неверный apikey":     rest.Unauthorized,
		"Wrong API key":       rest.Unauthorized,
		"Требуется авторизация":      rest.Unauthorized,
		"Сервер занят":               rest.Temporary,
		"Повторите запрос позже":     rest.Temporary,
		"Deadlock found":             rest.Temporary,
		"Сервис временно недоступен": rest.Temporary,
	} {
		for _, body := range []string{
			"<root><success>0</success><info>" + info + "</info></root>",
			`{"info":"` + info + `","success":false}`,
		} {
			_, err := saying(t, 200, "", body).UpdateOnhand(context.Background(), virtpos.Update{Warehouse: virtpos.Ref{ID: wh}, Item: virtpos.Ref{ID: "1"}})
			refusal, ok := errors.AsType[*virtpos.RefusedError](err)
			if !ok || refusal.Info != info || rest.KindOf(err) != kind || rest.Retryable(err) != (kind == rest.Temporary) {
				t.Errorf("%s: %v, %v", body, rest.KindOf(err), err)
			}
			if info != "" && !strings.Contains(err.Error(), info) {
				t.Errorf("the reason is not told: %v", err)
			}
		}
	}
}

// An error may also come as an HTTP status.
func TestErrorsWithAStatus(t *testing.T) {
	for status, kind := range map[int]rest.Kind{400: rest.Invalid, 401: rest.Unauthorized, 403: rest.Forbidden, 404: rest.NotFound, 422: rest.Invalid, 500: rest.Temporary, 503: rest.Temporary} {
		for _, body := range []string{"<root><success>0</success><info>no</info></root>", "<root><success>1</success></root>"} {
			_, err := saying(t, status, "text/xml", body).OnhandVersion(context.Background(), virtpos.Ref{ID: wh})
			if rest.KindOf(err) != kind {
				t.Errorf("%d: %v", status, err)
			}
		}
	}
}

// A redirected POST may come back as a GET that lost its body, and the key with it
// goes to another host: it is not followed.
func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		asked := 0
		c, err := virtpos.New(virtpos.Options{URL: "http://mycompany.virtpos.test", Key: apikey, MaxWait: time.Millisecond,
			Transport: tripper(func(r *http.Request) (*http.Response, error) {
				asked++
				return &http.Response{StatusCode: status, Body: http.NoBody, Request: r,
					Header: http.Header{"Location": {"http://mycompany.virtpos.test/login?apikey=" + url.QueryEscape(apikey)}}}, nil
			})})
		if err != nil {
			t.Fatal(err)
		}
		_, err = rowsOf(c)
		if rest.KindOf(err) != rest.Protocol || asked != 1 || leaks(err.Error()) {
			t.Errorf("%d: %d requests, %v", status, asked, err)
		}
		_, err = c.UpdateOnhand(context.Background(), virtpos.Update{Warehouse: virtpos.Ref{ID: wh}, Item: virtpos.Ref{ID: "1"}})
		if rest.KindOf(err) != rest.Protocol || asked != 2 || leaks(err.Error()) {
			t.Errorf("%d: %d requests, %v", status, asked, err)
		}
	}
}

// Readings are asked again after a failure, changes are not.
func TestOnlyReadingsAreRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t, virtpostest.Settings{}, func(v *virtpos.Options) { v.MaxWait = time.Hour })
		ctx, here := context.Background(), virtpos.Ref{ID: wh}
		for call, do := range map[string]func() error{
			virtpostest.CallStore:     func() error { _, err := o.read(virtpos.Query{}); return err },
			virtpostest.CallItem:      func() error { return o.client.Items(ctx, nil, func(virtpos.Entry) {}) },
			virtpostest.CallWarehouse: func() error { return o.client.Warehouses(ctx, nil, func(virtpos.Entry) {}) },
			virtpostest.CallVersion:   func() error { _, err := o.client.OnhandVersion(ctx, here); return err },
			virtpostest.CallUpdate: func() error {
				_, err := o.client.UpdateOnhand(ctx, virtpos.Update{Warehouse: here, Item: virtpos.Ref{ID: "101"}})
				return err
			},
			virtpostest.CallZero: func() error { return o.client.SetZeroOnhand(ctx, here, 1) },
		} {
			for _, fault := range []virtpostest.Fault{virtpostest.Broken, virtpostest.Lost} {
				before := o.Calls(call)
				o.Fail(call, fault, 0, 2)
				err := do()
				reading := call != virtpostest.CallUpdate && call != virtpostest.CallZero
				if asked := o.Calls(call) - before; reading != (err == nil) || reading != (asked == 3) {
					t.Errorf("%s, %s: %d requests, %v", call, fault, asked, err)
				}
				o.ClearFaults()
			}
		}
	})
}

// The key stands in no address, no error and no log, whatever comes back. The
// office checks addresses and logs when the test ends.
func TestTheKeyIsToldToNobody(t *testing.T) {
	echo := map[string]string{
		"a refusal":       `<root><success>0</success><info>Неверный запрос apikey=` + apikey + ` (` + url.QueryEscape(apikey) + `)</info></root>`,
		"only the value":  `{"success":0,"info":"` + apikey + ` is not allowed"}`,
		"a page":          `<html><body>/api/store?apikey=` + url.QueryEscape(apikey) + `</body></html>`,
		"a field":         `{"success":"` + apikey + `"}`,
		"a version":       `{"success":1,"version":"` + apikey + `"}`,
		"a root":          `<root><success>` + url.QueryEscape(apikey) + `</success></root>`,
		"a broken answer": `{"success":1,"warehouses":[{"id":"` + apikey + `"}]}`,
	}
	for name, body := range echo {
		for _, kind := range []string{"text/xml", "text/html", "application/json"} {
			for _, status := range []int{200, 302, 400, 401, 500} {
				c := saying(t, status, kind, body)
				_, store := rowsOf(c)
				_, version := c.OnhandVersion(context.Background(), virtpos.Ref{ID: wh})
				_, target := c.Target(virtpos.TargetOptions{Warehouse: virtpos.Ref{ID: wh}}).Read(context.Background(), []string{"1"})
				for _, err := range []error{store, version, target} {
					if err == nil || leaks(err.Error()) {
						t.Errorf("%s, %s, %d: %v", name, kind, status, err)
					}
					if refusal, ok := errors.AsType[*virtpos.RefusedError](err); ok && leaks(refusal.Info+refusal.Error()) {
						t.Errorf("%s, %s, %d: %v", name, kind, status, refusal)
					}
				}
			}
		}
	}
	o := open(t, virtpostest.Settings{ErrorStatus: 400}, nil)
	o.Put(wh, virtpostest.Balance{Item: "101", Quantity: 5000})
	here := virtpos.Ref{ID: wh}
	o.store(t, virtpos.Query{Fields: []string{virtpos.FieldName}})
	for _, fault := range []virtpostest.Fault{virtpostest.Moved, virtpostest.HTML, virtpostest.Lost, virtpostest.Refused} {
		o.Fail(virtpostest.CallUpdate, fault, 0, 1)
		if _, err := o.client.UpdateOnhand(context.Background(), virtpos.Update{Warehouse: here, Item: virtpos.Ref{ID: "101"}}); err == nil || leaks(err.Error()) {
			t.Errorf("%s: %v", fault, err)
		}
	}
	for _, r := range o.Requests() {
		if r.Form.Get("apikey") != apikey {
			t.Errorf("%s was sent without the key", r.Call)
		}
	}
}

func TestAnUnencryptedAddressIsWarnedAbout(t *testing.T) {
	o := open(t, virtpostest.Settings{}, nil)
	if !strings.Contains(o.log.String(), "unencrypted") {
		t.Error(o.log)
	}
}

// A context that ends is no error of the server.
func TestContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t, virtpostest.Settings{}, nil)
		o.Fail(virtpostest.CallUpdate, virtpostest.Hang, 0, 1)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := o.client.UpdateOnhand(ctx, virtpos.Update{Warehouse: virtpos.Ref{ID: wh}, Item: virtpos.Ref{ID: "101"}})
		if !errors.Is(err, context.DeadlineExceeded) || rest.KindOf(err) != "" {
			t.Error(err)
		}
	})
}

// A large answer is read as it comes: the first row is there before the last is
// sent.
func TestStoreIsAStream(t *testing.T) {
	r, w := io.Pipe()
	c, err := virtpos.New(virtpos.Options{URL: "https://mycompany.virtpos.test", Key: apikey,
		Transport: tripper(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: r, Request: req}, nil
		})})
	if err != nil {
		t.Fatal(err)
	}
	first, more := make(chan stock.Quantity, 1), make(chan struct{})
	go func() {
		defer w.Close()
		row := "<item><id>1</id><quantity>1.000</quantity></item>"
		io.WriteString(w, "<root><success>1</success><warehouses><warehouse><id>3</id><items>"+strings.Repeat(row, 2000))
		<-more
		io.WriteString(w, row+"</items></warehouse></warehouses></root>")
	}()
	rows := 0
	err = c.Store(context.Background(), virtpos.Query{}, func(row virtpos.Row) error {
		if rows++; rows == 1 {
			first <- row.Quantity
			close(more)
		}
		return nil
	})
	if err != nil || rows != 2001 || <-first != 1000 {
		t.Errorf("%d rows, %v", rows, err)
	}
}

// An error of the caller's own is given back as it is.
func TestStoreGivesBackTheCallersError(t *testing.T) {
	mine := errors.New("mine")
	seen := 0
	err := saying(t, 200, "", strings.Replace(rowXML, "</items>", "<item><id>2</id><quantity>1</quantity></item></items>", 1)).
		Store(context.Background(), virtpos.Query{}, func(virtpos.Row) error { seen++; return mine })
	if err != mine || seen != 1 {
		t.Errorf("%v after %d", err, seen)
	}
}
