package agent_test

import (
	"context"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent"
	"ostatok/agent/config"
	"ostatok/agent/stock"
	"ostatok/sync/evotor/evotortest"
	"ostatok/sync/keycrm/keycrmtest"
	"ostatok/sync/rest/pipe"
	"ostatok/sync/virtpos/virtpostest"
	"ostatok/sync/zelenka/zelenkatest"
)

// moscow is where the simulated shop stands.
var moscow = time.FixedZone("MSK", 3*60*60)

// opening is when a world begins: the shop is about to open.
var opening = time.Date(2026, 11, 20, 8, 30, 0, 0, moscow)

// world is a shop that sells all the time, the four systems, and an agent between
// them that can be killed, all on the fake clock. It knows what was on the shelf
// at any time and what the agent has made of it for buyers.
type world struct {
	t         *testing.T
	offset    time.Duration
	shop      *evotortest.Shop
	cloud     *evotortest.Cloud
	virtpos   *virtpostest.Server
	zelenka   *zelenkatest.Server
	crm       *keycrmtest.CRM
	goods     []*good
	systems   []*system
	config    *config.Config
	log       zerolog.Logger
	net       *pipe.Net
	dirs      int
	answering sync.WaitGroup // requests
	ending    context.Context
	idle      bool // the agent does only what it is told to

	process *process // nil while the box is off

	mu        sync.Mutex
	chance    *rand.Rand     // of what the network does
	documents int            // that the cloud has
	closed    bool           // the shop is closed: nothing is sold any more
	asked     map[string]int // requests, by "office POST /api/store"
	limited   int            // requests that the cloud refused as too many
	updated   time.Time      // when this process last wrote to VirtPOS
	rushed    int            // writes to VirtPOS that came too soon after another
}

// good is a product with what was true of it, oldest first.
type good struct {
	id, code string
	told     []moment // what the documents in the cloud say is on the shelf
	reserved []moment // what KeyCRM has promised to buyers
	misled   bool     // somebody else told Zelenka a figure
}

// moment is a figure from a time on.
type moment struct {
	at time.Time
	q  stock.Quantity
	ok bool // known at all
}

// system is one of the four as the world looks at it.
type system struct {
	name    string
	handler http.Handler
	outage  outage
	until   time.Time    // when the outage ends
	busy    atomic.Int64 // requests under way
	slow    bool         // answers take their time, so that sales come in between

	// shows is the figure that buyers ought to see.
	shows func(level, reserved stock.Quantity) stock.Quantity
	holds func() func(*good) (stock.Quantity, bool) // as of now

	last    map[string]stock.Quantity // by product
	writes  []written                 // by the agent
	strange map[string]bool           // products that it does not know, or refuses for good
}

// written is a figure that the agent brought about.
type written struct {
	at      time.Time
	good    *good
	from, q stock.Quantity
}

// process is a running agent.
type process struct {
	*agent.Agent
	wire *wire
	stop func() error
}

// worldSettings describe a world.
type worldSettings struct {
	seed                   uint64
	shop                   evotortest.Settings
	virtpos                virtpostest.Settings
	zelenka                zelenkatest.Options
	crm                    keycrmtest.Options
	stockHooks, orderHooks bool // KeyCRM calls webhooks
	strange                int  // so many products are not known to each of the backends
	pageSize               int
	idle                   bool // the agent does only what it is told to
	config                 func(*config.Config)
}

// inWorld runs a test in a world of its own; the agent runs already.
func inWorld(t *testing.T, s worldSettings, test func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		var parts sync.WaitGroup
		parts.Go(func() { w.live(ctx) })
		if s.stockHooks || s.orderHooks {
			parts.Go(func() { w.crm.Run(ctx) })
		}
		w.start()
		defer func() {
			if w.process != nil {
				if err := w.process.stop(); err != nil {
					t.Error(err)
				}
			}
			cancel()
			parts.Wait()
		}()
		test(t, w)
	})
}

