package virtpos_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"testing/synctest"

	gocmp "github.com/google/go-cmp/cmp"

	"ostatok/agent/stock"
	"ostatok/sync/rest"
	"ostatok/sync/virtpos"
	"ostatok/sync/virtpos/virtpostest"
)

// The ways in which a run of "ask for the version (1), update (2), zero the rest
// (3)" can go wrong, by their numbers in backends §1.9.

// three products of the source, of which 102 is sold out, and 105, which only
// VirtPOS knows.
func three() (source, held map[string]int) {
	return map[string]int{"101": 3, "102": 0, "103": 7}, map[string]int{"101": 1, "102": 4, "103": 7, "105": 9}
}

func threeDesk(t *testing.T, s virtpostest.Settings) *desk {
	source, held := three()
	return newDesk(t, s, source, held)
}

func (d *desk) done(t *testing.T) {
	t.Helper()
	for item, n := range map[string]int{"101": 3, "102": 0, "103": 7, "105": 0} {
		d.holds(t, item, n)
	}
}

func (d *desk) untouched(t *testing.T) {
	t.Helper()
	for item, n := range map[string]int{"101": 1, "102": 4, "103": 7, "105": 9} {
		d.holds(t, item, n)
	}
}

// Crash after (1): nothing changed. Rule: start over.
func TestFailureMode01CrashAfterTheVersion(t *testing.T) {
	d := threeDesk(t, virtpostest.Settings{})
	d.crashWhen(t, "after /api/store/getOnhandVersion")
	d.untouched(t)
	if d.disk.bytes != nil {
		t.Error("something was kept of a run that had not begun")
	}
	if report := d.finish(t); report.Resumed || d.Calls(virtpostest.CallVersion) != 2 {
		t.Errorf("the run did not start over: %v", d.calls())
	}
	d.done(t)
}

// Crash inside (2): some rows are new, absent ones are not zeroed, oversell stays.
// Rule: go on with the same kept version, finish (2), then (3); never ask again.
func TestFailureMode02CrashInsideTheUpdates(t *testing.T) {
	for _, step := range []string{"before /api/store/updateOnhand", "after /api/store/updateOnhand", "before save updating", "after save updating"} {
		d := threeDesk(t, virtpostest.Settings{})
		d.crashWhen(t, step)
		kept := d.disk.content().Run
		if kept.Phase != virtpos.Updating || kept.Version == 0 || d.Calls(virtpostest.CallZero) != 0 {
			t.Fatalf("%s: %+v", step, kept)
		}
		if report := d.finish(t); !report.Resumed || report.Run.Version != kept.Version {
			t.Errorf("%s: %+v", step, report)
		}
		if d.Calls(virtpostest.CallVersion) != 1 || !slices.Equal(d.versions(), []string{"2"}) {
			t.Errorf("%s: %v", step, d.calls())
		}
		d.done(t)
	}
}

// The version is read again after some updates: rows updated before the second
// reading are now old, and good stock is zeroed. Rule: keep the version before the
// first update; a new one means sending everything again.
func TestFailureMode03VersionReadAgain(t *testing.T) {
	// What must not happen, done by hand.
	o := open(t, virtpostest.Settings{}, nil)
	ctx, at := context.Background(), virtpos.Ref{ID: wh}
	if _, err := o.client.OnhandVersion(ctx, at); err != nil {
		t.Fatal(err)
	}
	if _, err := o.client.UpdateOnhand(ctx, virtpos.Update{Warehouse: at, Item: virtpos.Ref{ID: "101"}, Quantity: units(3)}); err != nil {
		t.Fatal(err)
	}
	second, err := o.client.OnhandVersion(ctx, at)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.client.SetZeroOnhand(ctx, at, second); err != nil {
		t.Fatal(err)
	}
	o.holds(t, "101", 0)

	// The run: kept before the first update, and not asked for again.
	d := threeDesk(t, virtpostest.Settings{})
	d.Meanwhile(virtpostest.CallUpdate, 0, func() {
		if run := d.disk.content().Run; run.Phase != virtpos.Updating || run.Version != 2 {
			t.Errorf("an update before the version was kept: %+v", run)
		}
	})
	for range 3 {
		d.Fail(virtpostest.CallUpdate, virtpostest.Broken, 1, 1)
	}
	for range 3 {
		if _, err := d.run(t); err == nil {
			break
		}
	}
	d.finish(t)
	if calls := d.calls(); slices.Contains(calls[1:len(calls)-1], "getOnhandVersion") || d.versions()[0] != "2" {
		t.Errorf("%v", calls)
	}
	d.done(t)

	// A run that is given up sends everything again with its new version.
	d = threeDesk(t, virtpostest.Settings{})
	d.Fail(virtpostest.CallUpdate, virtpostest.Refused, 2, 1)
	if _, err := d.run(t); err == nil {
		t.Fatal("a refused row")
	}
	if report := d.finish(t); report.Resumed || report.Sent != 3 || !slices.Equal(d.versions(), []string{"3"}) {
		t.Errorf("%+v", report)
	}
	d.done(t)
}

