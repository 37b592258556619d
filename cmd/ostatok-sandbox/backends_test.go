package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"ostatok/agent/stock"
	"ostatok/sync/keycrm"
	"ostatok/sync/target"
	"ostatok/sync/virtpos"
	"ostatok/sync/zelenka"
)

// key is what the ready file says, as an agent reads it.
func (s *sandbox) key(b readyBackend) string {
	s.Helper()
	info, err := os.Stat(b.KeyFile)
	if err != nil {
		s.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		s.Errorf("%s may be read by others: %v", b.KeyFile, info.Mode())
	}
	text, err := os.ReadFile(b.KeyFile)
	if err != nil {
		s.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func (s *sandbox) holds() map[string]holding {
	s.Helper()
	var all struct {
		Products   []holding
		Violations []string
	}
	s.ask("GET", "/sandbox/holds", "", &all)
	if len(all.Violations) > 0 {
		s.Errorf("rules broken: %v", all.Violations)
	}
	byID := make(map[string]holding, len(all.Products))
	for _, h := range all.Products {
		byID[h.Product] = h
	}
	return byID
}

func (s *sandbox) targets() map[string]target.Target {
	s.Helper()
	vip, err := virtpos.New(virtpos.Options{URL: s.VirtPOS.URL, Key: s.key(s.VirtPOS), Log: zerolog.Nop()})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(vip.Close)
	zel, err := zelenka.New(zelenka.Options{URL: s.Zelenka.URL, Username: s.Zelenka.Username, Key: s.key(s.Zelenka), Log: zerolog.Nop()})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(zel.Close)
	warehouse, err := zelenka.ParseWarehouse(s.Zelenka.Warehouse)
	if err != nil {
		s.Fatal(err)
	}
	crm, err := keycrm.New(keycrm.Options{URL: s.KeyCRM.URL, Key: s.key(s.KeyCRM), Rate: 6000, Log: zerolog.Nop()})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(crm.Close)
	site, err := crm.Target(keycrm.TargetOptions{Warehouse: s.KeyCRM.Warehouse})
	if err != nil {
		s.Fatal(err)
	}
	return map[string]target.Target{
		"virtpos": vip.Target(virtpos.TargetOptions{Warehouse: virtpos.Ref{ID: s.VirtPOS.Warehouse}, External: true}),
		"zelenka": zel.Target(zelenka.TargetOptions{Warehouse: warehouse}),
		"keycrm":  site,
	}
}

func (h *holding) in(system string) *held {
	return map[string]*held{"virtpos": h.VirtPOS, "zelenka": h.Zelenka, "keycrm": h.KeyCRM}[system]
}

func TestBackendsTakeWhatTheClientsWrite(t *testing.T) {
	s := start(t, "--admin", "--speed", "0", "--keycrm-rate", "0")
	before := s.holds()
	for system, to := range s.targets() {
		var rows []target.Row
		var products []string
		for id, h := range before {
			if at := h.in(system); at != nil && len(rows) < 10 && !strings.HasPrefix(at.Key, "A") {
				rows = append(rows, target.Row{Key: at.Key, Quantity: at.Quantity + 7*stock.Unit})
				products = append(products, id)
			}
		}
		outcomes, err := to.Write(t.Context(), rows)
		if err != nil || len(outcomes) != len(rows) {
			t.Fatalf("%s: %d outcomes of %d rows: %v", system, len(outcomes), len(rows), err)
		}
		for _, o := range outcomes {
			if o.Err != nil {
				t.Errorf("%s: %s: %v", system, o.Key, o.Err)
			}
		}
		after := s.holds()
		for i, id := range products {
			h := after[id]
			if got := h.in(system).Quantity; got != rows[i].Quantity {
				t.Errorf("%s holds %v of %s, %v was written", system, got, id, rows[i].Quantity)
			}
		}
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(s.output.String(), "requests to backends: keycrm") {
		t.Errorf("the backends' requests are not told:\n%s", s.output)
	}
	for _, secret := range []string{virtposKey, zelenkaKey, keycrmKey} {
		if strings.Contains(s.output.String(), secret) {
			t.Errorf("%s is printed", secret)
		}
	}
}

// The desk must have what people have: figures that are wrong, goods held for
// orders, products that one system lacks, and a SKU that only looks right.
func TestBackendsAreStockedAsAShopFindsThem(t *testing.T) {
	s := start(t, "--admin", "--speed", "0", "--products", "600", "--documents", "4000")
	var truths told
	s.ask("GET", "/sandbox/truth", "", &truths)
	articles := make(map[string]string)
	var list struct {
		Items []struct {
			ID      string `json:"id"`
			Article string `json:"article_number"`
		}
	}
	s.ask("GET", "/stores/"+s.Store+"/products", "", &list)
	for _, item := range list.Items {
		articles[item.ID] = item.Article
	}
	wrong, absent := make(map[string]int), make(map[string]int)
	reserved, overheld, alike := 0, 0, 0
	held := s.holds()
	for _, row := range truths.Products {
		h, ok := held[row.Product]
		if !ok || row.Told == nil {
			continue
		}
		for _, system := range []string{"virtpos", "zelenka", "keycrm"} {
			at := h.in(system)
			if at == nil {
				absent[system]++
			} else if at.Quantity != *row.Told {
				wrong[system]++
			}
		}
		if h.KeyCRM == nil {
			continue
		}
		if r := *h.KeyCRM.Reserved; r > 0 {
			reserved++
			if r > max(0, *row.Told) {
				overheld++
			}
		}
		if article := articles[row.Product]; article != h.KeyCRM.Key && strings.Replace(h.KeyCRM.Key, "A", "А", 1) == article {
			alike++
		}
	}
	if wrong["virtpos"] < 50 || wrong["zelenka"] < 50 || wrong["keycrm"] < 50 {
		t.Errorf("wrong figures: %v", wrong)
	}
	if absent["virtpos"] != 2 || absent["zelenka"] != 0 || absent["keycrm"] != 1 {
		t.Errorf("products that are nowhere: %v", absent)
	}
	if reserved < 5 || overheld != 1 || alike != 1 {
		t.Errorf("%d reserves, %d of more than there is, %d look-alikes", reserved, overheld, alike)
	}

	_, text, err := s.get(s.URL+"/sandbox/mapping", "")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil || len(rows) < 100 || strings.Join(rows[0], ",") != "product_id,code,name,key" {
		t.Fatalf("%d rows of mapping, %v", len(rows), err)
	}
	for _, row := range rows[1:] {
		if h := held[row[0]]; h.KeyCRM == nil || h.KeyCRM.Key != row[3] || row[3] == articles[row[0]] {
			t.Errorf("mapping %v, KeyCRM has %+v", row, h.KeyCRM)
		}
	}
}

func TestBackendFaults(t *testing.T) {
	s := start(t, "--admin", "--speed", "0")
	for body, want := range map[string]int{
		`{"system":"virtpos","fault":"busy","path":"store"}`:        204,
		`{"system":"zelenka","fault":"half","path":"/auth/login"}`:  204,
		`{"system":"evotor","fault":"broken","path":"/products"}`:   204,
		`{"system":"keycrm","fault":"busy","path":"GET"}`:           400,
		`{"system":"ozon","fault":"broken"}`:                        400,
		`{"system":"virtpos","fault":"half","path":"store/update"}`: 400,
	} {
		if code := s.ask("POST", "/sandbox/faults", body, nil); code != want {
			t.Errorf("%s: %d, want %d", body, code, want)
		}
	}
	s.ask("POST", "/sandbox/faults", `{"profile":"none"}`, nil)
	s.ask("POST", "/sandbox/faults", `{"system":"zelenka","fault":"unavailable","path":"/auth/login","times":2}`, nil)
	for _, want := range []int{503, 503, 415} { // the cloud's content type is not Zelenka's
		if code := s.ask("POST", "/zelenka/auth/login", `{"username":"x","apikey":"y"}`, nil); code != want {
			t.Errorf("%d, want %d", code, want)
		}
	}
	s.ask("POST", "/sandbox/faults", `{"profile":"many"}`, nil)
	bad := 0
	for range 400 {
		if status, _, err := s.get(s.VirtPOS.URL+"/api/store?apikey="+s.key(s.VirtPOS), ""); err != nil || status != 200 {
			bad++
		}
	}
	if bad < 5 || bad > 60 {
		t.Errorf("a bad network lost %d of 400 requests", bad)
	}
}

func TestSandboxRunsABroker(t *testing.T) {
	s := start(t, "--mqtt", "127.0.0.1:0")
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.MQTT, "tcp://"))
	if err != nil {
		t.Fatalf("broker %q: %v", s.MQTT, err)
	}
	defer conn.Close()
	// CONNECT of MQTT 3.1.1 with the client id "a" and a clean session.
	if _, err := conn.Write([]byte("\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4)
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "\x20\x02\x00\x00" {
		t.Errorf("CONNACK %x, %v", answer, err)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

func TestKeyCRMCountsRequests(t *testing.T) {
	s := start(t, "--keycrm-rate", "3")
	for _, want := range []int{200, 200, 200, 429} {
		status, text, err := s.get(s.KeyCRM.URL+"/offers/stocks", s.key(s.KeyCRM))
		if err != nil || status != want {
			t.Errorf("%d %v, want %d: %s", status, err, want, text)
		}
		if want == 200 && !json.Valid(text) {
			t.Errorf("no JSON: %s", text)
		}
	}
}

// get asks an address as anybody may.
func (s *sandbox) get(url, token string) (status int, text []byte, err error) {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), "GET", url, nil)
	if err != nil {
		s.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	text, err = io.ReadAll(response.Body)
	return response.StatusCode, text, err
}
