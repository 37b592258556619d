package push_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"ostatok/agent/journal"
	"ostatok/agent/mirror"
	"ostatok/agent/stock"
	"ostatok/sync/push"
	"ostatok/sync/push/pushtest"
	"ostatok/sync/target"
)

// available is a bench whose target gets what can be sold, by whole pieces.
func available(t *testing.T, state *push.ReserveState) (*pushtest.Bench, *pushtest.Memory) {
	t.Helper()
	m := pushtest.NewMemory(target.Traits{Name: "site", Batch: 10, Precision: stock.Unit}, keys(20)...)
	b := pushtest.NewBench(t, push.TargetSetup{Kind: "site", Target: m, Policy: push.Approve, Available: true},
		push.Options{Reserves: func(context.Context) push.ReserveState { return *state }})
	return b, m
}

func TestAvailable(t *testing.T) {
	for _, test := range []struct {
		name            string
		level, reserved stock.Quantity
		want            stock.Quantity
	}{
		{"nothing reserved", 5000, 0, 5000},
		{"some", 5000, 2000, 3000},
		{"part of a piece", 5000, 2500, 2000},
		{"all", 5000, 5000, 0},
		{"more than there is", 5000, 7000, 0},
		{"below zero", -3000, 0, 0},
		{"a reserve below zero adds nothing", 5000, -2000, 5000},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, m := available(t, &push.ReserveState{Known: true})
			b.Shop.Put("product-00", test.level, stock.Known)
			b.Shop.Reserve("product-00", test.reserved, 1)
			p := b.Plan()
			if p.Rows[0].To != test.want {
				t.Errorf("planned %v", p.Rows[0].To)
			}
			b.Approve(p.ID, false)
			b.Settle()
			holds(t, m, "product-00", test.want)
			// Those who look after the shop see what it is short of.
			var row mirror.Row
			for r := range b.Shop.Rows(t.Context(), mirror.Query{}) {
				row = r
			}
			if row.Level.Quantity != test.level || row.Reserved != test.reserved {
				t.Errorf("the level %v and the reserve %v were changed", row.Level.Quantity, row.Reserved)
			}
		})
	}
}

// What was approved waits for the reserves, is told, and goes by itself when they
// are there, with the figure of then.
func TestRowsWaitForTheReserves(t *testing.T) {
	state := &push.ReserveState{Known: true}
	b, m := available(t, state)
	b.Shop.Put("product-00", 5000, stock.Known)
	b.Approve(b.Plan().ID, false)
	*state = push.ReserveState{Reason: "the mirror was built anew"}
	for range 3 {
		d, err := b.Engine.Deliver(t.Context())
		if err != nil || m.Writes() != 0 || !strings.Contains(d.Targets[0].Reason, "the mirror was built anew") {
			t.Fatalf("%d written, %+v %v", m.Writes(), d, err)
		}
		if next := time.UnixMilli(d.Next).Sub(b.Clock.Now()); next <= 0 || next > time.Minute {
			t.Errorf("next look in %v", next)
		}
		b.Clock.Advance(40 * time.Second)
	}
	*state = push.ReserveState{Known: true}
	b.Shop.Reserve("product-00", 1000, 1)
	b.Settle()
	holds(t, m, "product-00", 4000)
}

// While a source is silent, a figure that was approved is not raised; one that
// falls is sent.
func TestOldReservesAtDelivery(t *testing.T) {
	state := &push.ReserveState{Known: true}
	b, m := available(t, state)
	put(b, 3, 5000, stock.Known)
	b.Approve(b.Plan().ID, false)
	b.Settle()
	b.Shop.Put("product-00", 8000, stock.Known)
	b.Shop.Put("product-01", 2000, stock.Known)
	b.Shop.Put("product-03", 2000, stock.Known) // never written before
	b.Approve(b.Plan().ID, false)
	*state = push.ReserveState{Known: true, Old: true, Reason: "the site is silent since 12:00"}
	b.Settle()
	holds(t, m, "product-00", 5000)
	holds(t, m, "product-01", 2000)
	holds(t, m, "product-03", 0)
	if b.State("product-00") != journal.Blocked || !strings.Contains(b.Dump(), "the site is silent since 12:00") {
		t.Errorf("outbox: %s", b.Dump())
	}
	*state = push.ReserveState{Known: true}
	p := b.Plan()
	if len(p.Rows) != 2 {
		t.Fatalf("rows %+v", p.Rows)
	}
	b.Approve(p.ID, false)
	b.Settle()
	holds(t, m, "product-00", 8000)
	holds(t, m, "product-03", 2000)
}

// A figure that was approved as zero because all of it is reserved is not held
// back as if the source were to be doubted.
func TestReservedZerosAreNotDoubted(t *testing.T) {
	b, m := available(t, &push.ReserveState{Known: true})
	put(b, 20, 5000, stock.Known)
	b.Approve(b.Plan().ID, false)
	b.Settle()
	for _, key := range keys(20) {
		b.Shop.Reserve(key, 5000, 1)
	}
	p := b.Plan()
	if len(p.Guards) != 1 || p.Guards[0].Kind != push.GuardFall {
		t.Fatalf("guards: %+v", p.Guards)
	}
	b.Approve(p.ID, false)
	b.Settle()
	holds(t, m, "product-00", 0)
	holds(t, m, "product-19", 0)
}
