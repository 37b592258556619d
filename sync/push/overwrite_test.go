package push_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"ostatok/agent/journal"
	"ostatok/agent/stock"
	"ostatok/sync/push"
	"ostatok/sync/push/pushtest"
	"ostatok/sync/target"
)

// telling is a bench whose target says what it held before.
func telling(t *testing.T, o push.Options) (*pushtest.Bench, *pushtest.Memory) {
	t.Helper()
	m := pushtest.NewMemory(readable, keys(20)...)
	m.Telling = true
	b := pushtest.NewBench(t, push.TargetSetup{Kind: "virtpos", Target: m, Policy: push.Auto}, o)
	put(b, 3, 5000, stock.Known)
	b.Plan()
	b.Settle()
	if n := events(t, b)["figure_overwritten"]; n != 0 {
		t.Fatalf("%d events about figures that were as believed", n)
	}
	return b, m
}

func overwritten(t *testing.T, b *pushtest.Bench) (list []map[string]any) {
	t.Helper()
	all, err := b.Journal.Events(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.Kind != "figure_overwritten" {
			continue
		}
		var data struct{ First []map[string]any }
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		list = append(list, data.First...)
	}
	return list
}

// The target sold something that the documents do not have yet: our write undoes
// it, so the documents are pulled again, and the figure is sent that they give.
func TestFigureThatWasNotBelieved(t *testing.T) {
	var b *pushtest.Bench
	pulls := 0
	b, m := telling(t, push.Options{Refresh: func(context.Context) error {
		if pulls++; pulls == 3 {
			b.Shop.Sell("product-00", 2000)
		}
		return nil
	}})
	b.Clock.Advance(2 * time.Minute)
	b.Shop.Put("product-00", 7000, stock.Known)
	b.Shop.Put("product-01", 8000, stock.Known)
	b.Plan()
	m.Set("product-00", 3000) // two of five were sold
	b.Deliver()
	if b.State("product-00") != journal.Accepted || b.State("product-01") != journal.Verified {
		t.Fatalf("after the write: %s", b.Dump())
	}
	b.Settle()
	holds(t, m, "product-00", 5000)
	holds(t, m, "product-01", 8000)
	if pulls != 3 {
		t.Errorf("%d pulls", pulls)
	}
	list := overwritten(t, b)
	if len(list) != 1 || list[0]["product_id"] != "product-00" || list[0]["believed"] != 5.0 || list[0]["before"] != 3.0 || list[0]["written"] != 7.0 {
		t.Errorf("told: %v", list)
	}
}

// What a crash leaves in doubt is our own figure, not somebody else's.
func TestOwnFigureIsNoSurprise(t *testing.T) {
	b, m := telling(t, push.Options{})
	b.Shop.Put("product-00", 7000, stock.Known)
	b.Plan()
	b.Engine.SetAt(func(step string) {
		if step == "written" {
			pushtest.Crash(step)
		}
	})
	if _, crashed := b.CrashAt(0, func() { b.Deliver() }); !crashed {
		t.Fatal("the crash did not happen")
	}
	b.Restart()
	b.Shop.Sell("product-00", 1000)
	b.Settle()
	holds(t, m, "product-00", 6000)
	if list := overwritten(t, b); len(list) != 0 {
		t.Errorf("told: %v", list)
	}
}

// A figure that may have arrived at a target that cannot be read must not be taken
// for the older one when its row is given up.
func TestGivenUpRowIsInDoubt(t *testing.T) {
	m := pushtest.NewMemory(target.Traits{Name: "blind", Batch: 10, Precision: 1}, keys(1)...)
	b := pushtest.NewBench(t, push.TargetSetup{Kind: "zelenka", Target: m, Policy: push.Auto}, push.Options{})
	b.Shop.Put("product-00", 3000, stock.Known)
	b.Plan()
	b.Settle()
	b.Shop.Put("product-00", 5000, stock.Known)
	b.Plan()
	b.Engine.SetAt(func(step string) {
		if step == "written" {
			pushtest.Crash(step)
		}
	})
	if _, crashed := b.CrashAt(0, func() { b.Deliver() }); !crashed {
		t.Fatal("the crash did not happen")
	}
	b.Restart()
	b.Shop.Put("product-00", 0, stock.Unresolved)
	b.Settle()
	if b.State("product-00") != journal.Blocked {
		t.Fatalf("the row is %s", b.State("product-00"))
	}
	b.Shop.Put("product-00", 3000, stock.Known)
	b.Plan()
	b.Settle()
	holds(t, m, "product-00", 3000)
}
