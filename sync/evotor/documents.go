package evotor

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"ostatok/agent/stock"
	"ostatok/sync/rest"
)

// DocumentsQuery asks for one page of a shop's documents.
type DocumentsQuery struct {
	Store  string
	Device string // "" is all terminals
	Since  int64  // epoch ms, inclusive; 0 is the store's first day
	Until  int64  // epoch ms, exclusive; 0 is now
	Cursor string // of the page before; Since, Until and Limit are then not sent
	Limit  int    // most documents in a page, 0 is the cloud's own (1000)
}

// Documents reads ONE page as a stream and calls each for every document, also
// for one that does not decode. An error of each ends the call and is returned
// as it is. The page ends the listing when its Next is "".
//
// Errors are *rest.Error or the context's. A page that was cut is Temporary, and
// its first documents have then been given to each.
func (c *Client) Documents(ctx context.Context, q DocumentsQuery, each func(Item[stock.Document]) error) (Page, error) {
	query := url.Values{}
	if q.Cursor != "" {
		query.Set("cursor", q.Cursor) // a cursor carries the filters of its first request (evotor-cloud §5)
	} else {
		setPositive(query, "since", q.Since)
		setPositive(query, "until", q.Until)
		setPositive(query, "limit", int64(q.Limit))
	}
	at := path("stores", q.Store, "documents")
	if q.Device != "" {
		at = path("stores", q.Store, "devices", q.Device, "documents")
	}
	r := rest.Request{Method: http.MethodGet, Path: at, Query: query, Budget: "documents"}
	return c.page(ctx, r, q.Cursor, func(rd *reader, raw []byte) error {
		d, err := rd.document(raw)
		if d.Store == "" {
			d.Store = q.Store // one client found list items without it (evotor-cloud §10)
		}
		return each(Item[stock.Document]{Value: d, Raw: raw, Err: err, ID: d.ID})
	})
}

func setPositive(q url.Values, name string, v int64) {
	if v > 0 {
		q.Set(name, strconv.FormatInt(v, 10))
	}
}

// Document reads one document by its id. The item's Raw is the caller's; its Err
// is set when the document came but does not decode.
func (c *Client) Document(ctx context.Context, store, id string) (Item[stock.Document], error) {
	resp, body, err := c.get(ctx, "document", "stores", store, "documents", id)
	if err != nil {
		return Item[stock.Document]{}, err
	}
	if err := checkObject(body); err != nil {
		return Item[stock.Document]{}, resp.Broken(err)
	}
	d, err := (&reader{}).document(body)
	if d.Store == "" {
		d.Store = store
	}
	return Item[stock.Document]{Value: d, Raw: body, Err: err, ID: d.ID}, nil
}
