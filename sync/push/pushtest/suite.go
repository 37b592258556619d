package pushtest

import (
	"errors"
	"slices"
	"testing"

	"ostatok/agent/journal"
	"ostatok/agent/stock"
	"ostatok/sync/push"
	"ostatok/sync/target"
)

// Subject is a target under test: its client with its simulator behind it.
type Subject struct {
	Kind   string
	Target target.Target
	Keys   []string // at least 12 keys that the simulator knows; they are the products' ids, too

	Holds  func(key string) (stock.Quantity, bool) // what it really holds
	Set    func(key string, q stock.Quantity)      // change it behind the agent's back; nil: cannot
	Writes func() int                              // figures it has taken so far
	Refuse func(key string)                        // refuse this row for good; nil: cannot
	Down   func(down bool)                         // be out of reach
}

// RunTarget runs everything that the engine relies on against a target. open is
// called for every test and gives a fresh target that holds 0 of every key, or
// nothing.
func RunTarget(t *testing.T, open func(t *testing.T) Subject) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s Subject)
	}{
		{"figures arrive", arrives},
		{"zeros are written", zeros},
		{"below zero", below},
		{"repeats are harmless", repeats},
		{"an outage ends with the newest figure", outage},
		{"a refused row blocks no other", refusedRow},
		{"a guard holds under auto", guardHolds},
		{"an empty source writes nothing", emptySource},
		{"off writes nothing", offWritesNothing},
		{"nothing without approval", withoutApproval},
		{"drift is found and mended", drift},
		{"nothing to do costs nothing", idle},
		{"a plan that waits is not read for", waiting},
		{"what is reserved is not offered", reserved},
		{"a full run sends what may be sent", fullRun},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
	t.Run("a crash at any step converges", func(t *testing.T) { crashes(t, open) })
	t.Run("a crash at any step of a full run converges", func(t *testing.T) { fullCrashes(t, open) })
}

func bench(t *testing.T, s Subject, policy push.Policy) *Bench {
	t.Helper()
	if len(s.Keys) < 12 {
		t.Fatalf("the suite needs 12 keys, there are %d", len(s.Keys))
	}
	return NewBench(t, push.TargetSetup{Kind: s.Kind, Target: s.Target, Policy: policy}, push.Options{})
}

// shelf gives the first n products a level of 3, 4, 5, … units.
func (b *Bench) shelf(s Subject, n int) {
	for i, key := range s.Keys[:n] {
		b.Shop.Put(key, stock.Quantity(i+3)*stock.Unit, stock.Known)
	}
}

// shown is what a level looks like at the target.
func shown(s Subject, q stock.Quantity) stock.Quantity {
	traits := s.Target.Traits()
	step := max(traits.Precision, 1)
	low := q - ((q%step)+step)%step
	if traits.Sells {
		low = max(low, 0)
	}
	return low
}

// right checks that the target holds the levels of the shop.
func (b *Bench) right(s Subject, keys ...string) {
	b.t.Helper()
	for _, key := range keys {
		row, err := b.Shop.Row(b.t.Context(), key)
		if err != nil {
			b.t.Fatal(err)
		}
		want := shown(s, row.Level.Quantity)
		if got, ok := s.Holds(key); !ok || got != want {
			b.t.Errorf("%s: the target holds %v (%v), the shop %v\n%s", key, got, ok, want, b.Dump())
		}
	}
}

func (b *Bench) rests(s Subject, keys ...string) {
	b.t.Helper()
	want := journal.Accepted
	if s.Target.Traits().Reads {
		want = journal.Verified
	}
	for _, key := range keys {
		if got := b.State(key); got != want && got != "" {
			b.t.Errorf("%s: the row is %s, want %s", key, got, want)
		}
	}
}

func arrives(t *testing.T, s Subject) {
	b := bench(t, s, push.Auto)
	b.shelf(s, 12)
	b.Plan()
	b.Settle()
	b.right(s, s.Keys[:12]...)
	b.rests(s, s.Keys[:12]...)
	if p := b.Plan(); len(p.Rows) != 0 || p.State != journal.PlanDone {
		t.Errorf("what was delivered is planned again: %+v", p.Rows)
	}
	b.Shop.Put(s.Keys[0], 1234, stock.Known)
	b.Plan()
	b.Settle()
	b.right(s, s.Keys[:12]...)
}

