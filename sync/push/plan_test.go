package push_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ostatok/agent/journal"
	"ostatok/agent/mirror"
	"ostatok/agent/stock"
	"ostatok/sync/push"
	"ostatok/sync/push/pushtest"
	"ostatok/sync/target"
)

var readable = target.Traits{Name: "memory", Reads: true, Batch: 10, Precision: 1}

// shop is a bench over a target that can be read, with 20 keys.
func shop(t *testing.T, policy push.Policy, o push.Options) (*pushtest.Bench, *pushtest.Memory) {
	t.Helper()
	m := pushtest.NewMemory(readable, keys(20)...)
	return pushtest.NewBench(t, push.TargetSetup{Kind: push.KindEvotor, Target: m, Policy: policy}, o), m
}

func TestPlanPrintsAsDesigned(t *testing.T) {
	b, m := shop(t, push.Approve, push.Options{Ready: func(context.Context) []push.Guard {
		return []push.Guard{{Kind: "clock", Message: "the clock is not trusted"}}
	}})
	m.Set("product-00", 2500)
	b.Shop.Put("product-00", 10_236, stock.Known)
	b.Shop.Put("product-01", 4000, stock.Assumed)
	b.Shop.Put("product-02", 0, stock.Known) // the target holds 0 already
	b.Shop.Put("product-03", 0, stock.Unresolved)
	b.Shop.Put("stranger", 5000, stock.Known) // a key that the target does not know
	b.Shop.Put("service", 5000, stock.Known)
	b.Shop.Edit("service", func(r *mirror.Row) { r.Type = "SERVICE" })
	b.Shop.Put("gone", 5000, stock.Known)
	b.Shop.Edit("gone", func(r *mirror.Row) { r.Deleted = true })
	b.Shop.Edit("product-00", func(r *mirror.Row) { r.Code, r.Name = "42", `Сыр "Российский"` })

	p := b.Plan()
	text, err := json.MarshalIndent([]push.Plan{p}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "plan.golden.json")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(want)), string(text)); diff != "" {
		t.Errorf("plan show --format json (-want +got):\n%s", diff)
	}
	stored, err := b.Engine.Plans(t.Context(), "", false)
	if err != nil {
		t.Fatal(err)
	}
	again, err := json.MarshalIndent(stored, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), string(again)); diff != "" {
		t.Errorf("the stored plan differs from the one that was made:\n%s", diff)
	}
	if p.Counts != stored[0].Counts || p.Counts.Unresolved != 1 || p.Counts.Right != 1 || p.Counts.Products != 5 {
		t.Errorf("counts: %+v, stored %+v", p.Counts, stored[0].Counts)
	}
}

func TestPlanKeepsItsIdWithItsContent(t *testing.T) {
	b, _ := shop(t, push.Approve, push.Options{})
	b.Shop.Put("product-00", 3000, stock.Known)
	b.Shop.Put("product-01", 4000, stock.Known)
	first := b.Plan()
	if again := b.Plan(); again.ID != first.ID || again.Seq != first.Seq || again.State != journal.PlanOpen {
		t.Errorf("the same content made another plan: %s %s", first.ID, again.ID)
	}
	b.Shop.Sell("product-00", 1000)
	second := b.Plan()
	if second.ID == first.ID {
		t.Fatal("other content has the same id")
	}
	var refused *journal.PlanError
	err := b.Engine.Approve(t.Context(), first.ID, false)
	if !errors.As(err, &refused) || refused.State != journal.PlanSuperseded || refused.Current != second.ID {
		t.Fatalf("approving a superseded plan: %v", err)
	}
	if err := b.Engine.Approve(t.Context(), "nonsense", false); !errors.Is(err, journal.ErrNoPlan) || !strings.Contains(err.Error(), second.ID) {
		t.Fatalf("approving an unknown plan: %v", err)
	}
	b.Shop.Put("product-00", 3000, stock.Known)
	if back := b.Plan(); back.ID != first.ID || back.State != journal.PlanOpen {
		t.Fatalf("the first content again: %s %s, want %s", back.ID, back.State, first.ID)
	}
	b.Approve(first.ID, false)
	b.Settle()
	plans, err := b.Engine.Plans(t.Context(), b.Setup.Name, true)
	if err != nil {
		t.Fatal(err)
	}
	if plans[0].State != journal.PlanSuperseded && plans[0].ID != first.ID {
		t.Errorf("history: %+v", plans)
	}
	for _, p := range plans {
		if p.ID == first.ID && (p.State != journal.PlanDone || p.Rows[0].State != journal.Verified) {
			t.Errorf("the delivered plan is %s, its rows %+v", p.State, p.Rows)
		}
	}
}

