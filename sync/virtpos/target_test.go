package virtpos_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"ostatok/agent/stock"
	"ostatok/sync/rest"
	"ostatok/sync/target"
	"ostatok/sync/virtpos"
	"ostatok/sync/virtpos/virtpostest"
)

func set(key string, n int) target.Row { return target.Row{Key: key, Quantity: units(n)} }

// write writes one row and returns its outcome.
func (o *office) write(t testing.TB, to target.Target, row target.Row) target.Outcome {
	t.Helper()
	outcomes, err := to.Write(context.Background(), []target.Row{row})
	if err != nil || len(outcomes) != 1 || outcomes[0].Key != row.Key {
		t.Fatalf("%v, %v", outcomes, err)
	}
	return outcomes[0]
}

func TestTraits(t *testing.T) {
	o := open(t, virtpostest.Settings{}, nil)
	want := target.Traits{Name: "VirtPOS", Reads: true, Batch: 20, ReadBatch: 100_000, Precision: 1, FullRun: true}
	if diff := gocmp.Diff(want, o.target().Traits()); diff != "" {
		t.Error(diff)
	}
}

func TestReadTarget(t *testing.T) {
	for name, external := range map[string]bool{"own numbers": false, "external codes": true} {
		for _, many := range []bool{false, true} {
			o := open(t, virtpostest.Settings{Lots: true}, nil)
			prefix := ""
			if external {
				prefix = "ext-"
			}
			o.Put(wh, virtpostest.Balance{Item: "101", Quantity: 2500, Reserved: 1000})
			o.Put(wh, virtpostest.Balance{Item: "102", Quantity: -1000})
			o.Put(wh, virtpostest.Balance{Item: "103", Quantity: 2000, Lot: "A"})
			o.Put(wh, virtpostest.Balance{Item: "103", Quantity: 3500, Lot: "B"})
			o.Put(other, virtpostest.Balance{Item: "104", Quantity: 9000})
			keys := []string{prefix + "101", prefix + "102", prefix + "103", prefix + "104", prefix + "999"}
			if many {
				for i := range 60 {
					keys = append(keys, "unknown-"+string(rune('a'+i%26))+string(rune('a'+i/26)))
				}
			}
			seen, err := o.client.Target(virtpos.TargetOptions{Warehouse: virtpos.Ref{ID: wh}, External: external}).Read(context.Background(), keys)
			if err != nil {
				t.Fatal(err)
			}
			at := noon.UnixMilli()
			want := []target.Observation{
				{Key: keys[0], Quantity: 2500, Found: true, At: at}, // what is there, reserved or not
				{Key: keys[1], Quantity: -1000, Found: true, At: at},
				{Key: keys[2], Quantity: 5500, Found: true, At: at}, // both lots
				{Key: keys[3], Found: true, At: at},                 // an item without a row here
				{Key: keys[4], At: at},
			}
			if diff := gocmp.Diff(want, seen[:5]); diff != "" {
				t.Errorf("%s, many %v: %s", name, many, diff)
			}
			if many && !external && o.Calls(virtpostest.CallStore) != 1 {
				t.Errorf("%s: a large reading took %d requests", name, o.Calls(virtpostest.CallStore))
			}
		}
	}
}

