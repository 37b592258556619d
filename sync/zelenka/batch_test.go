package zelenka_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"ostatok/agent/stock"
	"ostatok/sync/rest"
	"ostatok/sync/target"
	"ostatok/sync/zelenka"
	"ostatok/sync/zelenka/zelenkatest"
)

func TestTraits(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		traits := b.target().Traits()
		if traits.Reads || !traits.Sells || !traits.FullRun || traits.Precision != stock.Unit || traits.Batch < 1000 || traits.BatchBytes > zelenka.MaxBody {
			t.Errorf("%+v", traits)
		}
		if _, err := b.target().Read(t.Context(), []string{"a"}); err == nil {
			t.Error("Zelenka was read")
		}
	})
}

// What goes wrong on the way: which of it is tried again at once, which is for
// the engine to try later, and that the newest figure stands in the end. Every
// repetition sends a body that is built anew.
func TestFaultsOnTheWay(t *testing.T) {
	for _, c := range []struct {
		fault  zelenkatest.Fault
		kind   rest.Kind // of the error; "" when the call succeeds by itself
		taken  bool      // the figures are there although the call failed
		within time.Duration
	}{
		{fault: zelenkatest.Broken, within: time.Minute},
		{fault: zelenkatest.Half, within: time.Minute},
		{fault: zelenkatest.Unavailable, within: time.Minute},
		{fault: zelenkatest.Limited, within: time.Minute},
		{fault: zelenkatest.Dropped, within: time.Minute},
		{fault: zelenkatest.Lost, kind: rest.Temporary, taken: true, within: 6 * time.Minute},
		{fault: zelenkatest.Silent, kind: rest.Temporary, within: 6 * time.Minute},
		{fault: zelenkatest.HTML, kind: rest.Protocol, within: time.Minute},
		{fault: zelenkatest.HTMLAsJSON, kind: rest.Protocol, within: time.Minute},
		{fault: zelenkatest.Warned, kind: rest.Protocol, taken: true, within: time.Minute},
		{fault: zelenkatest.Empty, kind: rest.Protocol, taken: true, within: time.Minute},
		{fault: zelenkatest.Cut, kind: rest.Temporary, taken: true, within: time.Minute},
		{fault: zelenkatest.Short, kind: rest.Temporary, taken: true, within: time.Minute},
		{fault: zelenkatest.Null, within: time.Minute},
		{fault: zelenkatest.Absent, within: time.Minute},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			play(t, nil, func(t *testing.T, b *bench) {
				list := rows(500)
				b.sim.Fail("/onhand/batch-update", c.fault, 0, 1)
				start := time.Now()
				fates, err := b.write(list...)
				if took := time.Since(start); took > c.within {
					t.Errorf("took %v", took)
				}
				if rest.KindOf(err) != c.kind || (err == nil) != (c.kind == "") || (err != nil && !rest.Retryable(err)) {
					t.Fatalf("%q: %v", rest.KindOf(err), err)
				}
				if err != nil && len(fates) != 0 {
					t.Errorf("%d rows have an outcome that nobody knows", len(fates))
				}
				if err == nil || c.taken {
					b.holds(list...)
				}
				b.takes(list...) // the next try
				b.clean()
			})
		})
	}
}

