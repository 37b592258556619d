package evotor

import (
	"context"
	"net/http"
	"net/url"

	"ostatok/agent/stock"
	"ostatok/sync/rest"
)

// Products reads ONE page of the shop's catalogue as a stream and calls each for
// every card; cursor is "" for the first page. See Documents for errors. There
// are no tombstones: what is deleted is missing from a complete listing
// (evotor-cloud §8).
func (c *Client) Products(ctx context.Context, store, cursor string, each func(Item[stock.Product]) error) (Page, error) {
	r := rest.Request{Method: http.MethodGet, Path: path("stores", store, "products"), Query: cursorQuery(cursor), Budget: "products"}
	return c.page(ctx, r, cursor, func(rd *reader, raw []byte) error {
		p, err := rd.product(raw)
		return each(Item[stock.Product]{Value: p, Raw: raw, Err: err, ID: p.ID})
	})
}

func cursorQuery(cursor string) url.Values {
	if cursor == "" {
		return nil
	}
	return url.Values{"cursor": {cursor}}
}

// Product reads one card. A card that is not there is rest.NotFound.
func (c *Client) Product(ctx context.Context, store, id string) (stock.Product, error) {
	resp, body, err := c.get(ctx, "product", "stores", store, "products", id)
	if err != nil {
		return stock.Product{}, err
	}
	if err := checkObject(body); err != nil {
		return stock.Product{}, resp.Broken(err)
	}
	p, err := (&reader{}).product(body)
	if err != nil {
		return stock.Product{}, resp.Broken(err)
	}
	return p, nil
}

// Groups reads ONE page of the shop's product groups; see Products.
func (c *Client) Groups(ctx context.Context, store, cursor string, each func(Item[Group]) error) (Page, error) {
	r := rest.Request{Method: http.MethodGet, Path: path("stores", store, "product-groups"), Query: cursorQuery(cursor), Budget: "product-groups"}
	return c.page(ctx, r, cursor, func(rd *reader, raw []byte) error {
		g, err := rd.group(raw)
		return each(Item[Group]{Value: g, Raw: raw, Err: err, ID: g.ID})
	})
}
