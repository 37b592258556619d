package evotor_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"ostatok/agent/stock"
	"ostatok/sync/evotor"
	"ostatok/sync/rest"
)

// answer always says the same.
func answer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.evotor.v2+json")
		io.WriteString(w, body)
	}
}

const shop = "20170222-D58C-40E0-8051-B53ADFF38860"

// ids reads one page of documents and returns their ids, "!" before a bad one.
func ids(c *evotor.Client, q evotor.DocumentsQuery) (got []string, p evotor.Page, err error) {
	p, err = c.Documents(context.Background(), q, func(i evotor.Item[stock.Document]) error {
		mark := ""
		if i.Err != nil {
			mark = "!"
		}
		got = append(got, mark+i.ID)
		return nil
	})
	return got, p, err
}

func TestTokenForms(t *testing.T) {
	for name, c := range map[string]struct {
		configured, accepted string
		sent                 []string // in two calls
		remembered           []string
		refused              bool
	}{
		"bearer":             {"", "Bearer " + token, []string{"Bearer " + token, "Bearer " + token}, nil, false},
		"turned to raw":      {"bearer", token, []string{"Bearer " + token, token, token}, []string{"raw"}, false},
		"turned to bearer":   {"raw", "Bearer " + token, []string{token, "Bearer " + token, "Bearer " + token}, []string{"bearer"}, false},
		"x-authorization":    {"x-authorization", "X " + token, []string{"X " + token, "X " + token}, nil, false},
		"x only as told":     {"x-authorization", token, []string{"X " + token, "X " + token}, nil, true},
		"refused in any way": {"bearer", "", []string{"Bearer " + token, token, "Bearer " + token, token}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var sent, remembered []string
				cl := cloud(t, func(w http.ResponseWriter, r *http.Request) {
					got := r.Header.Get("Authorization")
					if x := r.Header.Get("X-Authorization"); x != "" {
						got = "X " + x
					}
					sent = append(sent, got)
					if got != c.accepted {
						w.WriteHeader(http.StatusUnauthorized)
						return
					}
					answer(`{"items":[],"paging":{}}`)(w, r)
				}, func(o *evotor.Options) {
					o.Auth = c.configured
					o.OnAuth = func(form string) { remembered = append(remembered, form) }
				})
				for range 2 {
					_, err := cl.Stores(context.Background())
					if c.refused != (rest.KindOf(err) == rest.Unauthorized) || (err == nil) == c.refused {
						t.Errorf("%v", err)
					}
				}
				if diff := cmp.Diff(c.sent, sent) + cmp.Diff(c.remembered, remembered); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for name, o := range map[string]evotor.Options{
		"no token":      {},
		"broken token":  {Token: "a\nb"},
		"unknown form":  {Token: "t", Auth: "basic"},
		"bad address":   {Token: "t", URL: "api.evotor.ru"},
		"blank token":   {Token: " \n"},
		"Cyrillic form": {Token: "токен"},
	} {
		if _, err := evotor.New(o); err == nil || strings.Contains(err.Error(), "a\nb") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Filters go into the first request only; a cursor may look like base64.
func TestDocumentsRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []string
		c := cloud(t, func(w http.ResponseWriter, r *http.Request) {
			sent = append(sent, r.URL.RequestURI())
			if r.Header.Get("Accept") != "application/vnd.evotor.v2+json" || r.Header.Get("User-Agent") != "ostatok/1.2" {
				t.Error(r.Header)
			}
			answer(`{"items":[],"paging":{"next_cursor":"a+b/c=="}}`)(w, r)
		}, nil)
		_, p, err := ids(c, evotor.DocumentsQuery{Store: shop, Since: 1579219200000, Until: 1579219300000, Limit: 500})
		if err != nil || p.Next != "a+b/c==" || p.Items != 0 {
			t.Fatal(p, err)
		}
		ids(c, evotor.DocumentsQuery{Store: shop, Device: "d 1", Since: 1579219200000, Until: 1579219300000, Cursor: "x" + p.Next})
		want := []string{
			"/stores/" + shop + "/documents?limit=500&since=1579219200000&until=1579219300000",
			"/stores/" + shop + "/devices/d%201/documents?cursor=xa%2Bb%2Fc%3D%3D",
		}
		if diff := cmp.Diff(want, sent); diff != "" {
			t.Error(diff)
		}
	})
}

func TestPages(t *testing.T) {
	good := `{"id":"a","type":"OPEN_SESSION","close_date":"2024-12-05T04:29:52Z"}`
	bad := `{"id":"b","type":"SELL","close_date":"2024-12-05T04:29:52Z"}`
	for name, c := range map[string]struct {
		body string
		want []string
		next string
		kind rest.Kind
	}{
		"items and cursor":       {`{"items":[` + good + `],"paging":{"next_cursor":"n"}}`, []string{"a"}, "n", ""},
		"paging first":           {`{"paging":{"next_cursor":"n"},"items":[` + good + `]}`, []string{"a"}, "n", ""},
		"no paging":              {`{"items":[` + good + `]}`, []string{"a"}, "", ""},
		"null paging":            {`{"items":[],"paging":null}`, nil, "", ""},
		"null cursor":            {`{"items":[],"paging":{"next_cursor":null}}`, nil, "", ""},
		"empty cursor":           {`{"items":[],"paging":{"next_cursor":""}}`, nil, "", ""},
		"numeric cursor":         {`{"items":[],"paging":{"next_cursor":12}}`, nil, "12", ""},
		"bare array":             {`[` + good + `]`, []string{"a"}, "", ""},
		"bad ones do not stop":   {`{"items":[` + bad + `,3,` + good + `]}`, []string{"!b", "!", "a"}, "", ""},
		"unknown members":        {`{"total":[{"x":[1]}],"items":[` + good + `],"more":{}}`, []string{"a"}, "", ""},
		"cursor that was sent":   {`{"items":[` + good + `],"paging":{"next_cursor":"sent"}}`, []string{"a"}, "", rest.Protocol},
		"empty object":           {`{}`, nil, "", rest.Protocol},
		"null items":             {`{"items":null}`, nil, "", rest.Protocol},
		"items is an object":     {`{"items":{}}`, nil, "", rest.Protocol},
		"null":                   {`null`, nil, "", rest.Protocol},
		"text":                   {`"later"`, nil, "", rest.Protocol},
		"strange paging":         {`{"items":[],"paging":["n"]}`, nil, "", rest.Protocol},
		"strange cursor":         {`{"items":[],"paging":{"next_cursor":{}}}`, nil, "", rest.Protocol},
		"web page without type":  {`<html>`, nil, "", rest.Protocol},
		"garbage behind the end": {`{"items":[` + good + `]}x`, []string{"a"}, "", rest.Protocol},
		"broken item":            {`{"items":[` + good + `,{"id":}]}`, []string{"a"}, "", rest.Protocol},
		"empty answer":           {``, nil, "", rest.Temporary},
		"ends too early":         {`{"items":[` + good + `,{"id"`, []string{"a"}, "", rest.Temporary},
		"ends before its end":    {`{"items":[` + good + `]`, []string{"a"}, "", rest.Temporary},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cl := cloud(t, answer(c.body), nil)
				got, p, err := ids(cl, evotor.DocumentsQuery{Store: shop, Cursor: "sent"})
				if rest.KindOf(err) != c.kind || (err == nil) != (c.kind == "") {
					t.Errorf("error %v (%s), want %q", err, rest.KindOf(err), c.kind)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Error(diff)
				}
				if err == nil && p.Next != c.next {
					t.Errorf("next %q", p.Next)
				}
			})
		})
	}
}

