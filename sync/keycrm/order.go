package keycrm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"ostatok/agent/stock"
	"ostatok/sync/rest"
)

// Order is an order with its products.
type Order struct {
	ID     int64
	Status int64
	Lines  []OrderLine
}

// OrderLine is one product of an order.
type OrderLine struct {
	Offer     int64  // 0 when the line is of nothing in the catalogue
	SKU       string // of the offer as it is now, else as it was ordered
	Quantity  stock.Quantity
	Warehouse int64 // 0 when none is chosen, then nothing is held for the line
}

// SKUs are those whose stock or reserve the order may have moved, each once.
func (o *Order) SKUs() []string {
	var skus []string
	seen := make(map[string]bool)
	for _, l := range o.Lines {
		if l.SKU != "" && !seen[l.SKU] {
			seen[l.SKU] = true
			skus = append(skus, l.SKU)
		}
	}
	return skus
}

// Order reads one order: a webhook about it names no products.
func (c *Client) Order(ctx context.Context, id int64) (o Order, err error) {
	r := rest.Request{Path: "/order/" + strconv.FormatInt(id, 10), Query: url.Values{"include": {"products.offer"}}, Budget: "key"}
	err = c.get(ctx, r, func(resp *rest.Response) error {
		body, err := jsontext.NewDecoder(resp.Body, tolerant()...).ReadValue()
		if err == nil {
			o, err = decodeOrder(body)
		}
		if err == nil && o.ID != id {
			err = errors.New("the answer is another order than the one asked for")
		}
		if err != nil {
			return resp.Broken(err)
		}
		return nil
	})
	return o, err
}

func decodeOrder(body []byte) (Order, error) {
	type named struct {
		ID  jsontext.Value `json:"id"`
		SKU jsontext.Value `json:"sku"`
	}
	var w struct {
		ID       jsontext.Value `json:"id"`
		Status   jsontext.Value `json:"status_id"`
		Products *[]struct {
			SKU       jsontext.Value `json:"sku"`
			Quantity  jsontext.Value `json:"quantity"`
			Offer     *named         `json:"offer"`
			Warehouse jsontext.Value `json:"warehouse"`
		} `json:"products"`
	}
	if err := json.Unmarshal(body, &w); err != nil {
		return Order{}, err
	}
	id, err := integer(w.ID)
	if err != nil {
		return Order{}, fmt.Errorf("the order's id %w", err)
	}
	o := Order{ID: id}
	o.Status, _ = integer(w.Status) // explains only
	if w.Products == nil {
		return Order{}, errors.New("the order has no products though they were asked for")
	}
	for _, p := range *w.Products {
		var l OrderLine
		if l.SKU, err = text(p.SKU); err != nil {
			return Order{}, fmt.Errorf("the SKU of a product of the order %w", err)
		}
		if p.Offer != nil {
			if l.Offer, err = integer(p.Offer.ID); err != nil {
				return Order{}, fmt.Errorf("the id of an offer of the order %w", err)
			}
			if sku, err := text(p.Offer.SKU); err == nil && sku != "" {
				l.SKU = sku
			}
		}
		if l.Quantity, err = amount(p.Quantity); err != nil {
			return Order{}, fmt.Errorf("the quantity of a product of the order %w", err)
		}
		// Seen as an object, and as an empty array where there is none.
		if p.Warehouse.Kind() == '{' {
			var at named
			if json.Unmarshal(p.Warehouse, &at) == nil {
				l.Warehouse, _ = integer(at.ID)
			}
		}
		o.Lines = append(o.Lines, l)
	}
	return o, nil
}
