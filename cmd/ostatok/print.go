package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/rivo/uniseg"
	"golang.org/x/term"

	"ostatok/agent/stock"
)

// The formats of lists.
const (
	formatTable = "table"
	formatJSON  = "json"
	formatCSV   = "csv"
)

func (a *app) printJSON(v any) error {
	out := json.NewEncoder(a.out)
	out.SetEscapeHTML(false) // names of goods hold & and <
	out.SetIndent("", "  ")
	return out.Encode(v)
}

// jsonArray prints the elements of one array as they come, so that a large
// catalogue is never held.
type jsonArray struct {
	w     io.Writer
	begun bool
}

func (j *jsonArray) add(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	open := ",\n "
	if !j.begun {
		open, j.begun = "[\n ", true
	}
	_, err = io.WriteString(j.w, open+string(text))
	return err
}

func (j *jsonArray) end() error {
	text := "\n]\n"
	if !j.begun {
		text = "[]\n"
	}
	_, err := io.WriteString(j.w, text)
	return err
}

// column is one column of a list.
type column struct {
	title string // of the table
	name  string // of the CSV file
	right bool   // figures stand at the right
	cut   bool   // gives way when the table is wider than the terminal
}

// list prints rows as a table or as CSV.
type list struct {
	app     *app
	columns []column
	rows    [][]string
	csv     *csv.Writer
}

func (a *app) list(columns ...column) *list {
	l := &list{app: a, columns: columns}
	if a.format == formatCSV {
		l.csv = csv.NewWriter(a.out)
		names := make([]string, len(columns))
		for i, c := range columns {
			names[i] = c.name
		}
		_ = l.csv.Write(names) // an error stays in the writer and is returned at the end
	}
	return l
}

func (l *list) add(cells ...string) {
	if l.csv != nil {
		_ = l.csv.Write(cells)
		return
	}
	l.rows = append(l.rows, cells)
}

func (l *list) end() error {
	if l.csv != nil {
		l.csv.Flush()
		return l.csv.Error()
	}
	widths := make([]int, len(l.columns))
	for i, c := range l.columns {
		widths[i] = uniseg.StringWidth(c.title)
	}
	for _, row := range l.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], uniseg.StringWidth(cell))
		}
	}
	l.fit(widths)
	var b strings.Builder
	titles := make([]string, len(l.columns))
	for i, c := range l.columns {
		titles[i] = c.title
	}
	l.line(&b, widths, titles)
	for _, row := range l.rows {
		l.line(&b, widths, row)
		if b.Len() > 1<<16 {
			if _, err := io.WriteString(l.app.out, b.String()); err != nil {
				return err
			}
			b.Reset()
		}
	}
	_, err := io.WriteString(l.app.out, b.String())
	return err
}

// fit takes from the columns that may be cut what the terminal has not.
func (l *list) fit(widths []int) {
	const gap, least = 2, 12
	total := -gap
	for _, w := range widths {
		total += w + gap
	}
	over := total - l.app.width()
	for i, c := range l.columns {
		if c.cut && over > 0 {
			take := min(over, max(0, widths[i]-least))
			widths[i] -= take
			over -= take
		}
	}
}

func (l *list) line(b *strings.Builder, widths []int, cells []string) {
	var line strings.Builder
	for i, cell := range cells {
		if i > 0 {
			line.WriteString("  ")
		}
		cell = cutTo(cell, widths[i])
		pad := strings.Repeat(" ", widths[i]-uniseg.StringWidth(cell))
		if l.columns[i].right {
			line.WriteString(pad + cell)
		} else {
			line.WriteString(cell + pad)
		}
	}
	b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
}

// cutTo shortens text to a width on the screen, which is neither its bytes nor
// its runes.
func cutTo(text string, width int) string {
	if uniseg.StringWidth(text) <= width {
		return text
	}
	var b strings.Builder
	room := width - 1 // for the dots
	g := uniseg.NewGraphemes(text)
	for g.Next() {
		if room -= g.Width(); room < 0 {
			break
		}
		b.WriteString(g.Str())
	}
	return b.String() + "…"
}

// width is that of the terminal. Output to a file or a pipe is never cut: who
// greps a list wants whole names.
func (a *app) width() int {
	const endless = 1 << 20
	for _, line := range a.environ {
		if text, ok := strings.CutPrefix(line, "COLUMNS="); ok {
			if n, err := strconv.Atoi(text); err == nil && n > 0 {
				return n
			}
		}
	}
	if f, ok := a.out.(interface{ Fd() uintptr }); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			return n
		}
	}
	return endless
}

// terminal tells whether w is a person's screen.
func terminal(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// figure prints a quantity, "-" for none; CSV has an empty field.
func (a *app) figure(q *stock.Quantity) string {
	switch {
	case q != nil:
		return q.String()
	case a.format == formatCSV:
		return ""
	}
	return "-"
}

// moment prints a time: RFC 3339 for programs, to the minute for people. Always
// UTC: the shop's zone is not the installer's.
func (a *app) moment(t *time.Time) string {
	switch {
	case t == nil || t.IsZero():
		return a.figure(nil)
	case a.format == formatCSV:
		return t.UTC().Format(time.RFC3339)
	}
	return t.UTC().Format("2006-01-02 15:04")
}

// say tells a person something that is not the result.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.err, format+"\n", args...) }
