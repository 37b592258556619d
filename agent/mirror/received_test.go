package mirror_test

import (
	"slices"
	"testing"

	"ostatok/agent/mirror"
	"ostatok/agent/stock"
)

func TestWithdraw(t *testing.T) {
	m := open(t, testOptions(t.TempDir()))
	ctx := t.Context()
	received := func(n int, closed int64, product string) mirror.Document {
		d := sale(n, product, closed, 1000, 0)
		d.Source, d.Lines[0].HasStated = mirror.Shop, false
		return d
	}
	count := received(4, 4000, "bread")
	count.Type, count.Complete = stock.Inventory, stock.CompleteYes
	put(t, m, mirror.Batch{Documents: []mirror.Document{
		sale(1, "bread", 1000, 1000, 10_000), sale(9, "milk", 1000, 1000, 5000),
		received(2, 2000, "bread"), received(3, 3000, "bread"), count,
	}})
	figures := func() (bread, milk stock.Quantity) {
		return row(t, m, "bread").Level.Quantity, row(t, m, "milk").Level.Quantity
	}
	if bread, milk := figures(); bread != 1000 || milk != 0 {
		t.Fatalf("bread %s, milk %s", bread, milk)
	}
	awaited, err := m.Awaited(ctx)
	if slices.Sort(awaited); err != nil || !slices.Equal(awaited, []string{"bread"}) {
		t.Fatalf("%q, %v", awaited, err)
	}
	have, err := m.Have(ctx, []string{uuid(1), uuid(2), uuid(77)})
	if err != nil || len(have) != 2 || have[uuid(1)] != mirror.Cloud || have[uuid(2)] != mirror.Shop {
		t.Fatalf("%v, %v", have, err)
	}
	heads, next, err := m.Heads(ctx, 0, 2000, 3000)
	if err != nil || len(heads) != 2 || heads[0].ID != uuid(2) || heads[0].Device != "till-1" || heads[0].Type != stock.Sell || heads[0].Source != mirror.Shop {
		t.Fatalf("%+v, %v", heads, err)
	}
	if heads, _, err := m.Heads(ctx, next, 0, 1<<40); err != nil || len(heads) != 0 {
		t.Fatalf("%+v, %v", heads, err)
	}
	if heads, _, err := m.Heads(ctx, next+1000, 0, 1<<40); err != nil || len(heads) != 5 { // of a mirror that was replaced
		t.Fatalf("%+v, %v", heads, err)
	}

	// The cloud's own is not withdrawn, nor is what nobody knows.
	changes, err := m.Withdraw(ctx, []string{uuid(1), uuid(3), uuid(4), uuid(77)})
	if err != nil || len(changes) != 2 {
		t.Fatalf("%+v, %v", changes, err)
	}
	if bread, milk := figures(); bread != 8000 || milk != 4000 {
		t.Fatalf("bread %s, milk %s", bread, milk)
	}
	if c, err := m.Counts(ctx); err != nil || c.Documents != 3 || c.Stale != 0 {
		t.Fatalf("%+v, %v", c, err)
	}
	if have, err := m.Have(ctx, []string{uuid(3), uuid(4)}); err != nil || len(have) != 0 {
		t.Fatalf("%v, %v", have, err)
	}
	// It may come again.
	put(t, m, mirror.Batch{Documents: []mirror.Document{received(3, 3000, "bread")}})
	if bread, _ := figures(); bread != 7000 {
		t.Fatalf("bread %s", bread)
	}
}

func TestCollapsedIsAwaitedNoMore(t *testing.T) {
	m := open(t, testOptions(t.TempDir()))
	d := sale(2, "bread", 2000, 1000, 9000)
	d.Source = mirror.Shop
	put(t, m, mirror.Batch{
		Documents: []mirror.Document{sale(1, "bread", 1000, 1000, 10_000), d, sale(3, "bread", 9000, 1000, 8000)},
		Coverage:  &mirror.Coverage{From: 1, Complete: true},
	})
	if n, err := m.Retain(t.Context(), 5000); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	have, err := m.Have(t.Context(), []string{uuid(2)})
	if err != nil || have[uuid(2)] != mirror.Cloud || len(have) != 1 {
		t.Fatalf("%v, %v", have, err)
	}
	if awaited, err := m.Awaited(t.Context()); err != nil || len(awaited) != 0 {
		t.Fatalf("%q, %v", awaited, err)
	}
}
