package push_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"ostatok/agent/journal"
	"ostatok/agent/mirror"
	"ostatok/agent/stock"
	"ostatok/sync/push"
	"ostatok/sync/push/pushtest"
	"ostatok/sync/rest"
	"ostatok/sync/target"
)

// approved is a shop with one product of 5 units whose plan is approved.
func approved(t *testing.T, state stock.State, o push.Options) (*pushtest.Bench, *pushtest.Memory) {
	t.Helper()
	b, m := shop(t, push.Approve, o)
	b.Shop.Put("product-00", 5000, state)
	b.Approve(b.Plan().ID, true)
	return b, m
}

func holds(t *testing.T, m *pushtest.Memory, key string, want stock.Quantity) {
	t.Helper()
	if got, _ := m.Holds(key); got != want {
		t.Errorf("%s: the target holds %v, want %v", key, got, want)
	}
}

func TestWhatIsSentIsTheLevelOfNow(t *testing.T) {
	for _, test := range []struct {
		name    string
		state   stock.State // when it was approved
		then    func(b *pushtest.Bench)
		want    stock.Quantity // 0: not sent
		blocked string         // part of the reason
	}{
		{"sold since", stock.Known, func(b *pushtest.Bench) { b.Shop.Sell("product-00", 2000) }, 3000, ""},
		{"counted since", stock.Known, func(b *pushtest.Bench) { b.Shop.Put("product-00", 8000, stock.Known) }, 8000, ""},
		{"no level any more", stock.Known, func(b *pushtest.Bench) { b.Shop.Put("product-00", 0, stock.Unresolved) }, 0, "not known any more"},
		{"only assumed now", stock.Known, func(b *pushtest.Bench) { b.Shop.Put("product-00", 5000, stock.Assumed) }, 0, "rests on an assumption now (one_terminal)"},
		{"deleted", stock.Known, func(b *pushtest.Bench) { b.Shop.Edit("product-00", func(r *mirror.Row) { r.Deleted = true }) }, 0, "no longer in the catalogue"},
		{"gone", stock.Known, func(b *pushtest.Bench) { b.Shop.Clear() }, 0, "no longer in the catalogue"},
		{"a service", stock.Known, func(b *pushtest.Bench) { b.Shop.Edit("product-00", func(r *mirror.Row) { r.Type = "SERVICE" }) }, 0, "is a service"},
		{"assumed and unmoved", stock.Assumed, func(*pushtest.Bench) {}, 5000, ""},
		{"assumed, sold since", stock.Assumed, func(b *pushtest.Bench) { b.Shop.Sell("product-00", 2000) }, 3000, ""},
		{"assumed, known since", stock.Assumed, func(b *pushtest.Bench) { b.Shop.Put("product-00", 8000, stock.Known) }, 8000, ""},
		{"assumed, changed outside", stock.Assumed, func(b *pushtest.Bench) { b.Shop.Surprise("product-00", 2000) }, 0, "approve it again"},
		{"assumed otherwise", stock.Assumed, func(b *pushtest.Bench) { b.Shop.Put("product-00", 8000, stock.Assumed) }, 0, "approve it again"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, m := approved(t, test.state, push.Options{})
			test.then(b)
			b.Settle()
			holds(t, m, "product-00", test.want)
			if test.blocked == "" {
				if got := b.State("product-00"); got != journal.Verified {
					t.Errorf("the row is %s", got)
				}
				return
			}
			if m.Writes() != 0 || b.State("product-00") != journal.Blocked || !strings.Contains(b.Dump(), test.blocked) {
				t.Errorf("%d written, outbox: %s", m.Writes(), b.Dump())
			}
		})
	}
}

// A row that was blocked comes up again when its level can be relied on.
func TestBlockedRowIsProposedAgain(t *testing.T) {
	b, m := approved(t, stock.Known, push.Options{})
	b.Shop.Put("product-00", 0, stock.Unresolved)
	b.Settle()
	b.Shop.Put("product-00", 6000, stock.Known)
	p := b.Plan()
	if len(p.Rows) != 1 || p.State != journal.PlanOpen {
		t.Fatalf("plan: %s %+v", p.State, p.Rows)
	}
	b.Approve(p.ID, false)
	b.Settle()
	holds(t, m, "product-00", 6000)
}

