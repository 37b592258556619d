package evotor

import (
	"fmt"
	"strconv"
	"time"
)

// moment reads a time of the cloud as epoch ms: "2017-01-10T09:33:19.757+0000",
// also with Z or a colon in the offset, with or without a fraction. The first
// form is not RFC 3339, which time.Parse would want (evotor-cloud §6).
func moment(value []byte) (int64, error) {
	b, err := plain(value)
	if err != nil {
		return 0, err
	}
	ms, ok := parseMoment(b)
	if !ok {
		return 0, fmt.Errorf("%q is not a time", clip(b))
	}
	return ms, nil
}

func parseMoment(b []byte) (ms int64, ok bool) {
	if len(b) < len("2006-01-02T15:04:05Z") || b[4] != '-' || b[7] != '-' || (b[10] != 'T' && b[10] != ' ') || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	year, a := digits(b[0:4])
	month, m := digits(b[5:7])
	day, d := digits(b[8:10])
	hour, h := digits(b[11:13])
	minute, n := digits(b[14:16])
	second, s := digits(b[17:19])
	if !a || !m || !d || !h || !n || !s || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 60 {
		return 0, false
	}
	rest := b[19:]
	fraction := 0
	if rest[0] == '.' || rest[0] == ',' {
		i, unit := 1, 100
		for ; i < len(rest) && '0' <= rest[i] && rest[i] <= '9'; i++ {
			fraction += int(rest[i]-'0') * unit // beyond milliseconds the unit is 0
			unit /= 10
		}
		if i == 1 {
			return 0, false
		}
		rest = rest[i:]
	}
	offset, ok := parseOffset(rest)
	if !ok {
		return 0, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	if t.Day() != day && second < 60 {
		return 0, false // the 31st of February
	}
	return t.UnixMilli() + int64(fraction) - int64(offset)*60_000, true
}

// parseOffset reads Z, +0000, +00:00 or +00 in minutes.
func parseOffset(b []byte) (minutes int, ok bool) {
	if len(b) == 1 && (b[0] == 'Z' || b[0] == 'z') {
		return 0, true
	}
	if len(b) == 0 || (b[0] != '+' && b[0] != '-') {
		return 0, false
	}
	hm := b[1:]
	if len(hm) == 5 && hm[2] == ':' {
		hm = []byte{hm[0], hm[1], hm[3], hm[4]}
	}
	if len(hm) == 2 {
		hm = []byte{hm[0], hm[1], '0', '0'}
	}
	if len(hm) != 4 {
		return 0, false
	}
	v, ok := digits(hm)
	if !ok || v/100 > 18 || v%100 > 59 {
		return 0, false
	}
	minutes = v/100*60 + v%100
	if b[0] == '-' {
		minutes = -minutes
	}
	return minutes, true
}

func digits(b []byte) (int, bool) {
	v := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	return v, true
}

// milliseconds reads an epoch time in ms, as receipts carry beside their text
// times.
func milliseconds(value []byte) (int64, error) {
	b, err := plain(value)
	if len(b) == 0 || err != nil {
		return 0, err
	}
	v, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil || v < 0 {
		return 0, fmt.Errorf("%q is not a time in milliseconds", clip(b))
	}
	return v, nil
}
