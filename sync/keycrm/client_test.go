package keycrm_test

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

	"github.com/rs/zerolog"

	"ostatok/agent/stock"
	"ostatok/sync/keycrm"
	"ostatok/sync/keycrm/keycrmtest"
	"ostatok/sync/rest"
	"ostatok/sync/target"
)

// warehouse is the shop's warehouse as a target.
func warehouse(t *testing.T, c *keycrm.Client, o keycrm.TargetOptions) target.Target {
	t.Helper()
	o.Warehouse = "2"
	w, err := c.Target(o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestNewRefuses(t *testing.T) {
	for name, o := range map[string]keycrm.Options{
		"no key":         {},
		"blank key":      {Key: " \n"},
		"broken key":     {Key: "a\nb-secret"},
		"no address":     {Key: "key-secret", URL: "openapi.keycrm.app"},
		"too fast":       {Key: "key-secret", Rate: 100_000},
		"backwards":      {Key: "key-secret", Rate: -1},
		"too long pages": {Key: "key-secret", PageRows: 51},
	} {
		if _, err := keycrm.New(o); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, err := keycrm.New(keycrm.Options{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]keycrm.TargetOptions{
		"no warehouse": {}, "warehouse by name": {Warehouse: "Магазин"}, "warehouse 0": {Warehouse: "0"},
		"too large": {Warehouse: "1", Batch: 10_001}, "backwards": {Warehouse: "1", Precision: -1},
	} {
		if _, err := c.Target(o); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if err := c.SetStocks(t.Context(), 0, []keycrm.Row{{SKU: "a"}}); err == nil {
		t.Error("warehouse 0 is none")
	}
	if err := c.SetStocks(t.Context(), 1, nil); err == nil {
		t.Error("nothing was sent")
	}
	if err := c.SetStocks(t.Context(), 1, make([]keycrm.Row, 10_001)); err == nil {
		t.Error("more than may be sent was sent")
	}
}

func TestTraits(t *testing.T) {
	c, err := keycrm.New(keycrm.Options{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	want := target.Traits{Name: "KeyCRM", Reads: true, Batch: 200, ReadBatch: 50, Precision: 1, Sells: true}
	if got := warehouse(t, c, keycrm.TargetOptions{}).Traits(); got != want {
		t.Errorf("%+v", got)
	}
	want = target.Traits{Name: "site", Reads: true, Batch: 7, ReadBatch: 50, Precision: stock.Unit}
	if got := warehouse(t, c, keycrm.TargetOptions{Name: "site", Batch: 7, Precision: stock.Unit, Negative: true}).Traits(); got != want {
		t.Errorf("%+v", got)
	}
}

// Readings survive what passes by itself.
func TestReadingAmongFaults(t *testing.T) {
	for _, fault := range []keycrmtest.Fault{
		keycrmtest.Limited, keycrmtest.Broken, keycrmtest.Unavailable, keycrmtest.Cut, keycrmtest.Silent,
	} {
		t.Run(string(fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, crm := account(t, 130, keycrmtest.Options{}, nil)
				crm.Fail("GET", fault, 1, 2)
				offers, err := sweep(t, c)
				if err != nil || len(offers) != 130 || crm.Faults(fault) != 2 {
					t.Errorf("%d offers, %d faults, %v", len(offers), crm.Faults(fault), err)
				}
			})
		})
	}
}

// What does not pass by itself is told at once, and never as an empty account.
func TestReadingThatFails(t *testing.T) {
	for fault, want := range map[keycrmtest.Fault]rest.Kind{
		keycrmtest.HTML: rest.Protocol, keycrmtest.Empty: rest.Protocol, keycrmtest.Refused: rest.Unauthorized,
	} {
		synctest.Test(t, func(t *testing.T) {
			c, crm := account(t, 130, keycrmtest.Options{}, nil)
			crm.Fail("GET", fault, 1, -1)
			if _, err := sweep(t, c); rest.KindOf(err) != want {
				t.Errorf("%s: %v", fault, err)
			}
			if n := len(crm.Requests()); n != 2 {
				t.Errorf("%s: %d requests", fault, n)
			}
			reserves, err := c.Reserves(t.Context(), shopHouse, nil)
			if err == nil || reserves != nil {
				t.Errorf("%s: a part of the reserves: %v", fault, reserves)
			}
		})
	}
}

// A server that stays down is given up, and a long pause is not waited out.
func TestReadingGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 1, keycrmtest.Options{}, nil)
		crm.Fail("GET", keycrmtest.Broken, 0, -1)
		if _, err := sweep(t, c); rest.KindOf(err) != rest.Temporary || crm.Faults(keycrmtest.Broken) != 5 {
			t.Errorf("%v after %d tries", err, crm.Faults(keycrmtest.Broken))
		}
		limited := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "3000")
			w.WriteHeader(http.StatusTooManyRequests)
		}), nil)
		start := time.Now()
		_, err := sweep(t, limited)
		var fault *rest.Error
		if !errors.As(err, &fault) || fault.Kind != rest.RateLimited || fault.RetryAfter < 2900*time.Second || time.Since(start) > time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestContextEndsACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := account(t, 1000, keycrmtest.Options{}, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err := c.Sweep(ctx, func() {}, func(keycrm.Offer) error { return nil })
		if !errors.Is(err, context.DeadlineExceeded) || rest.KindOf(err) != "" {
			t.Error(err)
		}
		own := errors.New("disk full")
		if err := c.Sweep(t.Context(), func() {}, func(keycrm.Offer) error { return own }); err != own {
			t.Error(err)
		}
	})
}

