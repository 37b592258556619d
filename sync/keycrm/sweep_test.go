package keycrm_test

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"ostatok/agent/stock"
	"ostatok/sync/keycrm"
	"ostatok/sync/keycrm/keycrmtest"
	"ostatok/sync/rest"
)

// disturb calls fn once, before the page that follows n others.
func disturb(crm *keycrmtest.CRM, n int, fn func()) {
	crm.Before(func(r *http.Request) {
		if n--; n == -1 {
			fn()
		}
	})
}

// ids are those of the offers, sorted; a repeated one stays repeated.
func ids(offers []keycrm.Offer) []int64 {
	var list []int64
	for _, o := range offers {
		list = append(list, o.ID)
	}
	slices.Sort(list)
	return list
}

// Whatever happens to the list under way, a sweep ends with every offer once.
func TestSweepStartsOverWhenTheListMoves(t *testing.T) {
	for name, move := range map[string]func(*keycrmtest.CRM){
		"an offer is added":   func(crm *keycrmtest.CRM) { crm.AddOffer("new") },
		"an offer is removed": func(crm *keycrmtest.CRM) { crm.RemoveOffer(3) },
		"one goes and one comes further on, which is no reason": func(crm *keycrmtest.CRM) { crm.AddOffer("new"); crm.RemoveOffer(120) },
		"rows change places":                    func(crm *keycrmtest.CRM) { crm.Reorder(30) },
		"stock moves, which is no reason":       func(crm *keycrmtest.CRM) { crm.Set(shopHouse, sku(5), units(1)) },
		"the answer is cut, which is no reason": func(crm *keycrmtest.CRM) { crm.Fail("GET", keycrmtest.Cut, 0, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, crm := account(t, 130, keycrmtest.Options{}, nil)
				disturb(crm, 1, func() { move(crm) })
				offers, err := sweep(t, c)
				if err != nil {
					t.Fatal(err)
				}
				n := len(crm.Requests())
				if name == "an offer is added" && n != 5 {
					t.Errorf("%d requests: the pages that remain need not be read", n)
				}
				if again := n > 4; again == strings.Contains(name, "no reason") {
					t.Errorf("%d requests", n)
				}
				after, err := sweep(t, c)
				if err != nil || !slices.Equal(ids(offers), ids(after)) {
					t.Errorf("%v and later %v, %v", ids(offers), ids(after), err)
				}
			})
		})
	}
}

// A list that never holds still is given up after three times, as something that
// may go better later.
func TestSweepIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 130, keycrmtest.Options{}, nil)
		crm.Before(func(*http.Request) { crm.AddOffer("one more") })
		begun := 0
		err := c.Sweep(t.Context(), func() { begun++ }, func(keycrm.Offer) error { return nil })
		if !errors.Is(err, keycrm.ErrUnsteady) || !rest.Retryable(err) || begun != 3 {
			t.Errorf("begun %d times: %v", begun, err)
		}
		// Reading by SKU does not depend on it.
		reserves, err := c.Reserves(t.Context(), shopHouse, skus(130))
		if err != nil || len(reserves) != 130 {
			t.Errorf("%d, %v", len(reserves), err)
		}
	})
}