// A line that is dead for good ends the call with an error that may pass.
func TestOutage(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		b.sim.Fail("", zelenkatest.Broken, 0, -1)
		start := time.Now()
		_, err := b.write(rows(3)...)
		if rest.KindOf(err) != rest.Temporary || time.Since(start) > 5*time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// A call that was cancelled says so.
func TestCancelled(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		b.takes(row("a", 1))
		b.sim.Fail("", zelenkatest.Silent, 0, -1)
		ctx, cancel := withTimeout(t, time.Second)
		defer cancel()
		if _, err := b.target().Write(ctx, rows(3)); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// Errors are by row, and the rest is taken.
func TestRefusedRows(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		list := rows(50)
		b.sim.Refuse(list[7].Key, "Item not found")
		b.sim.Refuse(list[9].Key, "SQLSTATE[40001]: 1213 Deadlock found when trying to get lock; try restarting transaction")
		fates, err := b.write(list...)
		if err != nil || len(fates) != len(list) {
			t.Fatal(len(fates), err)
		}
		for i, r := range list {
			var refusal *zelenka.RowError
			if refused := errors.As(fates[r.Key], &refusal); refused != (i == 7 || i == 9) {
				t.Errorf("%d: %v", i, fates[r.Key])
			}
			if refusal != nil && (refusal.Retryable() != (i == 9) || refusal.Key != r.Key) {
				t.Errorf("%d: %+v", i, refusal)
			}
		}
		if n := len(b.sim.Requests()); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

// An item whose id looks like a place in a list: PHP writes the errors of the ids
// 0, 1, 2 as a list without ids.
func TestErrorsAsAList(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		list := []target.Row{row("0", 5), row("1", 6), row("2", 7)}
		b.sim.Refuse("0", "Item not found")
		b.sim.Refuse("1", "Item is blocked")
		fates, err := b.write(list...)
		if err != nil || fates["2"] != nil || fmt.Sprint(fates["0"]) != `Zelenka does not take item "0": Item not found` || fates["1"] == nil {
			t.Error(fates, err)
		}
	})
}

// An unknown point of sale concerns the target, not ten thousand rows of it.
func TestUnknownWarehouse(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		out, err := b.client.Target(zelenka.TargetOptions{Warehouse: 3411}).Write(t.Context(), rows(20))
		absent, ok := errors.AsType[*zelenka.WarehouseError](err)
		if !ok || absent.Warehouse != 3411 || len(out) != 0 || rest.KindOf(err) != rest.Forbidden || rest.Retryable(err) {
			t.Errorf("%v %v", out, err)
		}
	})
}

// An answer that counts fewer, or more, rows than it was sent leaves open which
// were taken. It is found out, at the price of a few requests, and no row is
// called accepted that was not.
func TestCountDoesNotAddUp(t *testing.T) {
	for _, fault := range []zelenkatest.Fault{zelenkatest.Under, zelenkatest.Over} {
		t.Run(string(fault), func(t *testing.T) {
			play(t, nil, func(t *testing.T, b *bench) {
				list := rows(1000)
				b.sim.Refuse(list[3].Key, "Item not found")
				b.sim.Fail("/onhand/batch-update", fault, 0, 1)
				fates, err := b.write(list...)
				if err != nil || len(fates) != len(list) {
					t.Fatal(len(fates), err)
				}
				for i, r := range list {
					if (fates[r.Key] != nil) != (i == 3) {
						t.Errorf("%d: %v", i, fates[r.Key])
					}
				}
				if n := len(b.sim.Requests()); n != 3 {
					t.Errorf("%d requests", n)
				}
				b.clean()
			})
		})
	}
}

// A row that the server neither takes nor names: it alone is not accepted.
func TestRowThatIsSwallowed(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		const swallowed = "ЦБ-00000641"
		counts := 0
		b.client = connect(t, loggedInTo(b, func(w http.ResponseWriter, r *http.Request, body string) bool {
			switch {
			case !strings.Contains(body, swallowed):
				return false
			case r.URL.Path == "/onhand/update":
				http.Error(w, `{"message":"unknown item"}`, http.StatusUnprocessableEntity)
			default:
				counts++
				w.Header().Set("Content-Type", "application/json")
				_, _ = fmt.Fprintf(w, `{"success":%d,"errors":[]}`, strings.Count(body, `"id"`)-1)
			}
			return true
		}), nil)
		list := rows(1000)
		fates, err := b.write(list...)
		if err != nil || len(fates) != len(list) {
			t.Fatal(len(fates), err)
		}
		for key, fate := range fates {
			if (fate != nil) != (key == swallowed) {
				t.Errorf("%s: %v", key, fate)
			}
		}
		if rest.KindOf(fates[swallowed]) != rest.Invalid || counts > 12 {
			t.Errorf("%v after %d requests", fates[swallowed], counts)
		}
	})
}