func zeros(t *testing.T, s Subject) {
	b := bench(t, s, push.Auto)
	b.shelf(s, 12)
	b.Plan()
	b.Settle()
	b.Shop.Put(s.Keys[2], 0, stock.Known)
	b.Plan()
	b.Settle()
	b.right(s, s.Keys[:12]...)
	b.rests(s, s.Keys[2])
}

func below(t *testing.T, s Subject) {
	b := bench(t, s, push.Auto)
	b.shelf(s, 12)
	b.Plan()
	b.Settle()
	b.Shop.Put(s.Keys[1], -2500, stock.Known)
	b.Plan()
	b.Settle()
	b.right(s, s.Keys[:12]...)
}

func repeats(t *testing.T, s Subject) {
	b := bench(t, s, push.Auto)
	b.shelf(s, 12)
	b.Plan()
	b.Settle()
	before := s.Writes()
	for range 3 {
		b.Restart()
		b.Plan()
		b.Settle()
	}
	if got := s.Writes(); got != before {
		t.Errorf("figures that the target holds were written again: %d times", got-before)
	}
	rows := []target.Row{{Key: s.Keys[0], Quantity: shown(s, 3*stock.Unit)}}
	for range 2 {
		outcomes, err := s.Target.Write(t.Context(), rows)
		if err != nil || len(outcomes) != 1 || outcomes[0].Err != nil {
			t.Fatalf("repeating a figure: %v %v", outcomes, err)
		}
	}
	b.right(s, s.Keys[:12]...)
}

func outage(t *testing.T, s Subject) {
	b := bench(t, s, push.Auto)
	b.shelf(s, 12)
	b.Plan()
	b.Settle()
	b.Shop.Put(s.Keys[0], 50*stock.Unit, stock.Known)
	b.Plan()
	s.Down(true)
	for n := range 5 {
		b.Shop.Put(s.Keys[0], stock.Quantity(40-n)*stock.Unit, stock.Known)
		b.Shop.Put(s.Keys[1], stock.Quantity(20-n)*stock.Unit, stock.Known)
		// A plan needs the target when it can be read; without it the old stays.
		if _, err := b.Engine.Plan(t.Context(), b.Setup.Name); err != nil && !s.Target.Traits().Reads {
			t.Fatal(err)
		}
		b.Deliver()
		b.Clock.Advance(refreshAndMore)
		rows := 0
		for _, err := range b.Journal.Outbox(t.Context(), b.Setup.Name) {
			if err != nil {
				t.Fatal(err)
			}
			rows++
		}
		if rows > 12 {
			t.Fatalf("the outbox of 12 products has %d rows", rows)
		}
	}
	if got, _ := s.Holds(s.Keys[0]); got != shown(s, 3*stock.Unit) {
		t.Fatalf("the target took %v while it was down", got)
	}
	s.Down(false)
	b.Clock.Advance(readAgain)
	b.Plan()
	b.Settle()
	b.right(s, s.Keys[:12]...)
	b.rests(s, s.Keys[:2]...)
}

func refusedRow(t *testing.T, s Subject) {
	if s.Refuse == nil {
		t.Skip("this target cannot be made to refuse one row")
	}
	b := bench(t, s, push.Auto)
	s.Refuse(s.Keys[5])
	b.shelf(s, 12)
	b.Plan()
	b.Settle()
	others := slices.DeleteFunc(slices.Clone(s.Keys[:12]), func(key string) bool { return key == s.Keys[5] })
	b.right(s, others...)
	if got := b.State(s.Keys[5]); got != journal.Rejected {
		t.Errorf("the refused row is %s", got)
	}
	p := b.Plan()
	if len(p.Rows) != 0 || len(p.Unmatched) != 1 || p.Unmatched[0].Product != s.Keys[5] {
		t.Errorf("a refused figure must be listed and not be proposed again: rows %+v, unmatched %+v", p.Rows, p.Unmatched)
	}
	b.Shop.Put(s.Keys[5], 77*stock.Unit, stock.Known)
	if p := b.Plan(); len(p.Rows) != 1 {
		t.Errorf("a new figure of a refused row must be tried: %+v", p.Rows)
	}
}

