package mirror_test

import (
	"testing"
	"time"

	"ostatok/agent/mirror"
	"ostatok/agent/stock"
)

func TestHours(t *testing.T) {
	m := open(t, testOptions(t.TempDir()))
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	at := func(clock time.Duration) int64 { return day.Add(clock).UnixMilli() }
	put(t, m, mirror.Batch{Documents: []mirror.Document{
		sale(1, "bread", at(6*time.Hour), 1000, 9000), sale(2, "bread", at(6*time.Hour+59*time.Minute), 1000, 8000),
		sale(3, "bread", at(22*time.Hour), 1000, 7000), sale(4, "bread", at(-time.Hour), 1000, 6000), // too old
		{Source: mirror.Own, Document: stock.Document{ID: "own", Type: stock.Write, Closed: at(8 * time.Hour), Arrived: at(8 * time.Hour),
			Lines: []stock.Line{{Product: "bread", Quantity: 5000}}}},
	}})
	hours, err := m.Hours(t.Context(), day.UnixMilli(), 3*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	want := [24]int{9: 2, 1: 1}
	if hours != want {
		t.Errorf("%v, want %v", hours, want)
	}
}
