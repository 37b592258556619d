package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/ingest"
	"ostatok/agent/journal"
	"ostatok/agent/mirror"
	"ostatok/agent/stock"
	"ostatok/sync/evotor"
)

const (
	store = "20170222-D58C-40E0-8051-B53ADFF38860"
	token = "0b5fb1ee-documents-of-the-shop"
)

// rig is a shop's box: real files, the handler, the inbox. The clock stands still
// unless the test moves it.
type rig struct {
	t       testing.TB
	dir     string
	store   string
	clock   time.Time
	most    journal.InboxSize
	secret  string // of the target "site"
	hooks   []string
	hookErr error
	wakes   int

	journal *journal.Journal
	mirror  *mirror.Mirror
	inbox   *ingest.Inbox
	handler http.Handler
	told    string // the token
}

func newRig(t testing.TB, change func(*rig)) *rig {
	t.Helper()
	g := &rig{
		t: t, dir: t.TempDir(), store: store, told: token, secret: "a-secret-of-the-site",
		clock: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC),
	}
	if change != nil {
		change(g)
	}
	g.open()
	t.Cleanup(g.close)
	return g
}

func (g *rig) now() time.Time { return g.clock }

func (g *rig) open() {
	g.t.Helper()
	var err error
	ctx := context.Background()
	if g.journal, _, err = journal.Open(ctx, journal.Options{Dir: g.dir, Now: g.now, Log: zerolog.Nop()}); err != nil {
		g.t.Fatal(err)
	}
	if g.mirror, _, err = mirror.Open(ctx, mirror.Options{Dir: g.dir, Store: g.store, Now: g.now, Log: zerolog.Nop()}); err != nil {
		g.t.Fatal(err)
	}
	g.inbox, err = ingest.OpenInbox(ctx, ingest.InboxOptions{Journal: g.journal, Mirror: g.mirror, Most: g.most, Log: zerolog.Nop()})
	if err != nil {
		g.t.Fatal(err)
	}
	g.handler = ingest.New(ingest.Options{
		Store: g.store, Inbox: g.inbox, Token: func() string { return g.told }, Now: g.now, Log: zerolog.Nop(),
		Wake: func() { g.wakes++ },
		HookTarget: func(secret string) (string, bool) {
			return "site", secret == g.secret
		},
		Hook: func(_ context.Context, target, kind string, body []byte) error {
			g.hooks = append(g.hooks, target+" "+kind+" "+string(body))
			return g.hookErr
		},
	})
}

func (g *rig) close() {
	_ = g.mirror.Close()
	_ = g.journal.Close()
}

// restart is the process ended and started again.
func (g *rig) restart() {
	g.t.Helper()
	g.close()
	g.open()
}

// loseMirror is a mirror that was damaged and is built anew.
func (g *rig) loseMirror() {
	g.t.Helper()
	g.close()
	files, err := filepath.Glob(filepath.Join(g.dir, "mirror.db*"))
	if err != nil || len(files) == 0 {
		g.t.Fatalf("no mirror: %v, %v", files, err)
	}
	for _, file := range files {
		if err := os.Remove(file); err != nil {
			g.t.Fatal(err)
		}
	}
	g.open()
}

// said is what a sender hears.
type said struct {
	Status                      int
	Header                      http.Header
	Accepted, Known, Incomplete int
	Errors                      []struct {
		Code            int
		Reason, Subject string
	}
}

func (g *rig) request(method, path string, body []byte, headers ...string) *http.Request {
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func (g *rig) do(r *http.Request) said {
	g.t.Helper()
	w := httptest.NewRecorder()
	g.handler.ServeHTTP(w, r)
	s := said{Status: w.Code, Header: w.Header()}
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil {
			g.t.Fatalf("the answer is not JSON: %q", w.Body)
		}
	}
	return s
}

func (g *rig) send(method, path, body string, headers ...string) said {
	g.t.Helper()
	return g.do(g.request(method, path, []byte(body), headers...))
}

// take sends documents that must be taken.
func (g *rig) take(body string) said {
	g.t.Helper()
	s := g.send(http.MethodPut, "/documents", body)
	if s.Status != http.StatusOK || len(s.Errors) > 0 {
		g.t.Fatalf("%+v of %.200s", s, body)
	}
	return s
}

