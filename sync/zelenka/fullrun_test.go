package zelenka_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ostatok/agent/stock"
	"ostatok/sync/rest"
	"ostatok/sync/target"
	"ostatok/sync/zelenka"
	"ostatok/sync/zelenka/zelenkatest"
)

// A full list is one request for one point of sale, with the zeros in it.
func TestFullRun(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		f := b.full(nil)
		b.shop.put(row("sold out", 0), target.Row{Key: "cheese", Quantity: 700}, target.Row{Key: "below", Quantity: -3000})
		b.sim.Set(342, "of another shop", 5)
		report := b.mustRun(f)
		b.holds(b.shop.rows...)
		if report.Taken != 23 || report.Run.Rows != 23 || report.Run.InStock != 20 || report.Refusal != 0 || report.Unsure || report.Resent != 0 {
			t.Errorf("%+v", report)
		}
		if got, _ := b.sim.Holds(342, "of another shop"); got != 5*stock.Unit {
			t.Errorf("another point of sale was changed: %v", got)
		}
		requests := b.sim.Requests()
		if len(requests) != 1 || !requests[0].Full || requests[0].Rows != 23 || requests[0].Bytes != report.Bytes {
			t.Errorf("%+v", requests)
		}
		b.clean()
	})
}

// Whatever Zelenka does to items that are not in the list, none that the shop has
// is wiped, at this point of sale or at another (backends §2.7, a, b, c). Under b
// that holds only as far as it is in our hands: what other points of sale hold is
// not in a list of one.
func TestFullRunWhateverIsFullDoes(t *testing.T) {
	for _, effect := range []zelenkatest.Effect{zelenkatest.ZeroNamed, zelenkatest.ZeroAll, zelenkatest.MarkOnly} {
		play(t, func(o *zelenkatest.Options) { o.Absent = effect }, func(t *testing.T, b *bench) {
			b.takes(rows(20)...)
			b.sim.Set(warehouse, "leftover", 9)
			f := b.full(nil)
			b.mustRun(f)
			b.holds(b.shop.rows...)
			left, _ := b.sim.Holds(warehouse, "leftover")
			if (left == 0) != (effect != zelenkatest.MarkOnly) {
				t.Errorf("%q: leftover is %v", effect, left)
			}
		})
	}
}

// Lists that must not be sent are refused before anything is, with an error that
// tells which it is, and tried again later: the source may get well.
func TestFullRunRefusals(t *testing.T) {
	long := strings.Repeat("Ж", 5000) // 10 kB an id
	for name, c := range map[string]struct {
		spoil func(s *shop)
		is    func(err error) bool
	}{
		"empty":                      {func(s *shop) { s.rows = nil }, is(zelenka.ErrEmpty)},
		"a refresh that failed":      {func(s *shop) { s.fail = errPlayed }, is(errPlayed)},
		"a source that breaks off":   {func(s *shop) { s.faults = map[string]error{"ЦБ-00000011": errPlayed} }, is(errPlayed)},
		"a figure that is not known": {func(s *shop) { s.faults = map[string]error{"ЦБ-00000011": zelenka.ErrNoFigure} }, as[*zelenka.IncompleteError]},
		"a product without an id":    {func(s *shop) { s.faults = map[string]error{"ЦБ-00000012": fmt.Errorf("x: %w", zelenka.ErrNoKey)} }, as[*zelenka.IncompleteError]},
		"an item twice":              {func(s *shop) { s.rows = append(s.rows, s.rows[3]) }, as[*zelenka.DuplicateError]},
		"an empty id":                {func(s *shop) { s.rows[3].Key = "" }, as[*zelenka.KeyError]},
		"an id that is not text":     {func(s *shop) { s.rows[3].Key = "\xff" }, as[*zelenka.KeyError]},
		"nothing in stock": {func(s *shop) {
			for i := range s.rows {
				s.rows[i].Quantity = 0
			}
		}, as[*zelenka.GuardError]},
		"half of the stock gone": {func(s *shop) { s.rows = s.rows[:9] }, as[*zelenka.GuardError]},
		"more than a request holds": {func(s *shop) {
			for i := range 1600 {
				s.rows = append(s.rows, row(fmt.Sprintf("%s%d", long, i), 1))
			}
		}, is(zelenka.ErrTooLarge)},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(t *testing.T, b *bench) {
				f := b.full(nil)
				b.mustRun(f) // what the guard measures against
				healthy := b.shop.rows
				c.spoil(b.shop)
				report, err := b.run(f)
				if err == nil || !c.is(err) || report.Run.Phase == zelenka.Done || report.Run.Reason == "" || report.Run.Uploads != 0 {
					t.Errorf("%+v: %v", report, err)
				}
				if n := len(b.sim.Requests()); n != 1 {
					t.Errorf("%d requests", n)
				}
				b.holds(rows(20)...)
				b.shop.rows, b.shop.faults, b.shop.fail = rows(20), nil, nil
				if name == "half of the stock gone" {
					b.shop.rows = healthy
				}
				b.mustRun(f)
				b.clean()
			})
		})
	}
}