// Crash between (2) and (3): sold-out items stay positive. Rule: repeat (3) with
// the same version; it is repeatable.
func TestFailureMode04CrashBeforeTheZeroing(t *testing.T) {
	for _, step := range []string{"after save updating 2", "before save zeroing", "after save zeroing", "before /api/store/setZeroOnhand", "after /api/store/setZeroOnhand", "before save checking"} {
		d := threeDesk(t, virtpostest.Settings{})
		if step == "after save updating 2" {
			d.full.SaveEvery, step = 3, "after save updating"
		}
		d.crashWhen(t, step)
		if report := d.finish(t); !report.Resumed || report.Sent != 0 && step != "before save zeroing" {
			t.Errorf("%s: %+v", step, report)
		}
		for _, version := range d.versions() {
			if version != "2" {
				t.Errorf("%s: zeroed with version %q", step, version)
			}
		}
		if d.Calls(virtpostest.CallVersion) != 1 {
			t.Errorf("%s: %v", step, d.calls())
		}
		d.done(t)
	}
}

// (3) with an older version zeroes fewer rows: the safe direction. Rule: prefer too
// old to too new.
func TestFailureMode05AnOlderVersionZeroesLess(t *testing.T) {
	d := threeDesk(t, virtpostest.Settings{})
	d.Fail(virtpostest.CallUpdate, virtpostest.Broken, 1, 1)
	if _, err := d.run(t); err == nil {
		t.Fatal("a failed update")
	}
	// Meanwhile others count the version up and one uses the row that we do not
	// know: with our old version it survives.
	d.Ask()
	d.Ask()
	d.Write(wh, "105", units(8))
	report := d.finish(t)
	if !slices.Equal(d.versions(), []string{"2"}) {
		t.Errorf("zeroed with %v", d.versions())
	}
	for item, n := range map[string]int{"101": 3, "102": 0, "103": 7, "105": 8} {
		d.holds(t, item, n)
	}
	if diff := gocmp.Diff([]virtpos.Figure{{Item: "105", Quantity: 8000}}, report.Left); diff != "" {
		t.Error(diff)
	}
}

// One updateOnhand failed or timed out: that item is untouched, and (3) zeroes real
// stock. Rule: no (3) unless every row has a confirmed success=1.
func TestFailureMode06OneUpdateFailed(t *testing.T) {
	for fault, passes := range map[virtpostest.Fault]bool{
		virtpostest.Refused: false,
		virtpostest.Busy:    true, virtpostest.Broken: true, virtpostest.BrokenAfter: true, virtpostest.Lost: true,
		virtpostest.Cut: true, virtpostest.CutClean: true, virtpostest.HTML: true, virtpostest.Disguised: true,
		virtpostest.Silent: true, virtpostest.Empty: true, virtpostest.Moved: true, virtpostest.Limited: true,
	} {
		for skip := range 3 {
			d := threeDesk(t, virtpostest.Settings{})
			d.Fail(virtpostest.CallUpdate, fault, skip, 1)
			report, err := d.run(t)
			_, stopped := errors.AsType[*virtpos.UnconfirmedError](err)
			if err == nil || stopped == passes || report.Run.Phase.Ended() == passes {
				t.Errorf("%s at row %d: %v, %s", fault, skip, err, report.Run.Phase)
			}
			if d.Calls(virtpostest.CallZero) != 0 {
				t.Errorf("%s at row %d: zeroed", fault, skip)
			}
			d.holds(t, "105", 9)
			if report := d.finish(t); report.Resumed != passes {
				t.Errorf("%s at row %d: %+v", fault, skip, report)
			}
			d.done(t)
		}
	}
}