func (g *rig) drain() ingest.Drained {
	g.t.Helper()
	d, err := g.inbox.Drain(context.Background())
	if err != nil {
		g.t.Fatal(err)
	}
	return d
}

// cloud is the cloud showing documents.
func (g *rig) cloud(bodies ...string) mirror.Result {
	g.t.Helper()
	var b mirror.Batch
	for _, body := range bodies {
		b.Documents = append(b.Documents, mirror.Document{Document: g.decode(body), Raw: []byte(body)})
	}
	r, err := g.mirror.PutDocuments(context.Background(), b)
	if err != nil {
		g.t.Fatal(err)
	}
	return r
}

func (g *rig) decode(body string) stock.Document {
	g.t.Helper()
	d, err := evotor.DecodeDocument([]byte(body))
	if err != nil {
		g.t.Fatalf("%v: %s", err, body)
	}
	return d
}

// stands checks the figure of a product.
func (g *rig) stands(product string, want stock.Quantity) {
	g.t.Helper()
	row, err := g.mirror.Row(context.Background(), product)
	if err != nil {
		g.t.Fatal(err)
	}
	if l := row.Level; !l.Valued() || l.Quantity != want {
		g.t.Errorf("%s stands at %v (%s %s), want %v", product, l.Quantity, l.State, l.Reason, want)
	}
}

// waits checks how many documents wait for the cloud.
func (g *rig) waits(want int64) {
	g.t.Helper()
	kept, err := g.journal.InboxSize(context.Background())
	if err != nil {
		g.t.Fatal(err)
	}
	if kept.Documents != want || g.inbox.Size() != kept {
		g.t.Errorf("%+v in the journal, %+v counted, want %d", kept, g.inbox.Size(), want)
	}
}

func (g *rig) events(kind string) (list []journal.Event) {
	g.t.Helper()
	all, err := g.journal.Events(context.Background(), 0, 1000)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, e := range all {
		if e.Kind == kind {
			list = append(list, e)
		}
	}
	return list
}

// at is a moment of the day of the tests, as documents write it.
func at(clock string) string { return "2026-11-21T" + clock + ".000+0000" }

// v2 is a document of version 2; lines are "product quantity initial; …".
func v2(id, kind, device string, number int, clock, lines string) string {
	var positions []string
	for line := range strings.SplitSeq(lines, ";") {
		switch f := strings.Fields(line); len(f) {
		case 2:
			positions = append(positions, fmt.Sprintf(`{"product_id":%q,"quantity":%s}`, f[0], f[1]))
		case 3:
			positions = append(positions, fmt.Sprintf(`{"product_id":%q,"quantity":%s,"initial_quantity":%s}`, f[0], f[1], f[2]))
		}
	}
	return fmt.Sprintf(`{"type":%q,"id":%q,"number":%d,"close_date":%q,"device_id":%q,"store_id":%q,"version":"V2","body":{"positions":[%s]}}`,
		kind, id, number, at(clock), device, store, strings.Join(positions, ","))
}

// receipt is the same sale as a receipt tells it.
func receipt(id, kind, clock, product, quantity string) string {
	return fmt.Sprintf(`{"id":"event-of-%s","type":"ReceiptCreated","version":1,"data":{"id":%q,"type":%q,"storeId":%q,"dateTime":"2026-11-21T%s.000Z","items":[{"id":%q,"quantity":%s,"price":100}]}}`,
		id, id, kind, store, clock, product, quantity)
}

// v1 is a document of version 1.
func v1(id, kind, device string, number int, clock, product, quantity string) string {
	record := "REGISTER_POSITION"
	if kind == "INVENTORY" {
		record = "INVENTORY"
	}
	return fmt.Sprintf(`{"uuid":%q,"type":%q,"deviceUuid":%q,"number":%d,"closeDate":%q,"storeUuid":%q,"completeInventory":true,"transactions":[{"type":%q,"commodityUuid":%q,"quantity":%s}]}`,
		id, kind, device, number, at(clock), store, record, product, quantity)
}
