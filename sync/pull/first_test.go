package pull_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ostatok/agent/stock"
	"ostatok/sync/pull"
)

// bubble runs a test on a clock that jumps over every wait.
func bubble(t *testing.T, name string, test func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

func since(u *url.URL) time.Time { return ms(u, "since") }

func ms(u *url.URL, name string) time.Time {
	n, _ := strconv.ParseInt(u.Query().Get(name), 10, 64)
	return time.UnixMilli(n).UTC()
}

// firsts are the requests that begin a listing.
func firsts(list []*url.URL) []*url.URL {
	var starts []*url.URL
	for _, u := range list {
		q := u.Query()
		same := func(x *url.URL) bool { return x.Path == u.Path && x.RawQuery == u.RawQuery }
		if q.Get("cursor") == "" && !slices.ContainsFunc(starts, same) {
			starts = append(starts, u)
		}
	}
	return starts
}

// TestFirstSynchronisation follows the guide's article sentence by sentence, as
// far as it is about fetching.
func TestFirstSynchronisation(t *testing.T) {
	bubble(t, "stores are learned first", func(t *testing.T) {
		d := newDesk()
		d.products = cards(2)
		g := bring(t, d, nil)
		g.complete()
		if first := d.asked[0].Path; first != "/stores" {
			t.Errorf("first request is %s", first)
		}
	})
	bubble(t, "all products of all pages", func(t *testing.T) {
		d := newDesk()
		d.products, d.page = cards(23), 5
		g := bring(t, d, nil)
		if r := g.complete(); r.Products != 23 {
			t.Errorf("report says %d products", r.Products)
		}
		if n := g.counts().Products; n != 23 {
			t.Errorf("mirror holds %d products", n)
		}
	})
	bubble(t, "six requests by month, newest first, without a gap", func(t *testing.T) {
		d := newDesk()
		d.products = cards(1)
		d.add(receipt{closed: ago(1), lines: "p000 1 10"})
		g := bring(t, d, nil)
		d.requests("")
		g.complete()
		months := firsts(d.requests("/documents"))
		if len(months) < 6 {
			t.Fatalf("%d listings", len(months))
		}
		months = months[:6] // what follows is the first poll
		if until := months[0].Query().Get("until"); until != "" {
			t.Errorf("newest month ends at %s: what comes meanwhile would be missed", until)
		}
		for i := 1; i < 6; i++ {
			if !ms(months[i], "until").Equal(since(months[i-1])) {
				t.Errorf("month %d ends at %v, the newer one begins at %v", i, ms(months[i], "until"), since(months[i-1]))
			}
		}
		if got, want := since(months[5]), today.AddDate(0, -6, 0); !got.Equal(want) {
			t.Errorf("history begins at %v, want %v", got, want)
		}
	})
	bubble(t, "split by terminal", func(t *testing.T) {
		d := newDesk()
		d.products, d.devices = cards(2), []string{till1, till2}
		d.add(
			receipt{closed: ago(3), lines: "p000 1 10", device: till1, number: 1},
			receipt{closed: ago(40), lines: "p001 2 10", device: till2, number: 1},
		)
		g := bring(t, d, func(o *pull.Options) { o.PerDevice = true })
		d.requests("")
		if r := g.complete(); r.New != 2 {
			t.Errorf("%d documents", r.New)
		}
		perTill := map[string]int{}
		for _, u := range firsts(d.requests("/documents")) {
			if at := strings.Split(u.Path, "/"); at[3] == "devices" {
				perTill[at[4]]++
			}
		}
		if perTill[till1] != 6 || perTill[till2] != 6 {
			t.Errorf("listings by terminal: %v", perTill)
		}
		g.stands("p000", 9000)
		g.stands("p001", 8000)
	})
	bubble(t, "newest document of each product decides", func(t *testing.T) {
		d := newDesk()
		d.products = cards(3)
		d.add(
			receipt{closed: ago(10), lines: "p000 1 90; p001 1 50"},
			receipt{closed: ago(5), kind: "ACCEPT", lines: "p000 11 100"},
			receipt{closed: ago(4), lines: "p001 2 49"},
			receipt{closed: ago(3), kind: "PAYBACK", lines: "p001 1 47"},
		)
		g := bring(t, d, nil)
		g.complete()
		g.stands("p000", 100000) // ACCEPT: as stated
		g.stands("p001", 48000)  // PAYBACK: stated + returned
	})
	bubble(t, "no document in six months leaves the level open and older months are asked", func(t *testing.T) {
		d := newDesk()
		d.products = cards(2)
		d.add(
			receipt{closed: ago(300), lines: "p001 3 10"},
			receipt{closed: ago(2), lines: "p000 1 10"},
		)
		g := bring(t, d, nil)
		g.complete()
		if l := g.level("p001"); l.State != stock.Unresolved {
			t.Fatalf("p001 is %s, want unresolved", l.State)
		}
		from := g.Status().Coverage.From
		steps := 0
		for done := false; !done; steps++ {
			var err error
			if done, err = g.BackfillStep(t.Context()); err != nil || steps > 100 {
				t.Fatal(err, steps)
			}
			if c := g.Status().Coverage; c.From >= from && !done {
				t.Fatalf("step %d did not go back", steps)
			}
			from = g.Status().Coverage.From
		}
		g.stands("p001", 7000)
	})
}

func TestBackfill(t *testing.T) {
	bubble(t, "goes to the store's first day, without a gap, and then says so", func(t *testing.T) {
		d := newDesk()
		d.products = cards(2) // p001 never appears
		d.add(receipt{closed: time.Date(2021, 3, 10, 6, 0, 0, 0, time.UTC), lines: "p000 1 10"})
		g := bring(t, d, nil)
		d.requests("")
		r := g.cycle(pull.Cycle{Backfill: true})
		if !r.Complete || r.New != 1 {
			t.Fatalf("%+v", r)
		}
		c := g.Status().Coverage
		if !c.Complete {
			t.Error("coverage is not complete")
		}
		if l := g.level("p001"); l.State != stock.Unknown {
			t.Errorf("p001 is %s, want unknown: recommend a count", l.State)
		}
		covered := map[int64]int64{}
		for _, u := range firsts(d.requests("/documents")) {
			if until := ms(u, "until").UnixMilli(); until > 0 {
				covered[until] = since(u).UnixMilli()
			}
		}
		first := time.Date(2021, 3, 10, 0, 0, 0, 0, time.UTC).UnixMilli()
		at := today.AddDate(0, -1, 0).UnixMilli()
		for steps := 0; at > first; steps++ {
			next, ok := covered[at]
			if !ok || steps > 200 {
				t.Fatalf("gap before %v", time.UnixMilli(at).UTC())
			}
			at = next
		}
		if w, err := g.mirror.Windows(context.Background()); err != nil || len(w) != 0 {
			t.Errorf("windows left: %v, %v", w, err)
		}
		// Everything is known: nothing older is ever asked again.
		d.requests("")
		if done, err := g.BackfillStep(t.Context()); !done || err != nil {
			t.Error(done, err)
		}
		if n := len(d.requests("/documents")); n != 0 {
			t.Errorf("%d requests after the end", n)
		}
	})
	bubble(t, "stops when every product is settled", func(t *testing.T) {
		d := newDesk()
		d.products = cards(1)
		d.add(receipt{closed: ago(2), kind: "INVENTORY", lines: "p000 5", complete: "true"})
		g := bring(t, d, nil)
		g.complete()
		d.requests("")
		if done, err := g.BackfillStep(t.Context()); !done || err != nil {
			t.Error(done, err)
		}
		if n := len(d.requests("/documents")); n != 0 {
			t.Errorf("%d requests though nothing is open", n)
		}
	})
	bubble(t, "ends after two silent years when the store's id has no date", func(t *testing.T) {
		d := newDesk()
		d.stores, d.products = `[{"id":"shop-without-a-date"}]`, cards(2)
		d.devices = nil
		d.add(receipt{closed: ago(300), lines: "p000 1 10", store: "shop-without-a-date"})
		g := bring(t, d, func(o *pull.Options) { o.Store = "shop-without-a-date" })
		if r := g.cycle(pull.Cycle{Backfill: true}); !r.Complete {
			t.Fatalf("%+v", r.Problems)
		}
		c := g.Status().Coverage
		from := time.UnixMilli(c.From).UTC()
		if !c.Complete || from.After(ago(300).AddDate(-2, 0, 0)) || from.Before(ago(300).AddDate(-2, -2, 0)) {
			t.Errorf("coverage %v from %v", c.Complete, from)
		}
		if g.told("history_ends") != 1 {
			t.Error("nobody was told")
		}
	})
	bubble(t, "a month that broke off is resumed and the figures of the shop do not wait for it", func(t *testing.T) {
		d := newDesk()
		d.products, d.page = cards(2), 10
		for i := range 35 {
			d.add(receipt{closed: ago(200 + float64(i)/10), lines: "p000 1 100"})
		}
		g := bring(t, d, nil)
		g.complete()
		n := 0
		d.set(func() {
			d.fault = func(w http.ResponseWriter, r *http.Request) bool {
				if strings.Contains(r.URL.RawQuery, "cursor") {
					n++
				}
				if n >= 2 {
					http.Error(w, "broken", http.StatusInternalServerError)
					return true
				}
				return false
			}
		})
		if done, err := g.BackfillStep(t.Context()); done || err != nil {
			t.Fatal(done, err)
		}
		if !g.Status().Complete {
			t.Error("an older month made the shop incomplete")
		}
		d.set(func() { d.fault = nil })
		g.restart()
		g.complete()
		d.requests("")
		if _, err := g.BackfillStep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if u := d.requests("/documents")[0]; u.Query().Get("cursor") == "" {
			t.Error("the month began again from its start")
		}
		if n := g.counts().Documents; n != 35 {
			t.Errorf("%d documents", n)
		}
	})
}

func TestFullInventoryEndsTheHorizonEarly(t *testing.T) {
	bubble(t, "every product settled", func(t *testing.T) {
		d := newDesk()
		d.products = cards(3)
		d.add(
			receipt{closed: ago(100), lines: "p000 1 10"},
			receipt{closed: ago(40), kind: "INVENTORY", lines: "p000 5; p001 7", complete: "true"},
			receipt{closed: ago(2), lines: "p000 1 5"},
		)
		g := bring(t, d, nil)
		d.requests("")
		g.complete()
		asked := firsts(d.requests("/documents"))
		for _, u := range asked {
			if since(u).Before(today.AddDate(0, -2, 0)) {
				t.Errorf("asked from %v though the count of the second month settles everything", since(u))
			}
		}
		g.stands("p000", 4000)
		g.stands("p001", 7000)
		g.stands("p002", 0)
	})
	bubble(t, "a partial count does not", func(t *testing.T) {
		d := newDesk()
		d.products = cards(2)
		d.add(receipt{closed: ago(2), kind: "INVENTORY", lines: "p000 5", complete: "false"})
		g := bring(t, d, nil)
		d.requests("")
		g.complete()
		oldest := today
		for _, u := range firsts(d.requests("/documents")) {
			if s := since(u); s.Before(oldest) {
				oldest = s
			}
		}
		if !oldest.Equal(today.AddDate(0, -6, 0)) {
			t.Errorf("horizon ended at %v", oldest)
		}
		if l := g.level("p001"); l.Valued() {
			t.Errorf("p001 has the figure %v", l.Quantity)
		}
	})
}

func TestLargeWindowsAreHalved(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		d := newDesk()
		d.products = cards(1)
		for i := range 60 {
			d.add(receipt{closed: ago(float64(i) * 3), lines: "p000 1 100"})
		}
		g := bring(t, d, func(o *pull.Options) { o.Large = 5 })
		d.requests("")
		if r := g.complete(); r.New != 60 {
			t.Errorf("%d documents", r.New)
		}
		widths := map[time.Duration]bool{}
		for _, u := range firsts(d.requests("/documents")) {
			if until := ms(u, "until"); until.UnixMilli() > 0 {
				widths[until.Sub(since(u)).Round(24*time.Hour)] = true
			}
		}
		for w := range widths {
			if w > 16*24*time.Hour {
				t.Errorf("a window of %v after a large one", w)
			}
		}
	})
}