func newWorld(t *testing.T, s worldSettings) *world {
	w := &world{t: t, idle: s.idle, asked: make(map[string]int), offset: time.Until(opening), net: pipe.New(), chance: rand.New(rand.NewPCG(s.seed, 0x6c696e65))}
	w.log = zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.ErrorLevel)
	s.shop.Seed, s.shop.To = s.seed, opening
	w.shop = evotortest.NewShop(s.shop)
	w.cloud = evotortest.NewCloud(w.shop, evotortest.CloudOptions{
		Tokens: []string{"a-token"}, PageSize: s.pageSize, FaultSeed: s.seed, RateLimit: 120, Now: w.now,
	})
	s.virtpos.Key = "virtpos-key"
	w.virtpos = virtpostest.New(s.virtpos)
	s.zelenka.Username, s.zelenka.Key, s.zelenka.Warehouses, s.zelenka.Now = "supplier", "zelenka-key", []int64{341}, w.now
	w.zelenka = zelenkatest.New(s.zelenka)
	s.crm.Keys, s.crm.Transport = []string{"keycrm-key"}, hookLine{w}
	w.crm = keycrmtest.New(s.crm)
	w.virtpos.AddWarehouse("3", "", "Shop")
	w.crm.AddWarehouse(2, "Shop")
	if s.stockHooks {
		w.crm.AddStockHook("http://shop.test/" + agent.HookStocks)
	}
	if s.orderHooks {
		w.crm.AddOrderHook("http://shop.test/" + agent.HookOrders)
	}
	w.connect()
	w.stockUp(s.strange)
	w.configure(s.config)
	server := &http.Server{Handler: w}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(w.net) }()
	var end context.CancelFunc
	w.ending, end = context.WithCancel(context.Background())
	t.Cleanup(func() {
		end()
		w.virtpos.Close()
		_ = server.Close()
		_ = w.net.Close()
		<-ended
		w.answering.Wait()
	})
	w.look(w.systems...)
	return w
}

// connect says what each system is told, and how it is looked at.
func (w *world) connect() {
	never := func(q stock.Quantity) stock.Quantity { return max(q, 0) }
	at := func(holds func(*good) (stock.Quantity, bool)) func() func(*good) (stock.Quantity, bool) {
		return func() func(*good) (stock.Quantity, bool) { return holds }
	}
	w.systems = []*system{
		{name: "evotor", handler: w.cloud,
			shows: func(level, _ stock.Quantity) stock.Quantity { return level },
			holds: at(func(g *good) (stock.Quantity, bool) { return w.shop.Cloud(g.id), true })},
		{name: "office", handler: w.virtpos,
			shows: func(level, _ stock.Quantity) stock.Quantity { return level },
			holds: w.office},
		{name: "market", handler: w.zelenka,
			shows: func(level, reserved stock.Quantity) stock.Quantity {
				q := never(level - reserved)
				return q - q%stock.Unit
			},
			holds: at(func(g *good) (stock.Quantity, bool) { return w.zelenka.Holds(341, g.code) })},
		{name: "site", handler: w.crm,
			shows: func(level, _ stock.Quantity) stock.Quantity { return never(level) },
			holds: at(func(g *good) (stock.Quantity, bool) {
				q, _, ok := w.crm.Holds(2, g.code)
				return q, ok
			})},
	}
	for _, s := range w.systems {
		s.last, s.strange = make(map[string]stock.Quantity), make(map[string]bool)
	}
}

// office is what VirtPOS holds.
func (w *world) office() func(*good) (stock.Quantity, bool) {
	rows := make(map[string]stock.Quantity)
	for _, b := range w.virtpos.Balances("3") {
		rows[b.Item] += b.Quantity
	}
	return func(g *good) (stock.Quantity, bool) {
		q, ok := rows["v"+g.code]
		return q, ok
	}
}

// stockUp gives the backends the shop's products, but for the last few of each.
func (w *world) stockUp(strange int) {
	for _, p := range w.shop.Products() {
		if !p.Service() {
			w.goods = append(w.goods, &good{id: p.ID, code: p.Code})
		}
	}
	w.virtpos.AddItem(virtpostest.Item{ID: "old", External: "old", Name: "no longer sold"})
	w.virtpos.Put("3", virtpostest.Balance{Item: "old", Quantity: 5 * stock.Unit})
	office, market, site := w.systems[1], w.systems[2], w.systems[3]
	for i, g := range w.goods {
		if i < strange {
			office.strange[g.id] = true
		} else {
			w.virtpos.AddItem(virtpostest.Item{ID: "v" + g.code, External: g.code, Name: "item " + g.code})
			w.virtpos.Put("3", virtpostest.Balance{Item: "v" + g.code})
		}
		if i >= strange && i < 2*strange {
			site.strange[g.id] = true
		} else {
			w.crm.AddOffer(g.code)
		}
		if i >= 2*strange && i < 3*strange {
			market.strange[g.id] = true
			w.zelenka.Refuse(g.code, "Product not found")
		}
	}
}