func guardHolds(t *testing.T, s Subject) {
	b := bench(t, s, push.Auto)
	b.shelf(s, 12)
	b.Plan()
	b.Settle()
	before := s.Writes()
	for _, key := range s.Keys[:12] {
		b.Shop.Put(key, 0, stock.Known)
	}
	p := b.Plan()
	b.Settle()
	if p.State != journal.PlanOpen || len(p.Guards) != 1 || p.Guards[0].Kind != push.GuardFall {
		t.Fatalf("a shop that falls to nothing must wait: %s %+v", p.State, p.Guards)
	}
	if s.Writes() != before {
		t.Fatal("figures were written against a guard")
	}
	b.Approve(p.ID, false)
	b.Settle()
	b.right(s, s.Keys[:12]...)
}

func emptySource(t *testing.T, s Subject) {
	b := bench(t, s, push.Auto)
	b.shelf(s, 12)
	b.Plan()
	b.Settle()
	before := s.Writes()
	b.Shop.Clear()
	p := b.Plan()
	b.Settle()
	if len(p.Rows) != 0 || len(p.Guards) != 1 || p.Guards[0].Kind != push.GuardEmpty {
		t.Errorf("an empty catalogue must say so: %+v %+v", p.Rows, p.Guards)
	}
	if s.Writes() != before {
		t.Error("an empty catalogue was written")
	}
}

func offWritesNothing(t *testing.T, s Subject) {
	b := bench(t, s, push.Off)
	b.shelf(s, 12)
	p := b.Plan()
	if len(p.Rows) == 0 {
		t.Error("the plan is to be shown even so")
	}
	var off *push.OffError
	if err := b.Engine.Approve(t.Context(), p.ID, true); !errors.As(err, &off) {
		t.Errorf("approving under off: %v", err)
	}
	b.Settle()
	if s.Writes() != 0 {
		t.Errorf("%d figures were written under off", s.Writes())
	}
}

func withoutApproval(t *testing.T, s Subject) {
	b := bench(t, s, push.Approve)
	b.shelf(s, 12)
	b.Shop.Put(s.Keys[11], 9*stock.Unit, stock.Assumed)
	p := b.Plan()
	b.Settle()
	if s.Writes() != 0 {
		t.Fatalf("%d figures were written without approval", s.Writes())
	}
	b.Approve(p.ID, false)
	b.Settle()
	b.right(s, s.Keys[:11]...)
	if b.State(s.Keys[11]) != "" {
		t.Fatal("an assumed row was approved without being named")
	}
	p = b.Plan()
	if len(p.Rows) != 1 || p.Rows[0].State != journal.Assumed {
		t.Fatalf("the assumed row must be left over: %+v", p.Rows)
	}
	if err := b.Engine.Approve(t.Context(), p.ID, false); !errors.Is(err, journal.ErrOnlyAssumed) {
		t.Errorf("approving only assumed rows: %v", err)
	}
	b.Approve(p.ID, true)
	b.Settle()
	b.right(s, s.Keys[:12]...)
	before := s.Writes()
	b.Shop.Put(s.Keys[0], 99*stock.Unit, stock.Known)
	b.Plan()
	b.Settle()
	if s.Writes() != before {
		t.Error("a later difference was written without a new approval")
	}
}

func drift(t *testing.T, s Subject) {
	if s.Set == nil || !s.Target.Traits().Reads {
		t.Skip("this target cannot be read")
	}
	b := bench(t, s, push.Auto)
	b.shelf(s, 12)
	b.Plan()
	b.Settle()
	s.Set(s.Keys[3], 1*stock.Unit)
	b.Clock.Advance(aDay)
	b.Plan()
	b.Settle()
	b.right(s, s.Keys[:12]...)
}
