package agent_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ostatok/agent/config"
	"ostatok/agent/local"
	"ostatok/agent/stock"
)

// TestGuide is the vendor's guide to the first synchronisation, one sentence
// after the other.
func TestGuide(t *testing.T) {
	t.Run("introduction", guideIntroduction)
	t.Run("step 1", guideStep1)
	t.Run("step 2", guideStep2)
	t.Run("step 3", guideStep3)
	t.Run("step 4", guideStep4)
	t.Run("step 4 important", guideStep4Important)
	t.Run("step 4 hint", guideStep4Hint)
	t.Run("step 5", guideStep5)
	t.Run("step 6", guideStep6)
}

// auto lets the agent write what it knows without asking.
func auto(c *config.Config) { c.Evotor.Write = config.Auto }

// session is a day's beginning: a document without goods, for a shop that is at
// work and whose documents do not matter.
func session(shop string) document {
	return document{kind: "OPEN_SESSION", store: shop, at: ago(1)}
}

func guideIntroduction(t *testing.T) {
	// An accounting system that is installed for the first time can damage the
	// stock figures or set them to zero.
	sentence(t, "a first installation sets nothing to zero", func(t *testing.T, method stock.Method) {
		d := newDesk(t, "milk")
		d.card(card{id: "bread", quantity: "30"}) // somebody keeps it in the cloud, no document names it
		d.write(document{kind: "SELL", at: ago(3), lines: []string{line("milk", "3", "10")}})
		i := d.install(t, method, auto)
		i.sync()
		if milk, bread := d.quantity("milk"), d.quantity("bread"); milk != "7" || bread != "30" {
			t.Errorf("the cloud holds %s of milk and %s of bread, want 7 and 30", milk, bread)
		}
	})

	// The damage comes from where the figures are taken from: what was true at
	// the installation is not in the obvious place.
	sentence(t, "the figures of the installation are not the cloud's", func(t *testing.T, method stock.Method) {
		d := newDesk(t)
		d.card(card{id: "milk", quantity: "99"})
		d.write(document{kind: "SELL", at: ago(3), lines: []string{line("milk", "3", "10")}})
		i := d.install(t, method)
		i.sync()
		i.stands("milk", "7 known")
	})

	// The guide's way is one of several, perhaps.
	t.Run("the ledger is another way and says the same for one terminal", func(t *testing.T) {
		d := newDesk(t, "milk", "bread")
		d.write(
			document{kind: "SELL", at: ago(9), lines: []string{line("milk", "3", "10"), line("bread", "1", "5")}},
			document{kind: "PAYBACK", at: ago(8), lines: []string{line("milk", "1", "7")}},
			document{kind: "ACCEPT", at: ago(7), lines: []string{line("milk", "12", "20")}},
			document{kind: "SELL", at: ago(6), lines: []string{line("bread", "2", "4")}},
		)
		i := d.install(t, stock.Ledger)
		i.sync()
		i.stands("milk", "20 known", "bread", "2 known")
		e, err := i.Explain(t.Context(), "milk")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range e.Steps {
			if s.Guide == nil || s.Level == nil || *s.Guide != *s.Level {
				t.Errorf("%s of %s: level %v, the guide's %v", s.Type, s.At, s.Level, s.Guide)
			}
		}
	})
	t.Run("the ledger is another way and is right for two terminals", func(t *testing.T) {
		// Both loaded 10 at their activation and neither has downloaded since:
		// the newest document alone knows nothing of what the other one sold.
		d := newDesk(t, "milk")
		d.write(
			document{kind: "SELL", device: till1, at: ago(9), lines: []string{line("milk", "4", "10")}},
			document{kind: "SELL", device: till2, at: ago(8), lines: []string{line("milk", "1", "10")}},
		)
		for method, want := range map[stock.Method]string{stock.Ledger: "5 known", stock.Guide: "9 known"} {
			i := d.install(t, method)
			i.backfill()
			i.stands("milk", want)
		}
	})

	// Who follows it protects the shop from what a first synchronisation may do.
	sentence(t, "nothing is written before somebody has looked", func(t *testing.T, method stock.Method) {
		d := newDesk(t, "milk")
		d.write(document{kind: "SELL", at: ago(3), lines: []string{line("milk", "3", "10")}})
		i := d.install(t, method) // as it comes out of the box
		i.sync()
		i.sync()
		if n := len(d.requests("PATCH", "")); n != 0 {
			t.Errorf("%d figures were written unasked", n)
		}
		if got := i.planned(); !slices.Equal(got, []string{"milk 0→7"}) {
			t.Errorf("planned %v", got)
		}
	})
}

