package pull_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"ostatok/sync/pull"
)

// answer is a fault that befalls requests for documents.
func answer(status int, kind, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/documents") {
			return false
		}
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
		return true
	}
}

// TestPersistentFaults: whatever the cloud answers for ever is a problem that
// says what to do, changes no figure, and is over when the cloud is.
func TestPersistentFaults(t *testing.T) {
	const portal = "<!DOCTYPE html><html><body>Wi-Fi</body></html>"
	for name, c := range map[string]struct {
		fault func(http.ResponseWriter, *http.Request) bool
		kind  string
	}{
		"401":                  {answer(401, "application/json", `{}`), pull.TokenRefused},
		"402":                  {answer(402, "application/json", `{}`), pull.NotInstalled},
		"403":                  {answer(403, "application/json", `{}`), pull.Forbidden},
		"404":                  {answer(404, "application/json", `{}`), pull.RequestRefused},
		"429":                  {answer(429, "application/json", `{}`), pull.RateLimited},
		"500":                  {answer(500, "application/json", `{}`), pull.Unreachable},
		"empty object":         {answer(200, "application/json", `{}`), pull.BadAnswer},
		"sign-in page":         {answer(200, "text/html", portal), pull.BadAnswer},
		"no JSON":              {answer(200, "application/json", portal), pull.BadAnswer},
		"cut body":             {answer(200, "application/json", `{"items":[`), pull.Unreachable},
		"page without an end":  {answer(200, "application/json", `{"items":[],"paging":{"next_cursor":"round"}}`), pull.CursorRepeated},
		"connection cut short": {func(w http.ResponseWriter, r *http.Request) bool { panic(http.ErrAbortHandler) }, pull.Unreachable},
	} {
		bubble(t, name, func(t *testing.T) {
			d, g := settled(t, nil)
			d.set(func() { d.fault = c.fault })
			time.Sleep(time.Minute)
			r := g.broken(c.kind)
			if r.Changes != 0 || r.New != 0 {
				t.Errorf("%+v", r)
			}
			if s := g.Status(); s.Complete || !has(s.Problems, c.kind) {
				t.Errorf("status does not show it: %+v", s)
			}
			for i := range 10 {
				g.stands(fmt.Sprintf("p%03d", i), 9000)
			}
			d.set(func() { d.fault = nil })
			d.add(receipt{closed: g.now(), lines: "p000 2 9"})
			time.Sleep(time.Hour)
			g.complete()
			g.stands("p000", 7000)
			if s := g.Status(); !s.Complete || len(s.Problems) != 0 {
				t.Errorf("it is not over: %+v", s.Problems)
			}
		})
	}
}

