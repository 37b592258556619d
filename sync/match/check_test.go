package match_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ostatok/agent/stock"
	"ostatok/sync/match"
	"ostatok/sync/target"
)

// said is a finding as a test writes it: key → suggestion, and a part of the
// reason.
type said struct{ product, key, suggestion, reason string }

func compare(t *testing.T, what string, got []match.Finding, want ...said) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %+v", what, got)
		return
	}
	for i, f := range got {
		w := want[i]
		if f.Product != w.product || f.Key != w.key || f.Suggestion != w.suggestion || !strings.Contains(f.Reason, w.reason) {
			t.Errorf("%s: %+v, want %+v", what, f, w)
		}
	}
}

func TestCheck(t *testing.T) {
	products := []stock.Product{
		{ID: "ok", Name: "A fits", Article: "1"},
		{ID: "strange", Name: "B is not there", Article: "none"},
		{ID: "typed", Name: "C is typed in Cyrillic", Article: "АВ-2"},
		{ID: "bare", Name: "D has none, \u00a0and a name", Article: ""},
		{ID: "mapped", Name: "E is mapped wrongly", Article: "1"},
		{ID: "same1", Name: "F is there twice", Article: "dup"},
		{ID: "same2", Name: "G is there twice", Article: "dup"},
		{ID: "like1", Name: "H looks like the next", Article: "x"},
		{ID: "like2", Name: "I looks like the one before", Article: "х"},
		{ID: "shared", Name: "J has two things of the target", Article: "two"},
		{ID: "near", Name: "K has a double at the target", Article: "n-1"},
		{ID: "chosen", Name: "L has been decided", Article: "n-2"},
		{ID: "service", Name: "M is a service", Type: "SERVICE"},
	}
	known := []target.Known{
		{Key: "1"}, {Key: "AB-2"}, {Key: "55", Name: "d has none, and a name"}, {Key: "dup"}, {Key: "x"}, {Key: "two"}, {Key: "two"},
		{Key: "n-1"}, {Key: "N-1"}, {Key: "n-2"}, {Key: "N-2", Name: "nobody's"},
	}
	m := learned(t, match.Article, map[string]string{"mapped": "77", "chosen": "n-2"})
	r, err := m.Check(catalogue(products...), known)
	if err != nil {
		t.Fatal(err)
	}
	if r.Matched != 2 || r.Clean() {
		t.Errorf("%d match", r.Matched)
	}
	compare(t, "unmatched", r.Unmatched,
		said{"strange", "none", "", "the target does not know"},
		said{"bare", "", "55", "has no article"},
		said{"mapped", "77", "", "correct the mapping"})
	compare(t, "ambiguous", r.Ambiguous, said{"shared", "two", "", "which the target has 2 times"})
	compare(t, "duplicate", r.Duplicate,
		said{"same1", "dup", "", "as G is there twice"}, said{"same2", "dup", "", "as F is there twice"})
	compare(t, "look-alike", r.LookAlike,
		said{"typed", "АВ-2", "AB-2", `knows only "AB-2", which differs in letters of another alphabet`},
		said{"like1", "x", "", `looks like "х"`}, said{"like2", "х", "", `looks like "x"`},
		said{"near", "n-1", "N-1", `also knows "N-1", which differs in upper and lower case`})
	var unused []string
	for _, f := range r.Unused {
		unused = append(unused, f.Key)
	}
	if diff := cmp.Diff([]string{"AB-2", "55", "N-1", "N-2"}, unused); diff != "" {
		t.Error(diff)
	}
}

// A target that cannot tell what it knows is not one that knows nothing.
func TestCheckWithoutTheTargetsKeys(t *testing.T) {
	p := article("a", "1")
	m := learned(t, match.Article, nil)
	if r, err := m.Check(catalogue(p), nil); err != nil || !r.Clean() || r.Matched != 1 {
		t.Errorf("not asked: %+v, %v", r, err)
	}
	if r, err := m.Check(catalogue(p), []target.Known{}); err != nil || r.Clean() || len(r.Unmatched) != 1 {
		t.Errorf("nothing there: %+v, %v", r, err)
	}
}

func TestCheckOfBarcodes(t *testing.T) {
	p := stock.Product{ID: "a", Barcodes: []string{"1111", "2222", "3333"}}
	m := learned(t, match.Barcode, nil)
	for want, known := range map[string][]target.Known{
		"2222": {{Key: "2222"}, {Key: "9"}},
		"":     {{Key: "1111"}, {Key: "2222"}},
	} {
		r, err := m.Check(catalogue(p), known)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, "ambiguous", r.Ambiguous, said{"a", "", want, "several barcodes"})
	}
	// The key that would be suggested is another product's.
	r, err := m.Check(catalogue(p, stock.Product{ID: "b", Barcodes: []string{"2222"}}), []target.Known{{Key: "2222"}})
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "ambiguous", r.Ambiguous, said{"a", "", "", "several barcodes"})
}

func TestCheckOfACatalogueThatBreaksOff(t *testing.T) {
	full := errors.New("the card is full")
	_, err := match.New(match.Code, nil).Check(func(yield func(stock.Product, error) bool) { yield(stock.Product{}, full) }, nil)
	if !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
}
