package mirror_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ostatok/agent/mirror"
	"ostatok/agent/stock"
)

// A file that has become too large lets go of bodies first, of documents then,
// and of no level.
func TestBudget(t *testing.T) {
	const documents, dayMs = 3000, int64(24 * time.Hour / time.Millisecond)
	o := testOptions(t.TempDir())
	from := o.Now().UnixMilli() - 365*dayMs
	m := open(t, o)
	b := shopOf(t, m, 0)
	noise := rand.New(rand.NewPCG(1, 1))
	for n := range documents { // one every three hours of a year
		d := sale(n, fmt.Sprint("p", n%40), from+int64(n)*365*dayMs/documents, 1000, stock.Quantity(1000*(500-n/40)))
		for range 40 { // bodies that do not compress to nothing
			d.Raw = fmt.Appendf(d.Raw, "%x", noise.Uint64())
		}
		b.Documents = append(b.Documents, d)
	}
	put(t, m, b)
	want, last := levels(t, m), b.Documents[documents-1]
	size := func() int64 {
		t.Helper()
		main, _, err := m.DB().Size(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return main
	}
	whole := size()
	has := func(n int) (document, body bool) {
		t.Helper()
		d, err := m.Document(t.Context(), uuid(n))
		if errors.Is(err, mirror.ErrNotFound) {
			return false, false
		}
		if err != nil {
			t.Fatal(err)
		}
		return true, len(d.Raw) > 0
	}
	tidy := func(budget int64, least time.Duration) {
		t.Helper()
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		o.Budget, o.Least = budget, least
		m = open(t, o)
		if err := m.Tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, levels(t, m)); diff != "" {
			t.Fatalf("levels changed (-before +after):\n%s", diff)
		}
		if raw, err := m.Raw(t.Context(), last.ID); err != nil || !bytes.Equal(raw, last.Raw) {
			t.Fatalf("the newest body: %v", err)
		}
	}
	tidy(2*whole, 0)
	if _, body := has(0); !body {
		t.Error("something went though there was room")
	}
	tidy(whole*9/10, 180*24*time.Hour)
	if document, body := has(0); !document || body {
		t.Errorf("the oldest document is there: %t, its body: %t; want the document alone", document, body)
	}
	if _, body := has(documents / 2); !body {
		t.Error("more bodies went than had to")
	}
	if now := size(); now >= whole {
		t.Errorf("the file has %d bytes, and had %d", now, whole)
	}
	tidy(1, 180*24*time.Hour)
	if document, _ := has(0); document {
		t.Error("the oldest document is still there")
	}
	if document, _ := has(documents - documents*170/365); !document {
		t.Error("a document that had to be kept is gone")
	}
	if _, body := has(documents - documents*50/365); !body {
		t.Error("the body of a young document is gone")
	}
}
