package push_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/stock"
	"ostatok/sync/evotor"
	"ostatok/sync/evotor/evotortest"
	"ostatok/sync/push"
	"ostatok/sync/push/pushtest"
)

// The Evotor cloud as a target, over HTTP.
func TestConformanceEvotor(t *testing.T) {
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	pushtest.RunTarget(t, func(t *testing.T) pushtest.Subject {
		shop := evotortest.NewShop(evotortest.Settings{Seed: 1, Products: 40, Documents: 1,
			From: noon.AddDate(0, 0, -2), To: noon.AddDate(0, 0, -1), NoJSON: true})
		cloud := evotortest.NewCloud(shop, evotortest.CloudOptions{})
		gate := &gate{next: cloud, refused: make(map[string]bool)}
		server := httptest.NewServer(gate)
		t.Cleanup(server.Close)
		client, err := evotor.New(evotor.Options{URL: server.URL, Token: "token", MaxWait: time.Millisecond,
			Now: func() time.Time { return noon }, Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		var goods []string
		for _, p := range shop.Products() {
			if !p.Service() {
				goods = append(goods, p.ID)
			}
		}
		return pushtest.Subject{
			Kind: push.KindEvotor, Target: client.Target(shop.Store()), Keys: goods,
			Holds: func(key string) (stock.Quantity, bool) { return shop.Cloud(key), true },
			Set:   func(key string, q stock.Quantity) { shop.SetQuantity(key, q, noon) },
			Writes: func() int {
				n := 0
				for _, key := range goods {
					n += len(cloud.Patched(key))
				}
				return n
			},
			Refuse: gate.refuse,
			Down:   gate.down,
		}
	})
}

// gate stands before the cloud and refuses or fails requests.
type gate struct {
	next http.Handler

	mu      sync.Mutex
	refused map[string]bool
	closed  bool
}

func (g *gate) refuse(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refused[key] = true
}

func (g *gate) down(down bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = down
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	closed, refused := g.closed, r.Method == http.MethodPatch && g.refused[r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]]
	g.mu.Unlock()
	switch {
	case closed:
		http.Error(w, "down", http.StatusServiceUnavailable)
	case refused:
		http.Error(w, "refused", http.StatusBadRequest)
	default:
		g.next.ServeHTTP(w, r)
	}
}
