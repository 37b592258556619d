package push_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/journal"
	"ostatok/agent/stock"
	"ostatok/sync/push"
	"ostatok/sync/push/pushtest"
	"ostatok/sync/target"
)

// slow is a target whose calls wait until they are let go.
type slow struct {
	*pushtest.Memory
	read, write chan struct{} // nil: at once
}

func wait(ctx context.Context, gate chan struct{}) error {
	if gate == nil {
		return nil
	}
	select {
	case <-gate:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *slow) Read(ctx context.Context, keys []string) ([]target.Observation, error) {
	if err := wait(ctx, s.read); err != nil {
		return nil, err
	}
	return s.Memory.Read(ctx, keys)
}

func (s *slow) Write(ctx context.Context, rows []target.Row) ([]target.Outcome, error) {
	if err := wait(ctx, s.write); err != nil {
		return nil, err
	}
	return s.Memory.Write(ctx, rows)
}

// several is an engine over targets side by side, "a", "b", …, with one product.
func several(t *testing.T, o push.Options, targets ...target.Target) *push.Engine {
	t.Helper()
	j, _, err := journal.Open(t.Context(), journal.Options{Dir: t.TempDir(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	s := pushtest.NewShop()
	s.Put("product-00", 5000, stock.Known)
	var setups []push.TargetSetup
	for i, target := range targets {
		setups = append(setups, push.TargetSetup{Name: string(rune('a' + i)), Target: target, Policy: push.Auto,
			Match: func(p stock.Product) (string, string) { return p.ID, "" }})
	}
	return push.New(s, j, setups, o)
}

func planAll(t *testing.T, e *push.Engine) {
	t.Helper()
	for _, name := range e.Targets() {
		if _, err := e.Plan(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
}

func memory() *pushtest.Memory { return pushtest.NewMemory(readable, "product-00") }

func TestSlowTargetDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &slow{memory(), nil, make(chan struct{})}, memory()
		e := several(t, push.Options{}, a, b)
		planAll(t, e)
		var done sync.WaitGroup
		done.Go(func() {
			if _, err := e.Deliver(t.Context()); err != nil {
				t.Errorf("deliver: %v", err)
			}
		})
		synctest.Wait()
		holds(t, b, "product-00", 5000)
		holds(t, a.Memory, "product-00", 0)
		// The other target goes on being served while the first one waits.
		b.Set("product-00", 1000)
		time.Sleep(25 * time.Hour)
		if _, err := e.Plan(t.Context(), "b"); err != nil {
			t.Fatal(err)
		}
		d, err := e.Deliver(t.Context(), "b")
		if err != nil || len(d.Targets) != 1 || d.Targets[0].Target != "b" {
			t.Errorf("delivery to one: %+v %v", d, err)
		}
		holds(t, b, "product-00", 5000)
		close(a.write)
		done.Wait()
		holds(t, a.Memory, "product-00", 5000)
		if _, err := e.Deliver(t.Context(), "b", "other"); !errors.Is(err, push.ErrNoTarget) {
			t.Errorf("unknown target: %v", err)
		}
	})
}

func TestSlowReadingDelaysNoOtherPlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &slow{memory(), make(chan struct{}), nil}, memory()
		e := several(t, push.Options{}, a, b)
		var done sync.WaitGroup
		done.Go(func() {
			if _, err := e.Plan(t.Context(), "a"); err != nil {
				t.Errorf("plan: %v", err)
			}
		})
		synctest.Wait()
		if p, err := e.Plan(t.Context(), "b"); err != nil || len(p.Rows) != 1 {
			t.Errorf("plan: %+v %v", p, err)
		}
		close(a.read)
		done.Wait()
	})
}

// All targets rest on one pull of documents, and on one failure to pull them.
func TestPullIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fault := errors.New("no connection")
		pulls := 0
		refresh := func(context.Context) error {
			pulls++ // one at a time
			time.Sleep(30 * time.Second)
			return fault
		}
		targets := []*pushtest.Memory{memory(), memory(), memory(), memory()}
		e := several(t, push.Options{Refresh: refresh}, targets[0], targets[1], targets[2], targets[3])
		planAll(t, e)
		began := time.Now()
		d, err := e.Deliver(t.Context())
		if !errors.Is(err, fault) || pulls != 1 || time.Since(began) != 30*time.Second {
			t.Errorf("%d pulls, %v: %v", pulls, time.Since(began), err)
		}
		for i := range d.Targets {
			if !strings.Contains(d.Targets[i].Reason, "no connection") {
				t.Errorf("%+v", d.Targets[i])
			}
		}
		fault, pulls = nil, 0
		if _, err := e.Deliver(t.Context()); err != nil || pulls != 1 {
			t.Errorf("%d pulls: %v", pulls, err)
		}
		for _, m := range targets {
			holds(t, m, "product-00", 5000)
		}
		// A minute later it is not new enough any more.
		time.Sleep(25 * time.Hour)
		targets[0].Set("product-00", 0)
		planAll(t, e)
		if _, err := e.Deliver(t.Context()); err != nil || pulls != 2 {
			t.Errorf("%d pulls: %v", pulls, err)
		}
	})
}

// Whoever gives up waiting for the pull of another does not fail it.
func TestPullOfAnEndedContextIsNotShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refresh := func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(30 * time.Second):
				return nil
			}
		}
		a, b := memory(), memory()
		e := several(t, push.Options{Refresh: refresh}, a, b)
		planAll(t, e)
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() {
			if _, err := e.Deliver(ctx, "a"); !errors.Is(err, context.Canceled) {
				t.Errorf("deliver: %v", err)
			}
		})
		synctest.Wait()
		done.Go(func() {
			if _, err := e.Deliver(t.Context(), "b"); err != nil {
				t.Errorf("deliver: %v", err)
			}
		})
		synctest.Wait()
		cancel()
		done.Wait()
		holds(t, b, "product-00", 5000)
	})
}

// A power cut in one lane is one of the whole agent.
func TestPanicOfALane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := memory(), &slow{memory(), nil, make(chan struct{})} // b would wait for ever
		e := several(t, push.Options{}, a, b)
		planAll(t, e)
		e.SetAt(func(step string) {
			if step == "accepted" { // only a comes so far
				panic("played")
			}
		})
		defer func() {
			if got := recover(); got != "played" {
				t.Errorf("recovered %v", got)
			}
		}()
		_, err := e.Deliver(t.Context())
		t.Errorf("returned %v", err)
	})
}