// A server whose count is always wrong: the requests are bounded, and the rows
// that are left are not called accepted.
func TestCountNeverAddsUp(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		b.sim.Fail("/onhand/batch-update", zelenkatest.Under, 0, -1)
		list := rows(1000)
		fates, err := b.write(list...)
		if err != nil || len(fates) != len(list) {
			t.Fatal(len(fates), err)
		}
		open := 0
		for key, fate := range fates {
			if fate == nil {
				continue
			}
			fault, ok := errors.AsType[*zelenka.CountError](fate)
			if !ok || !fault.Retryable() {
				t.Errorf("%s: %v", key, fate)
			}
			open++
		}
		if n := len(b.sim.Requests()); n > zelenka.NarrowingMost+1 || open < 900 {
			t.Errorf("%d requests, %d rows are open", n, open)
		}
		// Few rows are settled one by one.
		few := rows(8)
		b.takes(few...)
	})
}

// Errors that name no row that was sent, here because the server changes ids, do
// not pass for success.
func TestErrorsOfStrangers(t *testing.T) {
	for _, less := range []int{0, 1} { // the count as if all were taken, and as if one were not
		play(t, nil, func(t *testing.T, b *bench) {
			b.client = connect(t, loggedInTo(b, func(w http.ResponseWriter, r *http.Request, body string) bool {
				if r.URL.Path != "/onhand/batch-update" || !strings.Contains(body, "ЦБ-00000002") {
					return false
				}
				w.Header().Set("Content-Type", "application/json")
				_, _ = fmt.Fprintf(w, `{"success":%d,"errors":{"цб-00000002":"Item not found"}}`, strings.Count(body, `"id"`)-less)
				return true
			}), nil)
			b.takes(rows(4)...)
			requests := b.sim.Requests()
			if last := requests[len(requests)-1]; last.Path != "/onhand/batch-update" && last.Path != "/onhand/update" || len(requests) < 2 {
				t.Errorf("nothing was found out: %+v", requests)
			}
		})
	}
}

// update says what was taken; another figure than was sent is an error of the row.
func TestAnotherFigureIsTaken(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		b.client = connect(t, loggedInTo(b, func(w http.ResponseWriter, r *http.Request, _ string) bool {
			w.Header().Set("Content-Type", "application/json")
			if r.URL.Path == "/onhand/update" {
				_, _ = io.WriteString(w, `{"id":"a","warehouse_id":"341","quantity":"100"}`)
			} else {
				_, _ = io.WriteString(w, `{"success":0,"errors":null}`)
			}
			return true
		}), nil)
		fates, err := b.write(row("a", 500))
		taken, ok := errors.AsType[*zelenka.TakenError](fates["a"])
		if err != nil || !ok || taken.Taken != "100" || taken.Retryable() {
			t.Error(fates, err)
		}
	})
}

// One item twice in a batch: which of the figures would hold is not documented.
func TestItemTwiceInABatch(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		out, err := b.target().Write(t.Context(), []target.Row{row("a", 1), row("b", 2), row("a", 3)})
		if err != nil || len(out) != 3 {
			t.Fatal(out, err)
		}
		b.holds(row("a", 1), row("b", 2))
		b.clean()
	})
}

// Nothing to write is no request.
func TestEmptyBatch(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		if out, err := b.target().Write(t.Context(), nil); err != nil || len(out) != 0 || len(b.sim.Requests()) != 0 {
			t.Error(out, err, b.sim.Requests())
		}
	})
}

// loggedInTo gives every call for stock to take first, and to the simulator when
// that returns false.
func loggedInTo(b *bench, take func(w http.ResponseWriter, r *http.Request, body string) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/auth/") {
			b.sim.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			b.t.Error(err)
		}
		if !take(w, r, string(body)) {
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			b.sim.ServeHTTP(w, r)
		}
	})
}

// A login that takes minutes must not end in figures of minutes ago.
func TestNothingOldIsSentAfterALogin(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		b.sim.Fail("/auth/login", zelenkatest.Lost, 0, 1)
		if _, err := b.write(rows(3)...); rest.KindOf(err) != rest.Temporary || !rest.Retryable(err) {
			t.Error(err)
		}
		if n := len(b.sim.Requests()); n != 0 {
			t.Errorf("%d batches with figures of before the login", n)
		}
		b.takes(rows(3)...)
	})
}
