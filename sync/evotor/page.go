package evotor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"ostatok/sync/rest"
)

// Item is one element of a page.
type Item[T any] struct {
	Value T      // what could be read, also when Err is set
	Raw   []byte // the exact text; valid until the callback returns
	Err   error  // this item did not decode: set it aside, the rest goes on
	ID    string // best effort, "" when there is none
}

// Page tells how a page ended.
type Page struct {
	Next  string // cursor of the next page, "" when this was the last
	Items int    // items in this page, also those that did not decode; 0 does not mean the end
}

// What makes an answer no page. None of them may be taken for "no items": that
// would be read as an empty shop.
var (
	errNoItems = errors.New("the answer has no items")
	errCursor  = errors.New("the answer repeats the cursor it was asked with, the listing would never end")
)

// longestItem bounds one item of a page, which is held whole.
const longestItem = 8 << 20

// tolerant are the options under which everything is read: the cloud has been
// seen to break its own rules, and one strange name must not lose a document.
func tolerant() []jsontext.Options {
	return []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
}

// reader decodes a page as a stream; its buffers go from page to page.
type reader struct {
	dec   *jsontext.Decoder
	names names
}

func newReader() *reader { return &reader{dec: new(jsontext.Decoder), names: names{}} }

// page reads one page and gives each item to each.
func (c *Client) page(ctx context.Context, r rest.Request, sent string, each func(rd *reader, raw []byte) error) (Page, error) {
	resp, err := c.open(ctx, r)
	if err != nil {
		return Page{}, err
	}
	defer resp.Body.Close()
	rd := c.readers.Get().(*reader)
	defer c.readers.Put(rd)

	var refused error // each's own error is not the server's
	p, err := rd.page(resp.Body, func(raw []byte) error {
		refused = each(rd, raw)
		return refused
	})
	switch {
	case refused != nil:
		return p, refused
	case err != nil:
		return p, resp.Broken(err)
	case sent != "" && p.Next == sent:
		return p, resp.Broken(errCursor)
	}
	return p, nil
}

// page reads {"items": […], "paging": {…}} or a bare array (V1, and some of V2).
func (rd *reader) page(in io.Reader, each func(raw []byte) error) (Page, error) {
	bounded := &itemBound{in: in}
	rd.dec.Reset(bounded, tolerant()...)
	var p Page
	switch rd.dec.PeekKind() {
	case '[':
		if err := rd.items(&p, bounded, each); err != nil {
			return p, err
		}
	case '{':
		if err := rd.object(&p, bounded, each); err != nil {
			return p, err
		}
	default:
		if _, err := rd.dec.ReadToken(); err != nil {
			return p, err
		}
		return p, errNoItems
	}
	switch _, err := rd.dec.ReadToken(); {
	case err == io.EOF:
		return p, nil
	case err == nil:
		return p, errors.New("the answer goes on after its end")
	default:
		return p, err
	}
}

func (rd *reader) object(p *Page, bound *itemBound, each func(raw []byte) error) error {
	if _, err := rd.dec.ReadToken(); err != nil { // {
		return err
	}
	found := false
	for rd.dec.PeekKind() != '}' {
		name, err := rd.dec.ReadToken()
		if err != nil {
			return err
		}
		switch bound.used = 0; name.String() {
		case "items":
			if rd.dec.PeekKind() != '[' {
				return cmp.Or(rd.dec.SkipValue(), errNoItems) // a cut connection explains more
			}
			found = true
			if err := rd.items(p, bound, each); err != nil {
				return err
			}
		case "paging":
			raw, err := rd.dec.ReadValue()
			if err != nil {
				return err
			}
			if p.Next, err = nextCursor(raw); err != nil {
				return err
			}
		default:
			if err := rd.dec.SkipValue(); err != nil {
				return err
			}
		}
	}
	if _, err := rd.dec.ReadToken(); err != nil { // }
		return err
	}
	if !found {
		return errNoItems
	}
	return nil
}

func (rd *reader) items(p *Page, bound *itemBound, each func(raw []byte) error) error {
	if _, err := rd.dec.ReadToken(); err != nil { // [
		return err
	}
	for rd.dec.PeekKind() != ']' {
		bound.used = 0
		raw, err := rd.dec.ReadValue()
		if err != nil {
			return err
		}
		p.Items++
		if err := each(raw); err != nil {
			return err
		}
	}
	_, err := rd.dec.ReadToken() // ]
	return err
}

// nextCursor reads "paging". Only its absence ends a listing, so that a strange
// one is an error and never an end (evotor-cloud §5).
func nextCursor(raw []byte) (string, error) {
	c := cursor{text: raw}
	if c.kind() == 'n' {
		return "", nil
	}
	if c.kind() != '{' {
		return "", errors.New("the answer's paging is not an object")
	}
	next := ""
	c.enter()
	for c.more() {
		if string(c.name()) != "next_cursor" {
			c.skip()
			continue
		}
		s, err := text(c.skip())
		if err != nil {
			return "", fmt.Errorf("the answer's next_cursor %w", err)
		}
		next = s
	}
	return next, nil
}

// itemBound stops a single value from filling the memory.
type itemBound struct {
	in   io.Reader
	used int
}

func (b *itemBound) Read(p []byte) (int, error) {
	if b.used > longestItem {
		return 0, fmt.Errorf("the answer has an item larger than %d MiB", longestItem>>20)
	}
	n, err := b.in.Read(p)
	b.used += n
	return n, err
}

// checkObject checks that body is one JSON object.
func checkObject(body []byte) error {
	if err := check(body); err != nil {
		return err
	}
	if (&cursor{text: body}).kind() != '{' {
		return errors.New("the answer is not an object")
	}
	return nil
}

// check checks that text is one JSON value; after it a cursor may walk the text.
func check(text []byte) error {
	if jsontext.Value(text).IsValid(tolerant()...) {
		return nil
	}
	// Once more, slower, for the reason.
	v := jsontext.Value(text).Clone()
	if err := v.Compact(tolerant()...); err != nil {
		return err
	}
	return errors.New("is not JSON")
}
