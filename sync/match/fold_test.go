package match_test

import (
	"testing"

	"pgregory.net/rapid"

	"ostatok/sync/match"
)

func TestFold(t *testing.T) {
	for _, c := range []struct{ a, b, in string }{
		{"АВСЕНКМОРТХУ", "ABCEHKMOPTXY", "letters of another alphabet"},
		{"сыр", "cыp", "letters of another alphabet"},
		{"ёлка", "елка", "letters of another alphabet"},
		{"ЧАЙ", "ЧАИ\u0306", "letters of another alphabet"},
		{"ab", "AB", "upper and lower case"},
		{"AB 1", "AB1", "spaces or invisible characters"},
		{"AB1", "\ufeffAB1\u00a0", "spaces or invisible characters"},
		{"AB1", "A\u00adB\u200b1\t", "spaces or invisible characters"},
		{"A-1", "A—1", "kinds of dashes"},
		{"A-1", "A−1", "kinds of dashes"},
		{"A-1", "A‑1", "kinds of dashes"},
		{"0042", "42", "leading zeros"},
		{"000", "0", "leading zeros"},
		{"АB", "ab ", "letters of another alphabet, upper and lower case, spaces or invisible characters"},
		{"ＡＢ１", "AB1", "letters of another alphabet"},
		{"AB1", "AB1", ""},
	} {
		if match.Fold(c.a) != match.Fold(c.b) {
			t.Errorf("%q folds to %q and %q to %q", c.a, match.Fold(c.a), c.b, match.Fold(c.b))
		}
		if in := match.Difference(c.a, c.b); in != c.in {
			t.Errorf("%q and %q differ in %q, want %q", c.a, c.b, in, c.in)
		}
	}
	// What is often told apart on purpose.
	for _, c := range [][2]string{
		{"A0", "AO"}, {"1-12", "11-2"}, {"A-1", "A1"}, {"А1", "Б1"}, {"10", "1"}, {"л", "n"}, {"Ш", "Щ"}, {"З1", "31"},
	} {
		if match.Fold(c[0]) == match.Fold(c[1]) {
			t.Errorf("%q and %q both fold to %q", c[0], c[1], match.Fold(c[0]))
		}
	}
}

func TestFoldOfAFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.OneOf(keys(), rapid.String()).Draw(t, "key")
		if once, twice := match.Fold(key), match.Fold(match.Fold(key)); once != twice {
			t.Fatalf("%q folds to %q and then to %q", key, once, twice)
		}
	})
}