func guideStep1(t *testing.T) {
	// Learn the user's shops with GET /stores.
	sentence(t, "the shops of the user with GET stores", func(t *testing.T, method stock.Method) {
		d := newDesk(t, "milk")
		d.write(session(shop1))
		i := d.install(t, method)
		i.sync()
		if first := d.asked[0]; first.method != "GET" || first.path != "/stores" {
			t.Errorf("asked %s %s first", first.method, first.path)
		}
		d.forget()
		other := d.install(t, method, func(c *config.Config) { c.Store = "20251019-0000-40E0-8051-B53ADFF38862" })
		r, err := other.Sync(t.Context(), false, nil)
		if err != nil || r.Complete || len(r.Problems) == 0 || r.Problems[0].Kind != "store_not_visible" {
			t.Errorf("a shop that is not in the list: %+v, %v", r, err)
		}
		if len(d.requests("GET", "products"))+len(d.requests("GET", "documents")) > 0 {
			t.Error("a shop that is not in the list was asked for its goods")
		}
	})

	// A shop may have many terminals; therefore the catalogue and the stock are
	// the shop's and not a terminal's.
	sentence(t, "a shop has many terminals, and its stock is one", func(t *testing.T, method stock.Method) {
		d := newDesk(t, "milk")
		d.card(card{store: shop2, id: "milk"})
		d.write(
			document{kind: "SELL", device: till1, at: ago(9), lines: []string{line("milk", "4", "10")}},
			document{kind: "SELL", device: till2, at: ago(8), lines: []string{line("milk", "1", "6")}},
			document{kind: "SELL", device: till9, store: shop2, at: ago(7), lines: []string{line("milk", "50", "100")}},
		)
		i := d.install(t, method)
		if r := i.backfill(); r.Products != 1 || r.Documents != 2 {
			t.Errorf("%d products, %d documents of the shop", r.Products, r.Documents)
		}
		i.stands("milk", "5 known")
	})
}

func guideStep2(t *testing.T) {
	// Get the catalogue of each of the shops with GET /stores/{store}/products.
	sentence(t, "the catalogue of each shop with GET stores/{store}/products", func(t *testing.T, method stock.Method) {
		d := newDesk(t, "milk", "bread", "salt", "tea", "eggs")
		d.card(card{store: shop2, id: "paint"})
		d.write(session(shop1), session(shop2))
		d.page = 2
		for shop, want := range map[string][]string{shop1: {"milk", "bread", "salt", "tea", "eggs"}, shop2: {"paint"}} {
			d.forget()
			i := d.install(t, method, func(c *config.Config) { c.Store = shop })
			i.sync()
			var got []string
			for r, err := range i.Stock(t.Context(), local.StockQuery{}) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, r.Product)
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("catalogue of %s: %v, want %v", shop, got, want)
			}
			if pages := d.requests("GET", shop+"/products"); len(pages) != (len(want)+1)/2 {
				t.Errorf("%d pages asked for %d products", len(pages), len(want))
			}
		}
	})

	// Note: at the first installation the stock of all products is zero.
	sentence(t, "note: the cloud's zeros of the first installation are no stock", func(t *testing.T, method stock.Method) {
		d := newDesk(t, "milk", "bread") // both at 0 in the cloud
		d.write(document{kind: "SELL", at: ago(3), lines: []string{line("milk", "3", "10")}})
		i := d.install(t, method)
		i.sync()
		i.stands("milk", "7 known", "bread", "? unresolved older_months")
	})

	// Why the terminals send the cloud no stock before that, the guide itself
	// leaves open: the cloud's figure is shown and never believed.
	sentence(t, "note: the cloud's figure is shown beside ours", func(t *testing.T, method stock.Method) {
		d := newDesk(t)
		d.card(card{id: "milk", quantity: "0.5"})
		d.write(document{kind: "SELL", at: ago(3), lines: []string{line("milk", "3", "10")}})
		i := d.install(t, method)
		i.sync()
		if r := i.row("milk"); r.Cloud == nil || r.Cloud.String() != "0.5" || r.Quantity.String() != "7" {
			t.Errorf("the cloud says %v, we say %v", r.Cloud, r.Quantity)
		}
	})
}