// TestPassingFaults: a fault that befalls one request of the first
// synchronisation, whichever, is not noticed.
func TestPassingFaults(t *testing.T) {
	faults := map[string]func(http.ResponseWriter, *http.Request){
		"429": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-RateLimit-Remaining", "0")
			w.Header().Set("X-RateLimit-Reset", "60")
			http.Error(w, "{}", http.StatusTooManyRequests)
		},
		"500":          func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "{}", 500) },
		"cut":          func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"items":[`) },
		"abort":        func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"empty object": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{}`) },
		"empty list":   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"items":[],"paging":{}}`) },
		"slow": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, `{"items"`)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
			case <-time.After(20 * time.Minute):
			}
		},
	}
	for name, fault := range faults {
		for at := 3; at < 22; at += 2 { // after the store and the terminals
			bubble(t, fmt.Sprintf("%s at request %d", name, at), func(t *testing.T) {
				d := newDesk()
				d.products, d.page = cards(4), 7
				for i := range 40 {
					d.add(receipt{closed: ago(float64(i) * 4), lines: fmt.Sprintf("p%03d 1 %d", i%4, 100+i)})
				}
				n := 0
				d.fault = func(w http.ResponseWriter, r *http.Request) bool {
					if n++; n == at {
						w.Header().Set("Content-Type", "application/json")
						fault(w, r)
						return true
					}
					return false
				}
				g := bring(t, d, nil)
				g.complete()
				if n := g.counts().Documents; n != 40 {
					t.Errorf("%d documents", n)
				}
				if n := g.counts().Products; n != 4 {
					t.Errorf("%d products", n)
				}
			})
		}
	}
}

func TestItems(t *testing.T) {
	bubble(t, "one that does not decode is set aside and the rest goes on", func(t *testing.T) {
		d, g := settled(t, nil)
		d.add(
			receipt{closed: ago(0.5), raw: `{"id":"bad-1","type":"SELL","close_date":"` + stamp(ago(0.5)) + `","body":{"positions":[{"product_id":"p000","quantity":"many"}]}}`},
			receipt{closed: ago(0.4), lines: "p000 1 9", number: 91},
		)
		r := g.complete()
		if r.New != 1 || r.SetAside == 0 || !has(r.Problems, pull.SetAside) {
			t.Errorf("%+v", r)
		}
		bad, err := g.mirror.Quarantine(context.Background(), 10)
		if err != nil || len(bad) != 1 || bad[0].ID != "bad-1" || !strings.Contains(string(bad[0].Raw), "many") || bad[0].Reason == "" {
			t.Errorf("%+v, %v", bad, err)
		}
	})
	bubble(t, "one of another store is set aside", func(t *testing.T) {
		d, g := settled(t, nil)
		d.add(receipt{closed: ago(0.5), lines: "p000 5 9", store: "20200101-0000-40E0-8051-B53ADFF38860", number: 91})
		g.complete()
		g.stands("p000", 9000)
		if n := g.counts().Quarantine; n != 1 {
			t.Errorf("%d set aside", n)
		}
	})
	bubble(t, "one listed without its body is fetched by its id, once", func(t *testing.T) {
		d, g := settled(t, nil)
		d.add(receipt{id: "bare-1", closed: ago(0.5), lines: "p000 4 9", bare: true, number: 91})
		g.complete()
		g.stands("p000", 5000)
		d.requests("")
		time.Sleep(time.Minute)
		g.complete()
		if n := len(d.requests("/bare-1")); n != 0 {
			t.Errorf("fetched %d times more", n)
		}
	})
	bubble(t, "an empty page with a cursor is not the end", func(t *testing.T) {
		d := newDesk()
		d.products = cards(1)
		d.add(receipt{closed: ago(2), lines: "p000 1 10"})
		d.fault = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/documents") || r.URL.Query().Has("cursor") {
				return false
			}
			fmt.Fprintf(w, `{"items":[],"paging":{"next_cursor":%q}}`,
				fmt.Sprintf(`{"Since":%s,"Until":0,"From":0,"Limit":10}`, r.URL.Query().Get("since")))
			return true
		}
		g := bring(t, d, nil)
		if r := g.complete(); r.New != 1 {
			t.Errorf("%+v", r)
		}
	})
}

func TestCursors(t *testing.T) {
	fill := func() *desk {
		d := newDesk()
		d.products, d.page = cards(1), 5
		for i := range 30 {
			d.add(receipt{closed: ago(float64(i) / 2), lines: "p000 1 100"})
		}
		return d
	}
	bubble(t, "a stale one restarts the window", func(t *testing.T) {
		d := fill()
		d.life = 10 * time.Minute
		n := 0
		d.fault = func(w http.ResponseWriter, r *http.Request) bool {
			if n++; n > 6 {
				http.Error(w, "no", http.StatusForbidden)
				return true
			}
			return false
		}
		g := bring(t, d, nil)
		g.broken(pull.Forbidden)
		if n := g.counts().Documents; n == 0 || n == 30 {
			t.Fatalf("%d documents: the test proves nothing", n)
		}
		time.Sleep(time.Hour)
		d.set(func() { d.fault = nil })
		g.restart()
		g.complete()
		if n := g.counts().Documents; n != 30 {
			t.Errorf("%d documents", n)
		}
	})
	bubble(t, "one that goes in a circle once is not noticed", func(t *testing.T) {
		d := fill()
		var second string
		circled := false
		d.fault = func(w http.ResponseWriter, r *http.Request) bool {
			c := r.URL.Query().Get("cursor")
			switch {
			case c == "" || circled || !strings.HasSuffix(r.URL.Path, "/documents"):
			case second == "":
				second = c
			case c != second:
				circled = true
				fmt.Fprintf(w, `{"items":[],"paging":{"next_cursor":%q}}`, second)
				return true
			}
			return false
		}
		g := bring(t, d, nil)
		g.complete()
		if n := g.counts().Documents; n != 30 || !circled {
			t.Errorf("%d documents, circled: %v", n, circled)
		}
	})
}

func TestShopOutOfSight(t *testing.T) {
	for name, stores := range map[string]string{
		"no shop at all": `[]`,
		"another shop":   `[{"id":"20200101-0000-40E0-8051-B53ADFF38860","name":"Чужой"}]`,
	} {
		bubble(t, name, func(t *testing.T) {
			d, g := settled(t, nil)
			d.set(func() { d.stores, d.products, d.documents = stores, nil, nil })
			time.Sleep(25 * time.Hour)
			g.broken(pull.StoreNotVisible)
			for _, u := range d.requests("") {
				if u.Path != "/stores" {
					t.Errorf("went on to %s", u.Path)
				}
			}
			for i := range 10 {
				g.stands(fmt.Sprintf("p%03d", i), 9000)
			}
		})
	}
	bubble(t, "what was written while the cloud refused is found afterwards", func(t *testing.T) {
		d, g := settled(t, nil)
		d.set(func() { d.fault = answer(402, "application/json", `{}`) })
		time.Sleep(time.Minute)
		g.broken(pull.NotInstalled)
		d.add(receipt{closed: ago(15), kind: "PAYBACK", lines: "p004 1 9", number: 77})
		d.set(func() { d.fault = nil })
		g.restart()
		if r := g.complete(); r.New != 1 {
			t.Errorf("found %d", r.New)
		}
	})
}

func TestNoDocumentsAtAll(t *testing.T) {
	bubble(t, "old terminals: the application is missing on them", func(t *testing.T) {
		d := newDesk()
		d.products, d.created = cards(2), time.Date(2022, 1, 1, 0, 0, 0, 0, time.UTC)
		g := bring(t, d, nil)
		g.broken(pull.NoDocuments)
		d.add(receipt{closed: ago(1), lines: "p000 1 10"})
		g.complete()
	})
	bubble(t, "new terminals: the shop has just opened", func(t *testing.T) {
		d := newDesk()
		d.products = cards(2)
		g := bring(t, d, nil)
		g.complete()
	})
}

func TestCancel(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		d := newDesk()
		d.products = cards(1)
		ctx, cancel := context.WithCancel(t.Context())
		d.fault = func(http.ResponseWriter, *http.Request) bool {
			if len(d.asked) == 5 {
				cancel()
			}
			return false
		}
		g := bring(t, d, nil)
		if _, err := g.Cycle(ctx, pull.Cycle{}); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if s := g.Status(); len(s.Problems) != 0 {
			t.Errorf("the end of the program is shown as a problem: %+v", s.Problems)
		}
	})
}
