package zelenka_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/stock"
	"ostatok/sync/push/pushtest"
	"ostatok/sync/zelenka"
	"ostatok/sync/zelenka/zelenkatest"
)

// Zelenka as a target of the engine, over HTTP.
func TestConformance(t *testing.T) {
	pushtest.RunTarget(t, func(t *testing.T) pushtest.Subject {
		sim := zelenkatest.New(zelenkatest.Options{Username: username, Key: apikey, Warehouses: []int64{warehouse}})
		var down atomic.Bool
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if down.Load() {
				http.Error(w, "down", http.StatusServiceUnavailable)
				return
			}
			sim.ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)
		client, err := zelenka.New(zelenka.Options{URL: server.URL, Username: username, Key: apikey,
			MaxWait: time.Millisecond, Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		t.Cleanup(func() {
			for _, v := range sim.Violations() {
				t.Errorf("against the rules: %s", v)
			}
		})
		var keys []string
		for _, r := range rows(12) {
			keys = append(keys, r.Key)
		}
		return pushtest.Subject{
			Kind: "zelenka", Target: client.Target(zelenka.TargetOptions{Warehouse: warehouse}), Keys: keys,
			Holds:  func(key string) (stock.Quantity, bool) { return sim.Holds(warehouse, key) },
			Writes: sim.Written,
			Refuse: func(key string) { sim.Refuse(key, "Item not found") },
			Down:   down.Store,
		}
	})
}
