package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"golang.org/x/term"
)

// table writes rows under titles, as wide as they need.
func table(w io.Writer, titles []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{titles}, rows...) {
		for i, cell := range row {
			row[i] = clean(cell)
		}
		fmt.Fprintln(t, strings.Join(row, "\t")) // an error is kept and returned by Flush
	}
	return t.Flush()
}

// clean keeps what a shop sent from steering the operator's terminal.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return ' '
		}
		return r
	}, text)
}

func (a *app) printJSON(v any) error {
	out := json.NewEncoder(a.out)
	out.SetEscapeHTML(false) // names of goods hold & and <
	out.SetIndent("", "  ")
	return out.Encode(v)
}

// printLine prints one value as one line of JSON.
func (a *app) printLine(v any) error {
	out := json.NewEncoder(a.out)
	out.SetEscapeHTML(false)
	return out.Encode(v)
}

// screen is the size of the terminal that out is; ok is false for a file or a
// pipe.
func (a *app) screen() (width, height int, ok bool) {
	f, is := a.out.(interface{ Fd() uintptr })
	if !is || !term.IsTerminal(int(f.Fd())) {
		return 0, 0, false
	}
	width, height, err := term.GetSize(int(f.Fd()))
	return width, height, err == nil
}