// horizon is where the six months before today begin.
var horizon = time.Date(2026, 5, 21, 12, 0, 0, 0, time.UTC)

func guideStep3(t *testing.T) {
	// Get all documents of the shop of the last six months with GET
	// /stores/{store}/documents.
	sentence(t, "all documents of six months with GET stores/{store}/documents", func(t *testing.T, method stock.Method) {
		d := newDesk(t, "milk", "bread", "salt")
		d.write(
			document{kind: "SELL", at: horizon.Add(-time.Millisecond), lines: []string{line("salt", "1", "9")}},
			document{kind: "SELL", at: horizon, lines: []string{line("milk", "3", "10")}},
			document{kind: "ACCEPT", at: ago(70), lines: []string{line("milk", "1", "8")}},
			document{kind: "OPEN_SESSION", at: ago(60)}, // all documents, not only those of goods
			document{kind: "SELL", at: today.Add(-time.Millisecond), lines: []string{line("bread", "1", "5")}},
		)
		i := d.install(t, method)
		if r := i.sync(); r.Documents != 4 {
			t.Errorf("%d documents of the last six months, want 4", r.Documents)
		}
		i.stands("milk", "8 known", "bread", "4 known", "salt", "? unresolved older_months")
		for _, r := range d.requests("GET", "documents") {
			if r.path != "/stores/"+shop1+"/documents" || r.query.Has("type") {
				t.Errorf("asked %s?%s", r.path, r.query.Encode())
			}
		}
	})

	// Hint: a great many documents may be a burden.
	sentence(t, "hint: many documents are read page by page", func(t *testing.T, method stock.Method) {
		d := newDesk(t, "milk")
		d.page = 2
		for n := range 7 {
			d.write(document{kind: "SELL", at: ago(20 - float64(n)), lines: []string{line("milk", "1", strconv.Itoa(10-n))}})
		}
		i := d.install(t, method)
		if r := i.sync(); r.Documents != 7 {
			t.Errorf("%d documents", r.Documents)
		}
		i.stands("milk", "3 known")
		pages := 0
		for _, r := range d.requests("GET", "documents") {
			if r.query.Has("cursor") {
				pages++
			}
		}
		if pages < 3 {
			t.Errorf("7 documents came in %d pages of 2 besides the first", pages)
		}
	})

	// Hint: six requests of a month each make it easier.
	sentence(t, "hint: six requests, a month each", func(t *testing.T, method stock.Method) {
		d := newDesk(t, "milk")
		d.write(session(shop1))
		i := d.install(t, method)
		i.sync()
		months := d.requests("GET", "stores/"+shop1+"/documents")
		if len(months) < 6 {
			t.Fatalf("%d requests", len(months))
		}
		until := "" // the newest month has no end, so that no clock can push a document out of it
		for n, r := range months[:6] {
			since := today.AddDate(0, -n-1, 0)
			if r.query.Get("since") != strconv.FormatInt(since.UnixMilli(), 10) || r.query.Get("until") != until {
				t.Errorf("request %d is %s, want since %v, until %q", n+1, r.query.Encode(), since, until)
			}
			until = r.query.Get("since")
		}
		for _, r := range months[6:] { // the look for what came meanwhile
			if since, err := strconv.ParseInt(r.query.Get("since"), 10, 64); err != nil || since < horizon.UnixMilli() || r.query.Has("until") {
				t.Errorf("and %s", r.query.Encode())
			}
		}
	})

	// Hint: where a shop has many terminals the requests can be divided among
	// them with GET /stores/{store}/devices/{device}/documents.
	sentence(t, "hint: by terminal with GET devices/{device}/documents", func(t *testing.T, method stock.Method) {
		d := newDesk(t, "milk")
		d.write(
			document{kind: "SELL", device: till1, at: ago(100), lines: []string{line("milk", "4", "10")}},
			document{kind: "SELL", device: till2, at: ago(99), lines: []string{line("milk", "1", "6")}},
		)
		i := d.install(t, method, func(c *config.Config) { c.Evotor.PerDevice = true })
		i.sync()
		for _, till := range []string{till1, till2} {
			if n := len(d.requests("GET", "stores/"+shop1+"/devices/"+till+"/documents")); n != 6 {
				t.Errorf("%d requests for terminal %s, want a month each", n, till)
			}
		}
		if n := len(d.requests("GET", "devices/"+till9+"/documents")); n != 0 {
			t.Error("the terminal of another shop was asked")
		}
		i.stands("milk", either(method, "5 assumed one_terminal", "5 known"))
	})
}

