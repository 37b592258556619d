package agent_test

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent"
	"ostatok/agent/config"
	"ostatok/agent/journal"
	"ostatok/agent/local"
	"ostatok/agent/stock"
)

// The shops and terminals on the desk. Both shops were opened on 19 October
// 2025, thirteen months before today.
const (
	shop1 = "20251019-D58C-40E0-8051-B53ADFF38860"
	shop2 = "20251019-7777-40E0-8051-B53ADFF38861"
	till1 = "20251019-AAAA-40E0-8051-000000000001"
	till2 = "20251019-BBBB-40E0-8051-000000000002"
	till9 = "20251019-9999-40E0-8051-000000000009" // of shop2
)

// today is when the tests play.
var today = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// ago is so many days before today.
func ago(days float64) time.Time { return today.Add(-time.Duration(days * 24 * float64(time.Hour))) }

// desk is a cloud whose content a test writes down document by document. It
// keeps to the letter of the interface: filters in the first request of a
// listing only, since inclusive and until exclusive, figures set by PATCH.
type desk struct {
	t   *testing.T
	url string
	now func() time.Time

	mu        sync.Mutex
	cards     []*card
	documents []document // in order of arrival
	page      int        // items in a page
	asked     []request
}

// card is a product.
type card struct {
	id, name, code string
	store          string // shop1 when ""
	kind           string // NORMAL when ""
	quantity       string // the cloud's figure, 0 when ""
	created        time.Time
}

// document is what a terminal wrote.
type document struct {
	id, kind string
	number   int    // on its terminal
	device   string // till1 when ""
	store    string // shop1 when ""
	at       time.Time
	lines    []string // the positions, as JSON
	body     string   // what else is in the body, as JSON members
}

// request is what the cloud was asked.
type request struct {
	method, path string
	query        url.Values
	body         string
}

func newDesk(t *testing.T, ids ...string) *desk {
	d := onDesk(t, ids...)
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	d.url = server.URL
	return d
}

// onDesk is a desk that nobody can reach yet.
func onDesk(t *testing.T, ids ...string) *desk {
	d := &desk{t: t, page: 1000, now: func() time.Time { return today }}
	for _, id := range ids {
		d.card(card{id: id})
	}
	return d
}

func (d *desk) card(c card) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c.store, c.kind, c.quantity = cmp.Or(c.store, shop1), cmp.Or(c.kind, "NORMAL"), cmp.Or(c.quantity, "0")
	c.name, c.code = cmp.Or(c.name, c.id), cmp.Or(c.code, strconv.Itoa(len(d.cards)+1))
	if c.created.IsZero() {
		c.created = time.Date(2025, 10, 20, 0, 0, 0, 0, time.UTC)
	}
	d.cards = append(d.cards, &c)
}

func (d *desk) write(documents ...document) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, x := range documents {
		x.device, x.store = cmp.Or(x.device, till1), cmp.Or(x.store, shop1)
		x.number = len(d.documents) + 1
		x.id = cmp.Or(x.id, fmt.Sprintf("document-%03d", x.number))
		d.documents = append(d.documents, x)
	}
}

// line is a position as real documents have it, flat; more are members of it.
func line(product, quantity, initial string, more ...string) string {
	return "{" + strings.Join(append([]string{
		fmt.Sprintf(`"product_id":%q,"quantity":%s,"initial_quantity":%s`, product, quantity, initial)}, more...), ",") + "}"
}

// quantity is the cloud's figure of a product.
func (d *desk) quantity(id string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.find(shop1, id); c != nil {
		return c.quantity
	}
	return ""
}

func (d *desk) find(store, id string) *card {
	for _, c := range d.cards {
		if c.store == store && c.id == id {
			return c
		}
	}
	return nil
}

// requests returns, in their order and without repetitions, those of a method
// whose path ends so.
func (d *desk) requests(method, suffix string) []request {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []request
	seen := map[string]bool{}
	for _, r := range d.asked {
		key := r.path + "?" + r.query.Encode() + " " + r.body
		if r.method == method && strings.HasSuffix(r.path, suffix) && !seen[key] {
			seen[key] = true
			list = append(list, r)
		}
	}
	return list
}

