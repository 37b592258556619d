package keycrmtest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ostatok/agent/stock"
	"ostatok/sync/keycrm/keycrmtest"
)

// ask sends one request straight to the handler.
func ask(crm http.Handler, method, path, body string, adjust func(http.Header)) (status int, header http.Header, answer string) {
	r := httptest.NewRequest(method, "http://keycrm.test/v1"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer k")
	r.Header.Set("Accept", "application/json")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if adjust != nil {
		adjust(r.Header)
	}
	w := httptest.NewRecorder()
	crm.ServeHTTP(w, r)
	return w.Code, w.Header(), w.Body.String()
}

type envelope struct {
	Total, Last_page, Per_page int
	Next_page_url              *string
	Data                       []struct {
		ID                int64
		SKU               *string
		Quantity, Reserve json.Number
		Warehouse         []struct{ Quantity, Reserve json.Number }
	}
}

func list(t *testing.T, crm http.Handler, query string) (e envelope) {
	t.Helper()
	status, _, body := ask(crm, "GET", "/offers/stocks?"+query, "", nil)
	if err := json.Unmarshal([]byte(body), &e); err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d %s", query, status, body)
	}
	return e
}

func shop(o keycrmtest.Options, n int) *keycrmtest.CRM {
	crm := keycrmtest.New(o)
	crm.AddWarehouse(1, "Основной")
	crm.AddWarehouse(2, "Магазин")
	for i := range n {
		crm.AddOffer(fmt.Sprintf("sku-%d", i))
	}
	return crm
}

func TestLists(t *testing.T) {
	crm := shop(keycrmtest.Options{Rate: -1}, 60)
	crm.AddOffer("")
	crm.Set(2, "sku-0", 1500)
	crm.Reserve(2, "sku-0", 250)
	crm.Set(1, "sku-0", 4000)
	for query, want := range map[string][3]int{ // rows, total, pages
		"":                                 {15, 61, 5},
		"perPage=50":                       {15, 61, 5}, // not documented, so not known
		"limit=50":                         {50, 61, 2},
		"limit=50&page=2":                  {11, 61, 2},
		"limit=50&page=9":                  {0, 61, 2},
		"filter[offers_id]=3,4,999":        {2, 2, 1},
		"filter[offers_sku]=sku-1,sku-2":   {2, 2, 1},
		"filter[offers_sku]=SKU-1":         {0, 0, 1},
		"filter[sku]=sku-1":                {15, 61, 5}, // a filter of that name there is not
		"filter[warehouse_id]=1&sort=-id":  {15, 61, 5},
		"filter[offers_sku]=sku-1&limit=1": {1, 1, 1},
	} {
		e := list(t, crm, query)
		if got := [3]int{len(e.Data), e.Total, e.Last_page}; got != want {
			t.Errorf("%q: %v, want %v", query, got, want)
		}
	}
	row := list(t, crm, "filter[offers_id]=1&filter[details]=true").Data[0]
	if row.Quantity != "5.5" || row.Reserve != "0.25" || len(row.Warehouse) != 2 || row.Warehouse[1].Quantity != "1.5" {
		t.Errorf("%+v", row)
	}
	if row := list(t, crm, "filter[offers_id]=1").Data[0]; row.Warehouse != nil {
		t.Error("warehouses without details")
	}
	if e := list(t, crm, "limit=50&page=2"); e.Data[10].SKU != nil || e.Next_page_url != nil {
		t.Errorf("%+v", e)
	}
	for _, query := range []string{"limit=0", "limit=51", "limit=x", "page=0"} {
		if status, _, _ := ask(crm, "GET", "/offers/stocks?"+query, "", nil); status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", query, status)
		}
	}
	if _, _, body := ask(shop(keycrmtest.Options{Documented: true}, 1), "GET", "/offers/stocks", "", nil); strings.Contains(body, "last_page\"") {
		t.Error(body)
	}
	if e := list(t, shop(keycrmtest.Options{Fold: true}, 3), "filter[offers_sku]=SKU-1"); len(e.Data) != 1 {
		t.Errorf("%+v", e)
	}
}

