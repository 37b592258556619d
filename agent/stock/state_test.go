package stock_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ostatok/agent/stock"
)

// movements draws a history of one product: several terminals, every type, small
// numbers so that chance agreements happen.
func movements(t *rapid.T) []stock.Movement {
	kinds := []stock.Type{stock.Sell, stock.Sell, stock.Sell, stock.Payback, stock.Accept, stock.WriteOff, stock.Return,
		stock.Inventory, stock.Buy, stock.OpenTare, stock.Write}
	var all []stock.Movement
	clock := int64(1_700_000_000_000)
	for i := range rapid.IntRange(0, 60).Draw(t, "documents") {
		clock += rapid.Int64Range(0, 7_200_000).Draw(t, "gap")
		m := stock.Movement{
			Order: stock.Order{Closed: clock, Device: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "device"),
				Number: int64(i), Document: "d"},
			Type: rapid.SampledFrom(kinds).Draw(t, "type"), Product: "milk",
			Moved:     stock.Quantity(rapid.Int64Range(0, 5).Draw(t, "moved")) * stock.Unit,
			HasStated: rapid.IntRange(0, 9).Draw(t, "states") > 0,
			Unsaid:    rapid.IntRange(0, 9).Draw(t, "unsaid") == 0,
		}
		m.Low = stock.Quantity(rapid.Int64Range(-3, 12).Draw(t, "low")) * stock.Unit
		m.High = m.Low + stock.Quantity(rapid.Int64Range(0, 2).Draw(t, "more"))*stock.Unit
		if rapid.IntRange(0, 3).Draw(t, "late") == 0 {
			m.Arrived = clock + rapid.Int64Range(0, 90_000_000).Draw(t, "arrives")
		}
		all = append(all, m)
	}
	return all
}

func rules(t *rapid.T) stock.Rules {
	r := stock.Rules{Method: stock.Ledger, Terminals: 3, From: 1_700_000_000_000, Complete: rapid.Bool().Draw(t, "complete")}
	if rapid.Bool().Draw(t, "learned") {
		r.Fresh = map[string]int64{"a": 14_400_000}
		r.Readings = map[stock.Type]stock.RuleReading{stock.Accept: {Reading: stock.Before, Settled: true}}
	}
	return r
}

func TestFoldGoesOnFromAStoredStateAsIfItHadNeverStopped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all, r := movements(t), rules(t)
		cuts := rapid.SliceOfN(rapid.IntRange(0, len(all)), 0, 5).Draw(t, "cuts")
		var straight, stopped stock.Fold
		for i := range all {
			want := straight.Apply(&r, &all[i])
			if slices.Contains(cuts, i) {
				state, err := stopped.AppendBinary(nil)
				if err != nil {
					t.Fatal(err)
				}
				stopped = stock.Fold{}
				if err := stopped.UnmarshalBinary(state); err != nil {
					t.Fatal(err)
				}
			}
			if got := stopped.Apply(&r, &all[i]); !cmp.Equal(got, want) {
				t.Fatalf("step %d: %s", i, cmp.Diff(want, got))
			}
		}
		if got, want := stopped.Level(&r), straight.Level(&r); got != want {
			t.Fatalf("level %+v, want %+v", got, want)
		}
		var got, want stock.Evidence
		got.Add(&stopped)
		want.Add(&straight)
		if !cmp.Equal(got, want) {
			t.Fatal(cmp.Diff(want, got))
		}
	})
}

func TestEvidenceDoesNotDependOnTheRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all, r := movements(t), rules(t)
		bare := stock.Rules{Method: stock.Ledger, Terminals: r.Terminals, From: r.From, Complete: r.Complete}
		var a, b stock.Fold
		for i := range all {
			a.Apply(&r, &all[i])
			b.Apply(&bare, &all[i])
		}
		var x, y stock.Evidence
		x.Add(&a)
		y.Add(&b)
		if !cmp.Equal(x, y) {
			t.Fatal(cmp.Diff(x, y))
		}
	})
}

func FuzzUnmarshalState(f *testing.F) {
	var fold stock.Fold
	r := stock.Rules{Method: stock.Ledger, Complete: true}
	for i := range 5 {
		fold.Apply(&r, &stock.Movement{Type: stock.Sell, Order: stock.Order{Closed: int64(i), Device: "a"}, HasStated: true, Low: 10, High: 10, Moved: 1})
	}
	state, _ := fold.AppendBinary(nil)
	f.Add(state)
	f.Add(state[:len(state)/2])
	f.Fuzz(func(t *testing.T, b []byte) {
		var fold stock.Fold
		if err := fold.UnmarshalBinary(b); err != nil {
			if !errors.Is(err, stock.ErrState) {
				t.Fatal(err)
			}
			return
		}
		fold.Level(&r)
	})
}