func is(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }

func as[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

// A person's word lets a list pass that is smaller, or not whole; an empty one it
// does not.
func TestFullRunApproved(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		b.mustRun(b.full(nil))
		f := b.full(func(o *zelenka.FullOptions) { o.Approved = true })
		b.shop.rows = []target.Row{row("a", 0), row("b", 1), row("c", 1)}
		b.shop.faults = map[string]error{"b": zelenka.ErrNoFigure}
		if report := b.mustRun(f); report.Run.Rows != 2 {
			t.Errorf("%+v", report)
		}
		b.shop.rows = nil
		if _, err := b.run(f); !errors.Is(err, zelenka.ErrEmpty) {
			t.Error(err)
		}
	})
}

// What changes while the list is on its way is sent again after it, and only that.
func TestFullRunReportsWhatChanged(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		f := b.full(nil)
		b.shop.onList = func(n int) {
			if n == 2 {
				if settled := time.Since(b.sim.Requests()[0].At); settled < time.Minute {
					t.Errorf("Zelenka had %v to empty its queue", settled)
				}
				b.shop.put(row("ЦБ-00000005", 4), row("new", 2), target.Row{Key: "ЦБ-00000006", Quantity: 6400})
			}
		}
		report := b.mustRun(f)
		want := []target.Row{row("ЦБ-00000005", 4), row("new", 2)} // 6.4 is shown as 6, as before
		if diff := cmp.Diff(want, b.resent.rows); diff != "" || report.Changed != 2 || report.Resent != 2 {
			t.Errorf("%+v\n%s", report, diff)
		}
		b.takes(b.resent.rows...)
		b.holds(b.shop.rows...)
	})
}

// While a full list is on its way no batch overtakes it, also not while Zelenka's
// queue empties itself; the batch may be sent later.
func TestFullRunIsAlone(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		f := b.full(nil)
		busy := 0
		b.shop.onFresh = func() {
			_, err := b.write(row("ЦБ-00000001", 100))
			if fault, ok := errors.AsType[*zelenka.BusyError](err); ok && fault.Retryable() {
				busy++
			}
			if _, err := f.Run(t.Context()); !errors.Is(err, zelenka.ErrBusy) {
				t.Error(err)
			}
		}
		b.mustRun(f)
		if busy != 2 { // before the list and before the comparison
			t.Errorf("%d batches were held back", busy)
		}
		b.takes(row("ЦБ-00000001", 100))
	})
}

// A full list waits for a batch that is on its way.
func TestFullRunWaitsForABatch(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		f := b.full(nil)
		next, err := f.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(next) - 3*time.Second)
		b.sim.Fail("/onhand/batch-update", zelenkatest.Limited, 0, 1) // for seven seconds
		done := make(chan error)
		go func() {
			_, err := b.target().Write(t.Context(), rows(1))
			done <- err
		}()
		time.Sleep(3 * time.Second)
		b.mustRun(f)
		if err := <-done; err != nil {
			t.Error(err)
		}
		requests := b.sim.Requests()
		if len(requests) != 2 || requests[0].Full || !requests[1].Full {
			t.Errorf("%+v", requests)
		}
	})
}

// Rows that are refused are as good as absent from the list (backends §2.7), so
// they are sent again by themselves, and named.
func TestFullRunRefusedRows(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		f := b.full(nil)
		b.sim.Refuse("ЦБ-00000003", "Item not found")
		report := b.mustRun(f)
		if diff := cmp.Diff([]zelenka.Refused{{Key: "ЦБ-00000003", Reason: "Item not found"}}, report.Refused); diff != "" || report.Refusal != 1 || report.Unsure {
			t.Errorf("%+v\n%s", report, diff)
		}
		if diff := cmp.Diff([]target.Row{row("ЦБ-00000003", 3)}, b.resent.rows); diff != "" {
			t.Error(diff)
		}
	})
}