// A write is sent once: what became of it is for the engine to find out.
func TestWritesAreNotRepeated(t *testing.T) {
	for fault, c := range map[keycrmtest.Fault]struct {
		kind  rest.Kind
		holds stock.Quantity
	}{
		keycrmtest.Broken:  {rest.Temporary, 0},
		keycrmtest.Lost:    {rest.Temporary, units(5)}, // carried out, and nobody said so
		keycrmtest.Silent:  {rest.Temporary, 0},
		keycrmtest.Cut:     {rest.Temporary, units(5)},
		keycrmtest.Limited: {rest.RateLimited, 0},
		keycrmtest.HTML:    {rest.Protocol, 0},
		keycrmtest.Empty:   {rest.Protocol, 0},
		keycrmtest.Refused: {rest.Unauthorized, 0},
	} {
		t.Run(string(fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cl, crm := account(t, 2, keycrmtest.Options{}, nil)
				crm.Fail("PUT", fault, 0, 1)
				outcomes, err := warehouse(t, cl, keycrm.TargetOptions{}).Write(t.Context(), []target.Row{{Key: sku(0), Quantity: units(5)}})
				if rest.KindOf(err) != c.kind || len(outcomes) != 0 {
					t.Errorf("%v, %v", outcomes, err)
				}
				if n := len(crm.Requests()); n != 1 {
					t.Errorf("%d requests", n)
				}
				if q, _, _ := crm.Holds(shopHouse, sku(0)); q != c.holds {
					t.Errorf("holds %v", q)
				}
			})
		})
	}
}

// While the server asks everybody to wait, a write is handed back: its figure
// would be old when its turn came.
func TestWritesDoNotWaitOutAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 2, keycrmtest.Options{}, nil)
		w := warehouse(t, c, keycrm.TargetOptions{})
		crm.Fail("PUT", keycrmtest.Limited, 0, 1)
		rows := []target.Row{{Key: sku(0), Quantity: units(5)}}
		w.Write(t.Context(), rows)
		start := time.Now()
		_, err := w.Write(t.Context(), rows)
		var fault *rest.Error
		if !errors.As(err, &fault) || fault.Kind != rest.RateLimited || fault.RetryAfter <= 0 || len(crm.Requests()) != 1 || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		time.Sleep(fault.RetryAfter)
		if _, err := w.Write(t.Context(), rows); err != nil {
			t.Error(err)
		}
	})
}

// 422 refuses the request as a whole: an error of the call that the engine takes
// as permanent and answers by halving.
func TestRefusedRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 3, keycrmtest.Options{RefuseUnknown: true}, nil)
		w := warehouse(t, c, keycrm.TargetOptions{})
		outcomes, err := w.Write(t.Context(), []target.Row{{Key: sku(0), Quantity: units(5)}, {Key: "unknown", Quantity: units(5)}})
		if rest.KindOf(err) != rest.Invalid || rest.Retryable(err) || len(outcomes) != 0 || !strings.Contains(err.Error(), "The given data was invalid") {
			t.Errorf("%v, %v", outcomes, err)
		}
		if q, _, _ := crm.Holds(shopHouse, sku(0)); q != 0 {
			t.Errorf("a part was applied: %v", q)
		}
		other, err := c.Target(keycrm.TargetOptions{Warehouse: "77"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.Write(t.Context(), []target.Row{{Key: sku(0), Quantity: units(5)}}); rest.KindOf(err) != rest.Invalid {
			t.Error(err)
		}
	})
}