// Nor is a run done with a refused row when there is nothing to zero.
func TestFailureMode06IsNotDoneEither(t *testing.T) {
	d := newDesk(t, virtpostest.Settings{}, map[string]int{"101": 3, "102": 5}, map[string]int{"101": 1})
	d.Refuse("102")
	report, err := d.run(t)
	if _, ok := errors.AsType[*virtpos.UnconfirmedError](err); !ok || report.Run.Phase != virtpos.Stopped || report.Run.Reason == "" {
		t.Errorf("%+v, %v", report.Run, err)
	}
}

// The same for an answer that never comes.
func TestFailureMode06OneUpdateTimedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := threeDesk(t, virtpostest.Settings{})
		d.Fail(virtpostest.CallUpdate, virtpostest.Hang, 1, 1)
		if _, err := d.run(t); rest.KindOf(err) != rest.Temporary {
			t.Error(err)
		}
		if d.Calls(virtpostest.CallZero) != 0 {
			t.Error("zeroed")
		}
		d.finish(t)
		d.done(t)
	})
}

// An unknown external code, a gap in the mapping: the same as 6, for good. Rule: an
// unmapped item blocks the zeroing of that warehouse.
func TestFailureMode07UnmappedItem(t *testing.T) {
	t.Run("the source says so", func(t *testing.T) {
		d := threeDesk(t, virtpostest.Settings{})
		d.shelf.unmapped = []string{"cheese"}
		_, err := d.run(t)
		if gap, ok := errors.AsType[*virtpos.UnmappedError](err); !ok || !slices.Equal(gap.Products, []string{"cheese"}) || len(d.calls()) != 0 {
			t.Errorf("%v %v", err, d.calls())
		}
		d.untouched(t)
	})
	t.Run("during the run", func(t *testing.T) {
		d := threeDesk(t, virtpostest.Settings{})
		d.Meanwhile(virtpostest.CallUpdate, 1, func() { d.shelf.unmapped = []string{"cheese"} })
		_, err := d.run(t)
		if _, ok := errors.AsType[*virtpos.UnmappedError](err); !ok || d.Calls(virtpostest.CallZero) != 0 {
			t.Errorf("%v %v", err, d.calls())
		}
	})
	t.Run("an unknown code", func(t *testing.T) {
		d := newDesk(t, virtpostest.Settings{}, map[string]int{"ext-101": 3, "ext-999": 5}, map[string]int{"105": 9})
		d.full.External = true
		_, err := d.run(t)
		if gap, ok := errors.AsType[*virtpos.UnmappedError](err); !ok || !slices.Equal(gap.Products, []string{"ext-999"}) || len(d.calls()) != 0 {
			t.Errorf("%v %v", err, d.calls())
		}
	})
	t.Run("an unknown number", func(t *testing.T) {
		d := newDesk(t, virtpostest.Settings{}, map[string]int{"101": 3, "999": 5}, map[string]int{"105": 9})
		_, err := d.run(t)
		if stopped, ok := errors.AsType[*virtpos.UnconfirmedError](err); !ok || stopped.Rows[0].Item != "999" || d.Calls(virtpostest.CallZero) != 0 {
			t.Errorf("%v %v", err, d.calls())
		}
		d.holds(t, "105", 9)
	})
}

