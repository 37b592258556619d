package agent_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ostatok/agent"
	"ostatok/agent/local"
	"ostatok/agent/stock"
	"ostatok/platform/network/networktest"
	"ostatok/sync/evotor/evotortest"
)

// visitor is a browser at the box, without a screen.
type visitor struct {
	t      testing.TB
	url    string
	client *http.Client
}

func visit(t testing.TB, url string) *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &visitor{t, url, &http.Client{Jar: jar, Transport: transport, Timeout: time.Minute}}
}

func (v *visitor) send(method, path string, body io.Reader, headers ...string) (int, string) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.url+path, body)
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// get returns a page that must be there, with its spaces made plain.
func (v *visitor) get(path string) string {
	v.t.Helper()
	status, text := v.send(http.MethodGet, path, nil)
	if status != http.StatusOK {
		v.t.Fatalf("%s: %d\n%s", path, status, text)
	}
	return strings.ReplaceAll(text, "\u00a0", " ")
}

func (v *visitor) post(path string, pairs ...string) (int, string) {
	v.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return v.send(http.MethodPost, path, strings.NewReader(form.Encode()),
		"Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin")
}

func (v *visitor) has(path string, want ...string) {
	v.t.Helper()
	text := v.get(path)
	for _, w := range want {
		if !strings.Contains(text, w) {
			v.t.Errorf("%s lacks %q:\n%s", path, w, text)
		}
	}
}

// access makes an access file and returns its code and the token of senders.
func (b *box) access() (code, token string) {
	b.t.Helper()
	b.config.Local.AccessFile = filepath.Join(b.t.TempDir(), "access")
	code, err := agent.RenewCode(b.config.Local.AccessFile, rand.Reader)
	if err != nil {
		b.t.Fatal(err)
	}
	if token, err = agent.RenewToken(b.config.Local.AccessFile, rand.Reader); err != nil {
		b.t.Fatal(err)
	}
	return code, token
}

// page serves what the agent serves.
func (b *box) page(a *agent.Agent) *visitor {
	server := httptest.NewServer(a.Web())
	b.t.Cleanup(server.Close)
	return visit(b.t, server.URL)
}

func TestEveryScreenOfARealShop(t *testing.T) {
	b := newBox(t, evotortest.CloudOptions{})
	b.config.Language = "en"
	a := b.open()
	defer b.close(a)
	v := b.page(a)
	v.has("/", "The first download")
	if _, err := a.Sync(t.Context(), true, nil); err != nil {
		t.Fatal(err)
	}
	v.has("/", "Approve what is written: Evotor cloud")
	stockPage, rows := v.get("/stock"), 0
	for r, err := range a.Stock(t.Context(), local.StockQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		rows++
		if !strings.Contains(stockPage, `data-product="`+r.Product+`"`) {
			t.Errorf("the stock lacks %s", r.Name)
		}
		v.has("/product?id="+url.QueryEscape(r.Product), "Where this figure comes from", "Evotor cloud")
		v.has("/stock?q="+url.QueryEscape(r.Code), r.Code)
	}
	if got := strings.Count(stockPage, "<tr data-product="); got != rows || rows < 10 {
		t.Errorf("%d rows, and the shop has %d", got, rows)
	}
	if lines := strings.Count(v.get("/stock.csv"), "\n"); lines != rows+1 {
		t.Errorf("%d lines for %d products", lines, rows)
	}
	v.get("/count")
	v.has("/plan", "/plan/approve", "Approve")
	v.has("/targets", "Evotor cloud", "when approved")
	v.has("/events", "A new plan waits")
	v.has("/metrics", `ostatok_products{state="known"}`, "ostatok_sync_complete 1")
	v.has("/healthz", "ok")
	if status, _ := v.send(http.MethodGet, "/product?id=nothing", nil); status != http.StatusNotFound {
		t.Errorf("a product that is not there: %d", status)
	}
}

