package journal_test

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ostatok/agent/journal"
	"ostatok/agent/stock"
)

func TestFullRun(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, dir)
	ctx := t.Context()
	if run, ok, err := j.FullRun(ctx, "site"); run != nil || ok || err != nil {
		t.Fatalf("before the first: %q %v %v", run, ok, err)
	}
	minus := stock.Quantity(-2500)
	first := []journal.FullRunRow{
		{Item: "1", Key: "a", State: "waiting"},
		{Item: "2", Key: "b", State: "confirmed", Quantity: 3000, Before: &minus},
		{Item: "3", State: "refused", Reason: "kept by lots"},
	}
	start := &journal.FullRunSnapshot{Moment: "start", Figures: []journal.FullRunFigure{{Item: "1", Quantity: 5000}, {Item: "9", Quantity: -1}}}
	for _, err := range []error{
		j.SaveFullRun(ctx, "site", []byte("run 1"), first, start, true),
		j.SaveFullRun(ctx, "other", []byte("another's"), []journal.FullRunRow{{Item: "1"}}, nil, true),
		// Goes on: one row changes, one joins.
		j.SaveFullRun(ctx, "site", []byte("run 1, zeroing"), []journal.FullRunRow{
			{Item: "1", Key: "a", State: "confirmed", Quantity: 0}, {Item: "4", Key: "d", State: "waiting"},
		}, &journal.FullRunSnapshot{Moment: "before"}, false),
		j.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	j, _ = open(t, dir)
	run, ok, err := j.FullRun(ctx, "site")
	if string(run) != "run 1, zeroing" || !ok || err != nil {
		t.Errorf("run: %q %v %v", run, ok, err)
	}
	rows, err := j.FullRunRows(ctx, "site")
	want := []journal.FullRunRow{{Item: "1", Key: "a", State: "confirmed"}, first[1], first[2], {Item: "4", Key: "d", State: "waiting"}}
	if diff := cmp.Diff(want, rows); diff != "" || err != nil {
		t.Errorf("rows (-want +got):\n%s%v", diff, err)
	}
	taken, err := j.FullRunSnapshot(ctx, "site", "start")
	if diff := cmp.Diff(*start, taken); diff != "" || err != nil {
		t.Errorf("snapshot (-want +got):\n%s%v", diff, err)
	}
	for _, moment := range []string{"before", "never"} {
		if taken, err := j.FullRunSnapshot(ctx, "site", moment); len(taken.Figures) != 0 || taken.Moment != moment || err != nil {
			t.Errorf("snapshot %s: %+v %v", moment, taken, err)
		}
	}
	// The next run leaves nothing of the one before.
	if err := j.SaveFullRun(ctx, "site", []byte("run 2"), nil, nil, true); err != nil {
		t.Fatal(err)
	}
	rows, err = j.FullRunRows(ctx, "site")
	taken, err2 := j.FullRunSnapshot(ctx, "site", "start")
	if len(rows)+len(taken.Figures) != 0 || err != nil || err2 != nil {
		t.Errorf("left over: %v %v, %v %v", rows, taken, err, err2)
	}
	if rows, err := j.FullRunRows(ctx, "other"); len(rows) != 1 || err != nil {
		t.Errorf("the other target's: %v %v", rows, err)
	}
}

