package push_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"pgregory.net/rapid"

	"ostatok/agent/journal"
	"ostatok/agent/mirror"
	"ostatok/agent/stock"
	"ostatok/sync/push"
	"ostatok/sync/push/pushtest"
	"ostatok/sync/rest"
	"ostatok/sync/target"
)

var _ push.Levels = (*mirror.Mirror)(nil)

// A day without the target: few calls, and all is well soon after.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := pushtest.NewMemory(readable, keys(20)...)
		s := pushtest.NewShop()
		j, _, err := journal.Open(t.Context(), journal.Options{Dir: t.TempDir(), Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = j.Close() }()
		e := push.New(s, j, []push.TargetSetup{{Name: "x", Target: m, Policy: push.Auto,
			Match: func(p stock.Product) (string, string) { return p.ID, "" }}}, push.Options{})
		for _, key := range keys(20) {
			s.Put(key, 5000, stock.Known)
		}
		if _, err := e.Plan(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		m.Down(pushtest.Fault(rest.Temporary))
		began := time.Now()
		deliver := func() int64 {
			d, err := e.Deliver(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if d.Next != 0 {
				time.Sleep(max(time.Until(time.UnixMilli(d.Next)), 0))
			}
			return d.Next
		}
		var waits []time.Duration
		for time.Since(began) < 24*time.Hour {
			before := time.Now()
			deliver()
			waits = append(waits, time.Since(before))
		}
		if waits[0] > 6*time.Second {
			t.Errorf("the first wait is %v", waits[0])
		}
		for _, wait := range waits {
			if wait < 3*time.Second || wait > 30*time.Minute+time.Millisecond {
				t.Errorf("waited %v", wait)
			}
		}
		if calls, _ := m.Calls(); calls > 90 {
			t.Errorf("%d calls in a day", calls)
		}
		m.Down(nil)
		back := time.Now()
		for deliver() != 0 {
		}
		if took := time.Since(back); took > 31*time.Minute {
			t.Errorf("it took %v after the target was back", took)
		}
		for _, key := range keys(20) {
			holds(t, m, key, 5000)
		}
	})
}

// A wait that the target asks for is kept to.
func TestRetryAfter(t *testing.T) {
	b, m := approved(t, stock.Known, push.Options{})
	m.Down(&rest.Error{Kind: rest.RateLimited, RetryAfter: 50 * time.Minute})
	b.Deliver()
	m.Down(nil)
	b.Clock.Advance(49 * time.Minute)
	b.Deliver()
	if m.Writes() != 0 {
		t.Error("it was called before the time")
	}
	b.Clock.Advance(2 * time.Minute)
	b.Deliver()
	holds(t, m, "product-00", 5000)
}

// An ended context leaves rows that are taken up again, and is not the target's
// fault.
func TestContextEnds(t *testing.T) {
	m := &racing{Memory: pushtest.NewMemory(readable, keys(20)...)}
	b := pushtest.NewBench(t, push.TargetSetup{Target: m, Policy: push.Auto}, push.Options{})
	put(b, 20, 5000, stock.Known) // two calls
	b.Plan()
	ctx, cancel := context.WithCancel(t.Context())
	m.after = cancel
	if _, err := b.Engine.Deliver(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("deliver: %v", err)
	}
	status, err := b.Engine.Status(t.Context(), b.Setup.Name)
	if err != nil || status.LastError != "" || status.Accepted != 10 {
		t.Errorf("after the end: %+v %v", status, err)
	}
	b.Restart()
	b.Settle()
	for _, key := range keys(20) {
		holds(t, m.Memory, key, 5000)
	}
}

func TestUnknownTarget(t *testing.T) {
	b, _ := shop(t, push.Auto, push.Options{})
	_, plan := b.Engine.Plan(t.Context(), "other")
	_, plans := b.Engine.Plans(t.Context(), "other", false)
	_, status := b.Engine.Status(t.Context(), "other")
	_, retry := b.Engine.Retry(t.Context(), "other")
	for _, err := range []error{plan, plans, status, retry} {
		if !errors.Is(err, push.ErrNoTarget) {
			t.Errorf("%v", err)
		}
	}
}

