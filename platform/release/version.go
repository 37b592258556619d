package release

import (
	"cmp"
	"strconv"
	"strings"
)

// ValidVersion says whether text is a version that a release can have: three
// numbers, and perhaps a pre-release part, as in 1.4.0 or 1.4.0-rc.2. It is also
// safe as the name of a directory.
func ValidVersion(text string) bool {
	_, ok := parseVersion(text)
	return ok && len(text) <= 64
}

// Compare orders versions as semver does: 1.4.0-rc.2 < 1.4.0 < 1.10.0. What is
// not a version, like the name of a development build, is older than all.
func Compare(a, b string) int {
	x, okX := parseVersion(a)
	y, okY := parseVersion(b)
	if !okX || !okY {
		return cmp.Compare(number(okX), number(okY))
	}
	for i := range x.numbers {
		if c := cmp.Compare(x.numbers[i], y.numbers[i]); c != 0 {
			return c
		}
	}
	switch {
	case len(x.pre) == 0 || len(y.pre) == 0:
		return cmp.Compare(number(len(x.pre) == 0), number(len(y.pre) == 0))
	}
	for i := range min(len(x.pre), len(y.pre)) {
		if c := comparePart(x.pre[i], y.pre[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(x.pre), len(y.pre))
}

type parsed struct {
	numbers [3]uint64
	pre     []string
}

func parseVersion(text string) (v parsed, ok bool) {
	core, pre, has := strings.Cut(text, "-")
	parts := strings.Split(core, ".")
	if len(parts) != 3 {
		return v, false
	}
	for i, p := range parts {
		if v.numbers[i], ok = numeric(p); !ok {
			return v, false
		}
	}
	if !has {
		return v, true
	}
	v.pre = strings.Split(pre, ".")
	for _, p := range v.pre {
		if p == "" || strings.Trim(p, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" {
			return v, false
		}
	}
	return v, true
}

// numeric refuses leading zeros: one version has one spelling.
func numeric(p string) (uint64, bool) {
	if p == "" || (len(p) > 1 && p[0] == '0') || strings.Trim(p, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(p, 10, 32)
	return n, err == nil
}

func comparePart(a, b string) int {
	x, okX := numeric(a)
	y, okY := numeric(b)
	switch {
	case okX && okY:
		return cmp.Compare(x, y)
	case okX != okY:
		return cmp.Compare(number(okY), number(okX)) // numbers come before words
	}
	return strings.Compare(a, b)
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}