func (d *desk) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = nil
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		d.t.Error(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, request{r.Method, r.URL.Path, r.URL.Query(), string(body)})
	w.Header().Set("Date", d.now().UTC().Format(http.TimeFormat))
	w.Header().Set("Content-Type", "application/vnd.evotor.v2+json")
	if r.Header.Get("Authorization") != "Bearer a-token" {
		http.Error(w, `{"message":"unknown token"}`, http.StatusUnauthorized)
		return
	}
	at := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	is := func(method string, pattern ...string) bool {
		return r.Method == method && slices.EqualFunc(at, pattern, func(a, p string) bool { return p == "*" || a == p })
	}
	switch {
	case is("GET", "stores"):
		fmt.Fprintf(w, `{"items":[{"id":%q,"name":"First"},{"id":%q,"name":"Second"}],"paging":{}}`, shop1, shop2)
	case is("GET", "devices"):
		var items []string
		for _, till := range []string{till1, till2, till9} {
			store := shop1
			if till == till9 {
				store = shop2
			}
			items = append(items, fmt.Sprintf(`{"id":%q,"name":"Till","store_id":%q,"created_at":"2025-10-19T08:00:00.000+0000"}`, till, store))
		}
		d.list(w, r, func(url.Values) []string { return items })
	case is("GET", "stores", "*", "products"):
		d.list(w, r, func(url.Values) (items []string) {
			for _, c := range d.cards {
				if c.store == at[1] {
					items = append(items, c.json())
				}
			}
			return items
		})
	case is("GET", "stores", "*", "documents"):
		d.list(w, r, func(q url.Values) []string { return d.matching(q, at[1], "") })
	case is("GET", "stores", "*", "devices", "*", "documents"):
		d.list(w, r, func(q url.Values) []string { return d.matching(q, at[1], at[3]) })
	case is("GET", "stores", "*", "products", "*") && d.find(at[1], at[3]) != nil:
		fmt.Fprint(w, d.find(at[1], at[3]).json())
	case is("PATCH", "stores", "*", "products", "*") && d.find(at[1], at[3]) != nil:
		d.patch(w, r, d.find(at[1], at[3]), body)
	default:
		http.Error(w, `{"message":"not found"}`, http.StatusNotFound)
	}
}

// list answers with one page. A cursor holds the filters of the first request
// and the place; it comes alone.
func (d *desk) list(w http.ResponseWriter, r *http.Request, all func(url.Values) []string) {
	filters, from := r.URL.Query(), 0
	if text := filters.Get("cursor"); text != "" {
		raw, err := base64.StdEncoding.DecodeString(text)
		kept, parseErr := url.ParseQuery(string(raw))
		if err != nil || parseErr != nil || len(filters) != 1 || kept.Get("of") != r.URL.Path {
			http.Error(w, `{"message":"bad cursor"}`, http.StatusBadRequest)
			return
		}
		from, _ = strconv.Atoi(kept.Get("from"))
		filters = kept
	}
	items, next := all(filters), ""
	if until := from + d.page; until < len(items) {
		filters.Set("of", r.URL.Path)
		filters.Set("from", strconv.Itoa(until))
		next = fmt.Sprintf(`"next_cursor":%q`, base64.StdEncoding.EncodeToString([]byte(filters.Encode())))
		items = items[:until]
	}
	fmt.Fprintf(w, `{"items":[%s],"paging":{%s}}`, strings.Join(items[min(from, len(items)):], ","), next)
}

func (d *desk) matching(q url.Values, store, device string) (items []string) {
	since, _ := strconv.ParseInt(q.Get("since"), 10, 64)
	until, err := strconv.ParseInt(q.Get("until"), 10, 64)
	if err != nil {
		until = d.now().UnixMilli()
	}
	for _, x := range d.documents {
		at := x.at.UnixMilli()
		if x.store == store && (device == "" || x.device == device) && at >= since && at < until &&
			(q.Get("type") == "" || slices.Contains(strings.Split(q.Get("type"), ","), x.kind)) {
			items = append(items, x.json())
		}
	}
	return items
}

// patch sets what a card may be given.
func (d *desk) patch(w http.ResponseWriter, r *http.Request, c *card, body []byte) {
	var set map[string]json.Number
	err := json.Unmarshal(body, &set)
	figure := set["quantity"].String()
	if _, wrong := stock.ParseQuantity(figure); err != nil || wrong != nil || len(set) != 1 || c.kind == "SERVICE" ||
		r.Header.Get("Content-Type") != "application/vnd.evotor.v2+json" {
		http.Error(w, `{"message":"validation failed"}`, http.StatusBadRequest)
		return
	}
	c.quantity = figure
	fmt.Fprint(w, c.json())
}

const stampForm = "2006-01-02T15:04:05.000-0700"

func (c *card) json() string {
	text := fmt.Sprintf(`{"id":%q,"type":%q,"name":%q,"code":%q,"measure_name":"шт","price":10,"created_at":%q`,
		c.id, c.kind, c.name, c.code, c.created.Format(stampForm))
	if c.kind != "SERVICE" {
		text += `,"quantity":` + c.quantity
	}
	return text + "}"
}

func (x *document) json() string {
	body := `"positions":[` + strings.Join(x.lines, ",") + "]"
	if x.body != "" {
		body += "," + x.body
	}
	return fmt.Sprintf(`{"type":%q,"id":%q,"number":%d,"close_date":%q,"created_at":%q,"device_id":%q,"store_id":%q,"version":"V2","body":{%s}}`,
		x.kind, x.id, x.number, x.at.Format(stampForm), x.at.Add(2*time.Second).Format(stampForm), x.device, x.store, body)
}

// install is one installation of the agent, in a data directory of its own.
type install struct {
	*agent.Agent
	t       *testing.T
	desk    *desk
	config  *config.Config
	options agent.Options
}