func (w *world) configure(settings func(*config.Config)) {
	c := config.Default()
	c.Store, c.DataDir = w.shop.Store(), filepath.Join(w.t.TempDir(), "0")
	c.Evotor.URL, c.Evotor.Token, c.Evotor.Write = "http://evotor", config.NewSecret("a-token"), config.Auto
	c.Targets = []config.Target{
		{Name: "office", Kind: config.VirtPOS, URL: "http://office", Key: config.NewSecret("virtpos-key"), Warehouse: "3",
			Match: "code", Quantity: "physical", Write: config.Auto, External: true, FullZero: "single"},
		{Name: "market", Kind: config.Zelenka, URL: "http://market", Username: "supplier", Key: config.NewSecret("zelenka-key"),
			Warehouse: "341", Match: "code", Quantity: "available", Write: config.Auto},
		{Name: "site", Kind: config.KeyCRM, URL: "http://site/v1", Key: config.NewSecret("keycrm-key"), Warehouse: "2",
			Match: "code", Quantity: "physical", Write: config.Auto, Rate: 20, Batch: 200, Precision: "0.001",
			Direction: config.Push, Reserves: true, HookSecret: config.NewSecret("hook-secret-0123")},
	}
	if settings != nil {
		settings(c)
	}
	w.config = c
	if office := w.system("office"); c.Targets[0].Quantity == "available" {
		office.shows = func(level, reserved stock.Quantity) stock.Quantity { return max(level-reserved, 0) }
	}
}

// now is the time in the world, and by the box's clock.
func (w *world) now() time.Time { return time.Now().Add(w.offset) }

// start switches the box on.
func (w *world) start() {
	w.t.Helper()
	l := &wire{Transport: &http.Transport{DialContext: w.net.Dial}}
	a, err := agent.Open(w.t.Context(), w.config, agent.Options{
		Build: agent.Build{Version: "test", Time: opening.AddDate(0, -1, 0)}, Now: w.now, Location: moscow, Transport: l, Log: w.log,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	// The limits are those of a process, and this one has many boxes in it.
	debug.SetMemoryLimit(math.MaxInt64)
	debug.SetGCPercent(1000)
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if !w.idle {
			a.KeepInStep(ctx)
		}
	}()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.updated = time.Time{}
	w.process = &process{Agent: a, wire: l, stop: func() error {
		cancel()
		<-ended
		l.CloseIdleConnections()
		return a.Close()
	}}
}

// stop lets the agent end as the service does.
func (w *world) stop() {
	w.t.Helper()
	if err := w.running().stop(); err != nil {
		w.t.Error(err)
	}
	w.forget()
}

// kill ends the agent where it stands: what its files hold now is all that is
// left, and not one more byte of it reaches a system.
func (w *world) kill() {
	w.t.Helper()
	synctest.Wait() // it waits for an answer or for a time, so its files stand still
	p := w.running()
	p.wire.cut.Store(true)
	w.dirs++
	left := filepath.Join(filepath.Dir(w.config.DataDir), strconv.Itoa(w.dirs))
	if err := os.CopyFS(left, os.DirFS(w.config.DataDir)); err != nil {
		w.t.Fatal(err)
	}
	for _, gone := range []string{"ostatok.lock", "journal.db-shm", "mirror.db-shm"} { // the lock, and what was in memory only
		if err := os.RemoveAll(filepath.Join(left, gone)); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := p.stop(); err != nil { // only the goroutines of this process
		w.t.Log(err)
	}
	if err := os.RemoveAll(w.config.DataDir); err != nil {
		w.t.Fatal(err)
	}
	w.config.DataDir = left
	w.forget()
}

func (w *world) running() *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.process
}

func (w *world) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.process = nil
}

// live lets the shop live on while nobody asks.
func (w *world) live(ctx context.Context) {
	for tick := time.NewTicker(20 * time.Second); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
			var busy []*system
			for _, s := range w.systems {
				if s.busy.Load() > 0 {
					busy = append(busy, s)
				}
			}
			w.look(busy...)
		}
	}
}

// system returns the one of a name, which is also its host.
func (w *world) system(name string) *system {
	for _, s := range w.systems {
		if s.name == name {
			return s
		}
	}
	panic("no system " + name)
}