func TestAcceptedMeansStatusTrue(t *testing.T) {
	for body, accepted := range map[string]bool{
		`{"status":true}`: true, ` { "status" : true, "x":1 } `: true,
		`{"status":false}`: false, `{"status":"true"}`: false, `{}`: false, `[]`: false, `true`: false, ``: false, `{"status":true`: false,
	} {
		synctest.Test(t, func(t *testing.T) {
			c := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusAccepted)
				io.WriteString(w, body)
			}), nil)
			err := c.SetStocks(t.Context(), 1, []keycrm.Row{{SKU: "a", Quantity: 1}})
			if (err == nil) != accepted {
				t.Errorf("%s: %v", body, err)
			}
			if err != nil && !rest.Retryable(err) {
				t.Errorf("%s: nobody knows what became of it: %v", body, err)
			}
		})
	}
	if got := string(sample(t, "offers-stocks.put.response.202.json")); strings.TrimSpace(got) != `{"status": true}` {
		t.Error(got)
	}
}

// Every request carries what the API wants, and nothing that it would ignore.
func TestRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		c := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got = append(got, r.Method+" "+r.URL.RequestURI()+" "+string(body))
			h := r.Header
			if h.Get("Authorization") != "Bearer "+key || h.Get("Accept") != "application/json" || h.Get("User-Agent") != "ostatok/1.2" ||
				(h.Get("Content-Type") == "application/json") != (r.Method == "PUT") {
				t.Error(h)
			}
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"status":true,"data":[],"total":0,"next_page_url":null,"id":7,"products":[]}`)
		}), nil)
		sweep(t, c)
		c.BySKU(t.Context(), []string{"a b", "ц&=+"}, nil)
		c.SetStocks(t.Context(), 2, []keycrm.Row{{SKU: "a", Quantity: 1500}})
		c.Order(t.Context(), 7)
		want := []string{
			"GET /v1/offers/stocks?filter%5Bdetails%5D=true&limit=50&page=1 ",
			"GET /v1/offers/stocks?filter%5Bdetails%5D=true&filter%5Boffers_sku%5D=a+b%2C%D1%86%26%3D%2B&limit=50&page=1 ",
			`PUT /v1/offers/stocks {"warehouse_id":2,"stocks":[{"sku":"a","quantity":1.5}]}`,
			"GET /v1/order/7?include=products.offer ",
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s", strings.Join(got, "\n"))
		}
	})
}

func TestOrders(t *testing.T) {
	for body, fine := range map[string]bool{
		`{"id":7,"products":[]}`: true,
		`{"id":7,"products":[{"sku":"old","quantity":2,"offer":{"id":5,"sku":"new"},"warehouse":[]},{"sku":null,"quantity":"0.5","offer":null}]}`: true,
		`{"id":8,"products":[]}`:                                  false, // another order
		`{"id":7}`:                                                false, // without products nothing would be read
		`{"id":7,"products":[{"sku":"a"}]}`:                       false,
		`{"id":7,"products":[{"sku":{},"quantity":1}]}`:           false,
		`{"id":7,"products":[{"quantity":1,"offer":{"id":"x"}}]}`: false,
		`{"products":[]}`:                                         false,
		`[]`:                                                      false,
	} {
		synctest.Test(t, func(t *testing.T) {
			c := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) }), nil)
			o, err := c.Order(t.Context(), 7)
			if (err == nil) != fine {
				t.Errorf("%s: %+v, %v", body, o, err)
			}
			if fine && len(o.Lines) == 2 && (o.SKUs()[0] != "new" || o.Lines[0].Offer != 5 || o.Lines[1].Quantity != 500 || len(o.SKUs()) != 1) {
				t.Errorf("%+v", o)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		c, _ := account(t, 0, keycrmtest.Options{}, nil)
		if _, err := c.Order(t.Context(), 99); rest.KindOf(err) != rest.NotFound {
			t.Error(err)
		}
	})
}

// The key must appear in no error and no log, though the server echoes it.
func TestKeyStaysInside(t *testing.T) {
	for _, status := range []int{200, 302, 401, 422, 429, 500} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			c := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", "https://elsewhere.test/?key="+key)
				w.WriteHeader(status)
				io.WriteString(w, `{"message":"sent `+r.Header.Get("Authorization")+`", "data":[{"id":"`+key+`"`)
			}), func(o *keycrm.Options) { o.Log = zerolog.New(&log); o.MaxWait = time.Minute })
			w := warehouse(t, c, keycrm.TargetOptions{})
			_, sweep := sweep(t, c)
			_, read := w.Read(t.Context(), []string{"a"})
			_, order := c.Order(t.Context(), 1)
			_, reserves := c.Reserves(t.Context(), 1, []string{"a"})
			_, compare := c.Compare(t.Context(), 1, 1, nil)
			_, write := w.Write(t.Context(), []target.Row{{Key: "a", Quantity: 1}})
			for _, err := range []error{sweep, read, order, reserves, compare, write} {
				if err == nil || strings.Contains(err.Error(), key) {
					t.Errorf("%d: %v", status, err)
				}
			}
			if log.Len() == 0 || strings.Contains(log.String(), key) {
				t.Errorf("%d: %s", status, log.String())
			}
		})
	}
}