func guideStep4(t *testing.T) {
	// Find the newest document of each product.
	sentence(t, "the newest document of each product", func(t *testing.T, method stock.Method) {
		d := newDesk(t, "milk", "bread")
		d.write( // as they arrived, not as they were written
			document{id: "third", kind: "SELL", at: ago(1), lines: []string{line("milk", "1", "8")}},
			document{id: "first", kind: "SELL", at: ago(90), lines: []string{line("milk", "2", "10"), line("bread", "1", "5")}},
			document{id: "second", kind: "SELL", at: ago(40), lines: []string{line("bread", "1", "4")}},
			document{id: "zero", kind: "SELL", at: ago(120), lines: []string{line("milk", "1", "11")}},
		)
		i := d.install(t, method)
		i.sync()
		i.stands("milk", "7 known", "bread", "3 known")
		for product, want := range map[string]string{"milk": "third", "bread": "second"} {
			if r := i.row(product); r.Source == nil || r.Source.Document != want {
				t.Errorf("%s rests on %+v, want the document %q", product, r.Source, want)
			}
		}
	})

	// What to do depends on the type of that document.
	for _, test := range []struct{ name, kind, position, ledger, guide string }{
		// After a receipt of goods: the stock that it states, as it is. The one
		// document of its kind does not settle that this shop's terminals mean
		// the stock after it, so the ledger waits for a person.
		{"ACCEPT: the stated stock as it is", "ACCEPT", line("milk", "5", "12"), "12 assumed reading", "12 known"},
		{"SELL: the stated stock minus what was sold", "SELL", line("milk", "3", "10"), "7 known", "7 known"},
		{"SELL: sold by weight", "SELL", line("milk", "0.236", "2.17"), "1.934 known", "1.934 known"},
		{"SELL: below zero where stock is not kept", "SELL", line("milk", "1", "-492"), "-493 known", "-493 known"},
		{"PAYBACK: the stated stock plus what was returned", "PAYBACK", line("milk", "1", "4"), "5 known", "5 known"},
	} {
		sentence(t, test.name, func(t *testing.T, method stock.Method) {
			d := newDesk(t, "milk")
			d.write(document{kind: test.kind, at: ago(3), lines: []string{test.position}})
			i := d.install(t, method)
			i.sync()
			i.stands("milk", either(method, test.ledger, test.guide))
		})
	}
	sentence(t, "ACCEPT: the stated stock as it is, after a sale", func(t *testing.T, method stock.Method) {
		d := newDesk(t, "milk")
		d.write(
			document{kind: "SELL", at: ago(4), lines: []string{line("milk", "2", "10")}},
			document{kind: "ACCEPT", at: ago(3), lines: []string{line("milk", "5", "13")}},
		)
		i := d.install(t, method)
		i.sync()
		i.stands("milk", "13 known")
	})

	t.Run("ACCEPT: the stated stock as it is, when a person has said so", func(t *testing.T) {
		d := newDesk(t, "milk")
		d.write(document{kind: "ACCEPT", at: ago(3), lines: []string{line("milk", "5", "12")}})
		i := d.install(t, stock.Ledger)
		i.sync()
		if err := i.Approve(t.Context(), i.plan().ID, false); err == nil {
			t.Error("an assumed figure was approved without being named")
		}
		i.sync()
		if got := d.quantity("milk"); got != "0" {
			t.Errorf("the cloud's figure became %s unasked", got)
		}
		i.approve(true)
		if got := d.quantity("milk"); got != "12" {
			t.Errorf("the cloud's figure is %s, want 12", got)
		}
	})

	// Put the stock so found into the field quantity of each product.
	sentence(t, "the figure goes into quantity of each product", func(t *testing.T, method stock.Method) {
		d := newDesk(t, "milk", "bread", "cheese")
		d.write(
			document{kind: "SELL", at: ago(4), lines: []string{line("milk", "3", "10"), line("cheese", "0.236", "2.17")}},
			document{kind: "PAYBACK", at: ago(3), lines: []string{line("bread", "1", "4")}},
		)
		i := d.install(t, method)
		i.sync()
		i.approve(false)
		for product, want := range map[string]string{"milk": "7", "bread": "5", "cheese": "1.934"} {
			if got := d.quantity(product); got != want {
				t.Errorf("quantity of %s in the cloud is %s, want %s", product, got, want)
			}
		}
	})
}