// Answers that would make a sweep end early, or never.
func TestSweepOfALyingServer(t *testing.T) {
	row := `{"id":1,"sku":"a","quantity":1,"reserve":0,"warehouse":[]}`
	for name, body := range map[string]string{
		"always the same page":        `{"total":90,"current_page":1,"last_page":2,"data":[` + row + `]}`,
		"an empty page before others": `{"total":90,"current_page":PAGE,"last_page":9,"data":[]}`,
		"fewer rows than announced":   `{"total":90,"current_page":PAGE,"last_page":1,"data":[` + row + `]}`,
		"one row for ever":            `{"next_page_url":"x","data":[` + row + `]}`,
		"no end":                      `{"data":[` + row + `]}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			c := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Write([]byte(strings.ReplaceAll(body, "PAGE", r.URL.Query().Get("page"))))
			}), nil)
			if offers, err := sweep(t, c); err == nil {
				t.Errorf("%s: %d offers", name, len(offers))
			}
		})
	}
}

// A row that would fill the memory is refused.
func TestSweepOfAHugeRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte(`{"next_page_url":null,"data":[{"id":1,"sku":"` + strings.Repeat("x", 2<<20) + `"}]}`))
		}), nil)
		if _, err := sweep(t, c); rest.KindOf(err) != rest.Protocol || !strings.Contains(err.Error(), "larger than 1024 KiB") {
			t.Error(err)
		}
	})
}

// Pages of 15 although 50 were asked for are only slower.
func TestShortPagesAreNotTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, crm := account(t, 100, keycrmtest.Options{}, nil)
		short := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			q.Del("limit")
			r.URL.RawQuery = q.Encode()
			crm.ServeHTTP(w, r)
		}), nil)
		offers, err := sweep(t, short)
		if err != nil || len(offers) != 100 || len(crm.Requests()) != 7 {
			t.Errorf("%d offers in %d requests, %v", len(offers), len(crm.Requests()), err)
		}
		found := 0
		if err := short.BySKU(t.Context(), skus(50), func(keycrm.Offer) error { found++; return nil }); err != nil || found != 50 {
			t.Errorf("%d, %v", found, err)
		}
	})
}

// A filter that the server does not know gives the first page of everything. It
// must pass neither for an answer nor for "there is no such SKU".
func TestIgnoredFiltersAreNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 200, keycrmtest.Options{}, nil)
		crm.IgnoreFilters(true)
		for name, call := range map[string]func() error{
			"by SKU": func() error { return c.BySKU(t.Context(), []string{sku(150), "none"}, nil) },
			"by id":  func() error { return c.ByID(t.Context(), []int64{7}, nil) },
			"read": func() error {
				_, err := warehouse(t, c, keycrm.TargetOptions{}).Read(t.Context(), []string{sku(150)})
				return err
			},
			"reserves": func() error { _, err := c.Reserves(t.Context(), shopHouse, []string{sku(150)}); return err },
		} {
			before := len(crm.Requests())
			if err := call(); !errors.Is(err, keycrm.ErrIgnored) || !rest.Retryable(err) {
				t.Errorf("%s: %v", name, err)
			}
			if n := len(crm.Requests()) - before; n != 1 {
				t.Errorf("%s: %d requests", name, n)
			}
		}
	})
}

// In an account of one page the answer is complete though the filter was ignored.
// The filter that tells warehouses apart is another matter: without it there is
// no figure of any.
func TestIgnoredFiltersInASmallAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 10, keycrmtest.Options{}, nil)
		crm.Set(shopHouse, sku(3), units(3))
		crm.Set(mainHouse, sku(3), units(90))
		crm.IgnoreFilters(true)
		found := 0
		if err := c.BySKU(t.Context(), []string{sku(3), "none"}, func(o keycrm.Offer) error { found++; return nil }); err != nil || found != 1 {
			t.Errorf("%d, %v", found, err)
		}
		w := warehouse(t, c, keycrm.TargetOptions{})
		if seen, err := w.Read(t.Context(), []string{sku(3)}); rest.KindOf(err) != rest.Protocol {
			t.Errorf("the sum of all warehouses passed for one: %+v, %v", seen, err)
		}
		if reserves, err := c.Reserves(t.Context(), shopHouse, nil); rest.KindOf(err) != rest.Protocol {
			t.Errorf("%v, %v", reserves, err)
		}
		if _, err := c.Compare(t.Context(), shopHouse, 1, map[string]stock.Quantity{sku(3): 0}); rest.KindOf(err) != rest.Protocol {
			t.Error(err)
		}
	})
}

// Many keys are asked for in parts that fit a page and a URL.
func TestLookupInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 0, keycrmtest.Options{}, nil)
		want := make(map[string]bool)
		for i := range 120 {
			name := strings.Repeat("Ы", 40) + sku(i)
			crm.AddOffer(name)
			want[name] = true
		}
		got := make(map[string]bool)
		if err := c.BySKU(t.Context(), slices.Sorted(maps.Keys(want)), func(o keycrm.Offer) error { got[o.SKU] = true; return nil }); err != nil || !maps.Equal(got, want) {
			t.Errorf("%d of %d, %v", len(got), len(want), err)
		}
		for _, r := range crm.Requests() {
			if len(r.Query) > 4000 {
				t.Errorf("a query of %d characters", len(r.Query))
			}
		}
	})
}

// A SKU of more offers than a page holds is read to its end.
func TestLookupOfMoreThanAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 20, keycrmtest.Options{}, nil)
		for range 120 {
			crm.AddOffer("same")
		}
		found := make(map[int64]bool)
		if err := c.BySKU(t.Context(), []string{"same"}, func(o keycrm.Offer) error { found[o.ID] = true; return nil }); err != nil || len(found) != 120 {
			t.Errorf("%d, %v", len(found), err)
		}
	})
}

// Rows whose figures cannot be read are not told, and never told as nothing.
func TestUnreadableRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte(`{"total":3,"next_page_url":null,"data":[
				{"id":1,"sku":"a","quantity":1,"reserve":1,"warehouse":[{"id":2,"name":"x","quantity":1,"reserve":1}]},
				{"id":2,"sku":"b","quantity":1,"in_reserve":1,"warehouse":[]},
				{"id":3,"sku":"a","quantity":"x","reserve":1,"warehouse":[]}]}`))
		}), nil)
		reserves, err := c.Reserves(t.Context(), shopHouse, nil)
		if err != nil || len(reserves) != 0 {
			t.Errorf("%v, %v", reserves, err)
		}
		seen, err := warehouse(t, c, keycrm.TargetOptions{}).Read(t.Context(), []string{"b"})
		if err != nil || len(seen) != 0 {
			t.Errorf("%+v, %v", seen, err)
		}
	})
}