// What cannot be read is not zero.
func TestReadTargetFails(t *testing.T) {
	ctx := context.Background()
	for _, fault := range []virtpostest.Fault{virtpostest.Broken, virtpostest.Cut, virtpostest.CutClean, virtpostest.HTML, virtpostest.Disguised,
		virtpostest.Silent, virtpostest.Short, virtpostest.Empty, virtpostest.Busy, virtpostest.Limited} {
		o := open(t, virtpostest.Settings{}, nil)
		o.put(map[string]int{"101": 5})
		o.Fail(virtpostest.CallStore, fault, 0, 1)
		if seen, err := o.target().Read(ctx, []string{"101"}); err == nil || !rest.Retryable(err) {
			t.Errorf("%s: %v, %v", fault, seen, err)
		}
	}
	// A row that cannot be read concerns its item, one without an item all of them.
	for item, permanent := range map[string]bool{`{"id":101,"quantity":"?"}`: true, `{"quantity":5}`: false} {
		c := saying(t, 200, "", `{"success":1,"warehouses":[{"id":3,"items":[`+item+`]}],"items":[{"id":101}]}`)
		_, err := c.Target(virtpos.TargetOptions{Warehouse: virtpos.Ref{ID: "3"}}).Read(ctx, []string{"101"})
		bad, ok := errors.AsType[*virtpos.RowError](err)
		if err == nil || ok != permanent || ok && (bad.Key != "101" || bad.Retryable() || !errors.Is(err, virtpos.ErrFigure)) {
			t.Errorf("%s: %v", item, err)
		}
	}
	// A warehouse that does not exist does not hold 0 of everything.
	o := open(t, virtpostest.Settings{}, nil)
	for _, ref := range []virtpos.Ref{{ID: "77"}, {ID: "ext-77", External: true}, {}} {
		_, err := o.client.Target(virtpos.TargetOptions{Warehouse: ref}).Read(ctx, []string{"101"})
		if rest.KindOf(err) != rest.Forbidden {
			t.Errorf("%+v: %v", ref, err)
		}
	}
}

// Refusals of readings: of an item that does not exist it means that there is
// none; of one that does, or of the whole warehouse, it is an error.
func TestReadTargetIsRefused(t *testing.T) {
	o := open(t, virtpostest.Settings{}, nil)
	o.put(map[string]int{"101": 5})
	o.Fail(virtpostest.CallStore, virtpostest.Refused, 1, -1)
	_, err := o.target().Read(context.Background(), []string{"101", "102"})
	if bad, ok := errors.AsType[*virtpos.RowError](err); !ok || bad.Key != "102" || !errors.Is(err, virtpos.ErrFigure) {
		t.Errorf("an item that exists is read as nothing: %v", err)
	}
	o.ClearFaults()
	o.Fail(virtpostest.CallStore, virtpostest.Refused, 1, -1)
	o.Fail(virtpostest.CallItem, virtpostest.Refused, 0, -1)
	seen, err := o.target().Read(context.Background(), []string{"101", "102"})
	if err != nil || !seen[0].Found || seen[1].Found {
		t.Errorf("%+v, %v", seen, err)
	}
	many := make([]string, 60)
	for i := range many {
		many[i] = strconv.Itoa(500 + i)
	}
	if _, err := o.target().Read(context.Background(), many); rest.KindOf(err) != rest.Invalid {
		t.Error(err)
	}
	o.Fail(virtpostest.CallWarehouse, virtpostest.Refused, 0, -1)
	for _, keys := range [][]string{many, {"102"}} {
		if _, err := o.target().Read(context.Background(), keys); rest.KindOf(err) != rest.Unauthorized {
			t.Error(err)
		}
	}
}

// Where there is no lookup of warehouses, an own number is taken on trust; an
// external code leads nowhere.
func TestReadTargetWithoutALookup(t *testing.T) {
	o := open(t, virtpostest.Settings{}, nil)
	o.put(map[string]int{"101": 5})
	o.Fail(virtpostest.CallWarehouse, virtpostest.Refused, 0, -1)
	seen, err := o.target().Read(context.Background(), []string{"101"})
	if err != nil || seen[0].Quantity != 5000 {
		t.Errorf("%+v, %v", seen, err)
	}
	if _, err := o.client.Target(virtpos.TargetOptions{Warehouse: virtpos.Ref{ID: whExt, External: true}}).Read(context.Background(), []string{"101"}); err == nil {
		t.Error("read without a warehouse")
	}
}

