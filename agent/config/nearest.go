package config

import (
	"slices"
	"strings"
)

// nearest returns the known word that word was probably meant to be, or "" when
// none is near enough to be worth suggesting.
func nearest(word string, known []string) string {
	best, least := "", 1+max(2, len(word)/3)
	for _, k := range known {
		d := distance(word, k)
		// A key in the wrong section, or without its section, is the other common
		// mistake: its last part is right.
		if lastPart(word) == lastPart(k) {
			d = min(d, 2)
		}
		if d < least {
			best, least = k, d
		}
	}
	return best
}

func lastPart(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

// distance counts the single-character edits between a and b, two neighbours
// changing places being one.
func distance(a, b string) int {
	s, t := []rune(strings.ToLower(a)), []rune(strings.ToLower(b))
	var before, last, row []int
	last = make([]int, len(t)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(s); i++ {
		row = make([]int, len(t)+1)
		row[0] = i
		for j := 1; j <= len(t); j++ {
			change := 1
			if s[i-1] == t[j-1] {
				change = 0
			}
			row[j] = slices.Min([]int{last[j] + 1, row[j-1] + 1, last[j-1] + change})
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(t)]
}
