package journal_test

import (
	"slices"
	"strconv"
	"testing"

	"ostatok/agent/journal"
	"ostatok/agent/stock"
)

func TestRecentEvents(t *testing.T) {
	j := fresh(t)
	for i := range 5 {
		if err := j.AddEvent(t.Context(), journal.Event{Kind: strconv.Itoa(i + 1), Severity: journal.Info, Message: "m"}); err != nil {
			t.Fatal(err)
		}
	}
	look := func(before int64, want ...string) (last int64) {
		t.Helper()
		events, err := j.RecentEvents(t.Context(), before, 2)
		var kinds []string
		for _, e := range events {
			kinds, last = append(kinds, e.Kind), e.Seq
		}
		if err != nil || !slices.Equal(kinds, want) {
			t.Fatalf("%v, %v, want %v", kinds, err, want)
		}
		return last
	}
	look(look(look(look(0, "5", "4"), "3", "2"), "1"))
}

// What waits in the open plan, and what is stuck after it was approved.
func TestWaitingAndStuck(t *testing.T) {
	j := fresh(t)
	p := save(t, j, plan("site", map[string]stock.Quantity{"a": 5000, "b": 6000}))
	if r, ok, err := j.Waiting(t.Context(), "site", "a"); err != nil || !ok || r.To != 5000 || r.State != journal.Ready {
		t.Errorf("%+v %v %v", r, ok, err)
	}
	for _, other := range [][2]string{{"site", "c"}, {"office", "a"}} {
		if _, ok, err := j.Waiting(t.Context(), other[0], other[1]); err != nil || ok {
			t.Errorf("%v: %v, %v", other, ok, err)
		}
	}
	heads, err := j.PlanHeads(t.Context())
	if err != nil || len(heads) != 1 || heads[0].Size != 2 || heads[0].Asking != 0 || heads[0].ID != p.ID || heads[0].Rows != nil {
		t.Fatalf("%+v, %v", heads, err)
	}
	for from, want := range map[int]string{0: "a", 1: "b"} {
		if rows, err := j.PlanRows(t.Context(), heads[0].Seq, from, 1); err != nil || len(rows) != 1 || rows[0].Product != want {
			t.Errorf("row %d: %+v, %v", from, rows, err)
		}
	}
	approve(t, j, p)
	if _, ok, err := j.Waiting(t.Context(), "site", "a"); err != nil || ok {
		t.Errorf("it still waits: %v", err)
	}
	e := entries(t, j, "site")["b"]
	e.State, e.NextTry, e.Reason = journal.Rejected, 0, "bad"
	if _, err := j.Record(t.Context(), "site", []journal.Entry{e}, nil); err != nil {
		t.Fatal(err)
	}
	stuck, err := j.Stuck(t.Context(), "site", 10)
	if err != nil || len(stuck) != 1 || stuck[0].Product != "b" || stuck[0].Reason != "bad" {
		t.Errorf("%+v, %v", stuck, err)
	}
	if none, err := j.Stuck(t.Context(), "office", 10); err != nil || len(none) != 0 {
		t.Errorf("%+v, %v", none, err)
	}
}
