package evotor

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"ostatok/agent/stock"
)

// cursor walks over JSON text that has been checked before. A second check, or
// reflection over the sixty members of a position of which we want four, would
// cost more than reading the page from the network. On text that was not checked
// it returns nonsense, but ends and does not panic.
type cursor struct {
	text []byte
	at   int
}

// kind returns the first byte of the next value, 0 at the end.
func (c *cursor) kind() byte {
	for c.at < len(c.text) {
		switch b := c.text[c.at]; b {
		case ' ', '\t', '\n', '\r', ',', ':':
			c.at++
		default:
			return b
		}
	}
	return 0
}

// enter steps into the object or array that comes next.
func (c *cursor) enter() {
	if c.kind() != 0 {
		c.at++
	}
}

// more tells whether another member or element comes; when none does it steps
// out.
func (c *cursor) more() bool {
	switch c.kind() {
	case 0:
		return false
	case '}', ']':
		c.at++
		return false
	}
	return true
}

// name reads the name of the next member.
func (c *cursor) name() []byte {
	quoted := c.skip()
	if len(quoted) < 2 {
		return nil
	}
	if bytes.IndexByte(quoted, '\\') >= 0 {
		unquoted, _ := jsontext.AppendUnquote(nil, quoted) // what is not text matches no name
		return unquoted
	}
	return quoted[1 : len(quoted)-1]
}

// skip steps over the next value and returns its text.
func (c *cursor) skip() []byte {
	first := c.kind()
	start := c.at
	switch first {
	case 0:
	case '"':
		c.skipString()
	case '{', '[':
		c.skipNested()
	default:
		for c.at < len(c.text) && !delimiter(c.text[c.at]) {
			c.at++
		}
		if c.at == start { // only in text that was not checked: do not stand still
			c.at++
		}
	}
	return c.text[start:c.at]
}

// skipString looks at each byte: names and ids are too short for anything cleverer
// to pay.
func (c *cursor) skipString() {
	for i := c.at + 1; i < len(c.text); i++ {
		switch c.text[i] {
		case '"':
			c.at = i + 1
			return
		case '\\':
			i++
		}
	}
	c.at = len(c.text)
}

func (c *cursor) skipNested() {
	depth := 0
	for c.at < len(c.text) {
		switch c.text[c.at] {
		case '"':
			c.skipString()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		c.at++
		if depth == 0 {
			return
		}
	}
}

func delimiter(b byte) bool {
	switch b {
	case ',', '}', ']', ' ', '\t', '\n', '\r', ':':
		return true
	}
	return false
}

// names keeps one copy of the strings that come again and again: devices, types,
// products. It forgets all when it is full.
type names map[string]string

const mostNames = 4096

func (n names) of(b []byte) string {
	if s, ok := n[string(b)]; ok {
		return s
	}
	if len(n) >= mostNames {
		clear(n)
	}
	s := string(b)
	if n != nil && len(s) <= 64 {
		n[s] = s
	}
	return s
}

var errNotText = errors.New("is not text")

// plain returns the text of a string, a number or a literal without its quotes,
// nil for null.
func plain(value []byte) ([]byte, error) {
	if len(value) == 0 {
		return nil, nil
	}
	switch value[0] {
	case 'n':
		return nil, nil
	case '{', '[':
		return nil, errNotText
	case '"':
		if len(value) == 1 {
			return nil, errNotText // not checked, see cursor
		}
		if bytes.IndexByte(value, '\\') >= 0 {
			return jsontext.AppendUnquote(nil, value)
		}
		inner := value[1 : len(value)-1]
		if !utf8.Valid(inner) {
			inner = bytes.ToValidUTF8(inner, []byte("\uFFFD"))
		}
		return inner, nil
	}
	return value, nil
}

// text reads a string; a number becomes its digits (codes are written both ways),
// null is "".
func text(value []byte) (string, error) {
	b, err := plain(value)
	return string(b), err
}

// text is the function for a value that comes again and again.
func (n names) text(value []byte) (string, error) {
	b, err := plain(value)
	if len(b) == 0 || err != nil {
		return "", err
	}
	return n.of(b), nil
}

// integer reads a whole number, also one in quotes; null is 0.
func integer(value []byte) (int64, error) {
	b, err := plain(value)
	if len(b) == 0 || err != nil {
		return 0, err
	}
	v, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", clip(b))
	}
	return v, nil
}

// quantity reads an amount; ok is false for null.
func quantity(value []byte) (q stock.Quantity, ok bool, err error) {
	if len(value) == 0 || value[0] == 'n' {
		return 0, false, nil
	}
	q, err = stock.ParseQuantity(string(value))
	if err != nil {
		if q, near := nearQuantity(value); near {
			return q, true, nil
		}
		return 0, false, err
	}
	return q, true, nil
}

// nearQuantity reads an amount that a terminal computed in binary fractions:
// 2.17 − 0.236 is then printed as 1.9339999999999997, and a shelf sold empty as
// 5.5e-17. Only what lies within a millionth of a whole thousandth is taken, any
// other fourth decimal stays an error.
func nearQuantity(value []byte) (stock.Quantity, bool) {
	if value[0] != '-' && (value[0] < '0' || value[0] > '9') {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(value), 64)
	if err != nil || f > 1e7 || f < -1e7 {
		return 0, false
	}
	scaled := f * 1000
	nearest := int64(scaled + 0.5)
	if scaled < 0 {
		nearest = int64(scaled - 0.5)
	}
	if off := scaled - float64(nearest); off > 1e-3 || off < -1e-3 {
		return 0, false
	}
	return stock.Quantity(nearest), true
}

func clip(b []byte) []byte {
	if len(b) > 64 {
		return b[:64]
	}
	return b
}
