package pull_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/mirror"
	"ostatok/agent/stock"
	"ostatok/sync/evotor"
	"ostatok/sync/pull"
	"ostatok/sync/rest/pipe"
)

const (
	shopID = "20210310-D58C-40E0-8051-B53ADFF38860"
	till1  = "20210310-AAAA-40E0-8051-000000000001"
	till2  = "20210310-BBBB-40E0-8051-000000000002"
)

// today is when the tests play; the bubble's own clock begins in 2000.
var today = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// receipt is a document on the desk.
type receipt struct {
	id, kind, device string
	number           int64
	closed           time.Time
	lines            string // "product quantity initial; …"
	complete         string // complete_inventory, "" for absent
	store            string // another store
	raw              string // sent as it is, instead of all else
	bare             bool   // listed without its body
}

// desk is a cloud whose content and faults the test sets. Its cursors name the
// listing and the place in it, so that documents that arrive meanwhile come at
// the end.
type desk struct {
	mu        sync.Mutex
	stores    string
	devices   []string
	created   time.Time // of the devices
	products  []string
	groups    []string
	documents []receipt // in order of arrival
	page      int
	asked     []*url.URL
	life      time.Duration // of a cursor, 0 is for ever

	// fault may answer in the desk's place.
	fault func(w http.ResponseWriter, r *http.Request) bool
}

func newDesk() *desk {
	return &desk{
		stores: `[{"id":"` + shopID + `","name":"Лавка"}]`, devices: []string{till1},
		created: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), page: 1000,
	}
}

func (d *desk) add(rs ...receipt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range rs {
		if r.device == "" {
			r.device = till1
		}
		if r.number == 0 {
			r.number = int64(len(d.documents) + 1)
		}
		if r.kind == "" {
			r.kind = "SELL"
		}
		if r.id == "" {
			r.id = fmt.Sprintf("doc-%05d", len(d.documents)+1)
		}
		d.documents = append(d.documents, r)
	}
}

// set changes the desk while the cloud runs.
func (d *desk) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

// requests returns the requests whose path ends so, and forgets all.
func (d *desk) requests(suffix string) []*url.URL {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []*url.URL
	for _, u := range d.asked {
		if strings.HasSuffix(u.Path, suffix) {
			list = append(list, u)
		}
	}
	d.asked = nil
	return list
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	d.asked = append(d.asked, r.URL)
	fault := d.fault
	d.mu.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	at := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case r.URL.Path == "/stores":
		fmt.Fprintf(w, `{"items":%s,"paging":{}}`, d.stores)
	case r.URL.Path == "/devices":
		var items []string
		for _, id := range d.devices {
			items = append(items, fmt.Sprintf(`{"id":%q,"name":"Касса","store_id":%q,"created_at":%q}`, id, shopID, stamp(d.created)))
		}
		d.list(w, r, items)
	case len(at) == 3 && at[2] == "products":
		d.list(w, r, d.products)
	case len(at) == 3 && at[2] == "product-groups":
		d.list(w, r, d.groups)
	case len(at) == 3 && at[2] == "documents":
		d.list(w, r, d.matching(r, ""))
	case len(at) == 5 && at[4] == "documents":
		d.list(w, r, d.matching(r, at[3]))
	case len(at) == 4 && at[2] == "documents":
		for _, x := range d.documents {
			if x.id == at[3] {
				x.bare = false
				fmt.Fprint(w, x.json())
				return
			}
		}
		http.NotFound(w, r)
	default:
		http.NotFound(w, r)
	}
}

// place is what a cursor holds.
type place struct {
	Since, Until, From, Limit int64
	Born                      int64
}

func (d *desk) place(r *http.Request) place {
	p := place{Limit: int64(d.page), Born: time.Now().UnixMilli()}
	q := r.URL.Query()
	if c := q.Get("cursor"); c != "" {
		_ = json.Unmarshal([]byte(c), &p)
		return p
	}
	p.Since, _ = strconv.ParseInt(q.Get("since"), 10, 64)
	p.Until, _ = strconv.ParseInt(q.Get("until"), 10, 64)
	if n, _ := strconv.ParseInt(q.Get("limit"), 10, 64); n > 0 {
		p.Limit = n
	}
	return p
}

func (d *desk) matching(r *http.Request, device string) []string {
	p := d.place(r)
	var items []string
	for _, x := range d.documents {
		closed := x.closed.UnixMilli()
		if closed < p.Since || p.Until > 0 && closed >= p.Until || device != "" && x.device != device {
			continue
		}
		items = append(items, x.json())
	}
	return items
}

