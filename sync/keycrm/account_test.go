package keycrm_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"ostatok/agent/stock"
	"ostatok/sync/keycrm"
	"ostatok/sync/keycrm/keycrmtest"
	"ostatok/sync/rest/pipe"
)

// serve answers on a pipe until the test ends.
func serve(t *testing.T, h http.Handler) *http.Transport {
	t.Helper()
	p := pipe.New()
	server := &http.Server{Handler: h}
	stopped := make(chan struct{})
	go func() { defer close(stopped); server.Serve(p) }()
	transport := &http.Transport{DialContext: p.Dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		<-stopped
	})
	return transport
}

const key = "k3y-of-the-account-which-nobody-may-see"

const (
	mainHouse = 1
	shopHouse = 2
)

// client returns a client of whatever answers.
func client(t *testing.T, h http.Handler, adjust func(*keycrm.Options)) *keycrm.Client {
	t.Helper()
	o := keycrm.Options{URL: "http://keycrm.test/v1", Key: key, Version: "1.2", Transport: serve(t, h)}
	if adjust != nil {
		adjust(&o)
	}
	c, err := keycrm.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// account returns a client of an account with two warehouses and n offers.
func account(t *testing.T, n int, o keycrmtest.Options, adjust func(*keycrm.Options)) (*keycrm.Client, *keycrmtest.CRM) {
	t.Helper()
	o.Keys = []string{key}
	crm := keycrmtest.New(o)
	crm.AddWarehouse(mainHouse, "Основной")
	crm.AddWarehouse(shopHouse, "Магазин")
	for i := range n {
		crm.AddOffer(sku(i))
	}
	return client(t, crm, adjust), crm
}

func sku(i int) string { return fmt.Sprintf("SKU-%05d", i) }

func skus(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = sku(i)
	}
	return list
}

// sweep reads every offer.
func sweep(t *testing.T, c *keycrm.Client) (offers []keycrm.Offer, err error) {
	t.Helper()
	err = c.Sweep(t.Context(), func() { offers = nil }, func(o keycrm.Offer) error {
		offers = append(offers, o)
		return nil
	})
	return offers, err
}

func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "samples", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// units is so many whole pieces.
func units(n int64) stock.Quantity { return stock.Quantity(n) * stock.Unit }

// clock stands until somebody sleeps on it.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.Advance(d)
	return ctx.Err()
}
