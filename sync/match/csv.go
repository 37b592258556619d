package match

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Entry is a line of a mapping: a product and its key at the target. The first
// of Product, Code, Article and Barcode that is filled says which product is
// meant; the rest is for people. Without a Key the line says nothing.
type Entry struct {
	Line    int    `json:"line,omitempty"` // in the file, 0 when it is from none
	Product string `json:"product_id"`
	Code    string `json:"code"`
	Article string `json:"article"`
	Barcode string `json:"barcode"`
	Name    string `json:"name"`
	Key     string `json:"key"`
}

// Mistake is one thing to correct in a mapping.
type Mistake struct {
	Line    int // 0: the file as a whole
	Message string
}

// MistakesError holds every mistake of a mapping, in the order of its lines.
type MistakesError struct{ Mistakes []Mistake }

func (e *MistakesError) Error() string {
	const most = 50 // a wrong column makes a mistake of each line
	var b strings.Builder
	b.WriteString("cannot use the mapping:")
	for _, m := range e.Mistakes[:min(most, len(e.Mistakes))] {
		if b.WriteString("\n  "); m.Line != 0 {
			fmt.Fprintf(&b, "line %d: ", m.Line)
		}
		b.WriteString(m.Message)
	}
	if more := len(e.Mistakes) - most; more > 0 {
		fmt.Fprintf(&b, "\n  … and %d more", more)
	}
	return b.String()
}

func (e *MistakesError) add(line int, format string, args ...any) {
	e.Mistakes = append(e.Mistakes, Mistake{line, fmt.Sprintf(format, args...)})
}

// err is nil when there is nothing to correct.
func (e *MistakesError) err() error {
	if len(e.Mistakes) == 0 {
		return nil
	}
	slices.SortStableFunc(e.Mistakes, func(a, b Mistake) int { return a.Line - b.Line })
	return e
}

// columns are the names of the columns, and those that a Russian spreadsheet has.
func columns() [][]string {
	return [][]string{
		{"product_id", "ид"}, {"code", "код"}, {"article", "артикул"}, {"barcode", "штрихкод"},
		{"name", "название"}, {"key", "ключ"},
	}
}

// cells are the places of an entry for the columns, in their order.
func (e *Entry) cells() []*string {
	return []*string{&e.Product, &e.Code, &e.Article, &e.Barcode, &e.Name, &e.Key}
}

const utf8BOM = "\uFEFF"

// fileMost bounds what is read: 200 000 lines of 200 bytes are 40 MB.
const fileMost = 64 << 20

// shortened is what a spreadsheet makes of a long number: 4,60702E+12.
var shortened = regexp.MustCompile(`^[0-9]([.,][0-9]+)?[eE]\+?[0-9]+$`)

// ReadCSV reads a mapping with a header line, in UTF-8, its cells parted by ; or
// , or tabs. Columns with other names are passed over. What is wrong with it is
// returned as a *MistakesError.
func ReadCSV(r io.Reader) ([]Entry, error) {
	raw, err := io.ReadAll(io.LimitReader(r, fileMost+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the mapping: %w", err)
	}
	mistakes := new(MistakesError)
	raw = bytes.TrimPrefix(raw, []byte(utf8BOM))
	switch bad := badUTF8(raw); {
	case len(raw) > fileMost:
		mistakes.add(0, "the file is larger than %d MB", fileMost>>20)
	case bad != 0:
		mistakes.add(bad, "this is not UTF-8; save the file as “CSV UTF-8”")
	}
	if err := mistakes.err(); err != nil {
		return nil, err
	}
	in, place, err := header(raw)
	if err != nil {
		return nil, err
	}
	width := len(place)
	var entries []Entry
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return entries, mistakes.err()
		}
		if e, ok := errors.AsType[*csv.ParseError](err); ok {
			mistakes.add(e.Line, "the quotes do not match: %v; the lines after it were not read", e.Err)
			return nil, mistakes.err()
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read the mapping: %w", err)
		}
		line, _ := in.FieldPos(0)
		if blank(record) {
			continue
		}
		if len(record) > width && !blank(record[width:]) {
			mistakes.add(line, "it has %d cells and the header %d; put cells that hold the separator into quotes", len(record), width)
			continue
		}
		entry := Entry{Line: line}
		cells := entry.cells()
		for i, text := range record[:min(width, len(record))] {
			if place[i] >= 0 && strings.TrimSpace(text) != "" {
				*cells[place[i]] = text
			}
		}
		switch {
		case entry.Key == "":
		case shortened.MatchString(entry.Key):
			mistakes.add(line, "the spreadsheet has shortened the key to %s; give the column the format “text” and enter it again", entry.Key)
		case entry.product() == reference{}:
			mistakes.add(line, "the key %q has no product; fill in product_id, code, article or barcode", entry.Key)
		}
		entries = append(entries, entry)
	}
}

