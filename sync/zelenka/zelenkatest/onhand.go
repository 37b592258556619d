package zelenkatest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// row is one element of a body as the program sees it.
type row struct {
	id        string
	warehouse int64
	pieces    int64
}

// batch takes as many rows as it can and counts them; what it cannot take it
// names by the item's id alone, so that one item at two points of sale has one
// entry (api_docs_onhand).
func (s *Server) batch(w http.ResponseWriter, r *http.Request) {
	full := r.URL.Query().Get("isfull") == "1"
	rows, size, err := s.read(r)
	if errors.Is(err, errGone) {
		return
	}
	half := halfOnly(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	request := Request{Path: r.URL.Path, Full: full, Bytes: size, Rows: len(rows), Status: http.StatusOK, At: s.o.Now()}
	for _, row := range rows {
		if !slices.Contains(request.Warehouses, row.warehouse) {
			request.Warehouses = append(request.Warehouses, row.warehouse)
		}
	}
	defer func() { s.requests = append(s.requests, request) }()
	if err != nil {
		request.Status = s.refuseBody(w, err)
		return
	}
	if len(rows) == 0 {
		s.violate("an empty list")
	}
	if half {
		rows = rows[:len(rows)/2]
	}
	failed := newTexts()
	seen := make(map[int64]map[string]bool)
	taken := 0
	for _, row := range rows {
		stock, exists := s.warehouses[row.warehouse]
		text, refused := s.refused[row.id]
		switch {
		case !exists:
			failed.set(row.id, "Warehouse not found")
			continue
		case refused:
			failed.set(row.id, text)
			continue
		}
		if seen[row.warehouse] == nil {
			seen[row.warehouse] = make(map[string]bool)
		}
		if seen[row.warehouse][row.id] {
			s.violate("item " + row.id + " twice in a body")
		}
		seen[row.warehouse][row.id] = true
		stock[row.id] = row.pieces
		taken++
	}
	s.written += taken
	if full {
		s.zero(seen, failed)
	}
	write(w, http.StatusOK, map[string]any{"success": s.number(int64(taken)), "errors": failed})
}

// zero is what a full list does to what it does not hold. A row that was refused
// is not in the list as far as the program is concerned.
func (s *Server) zero(listed map[int64]map[string]bool, failed *texts) {
	for id, stock := range s.warehouses {
		if s.o.Absent == MarkOnly || (s.o.Absent == ZeroNamed && listed[id] == nil) {
			continue
		}
		for item := range stock {
			if !listed[id][item] {
				stock[item] = 0
			}
		}
	}
}

// update takes one figure: 201 when there was none, 200 when it was replaced.
func (s *Server) update(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return // as in errGone
	}
	one, parseErr := s.parse(jsontext.NewDecoder(bytes.NewReader(raw)))
	s.mu.Lock()
	defer s.mu.Unlock()
	request := Request{Path: r.URL.Path, Bytes: int64(len(raw)), Rows: 1, Warehouses: []int64{one.warehouse}, At: s.o.Now()}
	defer func() { s.requests = append(s.requests, request) }()
	s.lastBody = raw
	if parseErr != nil {
		request.Status = s.refuseBody(w, parseErr)
		return
	}
	stock, exists := s.warehouses[one.warehouse]
	text, refused := s.refused[one.id]
	switch {
	case !exists:
		request.Status = fail(w, http.StatusNotFound, "Warehouse not found")
		return
	case refused:
		request.Status = fail(w, http.StatusUnprocessableEntity, text)
		return
	}
	request.Status = http.StatusCreated
	if _, had := stock[one.id]; had {
		request.Status = http.StatusOK
	}
	stock[one.id] = one.pieces
	s.written++
	write(w, request.Status, map[string]any{
		"id": one.id, "warehouse_id": strconv.FormatInt(one.warehouse, 10), "quantity": s.number(one.pieces),
	})
}

func (s *Server) number(n int64) any {
	if s.o.Texts {
		return strconv.FormatInt(n, 10)
	}
	return n
}

var (
	errOversize = errors.New("the body is above the limit")
	// The web server in front of the program hands on whole bodies only: of one
	// whose sender was cut off the program never hears.
	errGone = errors.New("the sender is gone")
)

func (s *Server) refuseBody(w http.ResponseWriter, err error) int {
	if errors.Is(err, errOversize) {
		s.violate("a body above the limit")
		return fail(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
	}
	s.violate("not strict JSON: " + err.Error())
	return fail(w, http.StatusBadRequest, "Syntax error.")
}

// read reads a whole body before anything is done with it.
func (s *Server) read(r *http.Request) (rows []row, size int64, err error) {
	counted := &counter{in: r.Body}
	d := jsontext.NewDecoder(counted, jsontext.AllowDuplicateNames(true))
	rows, err = s.rows(d)
	_, _ = io.Copy(io.Discard, counted) // its error is kept
	if counted.broken {
		return nil, counted.size, errGone
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastBody = counted.head
	if counted.size > BodyLimit {
		if s.o.OversizeEmpty {
			s.violate("a body above the limit")
			return nil, counted.size, nil
		}
		return nil, counted.size, errOversize
	}
	return rows, counted.size, err
}

func (s *Server) rows(d *jsontext.Decoder) ([]row, error) {
	if opening, err := d.ReadToken(); err != nil {
		return nil, err
	} else if opening.Kind() != '[' {
		return nil, errors.New("not an array")
	}
	var rows []row
	for d.PeekKind() != ']' {
		one, err := s.parse(d)
		if err != nil {
			return nil, err
		}
		rows = append(rows, one)
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return nil, errors.New("something follows the array")
	}
	return rows, nil
}

// parse reads one row. What is missing or of another type is cast, as PHP does.
func (s *Server) parse(d *jsontext.Decoder) (row, error) {
	var one row
	if opening, err := d.ReadToken(); err != nil {
		return one, err
	} else if opening.Kind() != '{' {
		return one, errors.New("not an object")
	}
	for d.PeekKind() != '}' {
		token, err := d.ReadToken()
		if err != nil {
			return one, err
		}
		name := token.String()
		value, err := d.ReadValue()
		if err != nil {
			return one, err
		}
		switch name {
		case "id":
			one.id = phpString(value)
		case "warehouse_id":
			one.warehouse = phpInt(value)
		case "quantity":
			one.pieces = phpInt(value)
			s.judge(value)
		}
	}
	_, err := d.ReadToken()
	return one, err
}

// judge notes figures of which the cast makes something else.
func (s *Server) judge(value jsontext.Value) {
	text := strings.Trim(string(value), `"`)
	if _, err := strconv.ParseInt(text, 10, 64); err == nil && text[0] != '-' {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.violate("a quantity of " + text)
}

// counter counts what passes and keeps the beginning.
type counter struct {
	in     io.Reader
	size   int64
	head   []byte
	broken bool // off before its end
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.size += int64(n)
	c.broken = c.broken || err != nil && err != io.EOF
	if room := 1<<20 - len(c.head); room > 0 {
		c.head = append(c.head, p[:min(n, room)]...)
	}
	return n, err
}
