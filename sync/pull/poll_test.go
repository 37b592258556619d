package pull_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"ostatok/sync/pull"
)

// settled is a shop that has been pulled.
func settled(t *testing.T, change func(*desk)) (*desk, *rig) {
	t.Helper()
	d := newDesk()
	d.products = cards(10)
	for i := range 10 {
		d.add(receipt{closed: ago(float64(10 - i)), lines: fmt.Sprintf("p%03d 1 10", i)})
	}
	if change != nil {
		change(d)
	}
	g := bring(t, d, nil)
	g.complete()
	d.requests("")
	return d, g
}

func TestPoll(t *testing.T) {
	bubble(t, "finds what came since", func(t *testing.T) {
		d, g := settled(t, nil)
		time.Sleep(time.Minute)
		d.add(receipt{closed: g.now(), lines: "p000 2 9"})
		if r := g.complete(); r.New != 1 {
			t.Errorf("%+v", r)
		}
		g.stands("p000", 7000)
	})
	bubble(t, "asks again for the overlap below the newest document, open-ended", func(t *testing.T) {
		d, g := settled(t, nil)
		time.Sleep(time.Minute)
		g.complete()
		asked := d.requests("/documents")
		if len(asked) != 1 {
			t.Fatalf("%d requests", len(asked))
		}
		if got, want := since(asked[0]), ago(1).Add(-26*time.Hour); !got.Equal(want) {
			t.Errorf("since %v, want %v", got, want)
		}
		if asked[0].Query().Has("until") {
			t.Error("the poll has an end")
		}
	})
	bubble(t, "finds a document that comes within the overlap", func(t *testing.T) {
		d, g := settled(t, nil)
		time.Sleep(time.Minute)
		d.add(receipt{closed: ago(2), lines: "p001 2 9", number: 90})
		g.complete()
		if n := g.counts().Documents; n != 11 {
			t.Errorf("%d documents", n)
		}
	})
	bubble(t, "finds a document that comes later than any overlap with the daily re-scan", func(t *testing.T) {
		d, g := settled(t, nil)
		d.add(receipt{closed: ago(20), kind: "PAYBACK", lines: "p001 2 9", number: 90})
		time.Sleep(time.Minute)
		g.complete()
		if n := g.counts().Documents; n != 10 {
			t.Fatalf("%d documents: the test proves nothing", n)
		}
		time.Sleep(24 * time.Hour)
		if r := g.complete(); r.New != 1 {
			t.Errorf("re-scan found %d", r.New)
		}
	})
	bubble(t, "reaches back over an outage of weeks", func(t *testing.T) {
		d, g := settled(t, nil)
		time.Sleep(60 * 24 * time.Hour)
		// Closed before the outage, arrived at its end.
		d.add(receipt{closed: ago(20), kind: "PAYBACK", lines: "p001 2 9", number: 90})
		if r := g.complete(); r.New != 1 {
			t.Errorf("found %d", r.New)
		}
	})
	bubble(t, "a terminal whose clock is ahead does not hide the others' documents", func(t *testing.T) {
		d, g := settled(t, nil)
		d.add(receipt{closed: today.AddDate(3, 0, 0), lines: "p001 1 9", device: till1, number: 90})
		g.complete()
		time.Sleep(3 * time.Hour)
		d.add(receipt{closed: g.now(), lines: "p002 1 9", number: 91})
		if r := g.complete(); r.New != 1 {
			t.Errorf("found %d", r.New)
		}
		g.stands("p002", 8000)
	})
	for name, wrong := range map[string]time.Duration{"ahead": 3 * 365 * 24 * time.Hour, "behind": -200 * 24 * time.Hour} {
		bubble(t, "our own clock was "+name+" for a while", func(t *testing.T) {
			d, g := settled(t, nil)
			g.wrong = wrong
			for range 3 {
				time.Sleep(time.Hour)
				g.complete()
			}
			g.wrong = 0
			time.Sleep(time.Minute)
			d.add(receipt{closed: g.now().Add(-20 * time.Hour), lines: "p001 1 9", number: 90},
				receipt{closed: g.now(), lines: "p002 1 9", number: 91})
			if r := g.complete(); r.New != 2 {
				t.Errorf("found %d", r.New)
			}
			g.stands("p002", 8000)
			time.Sleep(time.Minute)
			g.complete()
			d.requests("")
			time.Sleep(time.Minute)
			g.complete()
			if n := len(d.requests("")); n != 3 { // stores, terminals, the poll
				t.Errorf("%d requests once the clock is right", n)
			}
		})
	}
	bubble(t, "an empty answer changes nothing and is not believed", func(t *testing.T) {
		d, g := settled(t, nil)
		all := d.documents
		d.set(func() { d.documents = nil })
		time.Sleep(25 * time.Hour)
		r := g.broken(pull.NoDocuments)
		if r.Changes != 0 || g.counts().Documents != 10 {
			t.Errorf("%+v, %d documents", r, g.counts().Documents)
		}
		for i := range 10 {
			g.stands(fmt.Sprintf("p%03d", i), 9000)
		}
		d.set(func() { d.documents = all })
		g.complete()
	})
	bubble(t, "an idle cycle writes nothing", func(t *testing.T) {
		_, g := settled(t, nil)
		time.Sleep(time.Minute)
		g.complete()
		before := written(t, g)
		for range 30 {
			time.Sleep(time.Minute)
			g.complete()
		}
		// Three notes of the last success, a few pages each.
		if grown := written(t, g) - before; grown > 64<<10 {
			t.Errorf("30 idle cycles wrote %d bytes", grown)
		}
	})
}

