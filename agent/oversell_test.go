package agent_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"ostatok/agent/config"
	"ostatok/agent/local"
	"ostatok/agent/stock"
	"ostatok/sync/evotor/evotortest"
	"ostatok/sync/keycrm/keycrmtest"
)

// soldElsewhere is a world in which VirtPOS and Zelenka are told what is left,
// the shelf less what KeyCRM has promised to buyers.
func soldElsewhere(seed uint64, set func(*worldSettings)) worldSettings {
	s := worldSettings{
		seed: seed, idle: true, pageSize: 1000,
		shop: evotortest.Settings{Products: 60, Documents: 700, From: opening.AddDate(0, 0, -7), Terminals: 2, Download: 4 * time.Hour, FullCounts: 1},
		crm:  keycrmtest.Options{Rate: 20},
		config: func(c *config.Config) {
			c.Targets[0].Quantity, c.Evotor.Poll = "available", 3*time.Minute
		},
	}
	if set != nil {
		set(&s)
	}
	return s
}

// available is what can be sold of a good, as far as anybody can know it.
func (g *good) available() stock.Quantity {
	return g.told[len(g.told)-1].q - g.reserved[len(g.reserved)-1].q
}

// since is what could be sold of a good at the best moment since a time; moved
// tells whether it was not always the same.
func (g *good) since(at time.Time) (best stock.Quantity, moved bool) {
	best = g.available()
	end := time.Unix(1<<40, 0)
	levels, reserves := during(g.told, at, end), during(g.reserved, at, end)
	for _, level := range levels {
		for _, reserved := range reserves {
			best = max(best, level-reserved)
		}
	}
	return max(best, 0), len(levels)+len(reserves) > 2
}

// The shop sells, buyers order in KeyCRM, change their minds and collect; after
// each cycle nobody is offered what is not there.
func TestNothingIsSoldTwice(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			inWorld(t, soldElsewhere(seed, nil), sellTwice)
		})
	}
}

func sellTwice(t *testing.T, w *world) {
	r := rand.New(rand.NewPCG(w.shop.Settings().Seed, 0x6f72646572))
	var orders []int64
	checked, short := 0, 0
	for range 30 {
		time.Sleep(2*time.Minute + time.Duration(r.IntN(20))*time.Minute)
		for range 1 + r.IntN(5) {
			goods := w.truth()
			g := goods[r.IntN(len(goods))]
			id := w.crm.PlaceOrder(keycrmtest.OrderLine{Warehouse: 2, SKU: g.code, Quantity: max(g.told[len(g.told)-1].q/2, stock.Unit)})
			orders = append(orders, id)
			w.foreign(func() { w.crm.SetStatus(id, keycrmtest.StatusReserved) })
		}
		id := orders[r.IntN(len(orders))]
		w.foreign(func() { w.crm.SetStatus(id, keycrmtest.Status(1+r.IntN(4))) })
		began := w.now()
		w.look()
		result, err := w.running().Sync(t.Context(), false, nil)
		if err != nil || !result.Complete {
			t.Fatalf("%+v, %v", result, err)
		}
		w.look(w.systems...)
		for row, err := range w.running().Stock(t.Context(), local.StockQuery{State: stock.Known}) {
			if err != nil {
				t.Fatal(err)
			}
			g := w.good(row.Product)
			if g == nil {
				continue
			}
			office, _ := w.virtpos.Holds("3", "v"+g.code)
			market, _ := w.zelenka.Holds(341, g.code)
			left := g.available()
			best, moved := g.since(began)
			if office > best || market > best {
				t.Errorf("%s: VirtPOS offers %s and Zelenka %s of %s", g.code, office, market, best)
			}
			if !moved && (office != best || market != best-best%stock.Unit) {
				t.Errorf("%s: VirtPOS offers %s and Zelenka %s, though %s are left", g.code, office, market, best)
			}
			if !moved && left != *row.Available {
				t.Errorf("%s: people see %s available, want %s", g.code, row.Available, left)
			}
			checked++
			if left < 0 {
				short++
			}
		}
	}
	if checked < 30*30 || short == 0 {
		t.Errorf("%d figures were looked at, %d of them of goods that were promised twice: this tests little", checked, short)
	}
}

// good is what is known of a product now, nil for a service.
func (w *world) good(product string) *good {
	for _, g := range w.truth() {
		if g.id == product {
			return g
		}
	}
	return nil
}