// Rows of other warehouses and items, of a server that ignores the filters, are
// not taken.
func TestReadTargetTrustsNoFilter(t *testing.T) {
	c := saying(t, 200, "", `{"success":1,"warehouses":[
		{"id":3,"external_id":"W","items":[{"id":101,"quantity":1},{"id":102,"quantity":2}]},
		{"id":4,"external_id":"V","items":[{"id":101,"quantity":7}]}]}`)
	for _, ref := range []virtpos.Ref{{ID: "3"}, {ID: "W", External: true}} {
		seen, err := c.Target(virtpos.TargetOptions{Warehouse: ref}).Read(context.Background(), []string{"101"})
		if err != nil || len(seen) != 1 || seen[0].Quantity != 1000 {
			t.Errorf("%v, %v", seen, err)
		}
	}
}

// Outcome.Before is what was overwritten; that it was not what was believed is
// logged.
func TestWriteTellsWhatWasOverwritten(t *testing.T) {
	o := open(t, virtpostest.Settings{}, nil)
	o.put(map[string]int{"101": 5})
	to := o.target()
	o.Meanwhile(virtpostest.CallUpdate, 1, func() { o.Sell(wh, "101", units(1)) })
	for i, want := range []stock.Quantity{5000, 7000} {
		got := o.write(t, to, set("101", 8-i))
		if i == 0 {
			o.write(t, to, set("102", 1)) // the sale happens before this one
			want = 5000
		} else {
			want = 7000 // 8 were written, one was sold
		}
		if got.Err != nil || got.Before == nil || *got.Before != want {
			t.Errorf("%+v, want %v", got, want)
		}
	}
	if n := strings.Count(o.log.String(), "changed by someone else"); n != 1 {
		t.Errorf("%d warnings: %s", n, o.log)
	}
	c := saying(t, 200, "", `{"success":1,"warehouses":[{"id":3,"items":[{"id":101,"quantity":1}]}]}`)
	outcomes, err := c.Target(virtpos.TargetOptions{Warehouse: virtpos.Ref{ID: "3"}}).Write(context.Background(), []target.Row{set("101", 1)})
	if err != nil || outcomes[0].Err != nil || outcomes[0].Before != nil {
		t.Errorf("not told: %+v, %v", outcomes, err)
	}
}

// An item with several rows is summed when read, and refused when written.
func TestWriteRefusesLots(t *testing.T) {
	for _, readBefore := range []bool{false, true} {
		o := open(t, virtpostest.Settings{Lots: true}, nil)
		o.Put(wh, virtpostest.Balance{Item: "101", Quantity: 2000, Lot: "A"})
		o.Put(wh, virtpostest.Balance{Item: "101", Quantity: 3000, Lot: "B"})
		o.Put(wh, virtpostest.Balance{Item: "102", Quantity: 3000, Lot: "C"})
		to := o.target()
		if readBefore {
			if _, err := to.Read(context.Background(), []string{"101", "102"}); err != nil {
				t.Fatal(err)
			}
		}
		outcomes, err := to.Write(context.Background(), []target.Row{set("101", 9), set("102", 9)})
		if err != nil || len(outcomes) != 2 || !errors.Is(outcomes[0].Err, virtpos.ErrLots) || outcomes[1].Err != nil {
			t.Fatalf("%+v, %v", outcomes, err)
		}
		refusal, ok := errors.AsType[*virtpos.RowError](outcomes[0].Err)
		if !ok || refusal.Retryable() || rest.Retryable(refusal) {
			t.Error("would be tried again")
		}
		o.holds(t, "101", 5)
		o.holds(t, "102", 9)
	}
}

// isnew=1 for an item that had a row: there are two now, and the sum is wrong.
func TestWriteSeesASecondRow(t *testing.T) {
	one := `{"success":1,"isnew":1,"quantity_before":0,"warehouses":[{"id":3,"items":[{"id":101,"quantity":4}]}]}`
	none := `{"success":1,"isnew":1,"quantity_before":0,"warehouses":[{"id":3,"items":[]}],"items":[{"id":101}]}`
	for body, want := range map[string]error{one: virtpos.ErrNewRow, none: nil} {
		to := saying(t, 200, "", body).Target(virtpos.TargetOptions{Warehouse: virtpos.Ref{ID: "3"}})
		for _, want := range []error{want, map[bool]error{true: virtpos.ErrNewRow, false: virtpos.ErrLots}[want == nil]} {
			outcomes, err := to.Write(context.Background(), []target.Row{set("101", 9)})
			if err != nil || !errors.Is(outcomes[0].Err, want) {
				t.Errorf("%+v, %v, want %v", outcomes, err, want)
			}
		}
	}
}

