package mirror_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ostatok/agent/mirror"
	"ostatok/agent/stock"
)

// shopOf is a shop of 40 products with a full count in the middle.
func shopOf(t *testing.T, m *mirror.Mirror, documents int) mirror.Batch {
	t.Helper()
	products := []stock.Product{{ID: "untouched", Created: 1}, {ID: "new", Created: 1 << 40}}
	for n := range 40 {
		products = append(products, stock.Product{ID: fmt.Sprint("p", n), Created: 1})
	}
	if err := m.PutProducts(t.Context(), 1, 1, products); err != nil {
		t.Fatal(err)
	}
	b := mirror.Batch{Coverage: &mirror.Coverage{From: 1, Complete: true}}
	for n := range documents {
		b.Documents = append(b.Documents, sale(n, fmt.Sprint("p", n%40), int64(1000+n), 1000, stock.Quantity(1000*(500-n/40))))
	}
	return b
}

func TestRetain(t *testing.T) {
	dir := t.TempDir()
	m := open(t, testOptions(dir))
	b := shopOf(t, m, 4000)
	b.Documents[1500] = count(1500, 2500, stock.CompleteYes, map[string]stock.Quantity{"p1": 5000})
	put(t, m, b)
	want := levels(t, m)
	const before = 1000 + 3000
	gone, err := m.Retain(t.Context(), before)
	if err != nil || gone != 3000 {
		t.Fatal(gone, err)
	}
	check := func(when string, want map[string]stock.Level) {
		t.Helper()
		if diff := cmp.Diff(want, levels(t, m)); diff != "" {
			t.Fatalf("%s: levels changed (-before +after):\n%s", when, diff)
		}
	}
	check("after collapsing", want)
	if c, err := m.Counts(t.Context()); err != nil || c.Documents != 1000 || c.Movements != 1000 {
		t.Fatalf("%+v, %v", c, err)
	}
	if _, err := m.Raw(t.Context(), uuid(10)); !errors.Is(err, mirror.ErrNotFound) {
		t.Fatal("the body of a collapsed document is still there:", err)
	}
	if raw, err := m.Raw(t.Context(), uuid(3999)); err != nil || len(raw) == 0 {
		t.Fatal(err)
	}
	if r := put(t, m, b); r.New != 0 || r.Repeated != 4000 || r.Refused != 0 {
		t.Fatalf("the same documents again: %+v", r)
	}
	check("after a repeat", want)

	// Later documents, a restart and a second collapse go on from there.
	for n := 4000; n < 4100; n++ {
		b.Documents = append(b.Documents, sale(n, fmt.Sprint("p", n%40), int64(1000+n), 1000, stock.Quantity(1000*(500-n/40))))
	}
	put(t, m, mirror.Batch{Documents: b.Documents[4050:]})
	put(t, m, mirror.Batch{Documents: b.Documents[4000:4050]}) // late, but not too late
	whole := open(t, testOptions(t.TempDir()))
	shopOf(t, whole, 0)
	put(t, whole, b)
	want = levels(t, whole)
	check("after more", want)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m = open(t, testOptions(dir))
	if gone, err := m.Retain(t.Context(), before+500); err != nil || gone != 500 {
		t.Fatal(gone, err)
	}
	check("after collapsing again", want)
	if gone, err := m.Retain(t.Context(), before); err != nil || gone != 0 {
		t.Fatal("what is collapsed cannot be had back:", gone, err)
	}
	if err := m.DB().Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestTooLate(t *testing.T) {
	m := open(t, testOptions(t.TempDir()))
	b := shopOf(t, m, 400)
	put(t, m, b)
	if _, err := m.Retain(t.Context(), 1200); err != nil {
		t.Fatal(err)
	}
	before := row(t, m, "p1").Level
	late := sale(9000, "p1", 1100, 1000, 5000)
	r := put(t, m, mirror.Batch{Documents: []mirror.Document{late}})
	if r.Refused != 1 || r.New != 0 || len(r.Levels) != 1 || r.Levels[0].After.Reason != stock.ReasonLate {
		t.Fatalf("%+v", r)
	}
	after := row(t, m, "p1").Level
	if after.State != stock.Assumed || after.Reason != stock.ReasonLate || after.Quantity != before.Quantity {
		t.Fatalf("%+v", after)
	}
	if bad, err := m.Quarantine(t.Context(), 0); err != nil || len(bad) != 1 || bad[0].ID != late.ID {
		t.Fatalf("%+v, %v", bad, err)
	}
	if r := put(t, m, mirror.Batch{Documents: []mirror.Document{late}}); r.Repeated != 1 || len(r.Levels) != 0 {
		t.Fatalf("%+v", r)
	}
	put(t, m, mirror.Batch{Documents: []mirror.Document{sale(9001, "p1", 5000, 1000, after.Quantity)}})
	if got := row(t, m, "p1").Level; got.Reason != stock.ReasonLate {
		t.Fatalf("a sale settles nothing: %+v", got)
	}
	put(t, m, mirror.Batch{Documents: []mirror.Document{
		count(9002, 6000, stock.CompleteNo, map[string]stock.Quantity{"p1": 3000})}})
	if got := row(t, m, "p1").Level; got.State != stock.Known || got.Quantity != 3000 {
		t.Fatalf("a count settles it: %+v", got)
	}
}

func TestRetainWaitsForTheWholeHistory(t *testing.T) {
	m := open(t, testOptions(t.TempDir()))
	b := shopOf(t, m, 100)
	b.Coverage = &mirror.Coverage{From: 1000}
	put(t, m, b)
	if gone, err := m.Retain(t.Context(), 1050); err != nil || gone != 0 {
		t.Fatal(gone, err)
	}
	if r := put(t, m, mirror.Batch{Documents: []mirror.Document{sale(9000, "p1", 10, 1000, 5000)}}); r.New != 1 {
		t.Fatalf("%+v", r)
	}
}

// Under a clock that is years ahead all documents look too old: as many are kept
// as if the clock showed the time of the newest, and what comes next is taken.
func TestTidyUnderAClockAhead(t *testing.T) {
	o := testOptions(t.TempDir())
	o.Keep = 500 * time.Millisecond
	m := open(t, o)
	b := shopOf(t, m, 4000) // closed at 1000 … 4999
	put(t, m, b)
	if err := m.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c, err := m.Counts(t.Context()); err != nil || c.Documents != 501 {
		t.Fatalf("%d documents are left, %v", c.Documents, err)
	}
	next := mirror.Batch{Documents: []mirror.Document{sale(4000, "p0", 5000, 1000, 400_000)}}
	if r := put(t, m, next); r.New != 1 || r.Refused != 0 {
		t.Errorf("the next document: %+v", r)
	}
}
