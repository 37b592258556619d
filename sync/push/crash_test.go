package push_test

import (
	"fmt"
	"testing"
	"time"

	"ostatok/agent/journal"
	"ostatok/agent/stock"
	"ostatok/sync/push"
	"ostatok/sync/push/pushtest"
)

// The mirror learns of every figure that the cloud has taken, also of one that
// was overtaken while nobody knew whether it had arrived.
func TestOwnWriteIsNotedAfterACrash(t *testing.T) {
	b, m := approved(t, stock.Known, push.Options{})
	b.Engine.SetAt(func(step string) {
		if step == "written" {
			pushtest.Crash(step)
		}
	})
	if _, crashed := b.CrashAt(0, func() { b.Deliver() }); !crashed {
		t.Fatal("the crash did not happen")
	}
	if len(b.Own) != 0 {
		t.Fatal("noted before the crash")
	}
	sent := b.Clock.Now().UnixMilli()
	b.Restart()
	b.Clock.Advance(time.Minute)
	b.Shop.Sell("product-00", 1000)
	b.Settle()
	holds(t, m, "product-00", 4000)
	want := []pushtest.Written{
		{Product: "product-00", Quantity: 5000, At: sent},
		{Product: "product-00", Quantity: 4000, At: b.Clock.Now().UnixMilli()},
	}
	if len(b.Own) != 2 || b.Own[0] != want[0] || b.Own[1] != want[1] {
		t.Errorf("noted %+v, want %+v", b.Own, want)
	}
}

// Every step of a delivery, in the first chunk of rows and in the second.
func TestCrashAtEveryStep(t *testing.T) {
	const rows = 60
	for _, step := range []string{"refreshed", "marked", "written", "noted", "accepted", "read", "compared"} {
		for _, nth := range []int{1, 2, 55} {
			t.Run(fmt.Sprintf("%s %d", step, nth), func(t *testing.T) {
				m := pushtest.NewMemory(readable, keys(rows)...)
				b := pushtest.NewBench(t, push.TargetSetup{Kind: push.KindEvotor, Target: m, Policy: push.Auto}, push.Options{})
				put(b, rows, 5000, stock.Known)
				b.Plan()
				seen := 0
				b.Engine.SetAt(func(at string) {
					if at == step {
						if seen++; seen == nth {
							pushtest.Crash(at)
						}
					}
				})
				if _, crashed := b.CrashAt(0, b.Settle); !crashed {
					if seen == 0 {
						t.Fatal("the step does not exist")
					}
					return
				}
				b.Restart()
				b.Shop.Sell("product-01", 1000)
				b.Settle()
				b.Plan() // product-01 may have been verified before the sale
				b.Settle()
				for _, key := range keys(rows) {
					want := stock.Quantity(5000)
					if key == "product-01" {
						want = 4000
					}
					holds(t, m, key, want)
					if b.State(key) != journal.Verified {
						t.Errorf("%s is %s", key, b.State(key))
					}
				}
			})
		}
	}
}
