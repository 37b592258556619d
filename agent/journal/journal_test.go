package journal_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/journal"
	"ostatok/agent/stock"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, dir string) (*journal.Journal, *journal.Notice) {
	t.Helper()
	j, notice, err := journal.Open(t.Context(), journal.Options{Dir: dir, Now: func() time.Time { return noon }, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j, notice
}

func fresh(t *testing.T) *journal.Journal {
	t.Helper()
	j, notice := open(t, t.TempDir())
	if notice != nil {
		t.Fatalf("a new journal has a notice: %v", notice)
	}
	return j
}

// plan is a plan of rows product → figure, all ready.
func plan(target string, figures map[string]stock.Quantity) journal.Plan {
	p := journal.Plan{Target: target, ID: fmt.Sprint(target, figures)}
	for _, product := range slices.Sorted(maps.Keys(figures)) {
		p.Rows = append(p.Rows, journal.PlanRow{
			Product: product, Key: "key of " + product, Name: strings.Repeat("n", 60), To: figures[product],
			Level: figures[product], LevelState: stock.Known, State: journal.Ready,
		})
	}
	return p
}

func save(t testing.TB, j *journal.Journal, p journal.Plan) journal.Plan {
	t.Helper()
	saved, err := j.SavePlan(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	return saved
}

func approve(t testing.TB, j *journal.Journal, p journal.Plan) {
	t.Helper()
	if _, _, err := j.Approve(context.Background(), p.ID, false); err != nil {
		t.Fatal(err)
	}
}

func entries(t testing.TB, j *journal.Journal, target string) map[string]journal.Entry {
	t.Helper()
	all := make(map[string]journal.Entry)
	for e, err := range j.Outbox(context.Background(), target) {
		if err != nil {
			t.Fatal(err)
		}
		all[e.Product] = e
	}
	return all
}

func TestWhatIsStoredSurvivesReopening(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, dir)
	approve(t, j, save(t, j, plan("site", map[string]stock.Quantity{"a": 5000, "b": 0})))
	e := entries(t, j, "site")["a"]
	e.State, e.SentAt = journal.Sent, 7
	q := stock.Quantity(3000)
	if _, err := j.Record(t.Context(), "site", []journal.Entry{e}, []journal.Held{{Target: "site", Product: "a", Key: e.Key, Accepted: &q, AcceptedAt: 6}}); err != nil {
		t.Fatal(err)
	}
	if err := j.SetTarget(t.Context(), journal.TargetFacts{Name: "site", Blocked: "token", LastSuccess: 5}); err != nil {
		t.Fatal(err)
	}
	if err := j.SetMeta(t.Context(), "form", "raw"); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j, notice := open(t, dir)
	if notice != nil {
		t.Fatal(notice)
	}
	got := entries(t, j, "site")
	if len(got) != 2 || got["a"].State != journal.Sent || got["a"].Wanted != 5000 || got["a"].SentAt != 7 || got["b"].State != journal.Planned {
		t.Errorf("outbox: %+v", got)
	}
	held, err := j.Held(t.Context(), "site")
	if err != nil {
		t.Fatal(err)
	}
	if figure, ok := held["a"].Figure(); !ok || figure != 3000 {
		t.Errorf("held: %+v", held["a"])
	}
	facts, err := j.Target(t.Context(), "site")
	if err != nil || facts.Blocked != "token" || facts.LastSuccess != 5 {
		t.Errorf("facts: %+v %v", facts, err)
	}
	if value, err := j.Meta(t.Context(), "form"); err != nil || value != "raw" {
		t.Errorf("meta: %q %v", value, err)
	}
}

// A plan of a whole catalogue that waits for days must not be written anew after
// every sale: cards wear out.
func TestOpenPlanIsNotRewritten(t *testing.T) {
	j := fresh(t)
	figures := make(map[string]stock.Quantity)
	for n := range 3000 {
		figures[fmt.Sprintf("6a2f0f3c-9a0e-4c62-8f0b-%012d", n)] = stock.Quantity(n) * 1000
	}
	p := plan("site", figures)
	p.ID = "first"
	save(t, j, p)
	if err := j.DB().Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	figures["6a2f0f3c-9a0e-4c62-8f0b-000000000007"]++
	p = plan("site", figures)
	p.ID = "second"
	save(t, j, p)
	whole, wal, err := j.DB().Size(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if wal > 100_000 {
		t.Errorf("one sale wrote %d bytes beside a file of %d", wal, whole)
	}
	if err := j.DB().Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	save(t, j, p)
	if _, wal, err = j.DB().Size(t.Context()); err != nil || wal > 0 {
		t.Errorf("the same plan again wrote %d bytes (%v)", wal, err)
	}
	stored, err := j.Plan(t.Context(), "second")
	if err != nil || len(stored.Rows) != 3000 || stored.Rows[7].To != 7001 {
		t.Errorf("the stored plan: %d rows, %v", len(stored.Rows), err)
	}
}

func TestPlansAreBounded(t *testing.T) {
	j := fresh(t)
	for n := range 3 * journal.KeepPlans {
		p := save(t, j, plan("site", map[string]stock.Quantity{"a": stock.Quantity(n)}))
		if n%2 == 0 {
			continue // superseded by the next
		}
		if _, err := j.Reject(t.Context(), p.ID); err != nil {
			t.Fatal(err)
		}
	}
	plans, err := j.Plans(t.Context(), "site", true)
	if err != nil {
		t.Fatal(err)
	}
	states := make(map[journal.PlanState]int)
	for _, p := range plans {
		states[p.State]++
	}
	if states[journal.PlanRejected] > journal.KeepPlans+1 || states[journal.PlanRejected] < journal.KeepPlans || states[journal.PlanSuperseded] != journal.KeepPlans {
		t.Errorf("kept: %v", states)
	}
}

func TestEventsAreBoundedAndUnique(t *testing.T) {
	j := fresh(t)
	ctx := t.Context()
	for range 2 {
		if err := j.AddEvent(ctx, journal.Event{ID: "once", Kind: "k", Severity: journal.Info, Message: "m", Data: []byte(`{"a":1}`)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.AddEvent(ctx, journal.Event{Kind: "other", Severity: journal.Info}); err != nil {
		t.Fatal(err)
	}
	list, err := j.Events(ctx, 0, 10)
	if err != nil || len(list) != 2 || list[0].ID != "once" || string(list[0].Data) != `{"a":1}` || list[0].At != noon.UnixMilli() {
		t.Fatalf("%+v %v", list, err)
	}
	if list[1].ID == "" || list[1].Seq <= list[0].Seq || list[1].Data != nil {
		t.Errorf("%+v", list[1])
	}
	if after, err := j.Events(ctx, list[0].Seq, 10); err != nil || len(after) != 1 {
		t.Errorf("after the first: %+v %v", after, err)
	}
	// Many at once through the file, to test the bound without ten thousand commits.
	if _, err := j.DB().Read().ExecContext(ctx, `DELETE FROM event`); err == nil {
		t.Fatal("the reading connections can write")
	}
	seed := `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
		INSERT INTO event (id, at, kind, severity, message) SELECT 'seed ' || i, 1, 'seed', 'info', '' FROM n`
	if err := write(ctx, j, seed); err != nil {
		t.Fatal(err)
	}
	if err := j.Maintain(ctx); err != nil {
		t.Fatal(err)
	}
	kept, err := j.Events(ctx, 0, 20_000)
	if err != nil || len(kept) != journal.KeepEvents || kept[len(kept)-1].ID != "seed 12000" {
		t.Errorf("%d kept, %v", len(kept), err)
	}
}

func TestPlanErrors(t *testing.T) {
	j := fresh(t)
	_, _, err := j.Approve(t.Context(), "x", false)
	if !errors.Is(err, journal.ErrNoPlan) || !strings.Contains(err.Error(), "no plan is open") {
		t.Errorf("%v", err)
	}
	p := save(t, j, plan("site", map[string]stock.Quantity{"a": 1000}))
	approve(t, j, p)
	approve(t, j, p) // once more changes nothing
	if _, err := j.Reject(t.Context(), p.ID); err == nil || !strings.Contains(err.Error(), "is approved") {
		t.Errorf("rejecting an approved plan: %v", err)
	}
	if e := entries(t, j, "site")["a"]; e.Revision != 1 {
		t.Errorf("approving twice queued it twice: %+v", e)
	}
}