// written is how much has gone to the mirror's files since it was opened, as
// far as the log still shows it.
func written(t *testing.T, g *rig) int64 {
	t.Helper()
	main, wal, err := g.mirror.DB().Size(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return main + wal
}

func TestAgain(t *testing.T) {
	bubble(t, "reads all that is known once more, and finds what appeared far back", func(t *testing.T) {
		d, g := settled(t, nil)
		d.add(receipt{closed: ago(50), lines: "p003 1 5", number: 1})
		time.Sleep(time.Minute)
		if r := g.complete(); r.New != 0 {
			t.Fatalf("found %d without being asked: the test proves nothing", r.New)
		}
		r, err := g.Cycle(t.Context(), pull.Cycle{Again: true})
		if err != nil || !r.Complete || r.New != 1 || r.Repeated < 10 {
			t.Errorf("%+v, %v", r, err)
		}
		d.requests("")
		time.Sleep(time.Minute)
		g.complete()
		if n := len(d.requests("/documents")); n != 1 {
			t.Errorf("%d requests afterwards: it goes on", n)
		}
	})
}

func TestDevices(t *testing.T) {
	bubble(t, "a terminal that is added brings its old documents", func(t *testing.T) {
		d, g := settled(t, nil)
		d.set(func() { d.devices = append(d.devices, till2) })
		for i := range 3 {
			d.add(receipt{closed: ago(50 + float64(i)), lines: "p003 1 5", device: till2, number: int64(i + 1)})
		}
		time.Sleep(time.Minute)
		if r := g.complete(); r.New != 3 {
			t.Errorf("found %d", r.New)
		}
		d.requests("")
		time.Sleep(time.Minute)
		g.complete()
		if n := len(d.requests("/documents")); n != 1 {
			t.Errorf("%d requests afterwards: the re-scan goes on", n)
		}
	})
	bubble(t, "a terminal on which the application is installed later brings them too", func(t *testing.T) {
		d, g := settled(t, func(d *desk) { d.devices = []string{till1, till2} }) // listed, and silent
		d.add(receipt{closed: ago(50), lines: "p003 1 5", device: till2, number: 1})
		time.Sleep(time.Minute)
		if r := g.complete(); r.New != 0 {
			t.Fatalf("found %d: the test proves nothing", r.New)
		}
		d.add(receipt{closed: g.now(), lines: "p003 1 4", device: till2, number: 2})
		if r := g.complete(); r.New != 2 {
			t.Errorf("found %d", r.New)
		}
	})
	bubble(t, "a re-scan that breaks off goes on after a restart", func(t *testing.T) {
		d, g := settled(t, nil)
		d.set(func() {
			d.devices, d.page = append(d.devices, till2), 2
			d.fault = func(w http.ResponseWriter, r *http.Request) bool {
				if strings.Contains(r.URL.Path, till2) && r.URL.Query().Has("cursor") {
					http.Error(w, "broken", http.StatusBadGateway)
					return true
				}
				return false
			}
		})
		for i := range 7 {
			d.add(receipt{closed: ago(50 + float64(i)), lines: "p003 1 5", device: till2, number: int64(i + 1)})
		}
		g.broken(pull.Unreachable)
		d.set(func() { d.fault = nil })
		g.restart()
		g.complete()
		if n := g.counts().Documents; n != 17 {
			t.Errorf("%d documents", n)
		}
	})
	bubble(t, "a terminal that alone is refused does not stop the shop", func(t *testing.T) {
		d := newDesk()
		d.products, d.devices = cards(1), []string{till1, till2}
		d.add(receipt{closed: ago(3), lines: "p000 1 10"})
		d.fault = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, till2) {
				http.Error(w, "not installed", http.StatusPaymentRequired)
				return true
			}
			return false
		}
		g := bring(t, d, func(o *pull.Options) { o.PerDevice = true })
		r := g.complete()
		if !has(r.Problems, pull.DeviceRefused) {
			t.Errorf("nobody is told: %+v", r.Problems)
		}
		g.stands("p000", 9000)
	})
	bubble(t, "an empty list of terminals is no reason to read everything again", func(t *testing.T) {
		d, g := settled(t, nil)
		d.set(func() { d.devices = nil })
		time.Sleep(time.Minute)
		g.complete()
		d.set(func() { d.devices = []string{till1} })
		time.Sleep(time.Minute)
		d.requests("")
		g.complete()
		if n := len(d.requests("/documents")); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestCatalogue(t *testing.T) {
	bubble(t, "a product that vanishes is gone after a complete listing", func(t *testing.T) {
		d, g := settled(t, nil)
		d.set(func() { d.products = cards(9) })
		time.Sleep(2 * time.Hour)
		if r := g.complete(); r.Gone != 1 {
			t.Errorf("%d gone", r.Gone)
		}
		if c := g.counts(); c.Products != 9 || c.Deleted != 1 {
			t.Errorf("%+v", c)
		}
	})
	bubble(t, "none is gone after a listing that breaks off", func(t *testing.T) {
		d, g := settled(t, func(d *desk) { d.page = 4 })
		d.set(func() {
			d.fault = func(w http.ResponseWriter, r *http.Request) bool {
				if strings.HasSuffix(r.URL.Path, "/products") && r.URL.Query().Has("cursor") {
					http.Error(w, "broken", http.StatusInternalServerError)
					return true
				}
				return false
			}
		})
		time.Sleep(2 * time.Hour)
		g.broken(pull.Unreachable)
		if c := g.counts(); c.Products != 10 {
			t.Errorf("%+v", c)
		}
	})
	bubble(t, "none is gone when a cursor got lost once", func(t *testing.T) {
		d, g := settled(t, func(d *desk) { d.page = 8 })
		d.set(func() {
			lost := false
			d.fault = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, "/products") || lost {
					return false
				}
				lost = true
				fmt.Fprintf(w, `{"items":[%s],"paging":{}}`, strings.Join(d.products[:8], ","))
				return true
			}
		})
		time.Sleep(2 * time.Hour)
		if r := g.complete(); r.Gone != 0 {
			t.Errorf("%d gone", r.Gone)
		}
	})
	for name, left := range map[string]int{"a small list": 3, "an empty list": 0} {
		bubble(t, name+" is not believed", func(t *testing.T) {
			d, g := settled(t, nil)
			d.set(func() { d.products = cards(left) })
			time.Sleep(2 * time.Hour)
			g.broken(pull.CatalogueShrank)
			if c := g.counts(); c.Products != 10 {
				t.Errorf("%+v", c)
			}
			g.restart() // nor after a restart, before the next reading
			g.broken(pull.CatalogueShrank)
			d.set(func() { d.products = cards(10) })
			time.Sleep(2 * time.Hour)
			g.complete()
		})
	}
	bubble(t, "a small list is believed when it stays for a day", func(t *testing.T) {
		d, g := settled(t, nil)
		d.set(func() { d.products = cards(3) })
		for hours := 0; ; hours += 2 {
			time.Sleep(2 * time.Hour)
			r := g.cycle(pull.Cycle{})
			if r.Complete {
				if hours < 24 || r.Gone != 7 {
					t.Errorf("believed after %d hours, %d gone", hours, r.Gone)
				}
				break
			}
			if hours > 30 {
				t.Fatal("never believed")
			}
		}
	})
	bubble(t, "a small list that changes meanwhile has to stay for another day", func(t *testing.T) {
		d, g := settled(t, nil)
		d.set(func() { d.products = cards(3) })
		for range 7 {
			time.Sleep(2 * time.Hour)
			g.broken(pull.CatalogueShrank)
		}
		d.set(func() { d.products = cards(4)[1:] })
		for range 7 {
			time.Sleep(2 * time.Hour)
			g.broken(pull.CatalogueShrank)
		}
	})
	bubble(t, "an empty list is never believed", func(t *testing.T) {
		d, g := settled(t, nil)
		d.set(func() { d.products = nil })
		for range 40 {
			time.Sleep(2 * time.Hour)
			g.broken(pull.CatalogueShrank)
		}
		if c := g.counts(); c.Products != 10 {
			t.Errorf("%+v", c)
		}
	})
	bubble(t, "a card that does not decode is set aside and not taken for gone", func(t *testing.T) {
		d, g := settled(t, nil)
		d.set(func() { d.products[3] = `{"id":"p003","name":["?"],"quantity":{"a":1}}` })
		time.Sleep(2 * time.Hour)
		r := g.complete()
		if r.SetAside == 0 || !has(r.Problems, pull.SetAside) || r.Gone != 0 {
			t.Errorf("%+v", r)
		}
		if c := g.counts(); c.Products != 10 || c.Quarantine == 0 {
			t.Errorf("%+v", c)
		}
	})
}