// A shop's people count shelf by shelf: the groups are those of the cloud's
// catalogue, one within another.
func TestGroupsOnTheCountList(t *testing.T) {
	to := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	b := boxOf(t, evotortest.NewShop(evotortest.Settings{Seed: 7, Products: 120, Documents: 300, From: to.AddDate(0, -4, 0), To: to}), evotortest.CloudOptions{})
	a := b.open()
	defer b.close(a)
	if _, err := a.Sync(t.Context(), true, nil); err != nil {
		t.Fatal(err)
	}
	names, parents := make(map[string]string), make(map[string]string)
	for _, g := range b.shop.Groups() {
		names[g.ID], parents[g.ID] = g.Name, g.Parent
	}
	path := func(id string) string {
		if parent := parents[id]; parent != "" {
			return names[parent] + " / " + names[id]
		}
		return names[id]
	}
	v := b.page(a)
	list, table := v.get("/count"), v.get("/stock.csv")
	counted, within := make(map[string]bool), 0
	for _, p := range b.shop.Products() {
		if p.Service() {
			continue
		}
		group := path(p.Parent)
		if !strings.Contains(table, p.Code+";"+p.Name+";"+group+";") {
			t.Errorf("the table does not show %s %s in %q", p.Code, p.Name, group)
		}
		at := strings.Index(list, "/product?id="+url.QueryEscape(p.ID)+`"`)
		if at < 0 {
			continue
		}
		counted[group] = true
		if strings.Contains(group, "/") {
			within++
		}
		head := regexp.MustCompile(`scope="rowgroup"[^>]*>(?:<[^>]*>)*([^<]*)<`).FindAllStringSubmatch(list[:at], -1)
		if len(head) == 0 || head[len(head)-1][1] != group {
			t.Errorf("%s is listed under %q, want %q", p.Name, head, group)
		}
	}
	if len(counted) < 3 || within == 0 {
		t.Errorf("%v to count, %d in a group within another: proves nothing", counted, within)
	}
	if n := strings.Count(list, `scope="rowgroup"`); n != len(counted) {
		t.Errorf("%d groups on the list, want %v", n, counted)
	}
}

// The guide's sixth step is people's: the page says which terminals have done it.
func TestApproveAndLoad(t *testing.T) {
	to := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	b := boxOf(t, evotortest.NewShop(evotortest.Settings{
		Seed: 7, Products: 20, Documents: 900, Terminals: 2, From: to.AddDate(0, -4, 0), To: to, Download: 4 * time.Hour,
	}), evotortest.CloudOptions{})
	b.config.Language = "en"
	code, _ := b.access()
	a := b.open()
	defer b.close(a)
	v := b.page(a)
	if _, err := a.Sync(t.Context(), true, nil); err != nil {
		t.Fatal(err)
	}
	id := regexp.MustCompile(`name="id" value="([^"]+)"`).FindStringSubmatch(v.get("/plan"))
	if id == nil {
		t.Fatal("there is no plan")
	}
	if _, text := v.post("/plan/approve", "id", id[1]); !strings.Contains(text, "Access code") || len(b.shop.Patches()) != 0 {
		t.Fatalf("approved without the code:\n%s", text)
	}
	if _, text := v.post("/login", "code", "WRONG-CODES"); !strings.Contains(text, "That is not the code") {
		t.Fatalf("a wrong code: %s", text)
	}
	v.post("/login", "code", code)
	if _, text := v.post("/plan/approve", "id", id[1]); !strings.Contains(text, "The plan is approved") {
		t.Fatalf("not approved:\n%s", text)
	}
	if _, err := a.Sync(t.Context(), false, nil); err != nil {
		t.Fatal(err)
	}
	patches := b.shop.Patches()
	if len(patches) == 0 {
		t.Fatal("nothing was written")
	}
	v.has("/", "Load the goods on the terminals", "not yet")
	v.has("/product?id="+url.QueryEscape(patches[0].Product), "verified")

	// Terminals that load every four hours have done so by tomorrow morning.
	for range 18 {
		b.shop.Run(b.shop.Now().Add(time.Hour))
		if _, err := a.Sync(t.Context(), false, nil); err != nil {
			t.Fatal(err)
		}
		v.get("/")
	}
	if text := v.get("/"); strings.Contains(text, "not yet") {
		t.Errorf("the terminals' documents show the figures, and the page does not know:\n%s", text)
	}
}

// A document that a terminal sends over the LAN counts at once, and is not
// written to the cloud, which will apply it by itself.
func TestDocumentsOverTheLAN(t *testing.T) {
	b := newBox(t, evotortest.CloudOptions{})
	_, token := b.access()
	a := b.open()
	defer b.close(a)
	v := b.page(a)
	if _, err := a.Sync(t.Context(), true, nil); err != nil {
		t.Fatal(err)
	}
	var before local.Row
	for r, err := range a.Stock(t.Context(), local.StockQuery{State: stock.Known}) {
		if err != nil {
			t.Fatal(err)
		}
		before = r
	}
	at := b.shop.Now().UTC().Format("2006-01-02T15:04:05.000+0000")
	sale := fmt.Sprintf(`{"type":"SELL","id":"lan-1","number":9001,"close_date":%q,"device_id":%q,"store_id":%q,"version":"V2","body":{"positions":[`+
		`{"product_id":%q,"quantity":1,"settlement_method":{"type":"CHECKOUT_FULL"}}]}}`,
		at, b.shop.Devices()[0].ID, b.shop.Store(), before.Product)
	if status, _ := v.send(http.MethodPut, "/documents", strings.NewReader(sale), "Authorization", "Bearer "+token+"x"); status != http.StatusUnauthorized {
		t.Errorf("a wrong token: %d", status)
	}
	for range 2 {
		if status, text := v.send(http.MethodPut, "/documents", strings.NewReader(sale), "Authorization", "Bearer "+token); status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
	}
	if _, err := a.Sync(t.Context(), false, nil); err != nil {
		t.Fatal(err)
	}
	e, err := a.Explain(t.Context(), before.Product)
	if err != nil || *e.Product.Quantity != *before.Quantity-stock.Unit {
		t.Fatalf("it stands at %v, %v; before the sale %s", e.Product.Quantity, err, before.Quantity)
	}
	plans, err := a.Plans(t.Context(), "evotor", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range plans {
		for _, r := range p.Rows {
			if r.Product == before.Product {
				t.Errorf("it would be written: %+v", r)
			}
		}
	}
}

// A page that cannot be served is no reason to stop, and no reason to be silent.
func TestAddressTaken(t *testing.T) {
	b := newBox(t, evotortest.CloudOptions{})
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.config.Local.Listen = taken.Addr().String()
	a := b.open()
	defer b.close(a)
	v := visit(t, "http://"+b.config.Local.Listen)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); a.Run(ctx) }()
	defer func() { stop(); <-done }()
	until(t, "the first sync is complete", func() bool {
		s, err := a.Status(t.Context())
		return err == nil && s.LastSuccess != nil
	})
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	until(t, "the page is served", func() bool {
		resp, err := v.client.Get(v.url + "/healthz")
		return err == nil && resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
	})
	v.has("/events?lang=en", "The page cannot be opened from this box", "The page can be opened again.")
}