// A transaction that fails leaves the run as it was: a version without its rows
// would be worse than none.
func TestFullRunIsSavedWholly(t *testing.T) {
	j, _ := open(t, t.TempDir())
	ctx := t.Context()
	if err := j.SaveFullRun(ctx, "site", []byte("run 1"), []journal.FullRunRow{{Item: "1", State: "confirmed"}}, nil, true); err != nil {
		t.Fatal(err)
	}
	err := j.DB().Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `CREATE TRIGGER full_card BEFORE INSERT ON full_run_snapshot BEGIN SELECT RAISE(ABORT, 'full card'); END`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = j.SaveFullRun(ctx, "site", []byte("run 2"), []journal.FullRunRow{{Item: "2"}}, &journal.FullRunSnapshot{Moment: "start"}, true)
	if err == nil || !strings.Contains(err.Error(), "full card") {
		t.Fatalf("saved on a full card: %v", err)
	}
	run, _, err := j.FullRun(t.Context(), "site")
	rows, err2 := j.FullRunRows(t.Context(), "site")
	if string(run) != "run 1" || len(rows) != 1 || rows[0].Item != "1" || err != nil || err2 != nil {
		t.Errorf("%q with %d rows, %v %v", run, len(rows), err, err2)
	}
}

func TestMapping(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, dir)
	ctx := t.Context()
	set := func(replace bool, keys map[string]string) {
		t.Helper()
		if err := j.SetMapping(ctx, "site", keys, replace); err != nil {
			t.Fatal(err)
		}
	}
	has := func(want map[string]string) {
		t.Helper()
		got, err := j.Mapping(ctx, "site")
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("(-want +got):\n%s%v", diff, err)
		}
	}
	has(map[string]string{})
	set(false, map[string]string{"p1": "A", "p2": "B", "p3": "C"})
	set(false, map[string]string{"p1": "A2", "p2": ""})
	has(map[string]string{"p1": "A2", "p3": "C"})
	wal := func() []byte {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, journal.FileName+"-wal"))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	before := wal()
	set(false, map[string]string{"p1": "A2", "p9": ""})
	set(true, map[string]string{"p1": "A2", "p3": "C"})
	if !bytes.Equal(before, wal()) {
		t.Error("what has not changed was written")
	}
	set(true, map[string]string{"p3": "D"})
	has(map[string]string{"p3": "D"})
	if got, err := j.Mapping(ctx, "other"); len(got) != 0 || err != nil {
		t.Errorf("another target's: %v %v", got, err)
	}
}

func TestRequeue(t *testing.T) {
	j, _ := open(t, t.TempDir())
	ctx := t.Context()
	approve(t, j, save(t, j, plan("site", map[string]stock.Quantity{"rested": 1000, "on its way": 2000})))
	rested := entries(t, j, "site")["rested"]
	rested.State, rested.NextTry = journal.Accepted, 0
	if _, err := j.Record(ctx, "site", []journal.Entry{rested}, nil); err != nil {
		t.Fatal(err)
	}
	err := j.Requeue(ctx, "site", []journal.Entry{
		{Product: "rested", Key: "k", Wanted: 7000, Fixed: true},
		{Product: "on its way", Key: "k", Wanted: 8000, Fixed: true},
		{Product: "new", Key: "n", Wanted: 9000, Level: 9500, LevelState: stock.Known},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := entries(t, j, "site")
	if e := got["rested"]; !e.Fixed || e.Wanted != 7000 || e.State != journal.Planned || !e.UnderWay() || e.Revision != rested.Revision+1 {
		t.Errorf("rested: %+v", e)
	}
	if e := got["on its way"]; e.Fixed || e.Wanted != 2000 {
		t.Errorf("on its way: %+v", e)
	}
	if e := got["new"]; e.Fixed || e.Wanted != 9000 || e.Level != 9500 || e.LevelState != stock.Known || !e.UnderWay() {
		t.Errorf("new: %+v", e)
	}
	// What was read before the row was requeued does not overwrite it.
	if replaced, err := j.Record(ctx, "site", []journal.Entry{rested}, nil); err != nil || !replaced["rested"] {
		t.Errorf("replaced: %v %v", replaced, err)
	}
	// An approval is of the newest figure again.
	approve(t, j, save(t, j, plan("site", map[string]stock.Quantity{"rested": 5000})))
	if e := entries(t, j, "site")["rested"]; e.Fixed || e.Wanted != 5000 {
		t.Errorf("approved: %+v", e)
	}
}