// A count that does not add up makes every row uncertain, so every row is sent
// again in ordinary batches, where it is found out.
func TestFullRunCountDoesNotAddUp(t *testing.T) {
	for _, fault := range []zelenkatest.Fault{zelenkatest.Under, zelenkatest.Over} {
		play(t, nil, func(t *testing.T, b *bench) {
			f := b.full(nil)
			b.sim.Fail("/onhand/batch-update", fault, 0, 1)
			report := b.mustRun(f)
			if diff := cmp.Diff(b.shop.rows, b.resent.rows); diff != "" || !report.Unsure {
				t.Errorf("%+v\n%s", report, diff)
			}
		})
	}
}

// What goes wrong on the way of the list: it is made anew from newer figures, once
// a while, and in the end the shop's figures stand there.
func TestFullRunFaults(t *testing.T) {
	for _, c := range []struct {
		fault   zelenkatest.Fault
		uploads int // that are known, or feared, to have arrived
	}{
		{zelenkatest.Broken, 1}, {zelenkatest.Half, 1}, {zelenkatest.Unavailable, 1},
		{zelenkatest.Dropped, 0}, {zelenkatest.Lost, 0}, {zelenkatest.Silent, 0},
		{zelenkatest.HTML, 1}, {zelenkatest.HTMLAsJSON, 1}, {zelenkatest.Warned, 1}, {zelenkatest.Empty, 1},
		{zelenkatest.Cut, 1}, {zelenkatest.Short, 1},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			play(t, nil, func(t *testing.T, b *bench) {
				f := b.full(nil)
				b.sim.Fail("/onhand/batch-update", c.fault, 0, 1)
				report, err := b.run(f)
				if err == nil || !rest.Retryable(err) || report.Run.Uploads != c.uploads || report.Run.Phase.Ended() {
					t.Fatalf("%+v: %v", report, err)
				}
				if n := b.sim.Faults(c.fault); n != 1 {
					t.Errorf("%d uploads in one attempt", n)
				}
				b.shop.put(row("ЦБ-00000001", 50)) // sold or received meanwhile
				next, _ := f.Next(t.Context())
				if wait := time.Until(next); wait <= 0 || wait > time.Hour {
					t.Errorf("the next attempt is in %v", wait)
				}
				report = b.mustRun(f)
				if report.Run.Failed != 1 || report.Run.Reason != "" {
					t.Errorf("%+v", report.Run)
				}
				b.holds(b.shop.rows...)
				if _, err := f.Run(t.Context()); !errors.Is(err, zelenka.ErrNotDue) {
					t.Errorf("a second full list on one day: %v", err)
				}
				b.clean()
			})
		})
	}
}

// 401 and 429 cost no attempt.
func TestFullRunTokenAndLimit(t *testing.T) {
	for _, fault := range []zelenkatest.Fault{zelenkatest.Refused, zelenkatest.Limited} {
		play(t, nil, func(t *testing.T, b *bench) {
			f := b.full(nil)
			b.sim.Fail("/onhand/batch-update", fault, 0, 1)
			if report := b.mustRun(f); report.Run.Failed != 0 {
				t.Errorf("%s: %+v", fault, report.Run)
			}
			b.holds(b.shop.rows...)
		})
	}
}

// A list that is sent in vain again and again is given up for the day, because
// somebody pays for the line; its rows go in ordinary batches, because the server
// may have worked on a part of it. The next day is a new one.
func TestFullRunGivesUp(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		f := b.full(nil)
		b.sim.Fail("/onhand/batch-update", zelenkatest.Half, 0, -1)
		var report zelenka.Report
		for attempts := 0; report.Run.Phase != zelenka.Stopped; attempts++ {
			if attempts > 2*zelenka.UploadsMost {
				t.Fatalf("%+v", report)
			}
			report, _ = b.run(f)
		}
		if n := b.sim.Faults(zelenkatest.Half); n != zelenka.UploadsMost || report.Run.Reason == "" {
			t.Errorf("%d uploads: %+v", n, report)
		}
		b.sim.ClearFaults()
		b.takes(b.resent.rows...)
		b.holds(b.shop.rows...)
		if next, _ := f.Next(t.Context()); time.Until(next) < 12*time.Hour {
			t.Errorf("the next is at %v", next)
		}
		b.mustRun(f)
		b.clean()
	})
}