func TestNothingIsSentWithoutTheNewestDocuments(t *testing.T) {
	fault := errors.New("no connection")
	b, m := approved(t, stock.Known, push.Options{Refresh: func(context.Context) error { return fault }})
	d, err := b.Engine.Deliver(t.Context())
	if !errors.Is(err, fault) || m.Writes() != 0 || !strings.Contains(d.Targets[0].Reason, "no connection") {
		t.Fatalf("err %v, %d written, %+v", err, m.Writes(), d)
	}
	if b.State("product-00") != journal.Planned {
		t.Errorf("the row is %s", b.State("product-00"))
	}
	fault = nil
	b.Settle()
	holds(t, m, "product-00", 5000)
}

// The refresh brings a sale that happened after the plan.
func TestRefreshComesFirst(t *testing.T) {
	var b *pushtest.Bench
	sold := false
	b, m := approved(t, stock.Known, push.Options{Refresh: func(context.Context) error {
		if !sold {
			sold = true
			b.Shop.Sell("product-00", 1000)
		}
		return nil
	}})
	b.Settle()
	if m.Writes() != 1 {
		t.Errorf("%d figures were written", m.Writes())
	}
	holds(t, m, "product-00", 4000)
}

// A delivery that takes long pulls again on its way: what is sold meanwhile is
// not put back.
func TestLongDeliveryRefreshes(t *testing.T) {
	var b *pushtest.Bench
	refreshes := 0
	m := &racing{Memory: pushtest.NewMemory(readable, keys(60)...)}
	b = pushtest.NewBench(t, push.TargetSetup{Target: m, Policy: push.Auto}, push.Options{Refresh: func(context.Context) error {
		if refreshes++; refreshes == 2 {
			b.Shop.Sell("product-55", 1000)
		}
		return nil
	}})
	put(b, 60, 5000, stock.Known)
	b.Plan()
	m.after = func() { b.Clock.Advance(2 * time.Minute) }
	b.Deliver()
	holds(t, m.Memory, "product-55", 4000)
	if m.Writes() != 60 || refreshes != 2 {
		t.Errorf("%d figures written, %d refreshes", m.Writes(), refreshes)
	}
}

// What is approved and on its way is not proposed again, whatever it became.
func TestRowsUnderWayAreNotProposed(t *testing.T) {
	b, m := approved(t, stock.Known, push.Options{})
	b.Shop.Sell("product-00", 1000)
	b.Shop.Put("product-01", 2000, stock.Known)
	p := b.Plan()
	if len(p.Rows) != 1 || p.Rows[0].Product != "product-01" || p.Counts.UnderWay != 1 {
		t.Errorf("rows %+v, under way %d", p.Rows, p.Counts.UnderWay)
	}
	b.Settle()
	holds(t, m, "product-00", 4000)
	holds(t, m, "product-01", 0)
}

// A sale that reaches the target between the write and the reading back.
func TestSaleInFlight(t *testing.T) {
	m := &racing{Memory: pushtest.NewMemory(readable, keys(20)...)}
	b := pushtest.NewBench(t, push.TargetSetup{Kind: push.KindEvotor, Target: m, Policy: push.Auto}, push.Options{})
	b.Shop.Put("product-00", 5000, stock.Known)
	m.after = func() { // the till sells, the cloud takes it off, the document is pulled next time
		m.Set("product-00", 4000)
		b.Shop.Sell("product-00", 1000)
	}
	b.Plan()
	b.Settle()
	if m.Writes() != 1 || b.State("product-00") != journal.Verified {
		t.Errorf("%d figures were written: %s", m.Writes(), b.Dump())
	}
	holds(t, m.Memory, "product-00", 4000)
}

// racing lets something happen right after the first write.
type racing struct {
	*pushtest.Memory
	after func()
}

func (r *racing) Write(ctx context.Context, rows []target.Row) ([]target.Outcome, error) {
	outcomes, err := r.Memory.Write(ctx, rows)
	if r.after != nil {
		r.after()
		r.after = nil
	}
	return outcomes, err
}

