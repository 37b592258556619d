package mirror_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ostatok/agent/mirror"
	"ostatok/agent/stock"
)

func putReserves(t *testing.T, m *mirror.Mirror, source string, at int64, whole bool, reserves map[string]stock.Quantity) []string {
	t.Helper()
	changed, err := m.PutReserves(t.Context(), source, at, reserves, whole)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

func TestReserves(t *testing.T) {
	const minute = 60_000
	dir := t.TempDir()
	m := open(t, testOptions(dir))
	if err := m.PutProducts(t.Context(), 1, 1, []stock.Product{{ID: "a"}, {ID: "b"}, {ID: "c"}, {ID: "d"}}); err != nil {
		t.Fatal(err)
	}
	reserved := func(want map[string][2]int64) {
		t.Helper()
		got := make(map[string][2]int64)
		for r, err := range m.Rows(t.Context(), mirror.Query{}) {
			if err != nil {
				t.Fatal(err)
			}
			if r.Reserved != 0 || r.ReservedAt != 0 {
				got[r.ID] = [2]int64{int64(r.Reserved), r.ReservedAt}
			}
			if one := row(t, m, r.ID); one.Reserved != r.Reserved || one.ReservedAt != r.ReservedAt {
				t.Errorf("%s: a row of its own says %v at %d, the list %v at %d", r.ID, one.Reserved, one.ReservedAt, r.Reserved, r.ReservedAt)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	changes := func(got []string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("changed (-want +got):\n%s", diff)
		}
	}
	reserved(map[string][2]int64{})
	changes(putReserves(t, m, "site", 1000, true, map[string]stock.Quantity{"a": 2000, "b": 0, "c": 1500}), "a", "c")
	changes(putReserves(t, m, "shop", 2000, true, map[string]stock.Quantity{"a": 500}), "a")
	reserved(map[string][2]int64{"a": {2500, 1000}, "b": {0, 1000}, "c": {1500, 1000}})

	// A part says nothing of the others; the whole does.
	changes(putReserves(t, m, "site", 3000, false, map[string]stock.Quantity{"c": 1000, "d": 3000}), "c", "d")
	changes(putReserves(t, m, "site", 4000, true, map[string]stock.Quantity{"a": 2000, "d": 3000}), "c")
	reserved(map[string][2]int64{"a": {2500, 2000}, "d": {3000, 4000}})

	// Unchanged figures are not written, and their source is heard all the same.
	wal := func() []byte {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, "mirror.db-wal"))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	before := wal()
	changes(putReserves(t, m, "site", 5*minute, true, map[string]stock.Quantity{"a": 2000, "d": 3000}))
	changes(putReserves(t, m, "site", 10*minute, false, map[string]stock.Quantity{"a": 2000}))
	if !bytes.Equal(before, wal()) {
		t.Error("what has not changed was written")
	}
	heard := func(want ...mirror.ReserveSource) {
		t.Helper()
		got, err := m.ReserveSources(t.Context())
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("sources (-want +got):\n%s%v", diff, err)
		}
	}
	heard(mirror.ReserveSource{Name: "shop", At: 2000}, mirror.ReserveSource{Name: "site", At: 10 * minute})
	putReserves(t, m, "site", 20*minute, false, nil)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m = open(t, testOptions(dir))
	heard(mirror.ReserveSource{Name: "shop", At: 2000}, mirror.ReserveSource{Name: "site", At: 20 * minute})
	reserved(map[string][2]int64{"a": {2500, 2000}, "d": {3000, 20 * minute}})

	if err := m.DropReserves(t.Context(), "site"); err != nil {
		t.Fatal(err)
	}
	heard(mirror.ReserveSource{Name: "shop", At: 2000})
	reserved(map[string][2]int64{"a": {500, 2000}})
}

// A product that is reserved before the catalogue lists it is there when it does.
func TestReserveOfAProductThatIsNotListedYet(t *testing.T) {
	m := open(t, testOptions(t.TempDir()))
	if _, err := m.Row(t.Context(), "new"); !errors.Is(err, mirror.ErrNotFound) {
		t.Fatal(err)
	}
	putReserves(t, m, "site", 1000, true, map[string]stock.Quantity{"new": 1000})
	if r := row(t, m, "new"); !r.Deleted || r.Reserved != 1000 {
		t.Errorf("before: %+v", r)
	}
	if err := m.PutProducts(t.Context(), 1, 1, []stock.Product{{ID: "new", Name: "Сыр"}}); err != nil {
		t.Fatal(err)
	}
	if r := row(t, m, "new"); r.Deleted || r.Reserved != 1000 || r.Name != "Сыр" {
		t.Errorf("after: %+v", r)
	}
}
