package pushtest

import (
	"testing"
	"time"

	"ostatok/agent/stock"
	"ostatok/sync/push"
)

const (
	aDay           = 25 * time.Hour
	readAgain      = 20 * time.Minute // more than an observation is relied on
	refreshAndMore = 35 * time.Minute // more than the longest back-off
)

// crashes stops the agent at every single step of a plan and a delivery, starts
// it again, sells something meanwhile, and checks that the target comes to the
// shop's levels all the same.
func crashes(t *testing.T, open func(t *testing.T) Subject) {
	for nth := 1; ; nth++ {
		done := false
		t.Run("", func(t *testing.T) {
			s := open(t)
			b := bench(t, s, push.Auto)
			b.shelf(s, 4)
			step, crashed := b.CrashAt(nth, func() {
				b.Plan()
				b.Settle()
			})
			if !crashed {
				done = true
			}
			b.Restart()
			b.Shop.Sell(s.Keys[1], 1*stock.Unit)
			b.Clock.Advance(readAgain)
			b.Plan()
			b.Settle()
			b.right(s, s.Keys[:4]...)
			b.rests(s, s.Keys[:4]...)
			if t.Failed() {
				t.Logf("crashed at step %d: %s", nth, step)
			}
			if s.Kind == push.KindEvotor {
				b.noted(s, s.Keys[:4]...)
			}
		})
		if done && nth <= leastSteps {
			t.Errorf("the agent stopped at %d steps: this tests nothing", nth-1)
		}
		if done || t.Failed() {
			return
		}
	}
}

// leastSteps is how many steps a delivery has at least: planned, sent, accepted.
const leastSteps = 3

// noted checks that the mirror was told of the figure that the target holds.
func (b *Bench) noted(s Subject, keys ...string) {
	b.t.Helper()
	last := make(map[string]stock.Quantity)
	for _, w := range b.Own {
		last[w.Product] = w.Quantity
	}
	for _, key := range keys {
		held, _ := s.Holds(key)
		if got, ok := last[key]; !ok || got != held {
			b.t.Errorf("%s: the target holds %v, the mirror was told %v (%v)", key, held, got, ok)
		}
	}
}