// The source returned a short or empty list: (3) zeroes the catalogue. Rule: guard
// the share of items that would vanish.
func TestFailureMode08ShortSource(t *testing.T) {
	full := func() map[string]int {
		m := make(map[string]int)
		for i, id := range items(12) {
			m[id] = i + 1
		}
		return m
	}
	short := func(n int) map[string]int {
		m := full()
		for _, id := range items(12)[n:] {
			delete(m, id)
		}
		return m
	}
	check := func(t *testing.T, d *desk, want error) {
		t.Helper()
		before := d.Balances(wh)
		_, err := d.run(t)
		if guard := (&virtpos.GuardError{}); errors.As(want, &guard) {
			if got, ok := errors.AsType[*virtpos.GuardError](err); !ok || *got != *guard {
				t.Errorf("%v", err)
			}
		} else if !errors.Is(err, want) {
			t.Errorf("%v", err)
		}
		if len(d.calls()) != 0 || !slices.Equal(before, d.Balances(wh)) {
			t.Errorf("something was written: %v", d.calls())
		}
	}
	early := errors.New("not all of the documents are there yet")
	t.Run("empty", func(t *testing.T) {
		d := newDesk(t, virtpostest.Settings{}, nil, full())
		d.full.Approved = true // not even then
		check(t, d, virtpos.ErrEmpty)
	})
	t.Run("unreachable", func(t *testing.T) {
		d := newDesk(t, virtpostest.Settings{}, full(), full())
		d.shelf.err = early
		check(t, d, early)
	})
	t.Run("short", func(t *testing.T) {
		d := newDesk(t, virtpostest.Settings{}, short(2), full())
		check(t, d, &virtpos.GuardError{Vanish: 10, Of: 12})
		d.full.Approved = true
		d.finish(t)
		d.holds(t, "101", 1)
		d.holds(t, "112", 0)
	})
	t.Run("all at zero", func(t *testing.T) {
		zeros := full()
		for id := range zeros {
			zeros[id] = 0
		}
		check(t, newDesk(t, virtpostest.Settings{}, zeros, full()), &virtpos.GuardError{Vanish: 12, Of: 12})
	})
	t.Run("short during the run", func(t *testing.T) {
		d := newDesk(t, virtpostest.Settings{}, full(), full())
		d.Meanwhile(virtpostest.CallUpdate, 11, func() { d.shelf.figures = nil })
		if _, err := d.run(t); err == nil || d.Calls(virtpostest.CallZero) != 0 {
			t.Errorf("%v", err)
		}
	})
	t.Run("a few may vanish", func(t *testing.T) {
		d := newDesk(t, virtpostest.Settings{}, short(9), full())
		d.finish(t)
		d.holds(t, "112", 0)
	})
	t.Run("VirtPOS itself reads short", func(t *testing.T) {
		d := newDesk(t, virtpostest.Settings{}, full(), full())
		d.Fail(virtpostest.CallStore, virtpostest.Short, 0, 1)
		if _, err := d.run(t); rest.KindOf(err) != rest.Protocol || len(d.calls()) != 0 {
			t.Errorf("%v", err)
		}
	})
}

// Two agents or users on one warehouse, V1 < V2: the second zeroes what only the
// first sends. Rule: one writer a warehouse; the source's list is complete.
func TestFailureMode09TwoWriters(t *testing.T) {
	t.Run("in one agent", func(t *testing.T) {
		d := threeDesk(t, virtpostest.Settings{})
		full, err := d.client.FullRun(d.full)
		if err != nil {
			t.Fatal(err)
		}
		d.Meanwhile(virtpostest.CallUpdate, 0, func() {
			if _, err := full.Run(context.Background()); !errors.Is(err, virtpos.ErrBusy) {
				t.Error(err)
			}
		})
		if _, err := full.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		d.done(t)
	})
	t.Run("elsewhere", func(t *testing.T) {
		for name, settings := range readings() {
			d := threeDesk(t, settings)
			// The other one began before us and writes what we do not know; his rows
			// are older than our version when he wrote them before our question.
			d.Meanwhile(virtpostest.CallVersion, 0, func() { d.Write(wh, "106", units(5)) })
			_, err := d.run(t)
			if grown, ok := errors.AsType[*virtpos.GrownError](err); !ok || grown.Items[0] != (virtpos.Figure{Item: "106", Quantity: 5000}) {
				t.Errorf("%s: %v", name, err)
			}
			d.holds(t, "106", 5)
			d.holds(t, "105", 9)
			if d.Calls(virtpostest.CallZero) != 0 {
				t.Errorf("%s: zeroed what another one sends", name)
			}
		}
	})
}

// A sale after its item was sent: the write already landed, the sale lowers it.
// Fine.
func TestFailureMode10SaleAfterTheUpdate(t *testing.T) {
	for _, stamps := range []bool{false, true} {
		d := threeDesk(t, virtpostest.Settings{SalesStamp: stamps})
		d.Meanwhile(virtpostest.CallUpdate, 2, func() { d.Sell(wh, "101", units(1)) })
		report := d.finish(t)
		d.holds(t, "101", 2)
		d.holds(t, "103", 7)
		d.holds(t, "105", 0)
		if report.Sent != 3 || len(report.Surprise) != 0 {
			t.Errorf("%+v", report)
		}
	}
}

