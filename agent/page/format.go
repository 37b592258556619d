package page

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"ostatok/agent/stock"
)

const (
	hardSpace = "\u00a0"
	minus     = "\u2212"
	dash      = "—"
)

// figure writes a quantity as people of the language write numbers, a dash for
// none.
func (w *words) figure(q *stock.Quantity) string {
	if q == nil {
		return dash
	}
	return w.quantity(*q)
}

func (w *words) quantity(q stock.Quantity) string {
	whole, decimals, _ := strings.Cut(q.Abs().String(), ".")
	s := w.grouped(whole)
	if decimals != "" {
		s += w.point + decimals
	}
	if q < 0 {
		s = minus + s
	}
	return s
}

// change writes a quantity with its sign.
func (w *words) change(q stock.Quantity) string {
	if q > 0 {
		return "+" + w.quantity(q)
	}
	return w.quantity(q)
}

func (w *words) number(n int) string { return w.grouped(strconv.Itoa(n)) }

// grouped sets the thousands apart; four digits stay together, as in print.
func (w *words) grouped(digits string) string {
	if len(digits) < 5 {
		return digits
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteString(w.thousands)
		}
		b.WriteRune(d)
	}
	return b.String()
}

// size writes bytes in the unit that suits them.
func (w *words) size(n uint64) string {
	if n >= 1<<30 {
		return w.number(int((n+1<<29)>>30)) + hardSpace + w.gigabytes
	}
	return w.number(int((n+1<<19)>>20)) + hardSpace + w.megabytes
}

// clock is how a moment is written: in the shop's time, and shorter the nearer
// it is.
type clock struct {
	*words
	now time.Time // in the shop's zone
}

func (c clock) text(t time.Time) string {
	t = t.In(c.now.Location())
	at := t.Format("15:04")
	day := func(t time.Time) time.Time {
		y, m, d := t.Date()
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	}
	switch days := int(day(c.now).Sub(day(t)).Hours() / 24); {
	case days == 0:
		return c.today + ", " + at
	case days == 1:
		return c.yesterday + ", " + at
	case t.Year() == c.now.Year():
		return strconv.Itoa(t.Day()) + hardSpace + c.months[t.Month()-1] + ", " + at
	}
	return t.Format(c.longDate) + ", " + at
}

// moment is a time that programs can read too; a dash for none.
func (c clock) moment(t *time.Time) node {
	if t == nil || t.IsZero() {
		return text(dash)
	}
	return el("time", attr{"datetime", t.UTC().Format(time.RFC3339)}, text(c.text(*t)))
}

// plural chooses among the forms of a noun beside a number; English has two of
// them, and its few is its many.
func (w *words) plural(n int, forms [3]string) string {
	form := forms[2]
	if w.language == "ru" {
		switch {
		case n%10 == 1 && n%100 != 11:
			form = forms[0]
		case n%10 >= 2 && n%10 <= 4 && (n%100 < 12 || n%100 > 14):
			form = forms[1]
		}
	} else if n == 1 {
		form = forms[0]
	}
	return w.number(n) + hardSpace + form
}

// render writes a node to a page of its own.
func render(n node) *bytes.Buffer {
	var b bytes.Buffer
	b.WriteString("<!doctype html>\n")
	n(&b)
	return &b
}
