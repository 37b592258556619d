package virtpos_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/stock"
	"ostatok/sync/target"
	"ostatok/sync/virtpos"
	"ostatok/sync/virtpos/virtpostest"
)

const (
	apikey = "7c1f0b5e-key&of=the+company" // looks different in a form, in a path and as it is

	wh    = "3"      // the warehouse's own number
	whExt = "ext-W3" // and its external code
	other = "4"      // another warehouse
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// office is a played VirtPOS with a client of it.
type office struct {
	*virtpostest.Server
	client *virtpos.Client
	log    *lockedBuffer
	now    time.Time
	seam   func(step string) // called before and after each request
}

// open starts an office with the warehouses 3 and 4 and the items 101 to 112, with
// external codes ext-101 …. When the test ends, it checks that the key stood in no
// address and in no log.
func open(t testing.TB, s virtpostest.Settings, adjust func(*virtpos.Options)) *office {
	t.Helper()
	s.Key = apikey
	o := &office{Server: virtpostest.New(s), log: &lockedBuffer{}, now: noon, seam: func(string) {}}
	o.AddWarehouse(wh, whExt, "Магазин 1")
	o.AddWarehouse(other, "ext-W4", "Склад")
	for _, id := range items(12) {
		o.AddItem(virtpostest.Item{ID: id, External: "ext-" + id, Name: "Товар " + id, Article: "A" + id})
	}
	transport, stop := serve(o.Server)
	options := virtpos.Options{
		URL: "http://mycompany.virtpos.test", Key: apikey, Version: "1.2", MaxWait: time.Millisecond,
		Transport: tripper(func(r *http.Request) (*http.Response, error) {
			o.seam("before " + r.URL.Path)
			resp, err := transport.RoundTrip(r)
			o.seam("after " + r.URL.Path)
			return resp, err
		}),
		Now: func() time.Time { return o.now }, Log: zerolog.New(o.log),
	}
	if adjust != nil {
		adjust(&options)
	}
	client, err := virtpos.New(options)
	if err != nil {
		t.Fatal(err)
	}
	o.client = client
	t.Cleanup(func() {
		client.Close()
		o.Close()
		stop()
		for _, r := range o.Requests() {
			if leaks(r.URL) {
				t.Errorf("the key stands in the address %s", r.URL)
			}
		}
		if leaks(o.log.String()) {
			t.Errorf("the key stands in the log: %s", o.log)
		}
	})
	return o
}

// leaks tells whether a text holds the key in one of its forms.
func leaks(s string) bool {
	for _, form := range []string{apikey, "7c1f0b5e", "the+company", "of%3Dthe", "of=the"} {
		if strings.Contains(s, form) {
			return true
		}
	}
	return false
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// items are the first n numbers of items.
func items(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = strconv.Itoa(101 + i)
	}
	return list
}

func units(n int) stock.Quantity { return stock.Quantity(n) * stock.Unit }

// put gives the warehouse figures in whole units.
func (o *office) put(figures map[string]int) {
	for id, n := range figures {
		o.Put(wh, virtpostest.Balance{Item: id, Quantity: units(n)})
	}
}

// holds fails the test unless the warehouse holds n units of the item.
func (o *office) holds(t testing.TB, item string, n int) {
	t.Helper()
	if q, _ := o.Holds(wh, item); q != units(n) {
		t.Errorf("VirtPOS holds %v of item %s, not %d", q, item, n)
	}
}

func (o *office) target() target.Target {
	return o.client.Target(virtpos.TargetOptions{Warehouse: virtpos.Ref{ID: wh}})
}

// last is the last request of a call.
func (o *office) last(t testing.TB, call string) virtpostest.Request {
	t.Helper()
	all := o.Requests()
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Call == call {
			return all[i]
		}
	}
	t.Fatalf("there was no request %s", call)
	return virtpostest.Request{}
}

// store reads rows and fails the test when that fails.
func (o *office) store(t testing.TB, q virtpos.Query) []virtpos.Row {
	t.Helper()
	rows, err := o.read(q)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func (o *office) read(q virtpos.Query) (rows []virtpos.Row, err error) {
	err = o.client.Store(context.Background(), q, func(r virtpos.Row) error {
		rows = append(rows, r)
		return nil
	})
	return rows, err
}

// saying is a client of a server that always answers the same.
func saying(t testing.TB, status int, kind, body string) *virtpos.Client {
	t.Helper()
	c, err := virtpos.New(virtpos.Options{
		URL: "https://mycompany.virtpos.test", Key: apikey, MaxWait: time.Millisecond,
		Transport: tripper(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}},
				Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func rowsOf(c *virtpos.Client) (rows []virtpos.Row, err error) {
	err = c.Store(context.Background(), virtpos.Query{}, func(r virtpos.Row) error {
		rows = append(rows, r)
		return nil
	})
	return rows, err
}