func TestPageSamples(t *testing.T) {
	for file, want := range map[string]evotor.Page{
		"05-documents-page-empty-with-cursor.json": {Next: "wow-wow-base64-string"},
		"36-documents-page-documented.json":        {Next: "string", Items: 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			if _, p, err := ids(cloud(t, answer(string(sample(t, file))), nil), evotor.DocumentsQuery{Store: shop}); p != want || err != nil {
				t.Errorf("%s: %+v, %v", file, p, err)
			}
		})
	}
}

// A page that is cut has already given what came before.
func TestCutPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cloud(t, func(w http.ResponseWriter, r *http.Request) {
			answer(`{"items":[{"id":"a","type":"OPEN_SESSION","close_date":"2024-12-05T04:29:52Z"},{"id":`)(w, r)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, nil)
		got, _, err := ids(c, evotor.DocumentsQuery{Store: shop})
		if rest.KindOf(err) != rest.Temporary || !rest.Retryable(err) || len(got) != 1 || !strings.Contains(err.Error(), "cut in the middle") {
			t.Error(got, err)
		}
	})
}

func TestContextEndsAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cloud(t, func(w http.ResponseWriter, r *http.Request) {
			answer(`{"items":[{"id":"a"},`)(w, r)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, nil)
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		start := time.Now()
		_, err := c.Products(ctx, shop, "", func(evotor.Item[stock.Product]) error { return nil })
		if !errors.Is(err, context.DeadlineExceeded) || rest.KindOf(err) != "" || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestOversizedItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cloud(t, answer(`{"items":[{"id":"a","x":"`+strings.Repeat("x", 9<<20)+`"}]}`), nil)
		if _, _, err := ids(c, evotor.DocumentsQuery{Store: shop}); rest.KindOf(err) != rest.Protocol || !strings.Contains(err.Error(), "larger than 8 MiB") {
			t.Error(err)
		}
	})
}

func TestCallersErrorComesBackAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		own := errors.New("disk full")
		c := cloud(t, answer(`{"items":[{"id":"a"},{"id":"b"}]}`), nil)
		calls := 0
		_, err := c.Products(context.Background(), shop, "", func(evotor.Item[stock.Product]) error { calls++; return own })
		if err != own || calls != 1 {
			t.Error(err, calls)
		}
	})
}

func TestStoreIsFilledInFromTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cloud(t, func(w http.ResponseWriter, r *http.Request) {
			one := saleOf(`{"product_id":"p","quantity":1}`)
			if strings.HasSuffix(r.URL.Path, "/documents") {
				one = `[` + one + `]`
			}
			answer(one)(w, r)
		}, nil)
		c.Documents(context.Background(), evotor.DocumentsQuery{Store: shop}, func(i evotor.Item[stock.Document]) error {
			if i.Value.Store != shop {
				t.Errorf("listed: %q", i.Value.Store)
			}
			return nil
		})
		i, err := c.Document(context.Background(), shop, "d")
		if err != nil || i.Err != nil || i.Value.Store != shop || i.ID != "d" || len(i.Value.Lines) != 1 || len(i.Raw) == 0 {
			t.Errorf("%+v, %v", i, err)
		}
	})
}

func TestStoresAndDevices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cloud(t, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.RequestURI() {
			case "/stores":
				w.Write(sample(t, "01-stores-page.json"))
			case "/stores?cursor=1234567890":
				answer(`{"items":[{"id":"last"}],"paging":{}}`)(w, r)
			case "/devices":
				w.Write(sample(t, "02-devices-page.json"))
			}
		}, nil)
		stores, err := c.Stores(context.Background())
		if err != nil || len(stores) != 4 || stores[1].Name != "vor" || stores[1].Address != "Россия, Воронеж" || stores[1].Created != 1531136812024 || stores[3].ID != "last" {
			t.Errorf("%+v, %v", stores, err)
		}
		devices, err := c.Devices(context.Background())
		if err != nil || len(devices) != 4 || devices[0].Name != "Моя касса №1" || devices[0].Offset != 10800000 || devices[0].Store == "" {
			t.Errorf("%+v, %v", devices, err)
		}
	})
}

// Two cursors that lead to each other would be followed for ever.
func TestCursorsInACircle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cloud(t, func(w http.ResponseWriter, r *http.Request) {
			next := "a"
			if r.URL.Query().Get("cursor") == "a" {
				next = "b"
			}
			answer(`{"items":[],"paging":{"next_cursor":"`+next+`"}}`)(w, r)
		}, nil)
		if _, err := c.Stores(context.Background()); rest.KindOf(err) != rest.Protocol {
			t.Error(err)
		}
	})
}

