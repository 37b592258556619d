package mirror_test

import (
	"database/sql"
	"errors"
	"strings"
	"testing"

	"ostatok/agent/mirror"
	"ostatok/agent/sqlite"
	"ostatok/agent/stock"
)

// A write fails, and the reading that follows, by which memory is brought back,
// fails with it: what the write had learned must not be gone by.
func TestNothingIsWrittenInDoubt(t *testing.T) {
	dir := t.TempDir()
	m := open(t, testOptions(dir))
	put(t, m, mirror.Batch{Documents: []mirror.Document{sale(1, "a", 1, 1000, 5000)}})
	was, err := m.Coverage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	statement := func(texts ...string) {
		t.Helper()
		err := m.DB().Write(t.Context(), func(tx *sql.Tx) error {
			for _, text := range texts {
				if _, err := tx.Exec(text); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	// Both fail: writing a level, and reading the facts.
	statement("CREATE TRIGGER card BEFORE INSERT ON level BEGIN SELECT raise(ABORT, 'the card'); END",
		"INSERT OR REPLACE INTO meta VALUES ('mirror.retained', '?')")
	b := mirror.Batch{Documents: []mirror.Document{sale(2, "b", 2, 1000, 7000)}, Coverage: &mirror.Coverage{Complete: true}}
	if _, err := m.PutDocuments(t.Context(), b); err == nil || !strings.Contains(err.Error(), "the card") ||
		!strings.Contains(err.Error(), "again after a failed write") {
		t.Fatalf("got %v", err)
	}
	if now, err := m.Coverage(t.Context()); err != nil || now != was {
		t.Errorf("readers go by %+v, %v", now, err)
	}
	// Now only reading fails: nothing may be written.
	statement("DROP TRIGGER card")
	if _, err := m.PutDocuments(t.Context(), b); err == nil || !strings.Contains(err.Error(), "again after a failed write") {
		t.Fatalf("written in doubt: %v", err)
	}
	statement("DELETE FROM meta WHERE key = 'mirror.retained'")
	if r := put(t, m, b); r.New != 1 {
		t.Fatalf("%+v", r)
	}
	put(t, m, mirror.Batch{Documents: []mirror.Document{sale(3, "b", 3, 1000, 6000)}})
	for product, want := range map[string]stock.Quantity{"a": 4000, "b": 5000} {
		if got := row(t, m, product).Level.Quantity; got != want {
			t.Errorf("%s: %v, want %v", product, got, want)
		}
	}
}

// A mirror in which products are marked that are not there is not gone on with:
// their documents would never count, and a fold of them never end.
func TestMarksOfStrangers(t *testing.T) {
	dir := t.TempDir()
	m := open(t, testOptions(dir))
	put(t, m, mirror.Batch{Documents: []mirror.Document{sale(1, "a", 1, 1000, 5000)}})
	err := m.DB().Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec("INSERT INTO stale VALUES (77, 0, 0)")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var corrupt *sqlite.CorruptError
	if _, err := m.Fold(t.Context(), nil); !errors.As(err, &corrupt) {
		t.Fatalf("got %v, want a CorruptError", err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m, notice, err := mirror.Open(t.Context(), testOptions(dir))
	if err != nil || notice == nil || !strings.Contains(notice.Message, "documents of 1 products that it does not know") {
		t.Fatalf("%+v, %v", notice, err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}