func guideStep4Important(t *testing.T) {
	// Without a document in six months the product is left as it is.
	sentence(t, "no document in six months: the product is left as it is", func(t *testing.T, method stock.Method) {
		d := newDesk(t, "milk")
		d.card(card{id: "bread", quantity: "30"})
		d.write(
			document{kind: "SELL", at: ago(3), lines: []string{line("milk", "3", "10")}},
			document{kind: "SELL", at: horizon.AddDate(0, -2, 0), lines: []string{line("bread", "1", "5")}},
		)
		i := d.install(t, method)
		i.sync()
		i.stands("bread", "? unresolved older_months")
		if got := i.planned(); !slices.Equal(got, []string{"milk 0→7"}) {
			t.Errorf("planned %v", got)
		}
		i.approve(true)
		if got := d.quantity("bread"); got != "30" {
			t.Errorf("the cloud's figure became %s", got)
		}
	})

	// … while older documents go on being asked for in the background.
	sentence(t, "no document in six months: older months are asked in the background", func(t *testing.T, method stock.Method) {
		d := newDesk(t, "milk", "bread")
		d.write(
			document{kind: "SELL", at: ago(3), lines: []string{line("milk", "3", "10")}},
			document{kind: "SELL", at: horizon.AddDate(0, -2, 5), lines: []string{line("bread", "1", "5")}},
			document{kind: "SELL", at: horizon.AddDate(0, -4, 0), lines: []string{line("bread", "1", "6")}},
		)
		i := d.install(t, method, func(c *config.Config) { c.Evotor.Poll = 5 * time.Millisecond })
		i.sync()
		d.forget()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); i.Run(ctx) }()
		until(t, "the older document is found", func() bool { return i.row("bread").Quantity != nil })
		looks := func() int { d.mu.Lock(); defer d.mu.Unlock(); return len(d.asked) }
		seen := looks()
		until(t, "some more cycles", func() bool { return looks() > seen+20 })
		stop()
		<-ended
		i.stands("milk", "7 known", "bread", "4 known")
		var asked []string
		for _, r := range d.requests("GET", "documents") {
			if r.query.Has("until") {
				ms, err := strconv.ParseInt(r.query.Get("since"), 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				asked = append(asked, time.UnixMilli(ms).UTC().Format(time.DateOnly))
			}
		}
		// A month at a time, and nothing more once every product has its document.
		if want := []string{"2026-04-21", "2026-03-21"}; !slices.Equal(asked, want) {
			t.Errorf("older months asked: %v, want %v", asked, want)
		}
	})
}

