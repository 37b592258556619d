package pull_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"ostatok/agent/mirror"
	"ostatok/agent/stock"
	"ostatok/sync/evotor/evotortest"
	"ostatok/sync/pull"
)

// simulate connects a puller to a simulated cloud.
func simulate(t *testing.T, shop *evotortest.Shop, options evotortest.CloudOptions, change func(*pull.Options)) (*evotortest.Cloud, *rig) {
	t.Helper()
	start := time.Now()
	options.Now = func() time.Time { return today.Add(time.Since(start)) }
	cloud := evotortest.NewCloud(shop, options)
	g := bring(t, cloud, func(o *pull.Options) {
		o.Store = shop.Store()
		if change != nil {
			change(o)
		}
	})
	return cloud, g
}

// all checks that the mirror holds every document of the history that it says
// it knows, once.
func (g *rig) all(shop *evotortest.Shop) {
	g.t.Helper()
	known := g.Status().Coverage
	expected, missing := 0, 0
	for _, d := range shop.Documents() {
		if d.Closed < known.From && !known.Complete {
			continue
		}
		expected++
		if _, err := g.mirror.Document(context.Background(), d.ID); errors.Is(err, mirror.ErrNotFound) {
			missing++
		} else if err != nil {
			g.t.Fatal(err)
		}
	}
	if n := g.counts().Documents; missing > 0 || n < expected || expected < 1000 {
		g.t.Errorf("%d documents since %v, the mirror has %d, %d are missing", expected, time.UnixMilli(known.From).UTC(), n, missing)
	}
}

// right checks every level that the documents can tell.
func (g *rig) right(shop *evotortest.Shop) {
	g.t.Helper()
	wrong, told := 0, 0
	for _, p := range shop.Products() {
		want, ok := shop.Told(p.ID)
		if !ok || p.Service() {
			continue
		}
		told++
		if l := g.level(p.ID); l.State == stock.Known && l.Quantity != want {
			wrong++
		}
	}
	if told == 0 || wrong*200 > told {
		g.t.Errorf("%d of %d known levels are wrong", wrong, told)
	}
}

// patiently runs cycles, as Run would, until one leaves nothing open.
func (g *rig) patiently(c pull.Cycle) {
	g.t.Helper()
	var r pull.Report
	for range 60 {
		if r = g.cycle(c); r.Complete {
			return
		}
		time.Sleep(10 * time.Minute)
	}
	g.t.Fatalf("never complete: %+v", r.Problems)
}

func TestSimulatedShop(t *testing.T) {
	settings := evotortest.Settings{Seed: 7, Terminals: 3, Products: 60, Documents: 3000,
		Download: 4 * time.Hour, Outside: 1, LateShare: 0.1, FullCounts: 1, PartialCounts: 2}
	profiles := map[string]evotortest.CloudOptions{
		"fair network":          {},
		"documents in no order": {Shuffle: true, PageSize: 50, EmptyPages: true},
		"by arrival":            {ByArrival: true, PageSize: 200},
		"some faults":           {Faults: evotortest.SomeFaults(), FaultSeed: 3, PageSize: 40},
		"many faults":           {Faults: evotortest.ManyFaults(), FaultSeed: 5, PageSize: 40},
		"rate limit":            {RateLimit: 10, PageSize: 100, ResetUnit: evotortest.ResetEpochMS},
		"cursors of a minute":   {RateLimit: 10, PageSize: 40, CursorLife: 10 * time.Minute, StaleCode: 400},
	}
	still := evotortest.NewShop(settings) // nothing happens in it any more
	for name, options := range profiles {
		bubble(t, name, func(t *testing.T) {
			_, g := simulate(t, still, options, nil)
			g.patiently(pull.Cycle{Backfill: true})
			g.all(still)
			g.right(still)
		})
	}
	bubble(t, "per terminal", func(t *testing.T) {
		_, g := simulate(t, still, evotortest.CloudOptions{}, func(o *pull.Options) { o.PerDevice = true })
		g.patiently(pull.Cycle{Backfill: true})
		g.all(still)
	})
	bubble(t, "lives on while it is polled", func(t *testing.T) {
		shop := evotortest.NewShop(settings)
		_, g := simulate(t, shop, evotortest.CloudOptions{PageSize: 100},
			func(o *pull.Options) { o.Poll = 15 * time.Minute })
		stop := start(t, g)
		for range 20 {
			time.Sleep(6 * time.Hour)
			shop.Run(g.now())
		}
		time.Sleep(26 * time.Hour) // the daily re-scan
		stop()
		g.all(shop)
		g.right(shop)
	})
	bubble(t, "the application is installed on a terminal later", func(t *testing.T) {
		shop := evotortest.NewShop(settings)
		cloud, g := simulate(t, shop, evotortest.CloudOptions{PageSize: 100}, nil)
		hidden := shop.Devices()[1].ID
		cloud.SetInstalled(hidden, false)
		g.patiently(pull.Cycle{Backfill: true})
		if have, had := g.counts().Documents, len(shop.Documents()); have >= had {
			t.Fatalf("%d of %d: the test proves nothing", have, had)
		}
		cloud.SetInstalled(hidden, true)
		time.Sleep(24 * time.Hour)
		shop.Run(g.now())
		g.patiently(pull.Cycle{})
		g.all(shop)
	})
}
