package push_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"ostatok/agent/journal"
	"ostatok/agent/mirror"
	"ostatok/agent/stock"
	"ostatok/sync/push"
	"ostatok/sync/push/pushtest"
	"ostatok/sync/target"
)

// The traits of a target that can be told everything and cannot be read.
var blind = target.Traits{Name: "blind", Batch: 100, Precision: 1, FullRun: true}

func figures(t *testing.T, b *pushtest.Bench) map[string]string {
	t.Helper()
	full, err := b.Engine.Full(b.Setup.Name)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for row, err := range full.Figures(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		text := row.Want.String()
		if !row.Sendable {
			text = row.Reason
		}
		got[row.Product] = text
		one, err := full.Figure(t.Context(), row.Product)
		switch {
		case row.Sendable && (err != nil || one != row.Want):
			t.Errorf("%s: the single figure is %v (%v), in the list %v", row.Product, one, err, row.Want)
		case !row.Sendable && !errors.Is(err, push.ErrNoFigure):
			t.Errorf("%s: the single figure is %v (%v), the list says %s", row.Product, one, err, row.Reason)
		}
	}
	return got
}

// What a full run may send of products in every state.
func TestFiguresOfAFullRun(t *testing.T) {
	for _, policy := range []push.Policy{push.Approve, push.Auto} {
		t.Run(string(policy), func(t *testing.T) {
			m := pushtest.NewMemory(blind, keys(20)...)
			ready := []push.Guard(nil)
			b := pushtest.NewBench(t, push.TargetSetup{Kind: "zelenka", Target: m, Policy: push.Approve,
				Match: func(p stock.Product) (string, string) {
					switch p.ID {
					case "keyless":
						return "", "it has no article"
					case "twin":
						return "product-00-twin", ""
					case "twin-2":
						return "product-00-twin", ""
					}
					return p.ID, ""
				}}, push.Options{Ready: func(context.Context) []push.Guard { return ready }})
			b.Shop.Put("sent", 5000, stock.Known)
			b.Shop.Put("moved", 5000, stock.Known)
			b.Shop.Put("lost", 5000, stock.Known)
			b.Shop.Put("assumed, approved", 5000, stock.Assumed)
			b.Shop.Put("assumed, then otherwise", 5000, stock.Assumed)
			b.Approve(b.Plan().ID, true)
			b.Settle()
			b.Shop.Put("on its way", 6000, stock.Known)
			b.Approve(b.Plan().ID, false)
			b.Shop.Sell("on its way", 1000)
			b.Shop.Sell("moved", 2000)
			b.Shop.Put("lost", 0, stock.Unresolved)
			b.Shop.Put("assumed, then otherwise", 9000, stock.Assumed)
			b.Shop.Put("new", 7000, stock.Known)
			b.Shop.Put("zero", 0, stock.Known)
			b.Shop.Put("assumed", 4000, stock.Assumed)
			b.Shop.Put("unknown", 0, stock.Unknown)
			b.Shop.Put("keyless", 1000, stock.Known)
			b.Shop.Put("twin", 1000, stock.Known)
			b.Shop.Put("twin-2", 1000, stock.Known)
			b.Shop.Put("service", 1000, stock.Known)
			b.Shop.Edit("service", func(r *mirror.Row) { r.Type = "SERVICE" })

			const waits = "its figure waits for approval"
			const twins = `the key "product-00-twin" belongs to more than one product`
			want := map[string]string{
				"sent": "5", "moved": "5", "lost": "5", "assumed, approved": "5", "assumed, then otherwise": "5",
				"on its way": "5", "new": waits, "zero": waits, "assumed": waits, "keyless": "it has no article", "twin": twins, "twin-2": twins,
			}
			row, err := b.Shop.Row(t.Context(), "unknown")
			if err != nil {
				t.Fatal(err)
			}
			want["unknown"] = "its level is not known (" + string(row.Level.Reason) + ")"
			b.Setup.Policy = policy
			b.Restart()
			if policy == push.Auto {
				ready = []push.Guard{{Kind: "clock", Message: "not trusted"}}
				if diff := cmp.Diff(want, figures(t, b)); diff != "" {
					t.Errorf("auto with a guard is approve (-want +got):\n%s", diff)
				}
				ready = nil
				want["moved"], want["new"], want["zero"] = "3", "7", "0"
			}
			if diff := cmp.Diff(want, figures(t, b)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A catalogue that falls to zero is not sent as a full run either.
func TestFullRunMeetsTheGuard(t *testing.T) {
	m := pushtest.NewMemory(blind, keys(20)...)
	b := pushtest.NewBench(t, push.TargetSetup{Kind: "zelenka", Target: m, Policy: push.Auto}, push.Options{})
	put(b, 20, 5000, stock.Known)
	b.Plan()
	b.Settle()
	put(b, 20, 0, stock.Known)
	for product, figure := range figures(t, b) {
		if figure != "5" {
			t.Errorf("%s: %s", product, figure)
		}
	}
}

func TestFullRunOfTheAvailable(t *testing.T) {
	m := pushtest.NewMemory(blind, keys(20)...)
	state := push.ReserveState{Reason: "the site has not been read"}
	b := pushtest.NewBench(t, push.TargetSetup{Kind: "zelenka", Target: m, Policy: push.Auto, Available: true},
		push.Options{Reserves: func(context.Context) push.ReserveState { return state }})
	put(b, 2, 5000, stock.Known)
	full, err := b.Engine.Full(b.Setup.Name)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range full.Figures(t.Context()) {
		if err == nil || !strings.Contains(err.Error(), "the site has not been read") {
			t.Fatalf("without reserves: %v", err)
		}
	}
	state = push.ReserveState{Known: true}
	b.Shop.Reserve("product-00", 2000, 1)
	b.Plan()
	b.Settle()
	state = push.ReserveState{Known: true, Old: true, Reason: "the site is silent"}
	b.Shop.Put("product-00", 9000, stock.Known)
	b.Shop.Put("product-01", 1000, stock.Known)
	if diff := cmp.Diff(map[string]string{"product-00": "3", "product-01": "1"}, figures(t, b)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Deliveries keep away from a target that a full run has, and the run waits for
// the delivery under way.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &slow{memory(), nil, make(chan struct{})}
		e := several(t, push.Options{}, m)
		planAll(t, e)
		full, err := e.Full("a")
		if err != nil {
			t.Fatal(err)
		}
		var done sync.WaitGroup
		done.Go(func() {
			if _, err := e.Deliver(t.Context()); err != nil {
				t.Errorf("deliver: %v", err)
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := full.Hold(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("hold while a delivery is under way: %v", err)
		}
		held := false
		done.Go(func() {
			release, err := full.Hold(t.Context())
			if err != nil {
				t.Errorf("hold: %v", err)
				return
			}
			held = true
			time.Sleep(30 * time.Hour)
			release()
			release() // harmless
		})
		synctest.Wait()
		if held {
			t.Error("held while a delivery is under way")
		}
		if _, err := full.Hold(t.Context()); !errors.Is(err, push.ErrFullRun) {
			t.Errorf("a second run: %v", err)
		}
		close(m.write)
		synctest.Wait()
		calls, reads := m.Calls()
		m.Set("product-00", 1000)
		time.Sleep(25 * time.Hour) // what is known is old by now
		if _, err := e.Plan(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		d, err := e.Deliver(t.Context())
		if err != nil || d.Targets[0].Reason != push.ErrFullRun.Error() {
			t.Errorf("deliver during a run: %+v %v", d, err)
		}
		if w, r := m.Calls(); w != calls || r != reads {
			t.Error("the target was called during a run")
		}
		done.Wait()
		time.Sleep(25 * time.Hour)
		planAll(t, e)
		if _, err := e.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
		holds(t, m.Memory, "product-00", 5000)
	})
}

// Rows that a full run hands over are sent again with the figure that they had,
// under approve whatever the level is now; under auto with the newest.
func TestResend(t *testing.T) {
	for _, test := range []struct {
		policy push.Policy
		want   stock.Quantity
	}{{push.Approve, 5000}, {push.Auto, 3000}} {
		t.Run(string(test.policy), func(t *testing.T) {
			m := pushtest.NewMemory(blind, keys(20)...)
			b := pushtest.NewBench(t, push.TargetSetup{Kind: "zelenka", Target: m, Policy: test.policy}, push.Options{})
			put(b, 2, 5000, stock.Known)
			b.Approve(b.Plan().ID, false)
			b.Settle()
			m.Set("product-00", 0) // the run took it away
			full, err := b.Engine.Full(b.Setup.Name)
			if err != nil {
				t.Fatal(err)
			}
			rows := []target.Row{{Key: "product-00", Quantity: 5000}, {Key: "stranger", Quantity: 1000}}
			if err := full.Resend(t.Context(), rows); err != nil {
				t.Fatal(err)
			}
			b.Restart() // it is durable
			b.Shop.Sell("product-00", 2000)
			b.Settle()
			holds(t, m, "product-00", test.want)
			if b.State("product-00") != journal.Accepted || m.Writes() != 3 {
				t.Errorf("%d written: %s", m.Writes(), b.Dump())
			}
			if p := b.Plan(); test.policy == push.Approve && (len(p.Rows) != 1 || p.Rows[0].To != 3000) {
				t.Errorf("the newer figure must be proposed still: %+v", p.Rows)
			}
		})
	}
}

// What the run delivered settles the rows that stood for it, and no others.
func TestAcceptedByAFullRun(t *testing.T) {
	m := pushtest.NewMemory(blind, keys(20)...)
	b := pushtest.NewBench(t, push.TargetSetup{Kind: "zelenka", Target: m, Policy: push.Auto}, push.Options{})
	m.Refuse("product-02", errors.New("not now"))
	put(b, 3, 5000, stock.Known)
	b.Plan()
	b.Settle()
	b.Shop.Put("product-00", 6000, stock.Known)
	b.Shop.Put("product-01", 7000, stock.Known)
	b.Plan()
	full, err := b.Engine.Full(b.Setup.Name)
	if err != nil {
		t.Fatal(err)
	}
	rows := []target.Row{{Key: "product-00", Quantity: 6000}, {Key: "product-01", Quantity: 7000}, {Key: "product-02", Quantity: 5000}, {Key: "stranger"}}
	b.Shop.Sell("product-01", 1000) // after its figure was sent
	if err := full.Accepted(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	for product, want := range map[string]journal.RowState{"product-00": journal.Accepted, "product-01": journal.Planned, "product-02": journal.Accepted} {
		if got := b.State(product); got != want {
			t.Errorf("%s is %s, want %s", product, got, want)
		}
	}
	held, err := b.Journal.Held(t.Context(), b.Setup.Name)
	if err != nil || len(held) != 3 {
		t.Fatalf("held: %v %v", held, err)
	}
	if q, _ := held["product-01"].Figure(); q != 7000 {
		t.Errorf("product-01 is taken to be %v", q)
	}
	b.Settle()
	holds(t, m, "product-01", 6000)
}

// Why the target does not know a key is shown in its own words.
func TestReasonOfAKeyThatIsNotFound(t *testing.T) {
	m := &refusing{pushtest.NewMemory(readable, keys(2)...)}
	b := pushtest.NewBench(t, push.TargetSetup{Kind: "keycrm", Target: m, Policy: push.Auto}, push.Options{})
	put(b, 2, 5000, stock.Known)
	p := b.Plan()
	want := []push.Unmatched{{Product: "product-01", Reason: "several offers share it: 12, 15"}}
	if diff := cmp.Diff(want, p.Unmatched); diff != "" || len(p.Rows) != 0 && p.Rows[0].Product != "product-00" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.Restart()
	if diff := cmp.Diff(want, b.Plan().Unmatched); diff != "" {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
}

// refusing does not find product-01, and says why.
type refusing struct{ *pushtest.Memory }

func (r *refusing) Read(ctx context.Context, keys []string) ([]target.Observation, error) {
	seen, err := r.Memory.Read(ctx, keys)
	for i := range seen {
		if seen[i].Key == "product-01" {
			seen[i] = target.Observation{Key: "product-01", Reason: "several offers share it: 12, 15"}
		}
	}
	return seen, err
}