func TestWritesAreCheckedAsAWhole(t *testing.T) {
	good := `{"sku":"sku-0","quantity":3}`
	for _, c := range []struct {
		body   string
		o      keycrmtest.Options
		status int
	}{
		{`{"warehouse_id":2,"stocks":[` + good + `,{"id":2,"quantity":1.5}]}`, keycrmtest.Options{}, 202},
		{`{"warehouse_id":2,"stocks":[{"sku":"none","quantity":1}]}`, keycrmtest.Options{}, 202},
		{`{"warehouse_id":2,"stocks":[` + good + `,{"sku":"none","quantity":1}]}`, keycrmtest.Options{RefuseUnknown: true}, 422},
		{`{"warehouse_id":2,"stocks":[` + good + `,{"sku":"sku-1","quantity":-1}]}`, keycrmtest.Options{RefuseNegative: true}, 422},
		{`{"warehouse_id":2,"stocks":[` + good + `,{"sku":"sku-1","quantity":0.5}]}`, keycrmtest.Options{RefuseDecimals: true}, 422},
		{`{"warehouse_id":2,"stocks":[{"sku":"sku-1","quantity":"1"}]}`, keycrmtest.Options{}, 422},
		{`{"warehouse_id":2,"stocks":[{"sku":"sku-1"}]}`, keycrmtest.Options{}, 422},
		{`{"warehouse_id":2,"stocks":[{"offer_id":1,"quantity":1}]}`, keycrmtest.Options{}, 422},
		{`{"warehouse_id":2,"stocks":[]}`, keycrmtest.Options{}, 422},
		{`{"warehouse_id":9,"stocks":[` + good + `]}`, keycrmtest.Options{}, 422},
		{`{"stocks":[` + good + `]}`, keycrmtest.Options{}, 422},
		{`[{"sku":"sku-0","warehouse_id":2,"quantity":3}]`, keycrmtest.Options{}, 422},
		{`warehouse_id=2&stocks[0][sku]=sku-0`, keycrmtest.Options{}, 422},
		{`{"warehouse_id":2,"stocks":[` + strings.Repeat(good+`,`, 10_000) + good + `]}`, keycrmtest.Options{}, 422},
	} {
		crm := shop(c.o, 3)
		status, _, body := ask(crm, "PUT", "/offers/stocks", c.body, nil)
		if status != c.status || (status == 202) != (body == `{"status":true}`) {
			t.Errorf("%.80s: %d %s", c.body, status, body)
		}
		if q, _, _ := crm.Holds(2, "sku-0"); status == 422 && (q != 0 || crm.Written() != 0) {
			t.Errorf("%.80s: a part was applied", c.body)
		}
	}
	crm := shop(keycrmtest.Options{}, 1)
	status, _, _ := ask(crm, "PUT", "/offers/stocks", `{"warehouse_id":2,"stocks":[`+good+`]}`, func(h http.Header) {
		h.Set("Content-Type", "application/x-www-form-urlencoded")
	})
	if status != http.StatusUnprocessableEntity {
		t.Errorf("form data: %d", status)
	}
}

// What is accepted is seen later; what does not change leaves no movement.
func TestAcceptedIsNotApplied(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	crm := shop(keycrmtest.Options{Visible: 3 * time.Second, Now: func() time.Time { return now }}, 2)
	for _, q := range []string{"5", "5", "7"} {
		ask(crm, "PUT", "/offers/stocks", `{"warehouse_id":2,"stocks":[{"sku":"sku-0","quantity":`+q+`}]}`, nil)
	}
	if got := list(t, crm, "").Data[0].Quantity; got != "0" {
		t.Errorf("seen at once: %s", got)
	}
	if q, _, _ := crm.Holds(2, "sku-0"); q != 7*stock.Unit {
		t.Errorf("holds %v", q)
	}
	now = now.Add(3 * time.Second)
	if got := list(t, crm, "").Data[0].Quantity; got != "7" {
		t.Errorf("not seen later: %s", got)
	}
	if n := len(crm.Movements()); n != 2 || crm.Written() != 3 {
		t.Errorf("%d movements of %d rows", n, crm.Written())
	}
}