func TestAccessFile(t *testing.T) {
	b := newBox(t, evotortest.CloudOptions{})
	code, token := b.access()
	file := b.config.Local.AccessFile
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	text, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(text), code) || strings.Contains(string(text), strings.ReplaceAll(code, "-", "")) {
		t.Fatalf("the code is in the file:\n%s", text)
	}
	a := b.open()
	defer b.close(a)
	v := b.page(a)
	if _, text := v.post("/login", "code", strings.ToLower(code)); strings.Contains(text, "role=\"alert\"") {
		t.Fatalf("not let in:\n%s", text)
	}
	again, err := agent.RenewCode(file, rand.Reader)
	if err != nil || again == code {
		t.Fatalf("%s, %v", again, err)
	}
	// While the agent runs, the old code and who came in with it are out.
	if _, text := v.post("/login", "code", code); !strings.Contains(text, "role=\"alert\"") {
		t.Error("the old code opens")
	}
	if _, text := v.post("/login", "code", again); strings.Contains(text, "role=\"alert\"") {
		t.Errorf("the new code does not open:\n%s", text)
	}
	if status, _ := v.send(http.MethodPut, "/documents", strings.NewReader("[]"), "Authorization", "Bearer "+token); status != http.StatusOK {
		t.Errorf("the token of senders is gone with the old code: %d", status)
	}
	if err := os.WriteFile(file, []byte("$not a hash\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, text := v.post("/login", "code", again); !strings.Contains(text, "role=\"alert\"") {
		t.Error("a spoiled file lets in")
	}
}

// What is live reaches an open page within the burst that brought it.
func TestOpenPagesAreTold(t *testing.T) {
	b := newBox(t, evotortest.CloudOptions{})
	_, token := b.access()
	b.config.Local.Listen = networktest.FreeAddress(t)
	a := b.open()
	defer b.close(a)
	if _, err := a.Sync(t.Context(), true, nil); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); a.Run(ctx) }()
	defer func() { stop(); <-done }()
	v := visit(t, "http://"+b.config.Local.Listen)
	var stream *http.Response
	until(t, "the stream is open", func() bool {
		resp, err := v.client.Get(v.url + "/live")
		stream = resp
		return err == nil
	})
	defer func() { _ = stream.Body.Close() }()
	product := b.shop.Products()[0].ID
	sale := fmt.Sprintf(`{"type":"SELL","id":"lan-2","number":9002,"close_date":%q,"device_id":%q,"store_id":%q,"version":"V2","body":{"positions":[`+
		`{"product_id":%q,"quantity":1,"settlement_method":{"type":"CHECKOUT_FULL"}}]}}`,
		b.shop.Now().UTC().Format("2006-01-02T15:04:05.000+0000"), b.shop.Devices()[0].ID, b.shop.Store(), product)
	if status, text := v.send(http.MethodPut, "/documents", strings.NewReader(sale), "Authorization", "Bearer "+token); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	told := make([]byte, 0, 4096)
	for !strings.Contains(string(told), "data: "+product) {
		part := make([]byte, 512)
		n, err := stream.Body.Read(part)
		told = append(told, part[:n]...)
		if err != nil {
			t.Fatalf("told %q, and then %v", told, err)
		}
	}
}

// smallShop is a shop of twenty products and two terminals.
func smallShop() *evotortest.Shop {
	to := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	return evotortest.NewShop(evotortest.Settings{Seed: 7, Products: 20, Documents: 300, Terminals: 2, From: to.AddDate(0, -4, 0), To: to})
}
