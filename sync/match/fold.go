package match

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fold makes keys equal that a person takes for the same: it looks past case,
// Cyrillic letters that look like Latin ones, spaces and invisible characters,
// kinds of dashes, and leading zeros, which spreadsheets eat. Letters that look
// like digits stay apart: A0 and AO are often two products on purpose.
func Fold(key string) string { return fold(key, everything) }

// sight is what a fold looks past.
type sight uint8

const (
	letterCase sight = 1 << iota
	alphabet
	spaces
	dashes
	zeros
	everything = letterCase | alphabet | spaces | dashes | zeros
)

func fold(key string, past sight) string {
	var b strings.Builder
	b.Grow(len(key))
	for _, r := range key {
		if past&spaces != 0 && (unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || unicode.IsControl(r)) {
			continue
		}
		if past&alphabet != 0 {
			if unicode.Is(unicode.Mn, r) { // й may be one character or и with a mark
				continue
			}
			r = latin(r)
		}
		if past&dashes != 0 && (unicode.Is(unicode.Pd, r) || r == '−') {
			r = '-'
		}
		if past&letterCase != 0 {
			r = unicode.ToUpper(r)
		}
		b.WriteRune(r)
	}
	text := b.String()
	if past&zeros != 0 {
		for len(text) > 1 && text[0] == '0' {
			text = text[1:]
		}
	}
	return text
}

// latin returns the Latin letter that a Cyrillic one looks like, in the case in
// which it does: в is nobody's double, but its capital is. Full-width letters,
// which come from web pages, are taken for common ones.
func latin(r rune) rune {
	if r < utf8.RuneSelf {
		return r
	}
	if r >= '！' && r <= '～' {
		return r - '！' + '!'
	}
	// Ё and Й stand here because they are often written without their marks.
	const cyrillic, double = "АВСЕЁНІЇЈКМОРЅТУҮХЙ", "ABCEEHIIJKMOPSTYYXИ"
	upper := unicode.ToUpper(r)
	at := strings.IndexRune(cyrillic, upper)
	if at < 0 {
		return r
	}
	like := []rune(double)[utf8.RuneCountInString(cyrillic[:at])]
	if r == upper {
		return like
	}
	return unicode.ToLower(like)
}

// Difference says in what two keys that look alike differ, because nobody can
// see it: "letters of another alphabet".
func Difference(a, b string) string {
	var in []string
	for _, of := range []struct {
		sight
		name string
	}{
		{alphabet, "letters of another alphabet"}, {letterCase, "upper and lower case"},
		{spaces, "spaces or invisible characters"}, {dashes, "kinds of dashes"}, {zeros, "leading zeros"},
	} {
		if fold(a, everything&^of.sight) != fold(b, everything&^of.sight) {
			in = append(in, of.name)
		}
	}
	return strings.Join(in, ", ")
}