func guideStep4Hint(t *testing.T) {
	// Tell the user of which products the stock could not be found out …
	sentence(t, "the user is told which products have no figure", func(t *testing.T, method stock.Method) {
		d := newDesk(t, "milk", "bread", "salt")
		d.write(document{kind: "SELL", at: ago(3), lines: []string{line("milk", "3", "10")}})
		i := d.install(t, method)
		list := func(state stock.State) (names []string) {
			for r, err := range i.Stock(t.Context(), local.StockQuery{State: state}) {
				if err != nil {
					t.Fatal(err)
				}
				names = append(names, r.Name)
			}
			slices.Sort(names)
			return names
		}
		want := []string{"bread", "salt"}
		i.sync()
		if got := list(stock.Unresolved); !slices.Equal(got, want) {
			t.Errorf("waiting for older months: %v, want %v", got, want)
		}
		i.backfill()
		if got := list(stock.Unknown); !slices.Equal(got, want) {
			t.Errorf("without any document: %v, want %v", got, want)
		}
	})

	// … and recommend to count them.
	sentence(t, "the user is recommended a count, and a count settles it", func(t *testing.T, method stock.Method) {
		d := newDesk(t, "milk", "bread", "salt")
		d.write(document{kind: "SELL", at: ago(3), lines: []string{line("milk", "3", "10")}})
		i := d.install(t, method)
		i.backfill()
		i.stands("bread", "? unknown no_documents", "salt", "? unknown no_documents")
		if g := i.plan().Guards; len(g) != 1 || !strings.Contains(g[0].Message, "2 need a count") {
			t.Errorf("who approves is told %+v", g)
		}
		d.write(document{kind: "INVENTORY", at: ago(0.5), lines: []string{line("bread", "30", "0"), line("salt", "4", "0")},
			body: `"complete_inventory":false`})
		i.sync()
		i.stands("milk", "7 known", "bread", "30 known", "salt", "4 known")
	})
}

func guideStep5(t *testing.T) {
	// Bring the figures to the cloud with PATCH
	// /stores/{store}/products/{product}.
	sentence(t, "PATCH stores/{store}/products/{product}", func(t *testing.T, method stock.Method) {
		d := newDesk(t, "milk", "bread")
		d.card(card{id: "salt", quantity: "4"}) // right already
		d.write(
			document{kind: "SELL", at: ago(4), lines: []string{line("milk", "3", "10"), line("salt", "1", "5")}},
			document{kind: "PAYBACK", at: ago(3), lines: []string{line("bread", "1", "4.5")}},
		)
		i := d.install(t, method)
		i.sync()
		r := i.approve(false)
		var got []string
		for _, r := range d.requests("PATCH", "") {
			got = append(got, r.path+" "+r.body)
		}
		slices.Sort(got)
		want := []string{
			"/stores/" + shop1 + `/products/bread {"quantity":5.5}`,
			"/stores/" + shop1 + `/products/milk {"quantity":7}`,
		}
		if !slices.Equal(got, want) {
			t.Errorf("written:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if len(r.Delivery) != 1 || r.Delivery[0].Accepted != 2 || r.Delivery[0].Verified != 2 {
			t.Errorf("delivered %+v, want 2 accepted and read back", r.Delivery)
		}
	})
}

func guideStep6(t *testing.T) {
	// Tell the users to load the new data from the cloud to the terminals.
	sentence(t, "users are told to load the terminals", func(t *testing.T, method stock.Method) {
		d := newDesk(t, "milk")
		d.write(document{kind: "SELL", at: ago(4), lines: []string{line("milk", "3", "10")}})
		i := d.install(t, method)
		i.sync()
		if n := len(i.events("load_to_terminals")); n != 0 {
			t.Errorf("told %d times before anything was written", n)
		}
		i.approve(false)
		told := i.events("load_to_terminals")
		if len(told) != 1 {
			t.Fatalf("told %d times", len(told))
		}
		var data struct{ Text map[string]string }
		if err := json.Unmarshal(told[0].Data, &data); err != nil {
			t.Fatal(err)
		}
		for language, words := range map[string]string{"en": "on every terminal", "ru": "на каждом терминале"} {
			if !strings.Contains(data.Text[language], words) {
				t.Errorf("in %s: %q", language, data.Text[language])
			}
		}
		i.sync()
		if n := len(i.events("load_to_terminals")); n != 1 {
			t.Error(fmt.Sprint("told ", n, " times though nothing more was written"))
		}
	})
}