func TestKeysAndLimits(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	crm := shop(keycrmtest.Options{Keys: []string{"k", "other"}, Rate: 3, Told: true, Now: func() time.Time { return now }}, 1)
	get := func(key string) (int, http.Header) {
		status, header, _ := ask(crm, "GET", "/offers/stocks", "", func(h http.Header) { h.Set("Authorization", "Bearer "+key) })
		return status, header
	}
	if status, _ := get("wrong"); status != http.StatusUnauthorized {
		t.Error(status)
	}
	for i := range 3 {
		status, header := get("k")
		if status != 200 || header.Get("X-RateLimit-Remaining") != fmt.Sprint(2-i) || header.Get("X-RateLimit-Limit") != "3" {
			t.Error(i, status, header)
		}
		now = now.Add(10 * time.Second)
	}
	if status, header := get("k"); status != http.StatusTooManyRequests || header.Get("Retry-After") != "30" {
		t.Error(status, header)
	}
	if status, _ := get("other"); status != 200 {
		t.Errorf("the limit is counted by key: %d", status)
	}
	now = now.Add(30 * time.Second)
	if status, _ := get("k"); status != 200 {
		t.Error(status)
	}
	if status, _ := get("k"); status != http.StatusTooManyRequests {
		t.Error("the window slides", status)
	}
	status, header, body := ask(crm, "GET", "/nothing", "", func(h http.Header) { h.Del("Accept"); h.Set("Authorization", "Bearer other") })
	if status != http.StatusNotFound || !strings.HasPrefix(header.Get("Content-Type"), "text/html") || !strings.Contains(body, "<html>") {
		t.Error(status, header, body)
	}
}

// posted notes webhooks.
type posted struct {
	mu     sync.Mutex
	bodies []string
	fail   bool
}

func (p *posted) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bodies = append(p.bodies, r.URL.Path+" "+r.Header.Get("keycrm-webhook")+string(body))
	status := http.StatusOK
	if p.fail {
		status = http.StatusBadGateway
	}
	return &http.Response{StatusCode: status, Body: http.NoBody, Request: r}, err
}

func (p *posted) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() { p.bodies = nil }()
	return p.bodies
}