// An answer that names another item or warehouse is not a confirmation.
func TestWriteSeesAWrongMapping(t *testing.T) {
	for _, member := range []string{`"itemid":8`, `"warehouseid":4`} {
		to := saying(t, 200, "", `{"success":1,`+member+`,"warehouses":[{"id":3,"items":[{"id":101,"quantity":4}]}]}`).
			Target(virtpos.TargetOptions{Warehouse: virtpos.Ref{ID: "3"}})
		outcomes, err := to.Write(context.Background(), []target.Row{set("101", 9)})
		if err != nil || !errors.Is(outcomes[0].Err, virtpos.ErrOther) {
			t.Errorf("%s: %+v, %v", member, outcomes, err)
		}
	}
}

func TestWriteToUnknownItems(t *testing.T) {
	for _, external := range []bool{false, true} {
		o := open(t, virtpostest.Settings{}, nil)
		o.AddItem(virtpostest.Item{ID: "201", External: "twin"})
		o.AddItem(virtpostest.Item{ID: "202", External: "twin"})
		to := o.client.Target(virtpos.TargetOptions{Warehouse: virtpos.Ref{ID: wh}, External: external})
		want := virtpos.ErrUnknown
		if external {
			want = virtpos.ErrAmbiguous
		}
		if got := o.write(t, to, set("twin", 1)); !errors.Is(got.Err, want) {
			t.Errorf("%+v", got)
		}
		if got := o.write(t, to, set("nothing", 1)); !errors.Is(got.Err, virtpos.ErrUnknown) {
			t.Errorf("%+v", got)
		}
		if o.Calls(virtpostest.CallUpdate) != 0 {
			t.Error("an unknown item was written")
		}
	}
}

// A refusal is the row's when everything else is in order, and the account's when
// it is not.
func TestWhoseRefusal(t *testing.T) {
	ctx, rows := context.Background(), []target.Row{set("101", 1), set("102", 2), set("103", 3)}
	t.Run("one item", func(t *testing.T) {
		for _, status := range []int{0, 400, 404} {
			o := open(t, virtpostest.Settings{ErrorStatus: status}, nil)
			o.Refuse("102")
			outcomes, err := o.target().Write(ctx, rows)
			if err != nil || len(outcomes) != 3 || outcomes[0].Err != nil || !isKind(outcomes[1].Err, rest.Invalid, rest.NotFound) || outcomes[2].Err != nil {
				t.Errorf("%d: %+v, %v", status, outcomes, err)
			}
		}
	})
	t.Run("a negative figure", func(t *testing.T) {
		o := open(t, virtpostest.Settings{RefuseNegative: true}, nil)
		if got := o.write(t, o.target(), set("101", -1)); rest.KindOf(got.Err) != rest.Invalid {
			t.Errorf("%+v", got)
		}
	})
	t.Run("the key", func(t *testing.T) {
		o := open(t, virtpostest.Settings{}, func(v *virtpos.Options) { v.Key = "another-key" })
		_, read := o.target().Read(ctx, []string{"101"})
		outcomes, write := o.target().Write(ctx, rows)
		if rest.KindOf(read) != rest.Unauthorized || rest.KindOf(write) != rest.Unauthorized || len(outcomes) != 0 {
			t.Errorf("%v, %v", read, write)
		}
	})
	t.Run("everything, in words that say nothing", func(t *testing.T) {
		c := saying(t, 200, "", `{"success":0,"info":"Ошибка 7"}`)
		to := c.Target(virtpos.TargetOptions{Warehouse: virtpos.Ref{ID: "3"}})
		outcomes, err := to.Write(ctx, rows)
		account, ok := errors.AsType[*virtpos.AccountError](err)
		if !ok || rest.KindOf(err) != rest.Unauthorized || len(outcomes) != 0 || !strings.Contains(account.Error(), "Ошибка 7") {
			t.Errorf("%v", err)
		}
	})
	t.Run("everything, after it has been read", func(t *testing.T) {
		o := open(t, virtpostest.Settings{}, nil)
		to := o.target()
		if _, err := to.Read(ctx, []string{"101", "102", "103"}); err != nil {
			t.Fatal(err)
		}
		o.Fail(virtpostest.CallUpdate, virtpostest.Refused, 1, -1)
		o.Fail(virtpostest.CallWarehouse, virtpostest.Refused, 0, -1)
		outcomes, err := to.Write(ctx, rows)
		if len(outcomes) != 1 || outcomes[0].Err != nil || rest.KindOf(err) != rest.Unauthorized {
			t.Errorf("%+v, %v", outcomes, err)
		}
	})
	t.Run("the address", func(t *testing.T) {
		to := saying(t, 404, "text/plain", "no such page").Target(virtpos.TargetOptions{Warehouse: virtpos.Ref{ID: "3"}})
		if _, err := to.Write(ctx, rows); rest.KindOf(err) != rest.Forbidden {
			t.Errorf("%v", err)
		}
	})
	t.Run("in the middle", func(t *testing.T) {
		for _, fault := range []virtpostest.Fault{virtpostest.Broken, virtpostest.Lost, virtpostest.Busy, virtpostest.HTML, virtpostest.Silent, virtpostest.CutClean} {
			o := open(t, virtpostest.Settings{}, nil)
			o.Fail(virtpostest.CallUpdate, fault, 1, 1)
			outcomes, err := o.target().Write(ctx, rows)
			if len(outcomes) != 1 || outcomes[0].Err != nil || !rest.Retryable(err) {
				t.Errorf("%s: %+v, %v", fault, outcomes, err)
			}
		}
	})
}