// A point of sale that Zelenka does not know.
func TestFullRunUnknownWarehouse(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		f := b.full(func(o *zelenka.FullOptions) { o.Warehouse = 3411 })
		report, err := b.run(f)
		if !as[*zelenka.WarehouseError](err) || report.Run.Rows != 0 {
			t.Errorf("%+v: %v", report, err)
		}
	})
}

// What is to be sent again must have been kept before the day is done.
func TestFullRunKeepsWhatIsToBeSentAgain(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		f := b.full(nil)
		b.shop.onList = func(n int) { b.shop.put(row("ЦБ-00000005", int64(100+n))) }
		b.resent.fail = errPlayed
		if report, err := b.run(f); !errors.Is(err, errPlayed) || report.Run.Phase.Ended() {
			t.Fatalf("%+v: %v", report, err)
		}
		b.resent.fail = nil
		b.mustRun(f)
		if len(b.resent.rows) != 1 {
			t.Error(b.resent.rows)
		}
	})
}

// A store that fails stops the run before the list is sent.
func TestFullRunWithoutAStore(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		f := b.full(nil)
		next, _ := f.Next(t.Context())
		time.Sleep(time.Until(next))
		b.state.fail = errPlayed
		if _, err := f.Run(t.Context()); !errors.Is(err, errPlayed) {
			t.Error(err)
		}
		if n := len(b.sim.Requests()); n != 0 {
			t.Errorf("%d requests", n)
		}
	})
}

// A power cut at any step of a run: the run is made anew, and afterwards the
// shop's figures stand there or are handed over to be sent again.
func TestFullRunPowerCuts(t *testing.T) {
	type cut struct{}
	for nth := 1; ; nth++ {
		finished := false
		play(t, nil, func(t *testing.T, b *bench) {
			f := b.full(nil)
			next, _ := f.Next(t.Context())
			time.Sleep(time.Until(next))
			step := 0
			seam := func() {
				if step++; step == nth {
					panic(cut{})
				}
			}
			b.shop.onList = func(int) { b.shop.put(row("ЦБ-00000007", int64(1000+step))); seam() }
			b.shop.onFresh = seam
			b.state.onSave = seam
			func() {
				defer func() {
					if p := recover(); p != nil && p != any(cut{}) {
						panic(p)
					}
				}()
				_, err := f.Run(t.Context())
				finished = err == nil
			}()
			b.shop.onList, b.shop.onFresh, b.state.onSave = nil, nil, nil
			b.client = connect(t, b.sim, nil)
			if report, err := b.full(nil).Run(t.Context()); err != nil && !errors.Is(err, zelenka.ErrNotDue) {
				t.Fatalf("step %d: %+v: %v", nth, report, err)
			}
			if len(b.resent.rows) > 0 {
				b.takes(b.resent.rows...)
			}
			b.holds(b.shop.rows...)
			b.clean()
		})
		if finished || t.Failed() {
			if nth < 6 {
				t.Errorf("a run has only %d steps", nth)
			}
			return
		}
	}
}

// An agent that dies of its own list does not try for ever.
func TestFullRunThatKillsTheAgent(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		died := 0
		for range 20 {
			f := b.full(nil)
			next, _ := f.Next(t.Context())
			time.Sleep(max(0, time.Until(next)))
			b.client = connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				b.sim.ServeHTTP(w, r)
			}), nil)
			f = b.full(nil)
			ctx, cancel := context.WithCancel(t.Context())
			b.state.onSaved = func(run zelenka.Run) {
				if run.Phase == zelenka.Sending {
					died++
					cancel()
				}
			}
			_, err := f.Run(ctx)
			cancel()
			if err == nil {
				break
			}
		}
		if died != zelenka.UploadsMost || b.state.run.Phase != zelenka.Stopped {
			t.Errorf("it died %d times: %+v", died, b.state.run)
		}
	})
}

// Figures of any kind come out of a full run as Whole says, and the body is one
// valid list however many rows there are.
func TestFullRunAnyFigures(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		list := rapid.SliceOfNDistinct(rapid.Custom(func(rt *rapid.T) target.Row {
			return target.Row{Key: rapid.StringN(1, 12, -1).Draw(rt, "key"), Quantity: stock.Quantity(rapid.Int64Range(-1e15, 1e15).Draw(rt, "figure"))}
		}), 1, 60, func(r target.Row) string { return r.Key }).Draw(rt, "rows")
		play(t, nil, func(t *testing.T, b *bench) {
			f := b.full(func(o *zelenka.FullOptions) { o.Approved = true })
			b.shop.rows = list
			b.mustRun(f)
			b.holds(list...)
			b.clean()
		})
	})
}