// header finds the separator and which cell is which: place[i] is the number of
// column i, -1 for one that is not ours.
func header(raw []byte) (in *csv.Reader, place []int, err error) {
	mistakes := new(MistakesError)
	lines := 0
	// A spreadsheet may say the separator in a line before the header.
	if first, rest, ok := bytes.Cut(raw, []byte("\n")); ok && bytes.HasPrefix(bytes.ToLower(first), []byte("sep=")) {
		raw, lines = rest, 1
	}
	for _, comma := range ";,\t" {
		in = csv.NewReader(bytes.NewReader(append(bytes.Repeat([]byte("\n"), lines), raw...)))
		in.Comma, in.FieldsPerRecord = comma, -1
		names, err := in.Read()
		if err != nil {
			continue
		}
		place = make([]int, len(names))
		count := make([]int, len(columns()))
		for i, name := range names {
			name = strings.ToLower(strings.TrimSpace(name))
			place[i] = slices.IndexFunc(columns(), func(c []string) bool { return slices.Contains(c, name) })
			if place[i] >= 0 {
				count[place[i]]++
			}
		}
		line, _ := in.FieldPos(0)
		for i, n := range count {
			if n > 1 {
				mistakes.add(line, "the column %s is there %d times", columns()[i][0], n)
			}
		}
		if count[5] == 0 {
			continue
		}
		if count[0]+count[1]+count[2]+count[3] == 0 {
			mistakes.add(line, "no column says which product is meant: product_id, code, article or barcode")
		}
		return in, place, mistakes.err()
	}
	mistakes = new(MistakesError)
	mistakes.add(1, "there is no column “key”; the first line names the columns: product_id;code;article;barcode;name;key")
	return nil, nil, mistakes
}

// badUTF8 is the line with the first byte that is not UTF-8, 0 for none.
func badUTF8(raw []byte) int {
	if utf8.Valid(raw) {
		return 0
	}
	line := 1
	for len(raw) > 0 {
		r, n := utf8.DecodeRune(raw)
		if r == utf8.RuneError && n == 1 {
			return line
		}
		if r == '\n' {
			line++
		}
		raw = raw[n:]
	}
	return 0
}

func blank(cells []string) bool {
	return !slices.ContainsFunc(cells, func(c string) bool { return strings.TrimSpace(c) != "" })
}

// WriteCSV writes a mapping as spreadsheets of Russian systems open it by a
// double click: with a byte order mark and semicolons.
func WriteCSV(w io.Writer, entries []Entry) error {
	buffered := bufio.NewWriter(w)
	_, err := buffered.WriteString(utf8BOM)
	out := csv.NewWriter(buffered)
	out.Comma = ';'
	record := make([]string, 0, len(columns()))
	for _, c := range columns() {
		record = append(record, c[0])
	}
	err = errors.Join(err, out.Write(record))
	for i := range entries {
		record = record[:0]
		for _, cell := range entries[i].cells() {
			record = append(record, *cell)
		}
		err = errors.Join(err, out.Write(record))
	}
	out.Flush()
	if err := errors.Join(err, out.Error(), buffered.Flush()); err != nil {
		return fmt.Errorf("cannot write the mapping: %w", err)
	}
	return nil
}