func TestRejectedPlanStaysRejected(t *testing.T) {
	b, m := shop(t, push.Approve, push.Options{})
	b.Shop.Put("product-00", 3000, stock.Known)
	p := b.Plan()
	if err := b.Engine.Reject(t.Context(), p.ID); err != nil {
		t.Fatal(err)
	}
	if again := b.Plan(); again.State != journal.PlanRejected {
		t.Errorf("what was rejected is proposed again: %s", again.State)
	}
	var refused *journal.PlanError
	if err := b.Engine.Approve(t.Context(), p.ID, true); !errors.As(err, &refused) || refused.State != journal.PlanRejected {
		t.Errorf("approving a rejected plan: %v", err)
	}
	b.Settle()
	if m.Writes() != 0 {
		t.Error("a rejected plan was written")
	}
	b.Shop.Sell("product-00", 1000)
	if next := b.Plan(); next.State != journal.PlanOpen {
		t.Errorf("other content after a rejection is %s", next.State)
	}
}

func TestKeysThatCannotBeUsed(t *testing.T) {
	m := pushtest.NewMemory(readable, "K1", "K2")
	b := pushtest.NewBench(t, push.TargetSetup{Target: m, Policy: push.Auto, Match: func(p stock.Product) (string, string) {
		switch p.ID {
		case "a", "b":
			return "K1", ""
		case "c":
			return "", "the article matches 3 goods"
		case "d":
			return "", ""
		}
		return "K2", ""
	}}, push.Options{})
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		b.Shop.Put(id, 5000, stock.Known)
	}
	p := b.Plan()
	want := []push.Unmatched{
		{Product: "a", Reason: `the key "K1" belongs to more than one product`},
		{Product: "b", Reason: `the key "K1" belongs to more than one product`},
		{Product: "c", Reason: "the article matches 3 goods"},
		{Product: "d", Reason: "has no key at the target"},
	}
	if diff := cmp.Diff(want, p.Unmatched); diff != "" {
		t.Error(diff)
	}
	b.Settle()
	if m.Writes() != 1 {
		t.Errorf("%d figures were written, want the one of e", m.Writes())
	}
}

func TestPrecision(t *testing.T) {
	for _, test := range []struct {
		level     stock.Quantity
		precision stock.Quantity
		sells     bool
		want      stock.Quantity
	}{
		{8100, stock.Unit, true, 8000},
		{8999, stock.Unit, true, 8000},
		{900, stock.Unit, true, 0},
		{-500, stock.Unit, false, -1000},
		{-1000, stock.Unit, false, -1000},
		{-500, stock.Unit, true, 0},
		{-4_934_000, 1, false, -4_934_000},
		{236, 1, true, 236},
		{-236, 1, true, 0},
	} {
		traits := target.Traits{Batch: 1, Precision: test.precision, Sells: test.sells}
		m := pushtest.NewMemory(traits, "product-00")
		b := pushtest.NewBench(t, push.TargetSetup{Target: m, Policy: push.Auto}, push.Options{})
		b.Shop.Put("product-00", test.level, stock.Known)
		b.Plan()
		b.Settle()
		if got, _ := m.Holds("product-00"); got != test.want {
			t.Errorf("%v in steps of %v, sells %v: %v, want %v", test.level, test.precision, test.sells, got, test.want)
		}
		b.Shop.Put("product-00", test.want, stock.Known)
		if p := b.Plan(); len(p.Rows) != 0 {
			t.Errorf("%v: the same figure is a difference: %+v", test.level, p.Rows)
		}
	}
}

func TestGuards(t *testing.T) {
	for _, test := range []struct {
		name    string
		prepare func(b *pushtest.Bench)
		want    []string
	}{
		{"nothing to say", func(b *pushtest.Bench) { put(b, 20, 5000, stock.Known) }, nil},
		{"no products", func(*pushtest.Bench) {}, []string{push.GuardEmpty}},
		{"no levels", func(b *pushtest.Bench) { put(b, 20, 0, stock.Unresolved) }, []string{push.GuardSilent}},
		{"half the levels", func(b *pushtest.Bench) {
			put(b, 20, 5000, stock.Known)
			put(b, 10, 0, stock.Unknown)
		}, nil},
		{"less than half", func(b *pushtest.Bench) {
			put(b, 20, 5000, stock.Known)
			put(b, 11, 0, stock.Unknown)
		}, []string{push.GuardSilent}},
		{"nine fall", func(b *pushtest.Bench) {
			put(b, 20, 5000, stock.Known)
			b.Plan()
			b.Settle()
			put(b, 9, 0, stock.Known)
		}, nil},
		{"ten fall", func(b *pushtest.Bench) {
			put(b, 20, 5000, stock.Known)
			b.Plan()
			b.Settle()
			put(b, 10, -1000, stock.Known)
		}, []string{push.GuardFall}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, m := shop(t, push.Auto, push.Options{})
			test.prepare(b)
			before := m.Writes()
			p := b.Plan()
			var got []string
			for _, g := range p.Guards {
				got = append(got, g.Kind)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			b.Settle()
			if (m.Writes() != before) != (test.want == nil) {
				t.Errorf("%d figures written with guards %v", m.Writes()-before, got)
			}
		})
	}
}

