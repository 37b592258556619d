package zelenka_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"ostatok/agent/stock"
	"ostatok/sync/rest/pipe"
	"ostatok/sync/target"
	"ostatok/sync/zelenka"
	"ostatok/sync/zelenka/zelenkatest"
)

const (
	username  = "user123"
	apikey    = "key123-that-nobody-may-see"
	warehouse = 341
)

// bench is a client with the simulator behind it, on the fake clock.
type bench struct {
	t      *testing.T
	sim    *zelenkatest.Server
	client *zelenka.Client

	shop   *shop // of full
	state  *state
	resent *resent
}

// play runs a test on the fake clock. adjust may be nil.
func play(t *testing.T, adjust func(*zelenkatest.Options), test func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := zelenkatest.Options{Username: username, Key: apikey, Warehouses: []int64{warehouse, 342, 123}}
		if adjust != nil {
			adjust(&o)
		}
		b := &bench{t: t, sim: zelenkatest.New(o)}
		b.client = connect(t, b.sim, nil)
		test(t, b)
	})
}

// connect returns a client of h.
func connect(t *testing.T, h http.Handler, adjust func(*zelenka.Options)) *zelenka.Client {
	t.Helper()
	p := pipe.New()
	server := &http.Server{Handler: h}
	stopped := make(chan struct{})
	go func() { defer close(stopped); _ = server.Serve(p) }()
	transport := &http.Transport{DialContext: p.Dial}
	o := zelenka.Options{URL: "http://zelenka.test", Username: username, Key: apikey, Version: "1.2", Transport: transport}
	if adjust != nil {
		adjust(&o)
	}
	c, err := zelenka.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		server.Close()
		<-stopped
	})
	return c
}

func (b *bench) target() target.Target {
	return b.client.Target(zelenka.TargetOptions{Warehouse: warehouse})
}

// write sends rows and returns why each was not taken, nil for those that were.
func (b *bench) write(rows ...target.Row) (map[string]error, error) {
	b.t.Helper()
	outcomes, err := b.target().Write(b.t.Context(), rows)
	fates := make(map[string]error, len(outcomes))
	for _, o := range outcomes {
		if _, twice := fates[o.Key]; twice {
			b.t.Errorf("%s has two outcomes", o.Key)
		}
		fates[o.Key] = o.Err
	}
	return fates, err
}

// takes writes rows and fails the test unless all are taken.
func (b *bench) takes(rows ...target.Row) {
	b.t.Helper()
	fates, err := b.write(rows...)
	if err != nil || len(fates) != len(rows) {
		b.t.Fatalf("%d of %d rows have an outcome: %v", len(fates), len(rows), err)
	}
	for key, err := range fates {
		if err != nil {
			b.t.Errorf("%s: %v", key, err)
		}
	}
	b.holds(rows...)
}

// holds checks what buyers see.
func (b *bench) holds(rows ...target.Row) {
	b.t.Helper()
	for _, row := range rows {
		if got, ok := b.sim.Holds(warehouse, row.Key); !ok || got != zelenka.Whole(row.Quantity) {
			b.t.Errorf("%s: Zelenka holds %v (%v), want %v", row.Key, got, ok, zelenka.Whole(row.Quantity))
		}
	}
}

// clean checks that nothing that was sent broke a rule.
func (b *bench) clean() {
	b.t.Helper()
	for _, v := range b.sim.Violations() {
		b.t.Errorf("against the rules: %s", v)
	}
	for _, r := range b.sim.Requests() {
		if len(r.Warehouses) != 1 {
			b.t.Errorf("a request for the points of sale %v", r.Warehouses)
		}
		if r.Bytes > zelenka.MaxBody {
			b.t.Errorf("a body of %d bytes", r.Bytes)
		}
	}
}

// row is n pieces of an item.
func row(key string, n int64) target.Row {
	return target.Row{Key: key, Quantity: stock.Quantity(n) * stock.Unit}
}

// rows is n items as a 1C names them, with 1, 2, 3, … pieces.
func rows(n int) []target.Row {
	list := make([]target.Row, n)
	for i := range list {
		list[i] = row(fmt.Sprintf("ЦБ-%08d", i+1), int64(i+1))
	}
	return list
}

func withTimeout(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}
