package agent_test

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent"
	"ostatok/agent/config"
	"ostatok/agent/stock"
	"ostatok/sync/keycrm/keycrmtest"
	"ostatok/sync/rest/pipe"
	"ostatok/sync/virtpos/virtpostest"
	"ostatok/sync/zelenka/zelenkatest"
)

// market is a shop with all four systems around it, on one network without
// sockets and on the fake clock.
type market struct {
	*install
	desk    *desk
	virtpos *virtpostest.Server
	zelenka *zelenkatest.Server
	crm     *keycrmtest.CRM

	mu        sync.Mutex
	behind    time.Duration // how far the box's clock is wrong
	cloudAway bool          // the cloud cannot be reached
	stop      func()        // ends what run began
}

// Figures of the shop at the beginning of a market: whole, with a part, and none.
var stocked = []document{{kind: "INVENTORY", at: ago(2), body: whole, lines: []string{
	counted("milk", "7", "0"), counted("cheese", "2.350", "0"), counted("tea", "0", "0"),
}}}

// play runs a test in a market. The clock begins at today.
func play(t *testing.T, settings func(*config.Config), test func(t *testing.T, m *market)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := &market{
			desk:    onDesk(t, "milk", "cheese", "tea"), // codes 1, 2, 3
			virtpos: virtpostest.New(virtpostest.Settings{Key: "virtpos-key"}),
			zelenka: zelenkatest.New(zelenkatest.Options{Username: "supplier", Key: "zelenka-key", Warehouses: []int64{341}}),
			crm:     keycrmtest.New(keycrmtest.Options{Keys: []string{"keycrm-key"}, Rate: -1}),
		}
		offset := time.Until(today)
		m.desk.now = func() time.Time { return time.Now().Add(offset) }
		m.desk.write(stocked...)
		m.virtpos.AddWarehouse("3", "", "Shop")
		m.crm.AddWarehouse(2, "Shop")
		for code, id := range map[string]string{"1": "101", "2": "102", "3": "103"} {
			m.virtpos.AddItem(virtpostest.Item{ID: id, External: code, Name: "item " + code})
			m.virtpos.Put("3", virtpostest.Balance{Item: id})
			m.crm.AddOffer(code)
		}
		m.install = &install{t: t, desk: m.desk, config: config.Default()}
		m.config.Store, m.config.DataDir = shop1, filepath.Join(t.TempDir(), "data")
		m.config.Evotor.URL, m.config.Evotor.Token = "http://cloud.test", config.NewSecret("a-token")
		m.config.Evotor.Write = config.Auto
		m.config.Targets = []config.Target{
			{Name: "office", Kind: config.VirtPOS, URL: "http://virtpos.test", Key: config.NewSecret("virtpos-key"), Warehouse: "3",
				Match: "code", Quantity: "physical", Write: config.Auto, External: true, FullZero: "single"},
			{Name: "market", Kind: config.Zelenka, URL: "http://zelenka.test", Username: "supplier", Key: config.NewSecret("zelenka-key"),
				Warehouse: "341", Match: "code", Quantity: "available", Write: config.Auto},
			{Name: "site", Kind: config.KeyCRM, URL: "http://keycrm.test/v1", Key: config.NewSecret("keycrm-key"), Warehouse: "2",
				Match: "code", Quantity: "physical", Write: config.Auto, Rate: 600, Batch: 200, Precision: "0.001",
				Direction: config.Push, Reserves: true, HookSecret: config.NewSecret("hook-secret-0123")},
		}
		if settings != nil {
			settings(m.config)
		}
		m.options = agent.Options{
			Build: agent.Build{Version: "test", Time: today.AddDate(0, -1, 0)}, Now: m.now, Location: time.UTC,
			Transport: m.serve(t), Log: zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.ErrorLevel),
		}
		m.open()
		defer func() { m.close() }()
		test(t, m)
		if m.stop != nil {
			m.stop()
		}
	})
}

// serve puts the four systems on the network.
func (m *market) serve(t *testing.T) http.RoundTripper {
	p := pipe.New()
	hosts := map[string]http.Handler{"cloud.test": m.desk, "virtpos.test": m.virtpos, "zelenka.test": m.zelenka, "keycrm.test": m.crm}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		away := m.cloudAway && r.Host == "cloud.test"
		m.mu.Unlock()
		if away {
			panic(http.ErrAbortHandler)
		}
		hosts[r.Host].ServeHTTP(w, r)
	})}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(p) }()
	transport := &http.Transport{DialContext: p.Dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		m.virtpos.Close()
		_ = server.Close()
		_ = p.Close()
		<-ended
	})
	return transport
}

// now is what the box's clock shows.
func (m *market) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.desk.now().Add(-m.behind)
}

func (m *market) setClock(behind time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.behind = behind
}

// run keeps a part of the agent running until halt.
func (m *market) run(part func(context.Context) error) {
	ctx, cancel := context.WithCancel(m.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := part(ctx); err != nil && ctx.Err() == nil {
			m.t.Errorf("it ended: %v", err)
		}
	}()
	m.stop = func() { cancel(); <-done; m.stop = nil }
}

// order has so much of a SKU promised to a buyer.
func (m *market) order(sku string, q stock.Quantity) (id int64) {
	id = m.crm.PlaceOrder(keycrmtest.OrderLine{Warehouse: 2, SKU: sku, Quantity: q})
	m.crm.SetStatus(id, keycrmtest.StatusReserved)
	return id
}

// office is what VirtPOS holds of a product, by its code.
func (m *market) office(code string) string {
	q, ok := m.virtpos.Holds("3", "10"+code)
	return shown(q, ok)
}

func (m *market) stall(code string) string {
	q, ok := m.zelenka.Holds(341, code)
	return shown(q, ok)
}

func (m *market) site(code string) string {
	q, _, ok := m.crm.Holds(2, code)
	return shown(q, ok)
}

func shown(q stock.Quantity, ok bool) string {
	if !ok {
		return "-"
	}
	return q.String()
}

// everywhere is a product in all four systems: "7 7 7 7".
func (m *market) everywhere(id, code string) string {
	return strings.Join([]string{m.desk.quantity(id), m.office(code), m.stall(code), m.site(code)}, " ")
}
