package keycrm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"ostatok/sync/rest"
)

// stocksPath is where stock is read and written.
const stocksPath = "/offers/stocks"

// page is one page of a list.
type page struct {
	offers []Offer
	total  int64 // rows of the whole list, -1 when it is not told
	number int64 // 0 when it is not told
	more   bool  // another page follows
}

// What makes an answer no page. None may be taken for "no stock".
var (
	errNoData   = errors.New("the answer has no data")
	errNoEnd    = errors.New("the answer does not tell whether another page follows")
	errNotAsked = errors.New("the answer is another page than the one asked for, the list would never end")
	errHollow   = errors.New("the page is empty though another one is to follow")
)

// longestRow bounds one row, which is held whole.
const longestRow = 1 << 20

// page reads page n of the offers that filter leaves, with the figures of each
// warehouse. Rows are decoded as they come; what is kept of a page is its
// offers, so that a page that was cut can be asked for again unnoticed.
func (c *Client) page(ctx context.Context, filter url.Values, n int64) (p page, err error) {
	q := url.Values{
		"limit":           {strconv.Itoa(c.opts.PageRows)},
		"page":            {strconv.FormatInt(n, 10)},
		"filter[details]": {"true"},
	}
	for name, values := range filter {
		q[name] = values
	}
	err = c.get(ctx, rest.Request{Path: stocksPath, Query: q}, func(resp *rest.Response) error {
		p, err = decodePage(resp.Body)
		switch {
		case err != nil:
		case p.number != 0 && p.number != n:
			err = errNotAsked
		case p.more && len(p.offers) == 0:
			err = errHollow
		}
		if err != nil {
			return resp.Broken(err)
		}
		return nil
	})
	return p, err
}

// decodePage reads the envelope. Its end is last_page, or next_page_url where
// there is no last_page, as in the vendor's document; a short page is no sign of
// it, and neither is links, whose members the live service sends as an array.
func decodePage(in io.Reader) (page, error) {
	bounded := &rowBound{in: in}
	dec := jsontext.NewDecoder(bounded, tolerant()...)
	p := page{total: -1}
	if kind := dec.PeekKind(); kind != '{' {
		if _, err := dec.ReadToken(); err != nil {
			return p, err
		}
		return p, errNoData
	}
	if _, err := dec.ReadToken(); err != nil {
		return p, err
	}
	var last int64
	found, next := false, jsontext.Value(nil)
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return p, err
		}
		member := name.String()
		bounded.used = 0
		if member == "data" {
			if dec.PeekKind() != '[' {
				if err := dec.SkipValue(); err != nil {
					return p, err
				}
				return p, errNoData
			}
			if p.offers, err = decodeOffers(dec, bounded); err != nil {
				return p, err
			}
			found = true
			continue
		}
		value, err := dec.ReadValue()
		if err != nil {
			return p, err
		}
		switch member {
		case "total":
			p.total, err = integer(value)
		case "current_page":
			p.number, err = integer(value)
		case "last_page":
			last, err = integer(value)
		case "next_page_url":
			next = value.Clone()
		}
		if err != nil {
			return p, fmt.Errorf("the answer's %s %w", member, err)
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return p, err
	}
	switch {
	case !found:
		return p, errNoData
	case last > 0 && p.number > 0:
		p.more = p.number < last
	case next != nil:
		p.more = next.Kind() == '"'
	default:
		return p, errNoEnd
	}
	return p, nil
}

func decodeOffers(dec *jsontext.Decoder, bounded *rowBound) (offers []Offer, err error) {
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	for dec.PeekKind() != ']' {
		bounded.used = 0
		raw, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		offers = append(offers, decodeOffer(raw))
	}
	_, err = dec.ReadToken()
	return offers, err
}

// rowBound stops a single value from filling the memory.
type rowBound struct {
	in   io.Reader
	used int
}

func (b *rowBound) Read(p []byte) (int, error) {
	if b.used > longestRow {
		return 0, fmt.Errorf("the answer has a row larger than %d KiB", longestRow>>10)
	}
	n, err := b.in.Read(p)
	b.used += n
	return n, err
}