func TestTargetThatDoesNotHoldTheFigure(t *testing.T) {
	b, m := shop(t, push.Auto, push.Options{})
	m.Frozen = true
	b.Shop.Put("product-00", 5000, stock.Known)
	b.Plan()
	b.Settle()
	if b.State("product-00") != journal.Blocked || m.Writes() != 5 {
		t.Fatalf("%d tries: %s", m.Writes(), b.Dump())
	}
	b.Clock.Advance(48 * time.Hour)
	if p := b.Plan(); len(p.Rows) != 0 || p.Counts.Refused != 1 {
		t.Fatalf("the same figure is tried again without end: %+v", p.Rows)
	}
	m.Frozen = false
	if n, err := b.Engine.Retry(t.Context(), b.Setup.Name); err != nil || n != 1 {
		t.Fatalf("retry: %d %v", n, err)
	}
	b.Settle()
	holds(t, m, "product-00", 5000)
}

// Somebody sets the target right by hand: the refusal is over.
func TestRefusedRowThatIsRightIsVerified(t *testing.T) {
	b, m := shop(t, push.Auto, push.Options{})
	m.Refuse("product-00", pushtest.Fault(rest.Invalid))
	b.Shop.Put("product-00", 5000, stock.Known)
	b.Plan()
	b.Settle()
	m.Set("product-00", 5000)
	b.Clock.Advance(48 * time.Hour)
	if p := b.Plan(); len(p.Rows)+len(p.Unmatched) != 0 || b.State("product-00") != journal.Verified {
		t.Errorf("rows %+v, unmatched %+v, row %s", p.Rows, p.Unmatched, b.State("product-00"))
	}
}

func events(t *testing.T, b *pushtest.Bench) map[string]int {
	t.Helper()
	list, err := b.Journal.Events(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	kinds := make(map[string]int)
	for _, e := range list {
		kinds[e.Kind]++
	}
	return kinds
}

// Levels that vanish between approval and delivery meet the same guard.
func TestGuardAtDelivery(t *testing.T) {
	b, m := shop(t, push.Auto, push.Options{})
	put(b, 20, 5000, stock.Known)
	for _, key := range keys(20) {
		m.Set(key, 7000)
	}
	if p := b.Plan(); p.State != journal.PlanApproved {
		t.Fatalf("the plan is %s", p.State)
	}
	put(b, 12, 0, stock.Known)
	b.Settle()
	if m.Writes() != 8 {
		t.Errorf("%d figures were written, want the 8 that did not vanish: %s", m.Writes(), b.Dump())
	}
	b.Clock.Advance(time.Hour)
	p := b.Plan()
	if p.State != journal.PlanOpen || len(p.Rows) != 12 || len(p.Guards) != 1 || p.Guards[0].Kind != push.GuardFall {
		t.Fatalf("the next plan is %s with %d rows and %v", p.State, len(p.Rows), p.Guards)
	}
	b.Approve(p.ID, false)
	b.Settle()
	holds(t, m, "product-00", 0)
	if events(t, b)["guard_fired"] != 1 {
		t.Errorf("events: %v", events(t, b))
	}
}

// A clock that was years ahead must not keep rows waiting for years.
func TestClockSetBack(t *testing.T) {
	b, m := approved(t, stock.Known, push.Options{})
	m.Down(errors.New("no connection"))
	b.Clock.Advance(10 * 365 * 24 * time.Hour)
	b.Deliver()
	m.Down(nil)
	b.Clock.Advance(-10 * 365 * 24 * time.Hour)
	b.Deliver()
	holds(t, m, "product-00", 5000)
}

// Other systems are not what terminals load from.
func TestOnlyTheCloudIsNoted(t *testing.T) {
	m := pushtest.NewMemory(readable, "product-00")
	b := pushtest.NewBench(t, push.TargetSetup{Kind: "keycrm", Target: m, Policy: push.Auto}, push.Options{})
	b.Shop.Put("product-00", 5000, stock.Known)
	b.Plan()
	b.Settle()
	if m.Writes() != 1 || len(b.Own) != 0 {
		t.Errorf("%d written, noted %+v", m.Writes(), b.Own)
	}
	if events(t, b)["load_to_terminals"] != 0 {
		t.Error("people are told to load figures of another system to terminals")
	}
}

func TestPeopleAreToldToLoadTheTerminals(t *testing.T) {
	b, _ := shop(t, push.Auto, push.Options{})
	for n := range 10 {
		b.Shop.Put("product-00", stock.Quantity(n+1)*1000, stock.Known)
		b.Plan()
		b.Settle()
		b.Clock.Advance(time.Hour)
	}
	if got := events(t, b)["load_to_terminals"]; got != 3 {
		t.Errorf("%d reminders in ten hours of hourly writes, want one in four hours", got)
	}
}