// A sale before its item is sent: the write puts back the sold unit. Rule: look at
// quantity_before; read the source again and write again.
func TestFailureMode11SaleBeforeTheUpdate(t *testing.T) {
	d := threeDesk(t, virtpostest.Settings{})
	d.Meanwhile(virtpostest.CallUpdate, 2, func() { d.Sell(wh, "103", units(1)) })
	d.shelf.refresh = func() { d.shelf.figures["103"] = 6 } // the sale is there by now
	report := d.finish(t)
	d.holds(t, "103", 6)
	if diff := gocmp.Diff([]virtpos.Surprise{{Item: "103", Believed: 7000, Before: 6000}}, report.Surprise); diff != "" || report.Sent != 4 || d.shelf.refreshed != 1 {
		t.Errorf("%s %+v", diff, report)
	}

	// A source that has not heard of it yet: the surprise is told, and the run goes on.
	d = threeDesk(t, virtpostest.Settings{})
	d.Meanwhile(virtpostest.CallUpdate, 2, func() { d.Sell(wh, "103", units(1)) })
	if report := d.finish(t); len(report.Surprise) != 1 || report.Sent != 3 {
		t.Errorf("%+v", report)
	}
	d.done(t)

	// A source that cannot be read again: the row is not confirmed.
	d = threeDesk(t, virtpostest.Settings{})
	d.Meanwhile(virtpostest.CallUpdate, 2, func() { d.Sell(wh, "103", units(1)) })
	d.shelf.refresh = func() { d.shelf.err = errors.New("no line") }
	if _, err := d.run(t); err == nil || d.Calls(virtpostest.CallZero) != 0 {
		t.Error(err)
	}
}

// Goods received in VirtPOS during the run and not in the source yet: if the receipt
// does not move the version, (3) zeroes them. Rule: compare with a reading just
// before (3), and hold back what grew.
func TestFailureMode12GoodsReceived(t *testing.T) {
	for _, stamps := range []bool{false, true} {
		for name, item := range map[string]string{"more of what was there": "105", "new": "106"} {
			d := threeDesk(t, virtpostest.Settings{ReceiptsStamp: stamps})
			d.Meanwhile(virtpostest.CallUpdate, 2, func() { d.Receive(wh, item, units(4)) })
			held, _ := d.Holds(wh, item)
			_, err := d.run(t)
			grown, ok := errors.AsType[*virtpos.GrownError](err)
			if !ok || !slices.Equal(grown.Items, []virtpos.Figure{{Item: item, Quantity: held + units(4)}}) || d.Calls(virtpostest.CallZero) != 0 {
				t.Errorf("%s: %v", name, err)
			}
			// Between a zeroing that failed and its repetition, too.
			d = threeDesk(t, virtpostest.Settings{ReceiptsStamp: stamps})
			d.Fail(virtpostest.CallZero, virtpostest.Broken, 0, 1)
			if _, err := d.run(t); err == nil {
				t.Fatal("a failed zeroing")
			}
			d.Receive(wh, item, units(4))
			_, err = d.run(t)
			if _, ok := errors.AsType[*virtpos.GrownError](err); !ok || d.Calls(virtpostest.CallZero) != 1 {
				t.Errorf("%s: %v", name, err)
			}
			if q, _ := d.Holds(wh, item); q < units(4) {
				t.Errorf("%s: what was received is gone", name)
			}
		}
	}
}

// An item that is zero in the source and left out in (2), as the document advises,
// depends wholly on (3). Rule: send zeros explicitly, and keep (3) for rows that we
// do not know.
func TestFailureMode13ZerosAreSent(t *testing.T) {
	d := threeDesk(t, virtpostest.Settings{})
	d.Fail(virtpostest.CallZero, virtpostest.Refused, 0, -1)
	if _, err := d.run(t); rest.KindOf(err) != rest.Invalid {
		t.Error(err)
	}
	d.holds(t, "102", 0)
	if d.Written()["102"] != 1 {
		t.Errorf("%v", d.Written())
	}
}

// A retry of (3) after a time-out: harmless with the same version. Rule: the same
// version only.
func TestFailureMode14ZeroingTimedOut(t *testing.T) {
	for _, fault := range []virtpostest.Fault{virtpostest.Lost, virtpostest.BrokenAfter, virtpostest.Broken, virtpostest.Cut, virtpostest.HTML, virtpostest.Silent} {
		d := threeDesk(t, virtpostest.Settings{})
		d.Fail(virtpostest.CallZero, fault, 0, 1)
		if _, err := d.run(t); err == nil {
			t.Fatalf("%s is taken for a success", fault)
		}
		d.Ask() // somebody counts on
		if fault == virtpostest.Lost {
			d.Receive(wh, "105", units(2)) // goods come in between
		}
		report := d.finish(t)
		if !report.Resumed || report.Sent != 0 {
			t.Errorf("%s: %+v", fault, report)
		}
		for _, version := range d.versions() {
			if version != "2" {
				t.Errorf("%s: zeroed with %q", fault, version)
			}
		}
		if fault == virtpostest.Lost {
			d.holds(t, "105", 2)
			if len(d.versions()) != 1 || !slices.Equal(report.Left, []virtpos.Figure{{Item: "105", Quantity: 2000}}) {
				t.Errorf("what came in since was zeroed, or is not told: %v, %v", d.versions(), report.Left)
			}
			continue
		}
		d.done(t)
		if diff := gocmp.Diff([]virtpos.Figure{{Item: "105", Quantity: 9000}}, report.Zeroed); diff != "" {
			t.Errorf("%s: %s", fault, diff)
		}
	}
}