// After a write of which nobody knows what became, what is there is read again
// before the next one.
func TestWriteReadsAgainAfterAnAccident(t *testing.T) {
	for _, fault := range []virtpostest.Fault{virtpostest.Lost, virtpostest.Broken} {
		o := open(t, virtpostest.Settings{}, nil)
		o.put(map[string]int{"101": 5})
		to := o.target()
		o.Fail(virtpostest.CallUpdate, fault, 0, 1)
		if _, err := to.Write(context.Background(), []target.Row{set("101", 3)}); err == nil {
			t.Fatal(fault)
		}
		o.write(t, to, set("101", 2))
		o.write(t, to, set("101", 1))
		if n := o.Calls(virtpostest.CallStore); n != 2 || strings.Contains(o.log.String(), "someone else") {
			t.Errorf("%s: %d readings, %s", fault, n, o.log)
		}
	}
}

func isKind(err error, kinds ...rest.Kind) bool { return slices.Contains(kinds, rest.KindOf(err)) }

func TestWritesArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t, virtpostest.Settings{}, func(v *virtpos.Options) { v.Pace, v.Now, v.MaxWait = time.Second, time.Now, time.Minute })
		to, start := o.target(), time.Now()
		beside := o.target() // a full run writes to the same account
		var at []time.Duration
		for _, to := range []target.Target{to, beside, to} {
			o.Meanwhile(virtpostest.CallUpdate, 0, func() { at = append(at, time.Since(start)) })
			o.write(t, to, set("101", 1))
		}
		o.Fail(virtpostest.CallUpdate, virtpostest.Limited, 0, 1)
		o.write(t, to, set("101", 1)) // is made to wait on the way, and the next is not to be right after it
		o.Meanwhile(virtpostest.CallUpdate, 0, func() { at = append(at, time.Since(start)) })
		late := time.Since(start)
		o.write(t, to, set("101", 1))
		if !slices.Equal(at, []time.Duration{0, time.Second, 2 * time.Second, late + time.Second}) {
			t.Errorf("written at %v", at)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := to.Write(ctx, []target.Row{set("101", 1)}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