func (d *desk) list(w http.ResponseWriter, r *http.Request, items []string) {
	p := d.place(r)
	if age := time.Duration(time.Now().UnixMilli()-p.Born) * time.Millisecond; d.life > 0 && age > d.life {
		http.Error(w, `{"message":"unknown cursor"}`, http.StatusBadRequest)
		return
	}
	from := min(int(p.From), len(items))
	to := min(from+int(p.Limit), len(items))
	paging := "{}"
	if to < len(items) {
		p.From = int64(to)
		cursor, _ := json.Marshal(p)
		paging = fmt.Sprintf(`{"next_cursor":%q}`, cursor)
	}
	fmt.Fprintf(w, `{"items":[%s],"paging":%s}`, strings.Join(items[from:to], ","), paging)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000-0700") }

func (x receipt) json() string {
	if x.raw != "" {
		return x.raw
	}
	store := shopID
	if x.store != "" {
		store = x.store
	}
	head := fmt.Sprintf(`{"type":%q,"id":%q,"number":%d,"close_date":%q,"device_id":%q,"store_id":%q,"version":"V2"`,
		x.kind, x.id, x.number, stamp(x.closed), x.device, store)
	if x.bare {
		return head + "}"
	}
	var lines []string
	for _, line := range strings.Split(x.lines, ";") {
		f := strings.Fields(line)
		switch len(f) {
		case 2:
			lines = append(lines, fmt.Sprintf(`{"product_id":%q,"quantity":%s}`, f[0], f[1]))
		case 3:
			lines = append(lines, fmt.Sprintf(`{"product_id":%q,"quantity":%s,"initial_quantity":%s}`, f[0], f[1], f[2]))
		}
	}
	body := `"positions":[` + strings.Join(lines, ",") + "]"
	if x.complete != "" {
		body += `,"complete_inventory":` + x.complete
	}
	return head + `,"body":{` + body + "}}"
}

// card is a product as the cloud lists it.
func card(id string) string {
	return fmt.Sprintf(`{"id":%q,"type":"NORMAL","name":"Товар %s","code":%q,"measure_name":"шт","created_at":"2021-04-01T00:00:00.000+0000"}`, id, id, id)
}

func cards(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = card(fmt.Sprintf("p%03d", i))
	}
	return list
}

// ago is so many days before today.
func ago(days float64) time.Time { return today.Add(-time.Duration(days * 24 * float64(time.Hour))) }

// rig is a puller between a cloud, over real HTTP, and a real mirror.
type rig struct {
	*pull.Puller
	t      *testing.T
	dir    string
	mirror *mirror.Mirror
	client *evotor.Client
	opts   pull.Options
	start  time.Time
	wrong  time.Duration // by which the box's clock is

	mu      sync.Mutex
	events  []string
	percent []float64
}

// bring connects a puller to the cloud. It must be called in a bubble.
func bring(t *testing.T, cloud http.Handler, change func(*pull.Options)) *rig {
	t.Helper()
	g := &rig{t: t, dir: t.TempDir(), start: time.Now()}
	listener := pipe.New()
	server := &http.Server{Handler: cloud}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(listener) }()
	transport := &http.Transport{DialContext: listener.Dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
		<-ended
	})
	client, err := evotor.New(evotor.Options{URL: "http://cloud.test", Token: "7f0a9c1e-token", Transport: transport, Now: g.now, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	g.client = client
	g.opts = pull.Options{
		Store: shopID, Now: g.now, Log: zerolog.Nop(), Jitter: func(d time.Duration) time.Duration { return d },
		OnEvent: func(kind, _, _ string, _ any) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.events = append(g.events, kind)
		},
		OnProgress: func(p pull.Progress) {
			g.mu.Lock()
			defer g.mu.Unlock()
			if p.Phase == pull.PhaseFirst {
				g.percent = append(g.percent, p.Percent)
			}
		},
	}
	if change != nil {
		change(&g.opts)
	}
	g.open()
	t.Cleanup(func() { _ = g.mirror.Close() })
	return g
}

func (g *rig) now() time.Time { return today.Add(time.Since(g.start) + g.wrong) }

func (g *rig) open() {
	g.t.Helper()
	m, _, err := mirror.Open(context.Background(), mirror.Options{Dir: g.dir, Store: g.opts.Store, Now: g.now, Log: zerolog.Nop()})
	if err != nil {
		g.t.Fatal(err)
	}
	g.mirror, g.Puller = m, pull.New(g.client, m, g.opts)
}

// restart is the agent stopped and started again.
func (g *rig) restart() {
	g.t.Helper()
	if err := g.mirror.Close(); err != nil {
		g.t.Fatal(err)
	}
	g.open()
}

func (g *rig) cycle(c pull.Cycle) pull.Report {
	g.t.Helper()
	r, err := g.Cycle(context.Background(), c)
	if err != nil {
		g.t.Fatal(err)
	}
	return r
}

// complete is a cycle that must leave nothing open.
func (g *rig) complete() pull.Report {
	g.t.Helper()
	r := g.cycle(pull.Cycle{})
	if !r.Complete {
		g.t.Fatalf("cycle is not complete: %+v", r.Problems)
	}
	return r
}

// broken is a cycle that must end with this problem.
func (g *rig) broken(kind string) pull.Report {
	g.t.Helper()
	r := g.cycle(pull.Cycle{})
	if r.Complete || !has(r.Problems, kind) {
		g.t.Fatalf("complete = %v, problems = %+v, want %s", r.Complete, r.Problems, kind)
	}
	for _, p := range r.Problems {
		if p.Advice == "" || p.Message == "" {
			g.t.Errorf("problem %s says nothing: %+v", p.Kind, p)
		}
	}
	return r
}

func has(problems []pull.Problem, kind string) bool {
	return slices.ContainsFunc(problems, func(p pull.Problem) bool { return p.Kind == kind })
}

func (g *rig) level(product string) stock.Level {
	g.t.Helper()
	row, err := g.mirror.Row(context.Background(), product)
	if err != nil {
		g.t.Fatalf("%s: %v", product, err)
	}
	return row.Level
}

// stands checks the figure of a product.
func (g *rig) stands(product string, want stock.Quantity) {
	g.t.Helper()
	if l := g.level(product); !l.Valued() || l.Quantity != want {
		g.t.Errorf("%s stands at %v (%s %s), want %v", product, l.Quantity, l.State, l.Reason, want)
	}
}

func (g *rig) counts() mirror.Counts {
	g.t.Helper()
	c, err := g.mirror.Counts(context.Background())
	if err != nil {
		g.t.Fatal(err)
	}
	return c
}

func (g *rig) told(kind string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, e := range g.events {
		if e == kind {
			n++
		}
	}
	return n
}