// An item that the source does not have is touched by someone after (1): if that
// moves its version it survives (3) with stale stock. Rule: read after (3); what is
// left goes to the next run as explicit zeros.
func TestFailureMode15TouchedByOthers(t *testing.T) {
	d := threeDesk(t, virtpostest.Settings{SalesStamp: true})
	d.Meanwhile(virtpostest.CallUpdate, 1, func() { d.Sell(wh, "105", units(2)) })
	report := d.finish(t)
	d.holds(t, "105", 7)
	if diff := gocmp.Diff([]virtpos.Figure{{Item: "105", Quantity: 7000}}, report.Left); diff != "" {
		t.Fatal(diff)
	}
	d.finish(t)
	d.done(t)
	if d.Written()["105"] != 1 {
		t.Errorf("not by an explicit zero: %v", d.Written())
	}
}

// (3) reports nothing about what it zeroed: no trail, no undo. Rule: keep a reading
// from just before and just after it.
func TestFailureMode16NothingIsReported(t *testing.T) {
	d := threeDesk(t, virtpostest.Settings{})
	d.Meanwhile(virtpostest.CallZero, 0, func() {
		if len(d.disk.content().Snapshots[virtpos.Before].Figures) != 4 {
			t.Error("zeroed before the reading was kept")
		}
	})
	report := d.finish(t)
	want := map[virtpos.Moment]map[string]stock.Quantity{
		virtpos.AtStart: {"101": 1000, "102": 4000, "103": 7000, "105": 9000},
		virtpos.Before:  {"101": 3000, "102": 0, "103": 7000, "105": 9000},
		virtpos.After:   {"101": 3000, "102": 0, "103": 7000, "105": 0},
	}
	got := make(map[virtpos.Moment]map[string]stock.Quantity)
	for moment, s := range d.disk.content().Snapshots {
		got[moment] = make(map[string]stock.Quantity)
		for _, f := range s.Figures {
			got[moment][f.Item] = f.Quantity
		}
	}
	if !maps.EqualFunc(want, got, maps.Equal) {
		t.Error(gocmp.Diff(want, got))
	}
	if diff := gocmp.Diff([]virtpos.Figure{{Item: "105", Quantity: 9000}}, report.Zeroed); diff != "" {
		t.Error(diff)
	}
}

// A zeroing without a version, or with one that could not be read, is never sent
// (backends §1.9: what is missing).
func TestNeverZeroWithoutAVersion(t *testing.T) {
	o := open(t, virtpostest.Settings{}, nil)
	for _, v := range []virtpos.Version{0, -1} {
		if err := o.client.SetZeroOnhand(context.Background(), virtpos.Ref{ID: wh}, v); !errors.Is(err, virtpos.ErrNoVersion) {
			t.Error(err)
		}
	}
	if err := o.client.SetZeroOnhand(context.Background(), virtpos.Ref{}, 5); err == nil {
		t.Error("without a warehouse")
	}
	if n := len(o.Requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
	d := threeDesk(t, virtpostest.Settings{})
	d.Fail(virtpostest.CallVersion, virtpostest.Silent, 0, 1)
	if _, err := d.run(t); err == nil || d.disk.bytes != nil {
		t.Error(err)
	}
	d.untouched(t)
}

// crashWhen runs and cuts the power at the first step of this name.
func (d *desk) crashWhen(t *testing.T, step string) {
	t.Helper()
	seam := func(s string) {
		if s == step {
			panic(powerCut{s})
		}
	}
	d.seam, d.disk.seam = seam, seam
	defer func() {
		d.seam, d.disk.seam = func(string) {}, func(string) {}
		if _, ok := recover().(powerCut); !ok {
			t.Fatalf("there was no step %q", step)
		}
	}()
	_, err := d.run(t)
	t.Errorf("no power cut: %v", err)
}