func TestHooks(t *testing.T) {
	var box posted
	crm := shop(keycrmtest.Options{Transport: &box}, 2)
	crm.Set(1, "sku-0", 4000)
	deliver := func(want ...string) {
		t.Helper()
		if err := crm.Deliver(t.Context()); err != nil {
			t.Error(err)
		}
		if got := box.take(); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	crm.AddStockHook("http://a.test/two", 2)
	crm.AddStockHook("http://a.test/all")
	deliver() // nothing is sent for what was there before
	ask(crm, "PUT", "/offers/stocks", `{"warehouse_id":2,"stocks":[{"sku":"sku-0","quantity":3}]}`, nil)
	deliver(`/two [{"in_reserve":0,"in_stock":3,"offer_id":1,"sku":"sku-0"}]`, `/all [{"in_reserve":0,"in_stock":7,"offer_id":1,"sku":"sku-0"}]`)
	ask(crm, "PUT", "/offers/stocks", `{"warehouse_id":2,"stocks":[{"sku":"sku-0","quantity":3}]}`, nil)
	deliver() // nothing changed
	crm.Set(1, "sku-0", 5000)
	deliver(`/all [{"in_reserve":0,"in_stock":8,"offer_id":1,"sku":"sku-0"}]`)
	crm.AddOrderHook("http://a.test/orders")
	id := crm.PlaceOrder(keycrmtest.OrderLine{Warehouse: 2, SKU: "sku-0", Quantity: 1000}, keycrmtest.OrderLine{SKU: "sku-1", Quantity: 1000})
	crm.SetStatus(id, keycrmtest.StatusReserved)
	crm.SetStatus(id, keycrmtest.StatusReserved)
	deliver(`/two [{"in_reserve":1,"in_stock":3,"offer_id":1,"sku":"sku-0"}]`, `/all [{"in_reserve":1,"in_stock":8,"offer_id":1,"sku":"sku-0"}]`,
		`/orders {"context":{"has_reserves":true,"id":3,"payment_status":"not_paid","source_uuid":null,"status_group_id":2,"status_id":2},"event":"order.change_order_status"}`)
	crm.SetStatus(id, keycrmtest.StatusFulfilled)
	if q, reserve, _ := crm.Holds(2, "sku-0"); q != 2000 || reserve != 0 {
		t.Errorf("fulfilled: %v, %v", q, reserve)
	}
	crm.SetStatus(id, keycrmtest.StatusCancelled)
	if q, reserve, _ := crm.Holds(2, "sku-0"); q != 3000 || reserve != 0 {
		t.Errorf("cancelled: %v, %v", q, reserve)
	}
	box.fail = true
	if err := crm.Deliver(t.Context()); err == nil {
		t.Error("a webhook that is not taken must be told")
	}
	if err := crm.Deliver(t.Context()); err != nil {
		t.Errorf("a lost webhook is not repeated: %v", err)
	}
	if _, _, body := ask(crm, "GET", "/order/3", "", nil); strings.Contains(body, "products") {
		t.Error("products that nobody asked for: " + body)
	}
	if status, _, _ := ask(crm, "GET", "/order/99", "", nil); status != http.StatusNotFound {
		t.Error(status)
	}
}

// Run posts what was accepted when it comes to be seen, and ends with its
// context.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var box posted
		crm := shop(keycrmtest.Options{Transport: &box, Visible: 4 * time.Second, SingleHook: true}, 2)
		crm.AddStockHook("http://a.test/", 2)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); crm.Run(ctx) }()
		ask(crm, "PUT", "/offers/stocks", `{"warehouse_id":2,"stocks":[{"sku":"sku-0","quantity":3}]}`, nil)
		time.Sleep(3 * time.Second)
		if got := box.take(); len(got) != 0 {
			t.Errorf("too early: %v", got)
		}
		time.Sleep(2 * time.Second)
		if got := box.take(); len(got) != 1 || got[0] != `/ stocks{"in_reserve":0,"in_stock":3,"offer_id":1,"sku":"sku-0"}` {
			t.Errorf("%v", got)
		}
		cancel()
		<-done
	})
}

func TestFaults(t *testing.T) {
	crm := shop(keycrmtest.Options{Rate: -1}, 5)
	for fault, want := range map[keycrmtest.Fault]int{
		keycrmtest.Limited: 429, keycrmtest.Broken: 500, keycrmtest.Unavailable: 503, keycrmtest.HTML: 200, keycrmtest.Empty: 200, keycrmtest.Refused: 401,
	} {
		crm.Fail("GET", fault, 1, 1)
		var got []int
		for range 3 {
			status, _, _ := ask(crm, "GET", "/offers/stocks", "", nil)
			got = append(got, status)
		}
		if !slices.Equal(got, []int{200, want, 200}) || crm.Faults(fault) != 1 || !fault.Valid() {
			t.Errorf("%s: %v", fault, got)
		}
	}
	crm.Fail("", keycrmtest.Broken, 0, -1)
	crm.ClearFaults()
	if status, _, _ := ask(crm, "GET", "/offers/stocks", "", nil); status != 200 || keycrmtest.Fault("x").Valid() {
		t.Error(status)
	}
	if n := len(crm.Requests()); n != 19 || crm.Requests()[1].Status == 0 {
		t.Errorf("%d requests noted", n)
	}
	if !strings.Contains(crm.String(), "5 offers") || !slices.Equal(crm.Warehouses(), []int64{1, 2}) {
		t.Error(crm)
	}
}
