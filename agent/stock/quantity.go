package stock

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Quantity is an amount of a product in thousandths of its unit: one piece is
// 1000, 236 grams of cheese sold by the kilogram are 236. It may be negative:
// shops that do not keep stock stand at minus thousands.
type Quantity int64

// most bounds what is accepted: a million million units. Documents carry at
// most seven digits (evotor-cloud §6); the bound lets thousands of lines be
// added up without a thought of overflow.
const most Quantity = 1_000_000_000_000_000

// Unit is one whole piece, kilogram or litre.
const Unit Quantity = 1000

// ErrQuantity is what ParseQuantity's errors wrap.
var ErrQuantity = errors.New("not a quantity")

// ParseQuantity reads a quantity from its literal text, never through a float:
// "0.236", "-4934", "10", "1e3", also in double quotes as V1 documents write
// sums. More than three significant decimals, or a value that does not fit, is
// an error that names the value.
func ParseQuantity(text string) (Quantity, error) {
	s := text
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = strings.TrimSpace(s[1 : len(s)-1])
	}
	q, reason := parseDecimal(s)
	if reason != "" {
		return 0, fmt.Errorf("%w: %q %s", ErrQuantity, clip(text), reason)
	}
	return q, nil
}

// clip keeps hostile input from filling a log line.
func clip(s string) string {
	const longest = 64
	if len(s) > longest {
		return s[:longest] + "…"
	}
	return s
}

// parseDecimal returns the value, or why there is none.
func parseDecimal(s string) (Quantity, string) {
	negative := false
	if s != "" && (s[0] == '-' || s[0] == '+') {
		negative = s[0] == '-'
		s = s[1:]
	}
	exponent := 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		e, err := strconv.ParseInt(s[i+1:], 10, 32)
		if err != nil || e > 1000 || e < -1000 {
			return 0, "has an exponent that makes no sense"
		}
		exponent = int(e)
		s = s[:i]
	}
	whole, fraction, point := strings.Cut(s, ".")
	if whole == "" || (point && fraction == "") {
		return 0, "is not a decimal number"
	}
	// The digits as one integer, scaled by 10^(exponent - decimals).
	scale := exponent - len(fraction) + 3
	var value uint64
	zeros := 0 // zeros not yet multiplied in: they may be cut off again
	for _, part := range [2]string{whole, fraction} {
		for _, c := range []byte(part) {
			if c < '0' || c > '9' {
				return 0, "is not a decimal number"
			}
			if c == '0' {
				if value != 0 {
					zeros++
				}
				continue
			}
			for ; zeros >= 0; zeros-- {
				if value > math.MaxInt64/10 {
					return 0, "is too large"
				}
				value *= 10
			}
			zeros = 0
			value += uint64(c - '0')
		}
	}
	if value == 0 {
		return 0, ""
	}
	scale += zeros
	if scale < 0 {
		return 0, "has more than three decimals"
	}
	for ; scale > 0; scale-- {
		if value > math.MaxInt64/10 {
			return 0, "is too large"
		}
		value *= 10
	}
	if value > uint64(most) {
		return 0, "is too large"
	}
	if negative {
		return -Quantity(value), ""
	}
	return Quantity(value), ""
}

// String prints the quantity with at most three decimals: "0.236", "-4934", "10".
func (q Quantity) String() string { return string(q.append(nil)) }

// MarshalJSON prints the quantity as a JSON number with at most three decimals.
func (q Quantity) MarshalJSON() ([]byte, error) { return q.append(nil), nil }

// UnmarshalJSON reads a JSON number or a string that holds one.
func (q *Quantity) UnmarshalJSON(text []byte) error {
	v, err := ParseQuantity(string(text))
	if err == nil {
		*q = v
	}
	return err
}

// Abs is the quantity without its sign.
func (q Quantity) Abs() Quantity {
	if q < 0 {
		return -q
	}
	return q
}

func (q Quantity) append(b []byte) []byte {
	u := uint64(q)
	if q < 0 {
		b = append(b, '-')
		u = -u
	}
	b = strconv.AppendUint(b, u/1000, 10)
	if f := u % 1000; f != 0 {
		b = append(b, '.', byte('0'+f/100))
		if f %= 100; f != 0 {
			b = append(b, byte('0'+f/10))
			if f %= 10; f != 0 {
				b = append(b, byte('0'+f))
			}
		}
	}
	return b
}