// One loop delivers while others plan, approve and sell.
func TestConcurrentUse(t *testing.T) {
	b, m := shop(t, push.Auto, push.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	loop := func(fn func(n int) error) {
		group.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if err := fn(n); err != nil && ctx.Err() == nil {
					t.Errorf("%v", err)
					return
				}
			}
		})
	}
	put(b, 20, 50_000, stock.Known)
	loop(func(int) error { _, err := b.Engine.Deliver(ctx); return err })
	for range 2 {
		loop(func(int) error { _, err := b.Engine.Plan(ctx, b.Setup.Name); return err })
	}
	loop(func(int) error {
		plans, err := b.Engine.Plans(ctx, "", false)
		if err != nil {
			return err
		}
		for _, p := range plans {
			err := b.Engine.Approve(ctx, p.ID, true)
			if refused := (*journal.PlanError)(nil); errors.As(err, &refused) {
				continue // somebody was faster
			} else if err != nil {
				return err
			}
		}
		return nil
	})
	loop(func(int) error { _, err := b.Engine.Status(ctx, b.Setup.Name); return err })
	for n := range 300 {
		b.Shop.Sell(keys(20)[n%20], 1000)
	}
	time.Sleep(300 * time.Millisecond) // lets the loops meet, decides nothing
	cancel()
	group.Wait()
	b.Clock.Advance(time.Hour)
	b.Settle()
	b.Plan()
	b.Settle()
	for _, key := range keys(20) {
		row, err := b.Shop.Row(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		holds(t, m, key, row.Level.Quantity)
	}
}

// Whatever happens in whatever order — sales, counts, outages, refusals, drift,
// plans, approvals, deliveries, power cuts at any step — nothing is written that
// the level is not, nothing without approval, and in the end the target holds
// the known levels.
func TestAnythingInAnyOrder(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		traits := target.Traits{
			Reads: rapid.Bool().Draw(r, "reads"), Batch: rapid.IntRange(1, 5).Draw(r, "batch"),
			Precision: rapid.SampledFrom([]stock.Quantity{1, stock.Unit}).Draw(r, "precision"),
			Sells:     rapid.Bool().Draw(r, "sells"),
		}
		products := keys(4)
		w := &witness{Memory: pushtest.NewMemory(traits, products...), known: make(map[string]map[stock.Quantity]bool)}
		w.Strict = rapid.Bool().Draw(r, "strict")
		policy := rapid.SampledFrom([]push.Policy{push.Off, push.Approve, push.Auto}).Draw(r, "policy")
		b := pushtest.NewBench(t, push.TargetSetup{Kind: push.KindEvotor, Target: w, Policy: policy}, push.Options{})
		defer b.Stop()
		ctx := t.Context()
		approvals := 0
		level := func(r *rapid.T) (string, stock.Quantity) {
			product := rapid.SampledFrom(products).Draw(r, "product")
			q := stock.Quantity(rapid.IntRange(-3000, 9000).Draw(r, "quantity"))
			return product, q
		}
		r.Repeat(map[string]func(*rapid.T){
			"count": func(r *rapid.T) {
				product, q := level(r)
				b.Shop.Put(product, q, rapid.SampledFrom([]stock.State{stock.Known, stock.Known, stock.Assumed, stock.Unresolved}).Draw(r, "state"))
				w.note(b)
			},
			"sell": func(r *rapid.T) {
				product, q := level(r)
				b.Shop.Sell(product, q)
				w.note(b)
			},
			"drift": func(r *rapid.T) {
				if !traits.Reads {
					r.Skip("nobody could find it out")
				}
				w.Set(level(r))
			},
			"down": func(r *rapid.T) {
				w.Down(pushtest.Fault(rapid.SampledFrom([]rest.Kind{rest.Temporary, rest.Unauthorized, rest.RateLimited}).Draw(r, "kind")))
			},
			"up": func(*rapid.T) { w.Down(nil) },
			"refuse": func(r *rapid.T) {
				w.Refuse(rapid.SampledFrom(products).Draw(r, "product"), pushtest.Fault(rest.Invalid))
			},
			"admit":   func(r *rapid.T) { w.Refuse(rapid.SampledFrom(products).Draw(r, "product"), nil) },
			"plan":    func(*rapid.T) { _, _ = b.Engine.Plan(ctx, b.Setup.Name) },
			"deliver": func(*rapid.T) { b.Deliver() },
			"wait": func(r *rapid.T) {
				b.Clock.Advance(time.Duration(rapid.IntRange(1, 90).Draw(r, "minutes")) * time.Minute)
			},
			"set back": func(*rapid.T) { b.Clock.Advance(-24 * time.Hour) },
			"power cut": func(r *rapid.T) {
				b.CrashAt(rapid.IntRange(1, 20).Draw(r, "step"), func() { b.Deliver() })
				b.Restart()
			},
			"approve": func(r *rapid.T) {
				id, err := b.Journal.OpenPlan(ctx, b.Setup.Name)
				if err != nil {
					r.Fatal(err)
				}
				if id != "" && b.Engine.Approve(ctx, id, rapid.Bool().Draw(r, "assumed")) == nil {
					approvals++
				}
			},
			"": func(r *rapid.T) {
				if w.wrong != "" {
					r.Fatal(w.wrong)
				}
				if policy != push.Auto && approvals == 0 && w.Writes() != 0 {
					r.Fatalf("%d figures written without approval under %s", w.Writes(), policy)
				}
			},
		})
		w.Down(nil)
		for _, product := range products {
			w.Refuse(product, nil)
			b.Shop.Edit(product, func(row *mirror.Row) {
				if row.ID != "" && row.Level.State == stock.Assumed {
					row.Level.State = stock.Known
				}
			})
		}
		w.note(b)
		if policy == push.Off {
			b.Settle()
			if w.Writes() != 0 {
				r.Fatalf("%d figures written under off", w.Writes())
			}
			return
		}
		// A person acts: retries what was refused, approves what waits.
		for range 3 {
			b.Clock.Advance(26 * time.Hour)
			if _, err := b.Engine.Retry(ctx, b.Setup.Name); err != nil {
				r.Fatal(err)
			}
			b.Settle()
			p := b.Plan()
			if p.State == journal.PlanOpen {
				b.Approve(p.ID, true)
			}
			b.Settle()
		}
		for _, product := range products {
			row, err := b.Shop.Row(ctx, product)
			if err != nil || row.Level.State != stock.Known {
				continue
			}
			want := shown(traits, row.Level.Quantity)
			got, _ := w.Holds(product)
			if got != want && (traits.Reads || w.took(product)) {
				r.Fatalf("%s: the target holds %v, the shop %v\n%s", product, got, want, b.Dump())
			}
		}
	})
}

