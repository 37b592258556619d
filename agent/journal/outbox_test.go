package journal_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ostatok/agent/journal"
	"ostatok/agent/stock"
)

func TestHeldIsTheLaterOfAcceptedAndObserved(t *testing.T) {
	j := fresh(t)
	five, six := stock.Quantity(5000), stock.Quantity(6000)
	for _, step := range []struct {
		put     journal.Held
		want    stock.Quantity
		known   bool
		missing bool
	}{
		{journal.Held{Key: "k", Accepted: &five, AcceptedAt: 100}, five, true, false},
		{journal.Held{Key: "k", Observed: &six, ObservedAt: 50}, six, true, false}, // the clock was set back
		{journal.Held{Key: "k", Accepted: &five, AcceptedAt: 40}, five, true, false},
		{journal.Held{Key: "k", ObservedAt: 60}, 0, false, true}, // it does not know the key
		{journal.Held{Key: "k", Accepted: &six, AcceptedAt: 70}, six, true, false},
		{journal.Held{Key: "other", Observed: &five, ObservedAt: 80}, five, true, false},
	} {
		step.put.Target, step.put.Product = "site", "a"
		if _, err := j.Record(t.Context(), "site", nil, []journal.Held{step.put}); err != nil {
			t.Fatal(err)
		}
		held, err := j.Held(t.Context(), "site")
		if err != nil {
			t.Fatal(err)
		}
		h := held["a"]
		if got, ok := h.Figure(); got != step.want || ok != step.known || h.Missing() != step.missing {
			t.Errorf("after %+v: %v %v, missing %v", step.put, got, ok, h.Missing())
		}
	}
	held, err := j.Held(t.Context(), "site")
	if err != nil {
		t.Fatal(err)
	}
	if held["a"].Accepted != nil {
		t.Error("a figure of another key was kept")
	}
}

// A newer approval takes the row over; what the old request comes to is ignored.
func TestNewestFigureWins(t *testing.T) {
	j := fresh(t)
	approve(t, j, save(t, j, plan("site", map[string]stock.Quantity{"a": 5000})))
	old := entries(t, j, "site")["a"]
	approve(t, j, save(t, j, plan("site", map[string]stock.Quantity{"a": 4000})))
	old.State, old.NextTry, old.Reason = journal.Rejected, 0, "bad"
	q := old.Wanted
	replaced, err := j.Record(t.Context(), "site", []journal.Entry{old}, []journal.Held{{Target: "site", Product: "a", Key: "k", Accepted: &q, AcceptedAt: 1}})
	if err != nil || !replaced["a"] {
		t.Fatalf("replaced %v %v", replaced, err)
	}
	if e := entries(t, j, "site")["a"]; e.State != journal.Planned || e.Wanted != 4000 || e.Reason != "" {
		t.Errorf("the newer row was overwritten: %+v", e)
	}
	if held, err := j.Held(t.Context(), "site"); err != nil || *held["a"].Accepted != 5000 {
		t.Errorf("what the target took is a fact: %v", err)
	}
}

// A figure that was taken and that nobody can read back is not on its way any more.
func TestWhatIsUnderWay(t *testing.T) {
	j := fresh(t)
	approve(t, j, save(t, j, plan("site", map[string]stock.Quantity{"a": 5000, "b": 4000, "c": 3000})))
	all := entries(t, j, "site")
	a, b := all["a"], all["b"]
	a.State, a.NextTry = journal.Accepted, 0
	b.State = journal.Accepted // to be read back
	if _, err := j.Record(t.Context(), "site", []journal.Entry{a, b}, nil); err != nil {
		t.Fatal(err)
	}
	c, err := j.OutboxCounts(t.Context(), "site")
	if err != nil || c.Accepted != 2 || c.Planned != 1 || c.UnderWay != 2 {
		t.Errorf("%+v, %v", c, err)
	}
}

// The outbox against a model of it in a map.
func TestOutboxAgainstModel(t *testing.T) {
	type row struct {
		wanted stock.Quantity
		state  journal.RowState
		due    bool
	}
	j := fresh(t)
	check := 0
	rapid.Check(t, func(r *rapid.T) {
		check++
		site := fmt.Sprint("site ", check) // a target of its own is as good as a file
		model := make(map[string]row)
		last := make(map[string]journal.Entry) // as a delivery read them before
		products := []string{"a", "b", "c"}
		r.Repeat(map[string]func(*rapid.T){
			"approve": func(r *rapid.T) {
				figures := rapid.MapOfN(rapid.SampledFrom(products), rapid.Custom(func(r *rapid.T) stock.Quantity {
					return stock.Quantity(rapid.IntRange(-2, 2).Draw(r, "figure"))
				}), 1, 3).Draw(r, "figures")
				approve(t, j, save(t, j, plan(site, figures)))
				for product, q := range figures {
					model[product] = row{q, journal.Planned, true}
				}
			},
			"read": func(*rapid.T) { last = entries(t, j, site) },
			"record": func(r *rapid.T) {
				product := rapid.SampledFrom(products).Draw(r, "product")
				e, ok := last[product]
				if !ok {
					r.Skip("nothing was read")
				}
				e.State = rapid.SampledFrom([]journal.RowState{journal.Sent, journal.Accepted, journal.Verified, journal.Rejected, journal.Blocked}).Draw(r, "state")
				if e.NextTry = 0; e.State == journal.Sent || e.State == journal.Accepted {
					e.NextTry = noon.UnixMilli()
				}
				before := entries(t, j, site)[product]
				if before.Revision == e.Revision && !before.UnderWay() {
					r.Skip("a delivery takes only rows that are under way")
				}
				replaced, err := j.Record(t.Context(), site, []journal.Entry{e}, nil)
				if err != nil {
					r.Fatal(err)
				}
				if replaced[product] != (before.Revision != e.Revision) {
					r.Fatalf("replaced %v, revisions %d and %d", replaced[product], before.Revision, e.Revision)
				}
				if !replaced[product] {
					model[product] = row{e.Wanted, e.State, e.NextTry != 0}
				}
			},
			"retry": func(*rapid.T) {
				if _, err := j.Retry(t.Context(), site); err != nil {
					r.Fatal(err)
				}
				for product, m := range model {
					if m.state == journal.Rejected || m.state == journal.Blocked {
						model[product] = row{m.wanted, journal.Planned, true}
					}
				}
			},
			"": func(r *rapid.T) {
				got := entries(t, j, site)
				if len(got) != len(model) {
					r.Fatalf("%d rows, want %d", len(got), len(model))
				}
				due, err := j.Due(t.Context(), site, noon.UnixMilli(), time.Hour)
				if err != nil {
					r.Fatal(err)
				}
				underWay := false
				for product, m := range model {
					e := got[product]
					if e.Wanted != m.wanted || e.State != m.state || slices.Contains(due, product) != m.due {
						r.Fatalf("%s: %+v (due %v), want %+v", product, e, due, m)
					}
					underWay = underWay || m.due
				}
				plans, err := j.Plans(t.Context(), site, true)
				if err != nil {
					r.Fatal(err)
				}
				open := slices.ContainsFunc(plans, func(p journal.Plan) bool { return p.State == journal.PlanApproved })
				if open != underWay {
					r.Fatalf("a plan is under way: %v, rows are: %v", open, underWay)
				}
			},
		})
	})
}