// A guard that passes lets the plan that waited go, without another plan.
func TestGuardPasses(t *testing.T) {
	trusted := false
	b, m := shop(t, push.Auto, push.Options{Ready: func(context.Context) []push.Guard {
		if trusted {
			return nil
		}
		return []push.Guard{{Kind: "clock", Message: "the clock is not trusted"}}
	}})
	b.Shop.Put("product-00", 5000, stock.Known)
	first := b.Plan()
	b.Settle()
	if first.State != journal.PlanOpen || m.Writes() != 0 {
		t.Fatalf("a guard must hold: %s, %d written", first.State, m.Writes())
	}
	trusted = true
	if second := b.Plan(); second.ID != first.ID || second.State != journal.PlanApproved || len(second.Guards) != 0 {
		t.Fatalf("the plan is %s with %v", second.State, second.Guards)
	}
	b.Settle()
	if m.Writes() != 1 {
		t.Error("nothing was written after the guard had passed")
	}
}

func TestShownFiguresAreNotRead(t *testing.T) {
	m := pushtest.NewMemory(readable, keys(20)...)
	b := pushtest.NewBench(t, push.TargetSetup{Kind: push.KindEvotor, Target: m, Policy: push.Approve,
		Shown: func(r mirror.Row) (stock.Quantity, int64, bool) { return r.Cloud, r.CloudAt, r.HasCloud }}, push.Options{})
	put(b, 20, 5000, stock.Known)
	for _, key := range keys(20) {
		b.Shop.Edit(key, func(r *mirror.Row) { r.Cloud, r.HasCloud, r.CloudAt = 5000, true, b.Clock.Now().UnixMilli() })
	}
	b.Shop.Edit("product-07", func(r *mirror.Row) { r.Cloud = 1000 })
	p := b.Plan()
	if _, reads := m.Calls(); reads != 0 {
		t.Errorf("the target was read %d times for what the catalogue shows", reads)
	}
	if len(p.Rows) != 1 || p.Rows[0].Product != "product-07" || *p.Rows[0].From != 1000 {
		t.Errorf("rows: %+v", p.Rows)
	}
}

// A plan that nobody decides on is made again every hour; on a flash card the
// same observation must not be written each time.
func TestWaitingPlanWritesTheSameObservationOnceADay(t *testing.T) {
	b, m := shop(t, push.Approve, push.Options{})
	put(b, 20, 5000, stock.Known)
	observed := func() int64 {
		b.Plan()
		held, err := b.Journal.Held(t.Context(), b.Setup.Name)
		if err != nil || held["product-07"] == nil {
			t.Fatal("nothing is known of product-07: ", err)
		}
		return held["product-07"].ObservedAt
	}
	first := observed()
	b.Clock.Advance(time.Hour)
	if again := observed(); again != first {
		t.Errorf("observed at %d, written again at %d", first, again)
	}
	b.Clock.Advance(time.Hour)
	m.Set("product-07", 1000)
	changed := observed()
	if changed == first {
		t.Error("what changed was not written")
	}
	b.Clock.Advance(25 * time.Hour)
	if later := observed(); later == changed {
		t.Error("a day later it is still the old observation")
	}
}

func put(b *pushtest.Bench, n int, q stock.Quantity, state stock.State) {
	for _, key := range keys(n) {
		b.Shop.Put(key, q, state)
	}
}

// A target that tells nothing of a key is not asked for it at every plan.
func TestUntoldKeyIsNotReadOverAndOver(t *testing.T) {
	m := &mute{Memory: pushtest.NewMemory(readable, keys(1)...)}
	b := pushtest.NewBench(t, push.TargetSetup{Kind: "keycrm", Target: m, Policy: push.Approve}, push.Options{})
	b.Shop.Put("product-00", 5000, stock.Known)
	for range 60 {
		b.Plan()
		b.Clock.Advance(time.Minute)
	}
	if _, reads := m.Calls(); reads != 4 {
		t.Errorf("%d readings in an hour, want one in 15 minutes", reads)
	}
}

// mute reads and tells nothing.
type mute struct{ *pushtest.Memory }

func (m *mute) Read(ctx context.Context, keys []string) ([]target.Observation, error) {
	_, err := m.Memory.Read(ctx, keys)
	return nil, err
}