// witness is a target that knows which figures a product ever had.
type witness struct {
	*pushtest.Memory
	known map[string]map[stock.Quantity]bool
	wrong string
	taken map[string]bool
}

func (w *witness) note(b *pushtest.Bench) {
	for row := range b.Shop.Rows(context.Background(), mirror.Query{}) {
		if w.known[row.ID] == nil {
			w.known[row.ID] = make(map[stock.Quantity]bool)
		}
		if row.Level.Valued() {
			w.known[row.ID] = map[stock.Quantity]bool{shown(w.Traits(), row.Level.Quantity): true}
		} else {
			w.known[row.ID] = nil // nothing may be written now
		}
	}
}

func (w *witness) took(product string) bool { return w.taken[product] }

func (w *witness) Write(ctx context.Context, rows []target.Row) ([]target.Outcome, error) {
	for _, row := range rows {
		if !w.known[row.Key][row.Quantity] {
			w.wrong = fmt.Sprintf("%v was written for %s, whose level is %v", row.Quantity, row.Key, w.known[row.Key])
		}
	}
	outcomes, err := w.Memory.Write(ctx, rows)
	if w.taken == nil {
		w.taken = make(map[string]bool)
	}
	for _, o := range outcomes {
		w.taken[o.Key] = w.taken[o.Key] || o.Err == nil
	}
	return outcomes, err
}

func shown(traits target.Traits, q stock.Quantity) stock.Quantity {
	q -= ((q % traits.Precision) + traits.Precision) % traits.Precision
	if traits.Sells {
		q = max(q, 0)
	}
	return q
}