func TestProducts(t *testing.T) {
	read := func(t *testing.T, body []byte) (got []evotor.Item[stock.Product], p evotor.Page) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			c := cloud(t, answer(string(body)), nil)
			var err error
			p, err = c.Products(context.Background(), shop, "", func(i evotor.Item[stock.Product]) error {
				i.Raw = bytes.Clone(i.Raw)
				got = append(got, i)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
		return got, p
	}
	got, p := read(t, sample(t, "03-products-page-has-more.json"))
	want := stock.Product{
		ID: "dcbe3dce-eded-48a4-84a1-3db3cc0ed09c", Type: "NORMAL", Name: "Продукт с картинкой 1535555335496", Measure: "литр",
		Created: 1535555336664, Updated: 1535564101257, Cloud: 42000, HasCloud: true,
	}
	if diff := cmp.Diff(want, got[0].Value); diff != "" || p.Next != "wow-wow-base64-string" {
		t.Error(diff, p)
	}
	if got, p := read(t, sample(t, "04-products-page-last.json")); len(got) != 3 || p.Next != "" || got[2].Value.Cloud != 6000 || got[2].Value.Parent == "" {
		t.Errorf("%+v %+v", got, p)
	}
	card := func(s string) evotor.Item[stock.Product] {
		got, _ := read(t, []byte(`[`+s+`]`))
		return got[0]
	}
	alcohol := card(string(sample(t, "08-product-alcohol-marked-documented.json"))).Value
	if alcohol.Type != "ALCOHOL_MARKED" || alcohol.Article != "СДР-ЯБЛЧ" || alcohol.Code != "42" || alcohol.Cloud != 12000 || !cmp.Equal(alcohol.Barcodes, []string{"2000000000060"}) {
		t.Errorf("%+v", alcohol)
	}
	if zero := card(string(sample(t, "07-product-v2-2026.json"))).Value; !zero.HasCloud || zero.Cloud != 0 {
		t.Errorf("%+v", zero)
	}
	if i := card(`{"name":"x"}`); !errors.Is(i.Err, evotor.ErrNoID) || i.Value.Name != "x" {
		t.Errorf("%+v", i)
	}
	i := card(`{"id":"p","code":7,"barcodes":null,"quantity":null,"created_at":"soon"}`)
	if i.Err != nil || i.Value.HasCloud || i.Value.Code != "7" || i.Value.Barcodes != nil || i.Value.Created != 0 {
		t.Errorf("%+v", i)
	}
	// The card must not vanish from the catalogue because of a figure that is only an observation.
	if i := card(`{"id":"p","quantity":"lots"}`); i.Err != nil || i.Value.HasCloud {
		t.Errorf("%+v", i)
	}
}

func TestGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := string(sample(t, "09-product-groups-page-documented.json"))
		c := cloud(t, answer(strings.Replace(body, `"parent_id"`, `"id":"g","parent_id"`, 1)), nil)
		p, err := c.Groups(context.Background(), shop, "", func(i evotor.Item[evotor.Group]) error {
			want := evotor.Group{ID: "g", Parent: "1ddea16b-971b-dee5-3798-1b29a7aa2e27", Name: "Группа", Modifications: true}
			if diff := cmp.Diff(want, i.Value); diff != "" || i.Err != nil {
				t.Error(diff, i.Err)
			}
			return nil
		})
		if err != nil || p.Next != "string" || p.Items != 1 {
			t.Error(p, err)
		}
	})
}

// The token must appear in no error and no log, though the server echoes it.
func TestTokenStaysInside(t *testing.T) {
	for _, status := range []int{200, 401, 402, 429, 500} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			c := cloud(t, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(status)
				io.WriteString(w, `{"you":"sent `+r.Header.Get("Authorization")+`"`)
			}, func(o *evotor.Options) { o.Log = zerolog.New(&log); o.MaxWait = time.Minute })
			ctx := context.Background()
			_, _, documents := ids(c, evotor.DocumentsQuery{Store: shop})
			_, stores := c.Stores(ctx)
			_, product := c.Product(ctx, shop, "p")
			_, document := c.Document(ctx, shop, "d")
			_, task := c.Task(ctx, "t")
			for _, err := range []error{documents, stores, product, document, task} {
				if err == nil || strings.Contains(err.Error(), token) {
					t.Errorf("%d: %v", status, err)
				}
			}
			if log.Len() == 0 || strings.Contains(log.String(), token) {
				t.Errorf("%d: %s", status, log.String())
			}
		})
	}
}
