package push_test

import (
	"testing"
	"time"

	"ostatok/agent/journal"
	"ostatok/agent/stock"
	"ostatok/sync/push"
	"ostatok/sync/push/pushtest"
)

// A figure that the target will move by itself soon is neither planned nor sent,
// and goes out as soon as it need not wait any more.
func TestWait(t *testing.T) {
	m := pushtest.NewMemory(readable, keys(3)...)
	why := ""
	b := pushtest.NewBench(t, push.TargetSetup{Target: m, Policy: push.Approve, Wait: func(product string) string {
		if product == "product-01" {
			return why
		}
		return ""
	}}, push.Options{})
	put(b, 3, 5000, stock.Known)
	plan := b.Plan()
	if len(plan.Rows) != 3 {
		t.Fatalf("%d rows", len(plan.Rows))
	}
	b.Approve(plan.ID, false)
	why = "a document is on its way"
	if d := b.Deliver(); d.Verified != 2 || d.Delayed != 1 || d.Blocked != 0 {
		t.Errorf("delivery %+v", d)
	}
	holds(t, m, "product-01", 0)
	if s := b.State("product-01"); s != journal.Planned {
		t.Errorf("the row that waits is %s", s)
	}

	b.Shop.Put("product-00", 4000, stock.Known)
	why = ""
	b.Clock.Advance(2 * time.Minute)
	b.Deliver()
	holds(t, m, "product-01", 5000)

	why = "a document is on its way"
	b.Shop.Put("product-01", 1000, stock.Known)
	plan = b.Plan()
	if len(plan.Rows) != 1 || plan.Rows[0].Product != "product-00" {
		t.Errorf("rows %+v", plan.Rows)
	}
	if len(plan.Unmatched) != 1 || plan.Unmatched[0].Reason != why {
		t.Errorf("left out: %+v", plan.Unmatched)
	}
}