func (d *desk) install(t *testing.T, method stock.Method, settings ...func(*config.Config)) *install {
	t.Helper()
	i := &install{t: t, desk: d, config: config.Default()}
	i.config.Store, i.config.DataDir = shop1, filepath.Join(t.TempDir(), "data")
	i.config.Evotor.URL, i.config.Evotor.Token = d.url, config.NewSecret("a-token")
	i.config.Stock.Method = method
	for _, set := range settings {
		set(i.config)
	}
	i.options = agent.Options{
		Build: agent.Build{Version: "test", Time: today.AddDate(0, -1, 0)},
		Now:   func() time.Time { return today },
		Log:   zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.ErrorLevel),
	}
	i.open()
	t.Cleanup(i.close)
	return i
}

func (i *install) open() {
	i.t.Helper()
	a, err := agent.Open(i.t.Context(), i.config, i.options)
	if err != nil {
		i.t.Fatal(err)
	}
	i.Agent = a
}

func (i *install) close() {
	if err := i.Close(); err != nil {
		i.t.Error(err)
	}
}

// sync is one cycle that must leave nothing open.
func (i *install) sync() local.SyncResult { i.t.Helper(); return i.cycle(false) }

// backfill is a cycle that also reads the whole older history.
func (i *install) backfill() local.SyncResult { i.t.Helper(); return i.cycle(true) }

func (i *install) cycle(backfill bool) local.SyncResult {
	i.t.Helper()
	r, err := i.Sync(i.t.Context(), backfill, nil)
	if err != nil || !r.Complete {
		i.t.Fatalf("%+v, %v", r, err)
	}
	return r
}

// stands checks figures: pairs of a product's id and what is said of it, such
// as "7 known", "3 assumed reading" or "? unresolved older_months".
func (i *install) stands(pairs ...string) {
	i.t.Helper()
	for pair := range slices.Chunk(pairs, 2) {
		if got := i.says(pair[0]); got != pair[1] {
			i.t.Errorf("%s: %s, want %s", pair[0], got, pair[1])
		}
	}
}

func (i *install) says(product string) string {
	i.t.Helper()
	r := i.row(product)
	figure := "?"
	if r.Quantity != nil {
		figure = r.Quantity.String()
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", figure, r.State, r.Reason))
}

func (i *install) row(product string) local.Row {
	i.t.Helper()
	for r, err := range i.Stock(i.t.Context(), local.StockQuery{}) {
		if err != nil {
			i.t.Fatal(err)
		}
		if r.Product == product {
			return r
		}
	}
	i.t.Fatalf("%s is not in the catalogue", product)
	return local.Row{}
}

// plan is the one plan that waits.
func (i *install) plan() journal.Plan {
	i.t.Helper()
	plans, err := i.Plans(i.t.Context(), "evotor", false)
	if err != nil || len(plans) != 1 {
		i.t.Fatalf("%d plans, %v", len(plans), err)
	}
	return plans[0]
}

// planned lists the rows of the plan that waits: "milk 0→7".
func (i *install) planned() (rows []string) {
	i.t.Helper()
	for _, r := range i.plan().Rows {
		rows = append(rows, fmt.Sprintf("%s %s→%s", r.Product, r.From, r.To))
	}
	return rows
}

// approve lets the plan that waits be written, and writes it.
func (i *install) approve(assumed bool) local.SyncResult {
	i.t.Helper()
	if err := i.Approve(i.t.Context(), i.plan().ID, assumed); err != nil {
		i.t.Fatal(err)
	}
	return i.sync()
}

// events returns those of a kind. The agent is restarted for it: what people
// are told must outlive it.
func (i *install) events(kind string) []journal.Event {
	i.t.Helper()
	i.close()
	defer i.open()
	j, _, err := journal.Open(i.t.Context(), journal.Options{Dir: i.config.DataDir, Log: zerolog.Nop()})
	if err != nil {
		i.t.Fatal(err)
	}
	all, err := j.Events(i.t.Context(), 0, journal.KeepEvents)
	if err := j.Close(); err != nil {
		i.t.Error(err)
	}
	if err != nil {
		i.t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(e journal.Event) bool { return e.Kind != kind })
}

// sentence is a sentence of the seed texts, played by each of the two methods.
func sentence(t *testing.T, name string, play func(t *testing.T, method stock.Method)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		for _, method := range []stock.Method{stock.Ledger, stock.Guide} {
			t.Run(string(method), func(t *testing.T) {
				t.Parallel()
				play(t, method)
			})
		}
	})
}

// either is what differs between the methods.
func either(method stock.Method, ledger, guide string) string {
	if method == stock.Guide {
		return guide
	}
	return ledger
}

// counts are the sizes of what was read.
func (i *install) counts() local.Counts {
	i.t.Helper()
	s, err := i.Status(i.t.Context())
	if err != nil {
		i.t.Fatal(err)
	}
	return s.Counts
}
