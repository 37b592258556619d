package zelenka

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"ostatok/agent/stock"
	"ostatok/sync/rest"
)

// MaxBody is the most bytes in one body. The vendor says 16 megabytes and not
// whether of 10⁶ or of 2²⁰ bytes (api_docs_onhand); a body above the limit may
// reach the server's program as an empty one (backends §2.6).
const MaxBody = 15_000_000

// errBodyFull says that a row does not fit any more. The body is as it was.
var errBodyFull = errors.New("the body is full")

// writer writes rows of one point of sale as JSON.
type writer struct{ middle string } // what stands between the id and the figure

func newWriter(w Warehouse) writer {
	return writer{`,"warehouse_id":` + w.String() + `,"quantity":`}
}

// append appends a row, or says what is wrong with the key.
//
// The id is always sent as a string: leading zeros are part of a code, and the
// vendor's examples have both forms.
func (w writer) append(text []byte, key string, pieces int64) ([]byte, error) {
	if err := checkKey(key); err != nil {
		return text, err
	}
	text = append(text, `{"id":`...)
	text, err := jsontext.AppendQuote(text, key)
	if err != nil {
		return text, fmt.Errorf("its id cannot be written: %w", err)
	}
	text = append(text, w.middle...)
	text = strconv.AppendInt(text, pieces, 10)
	return append(text, '}'), nil
}

func checkKey(key string) error {
	switch {
	case key == "":
		return errors.New("it has no id")
	case !utf8.ValidString(key):
		return errors.New("its id is not valid UTF-8")
	}
	return nil
}

// body is the JSON array of one request. It is kept packed, so that its length is
// known before the first byte is sent, each attempt sends the same, and fifteen
// megabytes are sent from less than two.
type body struct {
	writer
	packed pages
	zip    *flate.Writer
	size   int64 // unpacked, without the closing bracket
	rows   int
	text   []byte // of one row
}

func newBody(w Warehouse) *body {
	b := &body{writer: newWriter(w)}
	b.zip, _ = flate.NewWriter(&b.packed, flate.BestSpeed) // fails for unknown levels only
	return b
}

// add appends a row. The error is errBodyFull, or says what is wrong with the key.
func (b *body) add(key string, pieces int64) error {
	text, err := b.append(append(b.text[:0], "[,"[min(b.rows, 1)]), key, pieces)
	b.text = text
	if err != nil {
		return err
	}
	if b.size+int64(len(text))+1 > MaxBody {
		return errBodyFull
	}
	if _, err := b.zip.Write(text); err != nil {
		return fmt.Errorf("the body cannot be packed: %w", err)
	}
	b.size += int64(len(text))
	b.rows++
	return nil
}

// request ends the body and returns the request that carries it.
func (b *body) request() (rest.Request, error) {
	if b.rows == 0 {
		// With isfull it might empty the shop (backends §2.7).
		return rest.Request{}, errors.New("cannot send an empty list of stock to Zelenka")
	}
	_, err := b.zip.Write([]byte{']'})
	if err = errors.Join(err, b.zip.Close()); err != nil {
		return rest.Request{}, fmt.Errorf("cannot pack the list of stock: %w", err)
	}
	packed := b.packed.join()
	return rest.Request{
		Path: "/onhand/batch-update", Header: jsonHeader(), Length: b.size + 1,
		// Zelenka does not say that it takes packed bodies.
		Open: func() (io.Reader, error) { return flate.NewReader(bytes.NewReader(packed)), nil },
	}, nil
}

// Whole is a level as Zelenka is told it, in whole pieces. Zelenka casts to an
// integer by itself, in a way that is not documented, so the whole number is made
// here: the floor, because half a piece cannot be sold, and never below nothing.
func Whole(q stock.Quantity) stock.Quantity { return stock.Quantity(pieces(q)) * stock.Unit }

func pieces(q stock.Quantity) int64 { return int64(max(q, 0) / stock.Unit) }

// pages is a buffer that grows without copying: doubling several megabytes would
// hold them three times.
type pages struct {
	list [][]byte
	size int
}

const pageSize = 64 << 10

func (p *pages) Write(text []byte) (int, error) {
	written := len(text)
	for len(text) > 0 {
		last := len(p.list) - 1
		if last < 0 || len(p.list[last]) == pageSize {
			p.list = append(p.list, make([]byte, 0, pageSize))
			last++
		}
		n := min(len(text), pageSize-len(p.list[last]))
		p.list[last] = append(p.list[last], text[:n]...)
		text = text[n:]
	}
	p.size += written
	return written, nil
}

// join returns all of it and empties the buffer.
func (p *pages) join() []byte {
	whole := make([]byte, 0, p.size)
	for i, page := range p.list {
		whole = append(whole, page...)
		p.list[i] = nil
	}
	*p = pages{}
	return whole
}