// More is promised than there is: buyers see nothing, people see how much is
// missing.
func TestMoreIsPromisedThanThereIs(t *testing.T) {
	office := func(c *config.Config) { c.Targets[0].Quantity = "available" }
	play(t, office, func(t *testing.T, m *market) {
		m.order("1", 9000)
		m.sync()
		if got := m.everywhere("milk", "1"); got != "7 0 0 7" {
			t.Errorf("%s, want the shelf's 7 in the cloud and in KeyCRM and nothing elsewhere", got)
		}
		e, err := m.Explain(t.Context(), "milk")
		if err != nil {
			t.Fatal(err)
		}
		for where, row := range map[string]local.Row{"stock": m.row("milk"), "explain": e.Product} {
			if row.Reserved == nil || *row.Reserved != 9000 || row.Available == nil || *row.Available != -2000 {
				t.Errorf("%s shows %s reserved and %s available", where, row.Reserved, row.Available)
			}
		}
	})
}

// While KeyCRM cannot be reached, an order may have come that nobody knows of:
// figures follow sales, and are not raised.
func TestFiguresOnlyFallWithoutKeyCRM(t *testing.T) {
	inWorld(t, soldElsewhere(5, func(s *worldSettings) { s.idle = false }), func(t *testing.T, w *world) {
		time.Sleep(30 * time.Minute)
		site := w.system("site")
		w.mu.Lock()
		site.outage = silent
		w.mu.Unlock()
		time.Sleep(10 * time.Hour)
		w.mu.Lock()
		site.outage, w.closed = up, true
		w.mu.Unlock()
		since, until := opening.Add(2*time.Hour), w.now()
		fell, received := 0, 0
		for _, s := range []*system{w.system("office"), w.system("market")} {
			for _, v := range w.agentWrites(s) {
				if v.at.Before(since) || v.at.After(until) {
					continue
				}
				if v.q > v.from {
					t.Errorf("%s: %s was raised from %s to %s at %s", s.name, v.good.code, v.from, v.q, v.at.In(moscow).Format("15:04"))
				}
				fell++
			}
		}
		for _, g := range w.truth() {
			levels := during(g.told, since, until)
			for i := 1; i < len(levels); i++ {
				if levels[i] > levels[i-1] {
					received++
				}
			}
		}
		if fell < 20 || received == 0 {
			t.Errorf("%d figures fell and %d goods were received meanwhile: this tests little", fell, received)
		}
		time.Sleep(3 * time.Hour)
		w.look(w.systems...)
		for _, s := range []*system{w.system("office"), w.system("market")} {
			for row, err := range w.running().Stock(t.Context(), local.StockQuery{State: stock.Known}) {
				if err != nil {
					t.Fatal(err)
				}
				g := w.good(row.Product)
				if g == nil {
					continue
				}
				q, _ := s.holds()(g)
				if want := max(g.available(), 0); q != want && q != want-want%stock.Unit {
					t.Errorf("%s shows %s of %s when KeyCRM is back, want %s", s.name, q, g.code, want)
				}
			}
		}
	})
}

// Webhooks are faster than looking every few minutes, in each of their forms.
// Without them it only takes longer.
func TestWebhooksAreAnAccelerator(t *testing.T) {
	for _, test := range []struct {
		name           string
		stocks, orders bool
		single         bool
	}{
		{"none", false, false, false},
		{"stocks as an array", true, false, false},
		{"stocks as an object", true, false, true},
		{"status of an order", false, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			set := func(s *worldSettings) {
				s.idle, s.stockHooks, s.orderHooks, s.crm.SingleHook = false, test.stocks, test.orders, test.single
			}
			inWorld(t, soldElsewhere(6, set), func(t *testing.T, w *world) {
				time.Sleep(30 * time.Minute)
				w.mu.Lock()
				w.closed = true
				w.mu.Unlock()
				time.Sleep(30 * time.Minute)
				for before := w.read(); w.read() == before; { // the next look is minutes away
					time.Sleep(time.Second)
				}
				time.Sleep(30 * time.Second)
				g := w.plenty()
				left := g.available() - 3*stock.Unit
				id := w.crm.PlaceOrder(keycrmtest.OrderLine{Warehouse: 2, SKU: g.code, Quantity: 3 * stock.Unit})
				w.foreign(func() { w.crm.SetStatus(id, keycrmtest.StatusReserved) })
				shows := func() stock.Quantity {
					q, _ := w.zelenka.Holds(341, g.code)
					return q
				}
				want := left - left%stock.Unit
				time.Sleep(90 * time.Second)
				if fast := test.stocks || test.orders; (shows() == want) != fast {
					t.Errorf("after a minute and a half Zelenka shows %s, %s are left", shows(), left)
				}
				time.Sleep(8 * time.Minute)
				if shows() != want {
					t.Errorf("after ten minutes Zelenka shows %s, %s are left", shows(), left)
				}
			})
		})
	}
}

// read is how often KeyCRM was asked for stock.
func (w *world) read() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked["site GET /v1/offers/stocks"]
}

// plenty is a good of which there is enough to sell some.
func (w *world) plenty() *good {
	for _, g := range w.truth() {
		if g.available() > 10*stock.Unit {
			return g
		}
	}
	w.t.Fatal("the shop is empty")
	return nil
}