// TestResume breaks the first synchronisation at each of its requests, restarts
// the agent, and wants everything once.
func TestResume(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		fill := func() *desk {
			d := newDesk()
			d.products, d.page = cards(4), 7
			for i := range 90 {
				d.add(receipt{closed: ago(float64(i) * 2), lines: fmt.Sprintf("p%03d 1 %d", i%4, 100+i)})
			}
			return d
		}
		whole := bring(t, fill(), nil)
		whole.complete()
		total := 0
		for at := 1; ; at++ {
			d := fill()
			n := 0
			d.fault = func(w http.ResponseWriter, r *http.Request) bool {
				if strings.HasSuffix(r.URL.Path, "/product-groups") {
					return false // nothing rests on them (TestGroups)
				}
				n++
				if n == at {
					http.Error(w, "no", http.StatusForbidden) // not repeated by any layer
					return true
				}
				return false
			}
			g := bring(t, d, nil)
			r := g.cycle(pull.Cycle{})
			if n < at { // it got through: all requests were tried
				total = at - 1
				if !r.Complete {
					t.Errorf("undisturbed: %+v", r.Problems)
				}
				break
			}
			if r.Complete || !has(r.Problems, pull.Forbidden) {
				t.Fatalf("request %d refused: %+v", at, r)
			}
			d.set(func() { d.fault = nil })
			g.restart()
			g.complete()
			if n := g.counts().Documents; n != 90 {
				t.Errorf("request %d refused: %d documents in the end", at, n)
			}
			for i := range 4 {
				id := fmt.Sprintf("p%03d", i)
				g.stands(id, whole.level(id).Quantity)
			}
		}
		if total < 20 {
			t.Errorf("only %d requests were tried", total)
		}
	})
}

func TestProgressNeverFalls(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		d := newDesk()
		d.products, d.page = cards(2), 10
		for i := range 400 {
			d.add(receipt{closed: ago(float64(i) * 0.4), lines: "p000 1 1000"})
		}
		g := bring(t, d, nil)
		g.complete()
		if len(g.percent) < 20 {
			t.Fatalf("progress was shown %d times", len(g.percent))
		}
		if !slices.IsSorted(g.percent) {
			t.Errorf("progress fell: %v", g.percent)
		}
		if last := g.percent[len(g.percent)-1]; last < 90 || last > 100 {
			t.Errorf("progress ended at %v", last)
		}
	})
}
