package evotortest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ostatok/agent/stock"
	"ostatok/sync/evotor/evotortest"
)

type site struct {
	*testing.T
	shop  *evotortest.Shop
	cloud *evotortest.Cloud
	url   string
}

func newSite(t *testing.T, options evotortest.CloudOptions) *site {
	t.Helper()
	shop := evotortest.NewShop(evotortest.Settings{Seed: 31, Terminals: 2, Products: 120, Documents: 1500, Download: time.Hour, Outside: 1})
	cloud := evotortest.NewCloud(shop, options)
	server := httptest.NewServer(cloud)
	t.Cleanup(server.Close)
	return &site{t, shop, cloud, server.URL}
}

func (s *site) do(method, path, content, text string, header ...string) (*http.Response, string, error) {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), method, s.url+path, strings.NewReader(text))
	if err != nil {
		s.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer secret")
	if content != "" {
		request.Header.Set("Content-Type", content)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Del("Authorization")
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	return response, string(all), err
}

func (s *site) get(path string) (*http.Response, string) {
	s.Helper()
	response, text, err := s.do("GET", path, "", "")
	if err != nil {
		s.Fatal(err)
	}
	return response, text
}

type listPage struct {
	Items  []json.RawMessage `json:"items"`
	Paging struct {
		Next string `json:"next_cursor"`
	} `json:"paging"`
}

// all reads a list to its end and returns the items' ids in order.
func (s *site) all(path string) (ids []string, pages, empty int) {
	s.Helper()
	for next := path; next != ""; pages++ {
		response, text := s.get(next)
		var p listPage
		if err := json.Unmarshal([]byte(text), &p); err != nil || response.StatusCode != 200 {
			s.Fatalf("%s: %s %v", next, response.Status, err)
		}
		if len(p.Items) == 0 {
			empty++
		}
		for _, item := range p.Items {
			var id struct{ ID string }
			if err := json.Unmarshal(item, &id); err != nil {
				s.Fatal(err)
			}
			ids = append(ids, id.ID)
		}
		next = ""
		if p.Paging.Next != "" {
			base, _, _ := strings.Cut(path, "?")
			next = base + "?cursor=" + url.QueryEscape(p.Paging.Next)
		}
	}
	return ids, pages, empty
}

func (s *site) documentsPath() string { return "/stores/" + s.shop.Store() + "/documents" }
func (s *site) productsPath() string  { return "/stores/" + s.shop.Store() + "/products" }

func (s *site) status(want int, path string) {
	s.Helper()
	if response, text := s.get(path); response.StatusCode != want {
		s.Errorf("%s: %s, want %d: %.100s", path, response.Status, want, text)
	}
}

func TestCloudLists(t *testing.T) {
	s := newSite(t, evotortest.CloudOptions{})
	ids, pages, _ := s.all(s.documentsPath())
	documents := s.shop.Documents()
	if len(ids) != len(documents) || pages != 2 {
		t.Errorf("%d documents in %d pages, want %d in 2", len(ids), pages, len(documents))
	}
	if ids, _, _ := s.all("/stores"); !slices.Equal(ids, []string{s.shop.Store()}) {
		t.Errorf("stores %v", ids)
	}
	if ids, _, _ := s.all("/devices"); len(ids) != 2 || ids[0] != s.shop.Devices()[0].ID {
		t.Errorf("devices %v", ids)
	}
	if ids, pages, _ := s.all(s.productsPath() + "?limit=50"); len(ids) != len(s.shop.Products()) || pages != 3 {
		t.Errorf("%d products in %d pages", len(ids), pages)
	}
	if ids, _, _ := s.all("/stores/" + s.shop.Store() + "/product-groups"); len(ids) == 0 {
		t.Error("no groups")
	}
	s.status(200, "/stores/"+s.shop.Store())
	s.status(200, s.documentsPath()+"/"+documents[0].ID)
	s.status(404, s.documentsPath()+"/no-such-document")
	s.status(200, s.productsPath()+"/"+s.shop.Products()[0].ID)
	s.status(404, s.productsPath()+"/no-such-product")
	s.status(404, "/stores/20000101-0000-4000-8000-000000000000/documents")
	s.status(404, "/elsewhere")
	s.status(400, s.documentsPath()+"?since=yesterday")
	s.status(400, s.documentsPath()+"?limit=0")
	s.status(400, s.documentsPath()+"?cursor=nonsense")
	if n := s.cloud.Requests()["GET /stores/{store}/documents"]; n != 6 {
		t.Errorf("%d requests for documents were counted, want 6", n)
	}
}

func TestCloudWindows(t *testing.T) {
	s := newSite(t, evotortest.CloudOptions{})
	documents := s.shop.Documents()
	since, until := documents[300].Closed, documents[600].Closed
	count := func(match func(*evotortest.Document) bool) (n int) {
		for i := range documents {
			if match(&documents[i]) {
				n++
			}
		}
		return n
	}
	ids, _, _ := s.all(fmt.Sprintf("%s?since=%d&until=%d&limit=40", s.documentsPath(), since, until))
	want := count(func(d *evotortest.Document) bool { return since <= d.Closed && d.Closed < until })
	if len(ids) != want || !slices.Contains(ids, documents[300].ID) || slices.Contains(ids, documents[600].ID) {
		t.Errorf("%d documents of the window, want %d with the first and without the last", len(ids), want)
	}
	device := documents[300].Device
	ids, _, _ = s.all("/stores/" + s.shop.Store() + "/devices/" + device + "/documents?type=SELL,PAYBACK")
	want = count(func(d *evotortest.Document) bool {
		return d.Device == device && (d.Type == stock.Sell || d.Type == stock.Payback)
	})
	if len(ids) != want {
		t.Errorf("%d sales and returns of the device, want %d", len(ids), want)
	}
	late := newSite(t, evotortest.CloudOptions{ByArrival: true})
	at := documents[300].Arrived
	if ids, _, _ := late.all(fmt.Sprintf("%s?since=%d", late.documentsPath(), at)); len(ids) != len(documents)-300 {
		t.Errorf("%d documents arrived since, want %d", len(ids), len(documents)-300)
	}
}

func TestCloudOddPages(t *testing.T) {
	s := newSite(t, evotortest.CloudOptions{PageSize: 100, EmptyPages: true, Shuffle: true})
	first, _, empty := s.all(s.documentsPath())
	second, _, _ := s.all(s.documentsPath())
	if empty == 0 || len(first) != len(s.shop.Documents()) {
		t.Errorf("%d documents, %d empty pages", len(first), empty)
	}
	if !slices.Equal(first, second) {
		t.Error("the order differs from one reading to the next")
	}
	sorted := make([]string, 0, len(first))
	for _, d := range s.shop.Documents() {
		sorted = append(sorted, d.ID)
	}
	if slices.Equal(first, sorted) {
		t.Error("the documents come in order")
	}
	bare := newSite(t, evotortest.CloudOptions{BareArrays: true})
	_, text := bare.get(bare.documentsPath())
	var items []json.RawMessage
	if err := json.Unmarshal([]byte(text), &items); err != nil || len(items) != len(first) {
		t.Errorf("%d documents in an array, %v", len(items), err)
	}
}

func TestCloudStaleCursor(t *testing.T) {
	var minutes atomic.Int64
	start := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	s := newSite(t, evotortest.CloudOptions{PageSize: 100, CursorLife: 5 * time.Minute,
		Now: func() time.Time { return start.Add(time.Duration(minutes.Load()) * time.Minute) }})
	response, text := s.get(s.documentsPath())
	if date := response.Header.Get("Date"); date != "Sat, 21 Nov 2026 12:00:00 GMT" {
		t.Errorf("Date %s is not the cloud's clock", date)
	}
	var p listPage
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	if !strings.ContainsAny(p.Paging.Next, "+/") {
		t.Errorf("cursor %s does not need escaping", p.Paging.Next)
	}
	next := s.documentsPath() + "?cursor=" + url.QueryEscape(p.Paging.Next)
	s.status(200, next)
	s.status(404, s.productsPath()+"?cursor="+url.QueryEscape(p.Paging.Next))
	minutes.Store(6)
	s.status(404, next)
}

func TestCloudTokens(t *testing.T) {
	s := newSite(t, evotortest.CloudOptions{Tokens: []string{"secret"}})
	for _, form := range [][2]string{{"Authorization", "Bearer secret"}, {"Authorization", "bearer secret"},
		{"Authorization", "secret"}, {"X-Authorization", "secret"}} {
		if response, _, err := s.do("GET", "/stores", "", "", form[0], form[1]); err != nil || response.StatusCode != 200 {
			t.Errorf("%v is refused", form)
		}
	}
	if response, _, err := s.do("GET", "/stores", "", "", "Authorization", "Bearer wrong"); err != nil || response.StatusCode != 401 {
		t.Error("a wrong token is let in")
	}
	raw := newSite(t, evotortest.CloudOptions{Auth: []string{evotortest.AuthRaw}})
	raw.status(401, "/stores")
	if response, _, err := raw.do("GET", "/stores", "", "", "Authorization", "secret"); err != nil || response.StatusCode != 200 {
		t.Error("the one form that is accepted is refused")
	}
}

func TestCloudRateLimit(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	for unit, want := range map[string]int64{
		evotortest.ResetSeconds: 60, evotortest.ResetEpoch: 1_800_000_060, evotortest.ResetEpochMS: 1_800_000_060_000,
	} {
		var passed atomic.Int64
		s := newSite(t, evotortest.CloudOptions{RateLimit: 2, ResetUnit: unit,
			Now: func() time.Time { return now.Add(time.Duration(passed.Load())) }})
		s.status(200, "/stores")
		response, _ := s.get("/stores")
		reset, err := strconv.ParseInt(response.Header.Get("X-RateLimit-Reset"), 10, 64)
		if err != nil || reset != want || response.Header.Get("X-RateLimit-Remaining") != "0" {
			t.Errorf("%s: reset %d, want %d; headers %v", unit, reset, want, response.Header)
		}
		s.status(429, "/stores")
		passed.Store(int64(time.Minute))
		s.status(200, "/stores")
	}
}

func TestCloudInstallation(t *testing.T) {
	s := newSite(t, evotortest.CloudOptions{})
	device := s.shop.Devices()[0].ID
	s.cloud.SetInstalled(device, false)
	before, _, _ := s.all(s.documentsPath())
	if devices, _, _ := s.all("/devices"); slices.Contains(devices, device) {
		t.Error("a device without the app is listed")
	}
	s.cloud.SetInstalled(device, true)
	after, _, _ := s.all(s.documentsPath())
	if len(before) >= len(after) || len(after) != len(s.shop.Documents()) {
		t.Errorf("%d documents without the device, %d with it, of %d", len(before), len(after), len(s.shop.Documents()))
	}
	other := evotortest.NewShop(evotortest.Settings{Seed: 32, Documents: 100})
	s.cloud.AddShop(other)
	s.cloud.SetPaid(other.Store(), false)
	if stores, _, _ := s.all("/stores"); len(stores) != 2 {
		t.Errorf("stores %v", stores)
	}
	s.status(402, "/stores/"+other.Store()+"/documents")
	s.status(200, s.documentsPath())
}

func TestCloudProductsVanish(t *testing.T) {
	shop := evotortest.NewShop(evotortest.Settings{Seed: 33, Products: 800, Documents: 3000})
	at := map[string]bool{}
	for _, p := range shop.Products() {
		at[p.ID] = true
	}
	seen := map[string]bool{}
	for _, d := range shop.Documents() {
		for _, l := range d.Lines {
			if l.Product != "" && !at[l.Product] {
				seen[l.Product] = true
			}
		}
	}
	if len(seen) == 0 {
		t.Fatal("no product vanished")
	}
	server := httptest.NewServer(evotortest.NewCloud(shop, evotortest.CloudOptions{}))
	defer server.Close()
	s := &site{t, shop, nil, server.URL}
	for id := range seen {
		s.status(404, s.productsPath()+"/"+id)
	}
}
