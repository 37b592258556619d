package keycrm

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"ostatok/agent/stock"
)

// Change is one row of a stock webhook. Webhooks are not signed and have
// neither time nor number, so they may be late, repeated, out of order or
// forged: a row means no more than "read this offer".
type Change struct {
	Offer  int64 // 0 when it is not told
	SKU    string
	Figure       // summed over the warehouses that the webhook was set up for
	Err    error // the figures cannot be read
}

type wireChange struct {
	Offer   jsontext.Value `json:"offer_id"`
	SKU     jsontext.Value `json:"sku"`
	Stock   jsontext.Value `json:"in_stock"`
	Reserve jsontext.Value `json:"in_reserve"`
}

// DecodeChanges reads a stock webhook: an array, as documented, or a single
// object, as seen. The error says what is wrong with the request.
func DecodeChanges(body []byte) ([]Change, error) {
	var rows []wireChange
	var err error
	if jsontext.Value(body).Kind() == '{' {
		rows = make([]wireChange, 1)
		err = json.Unmarshal(body, &rows[0])
	} else {
		err = json.Unmarshal(body, &rows)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the stock webhook: %w", err)
	}
	changes := make([]Change, 0, len(rows))
	for i := range rows {
		w := &rows[i]
		var c Change
		var bad error
		if c.Offer, bad = integer(w.Offer); bad != nil {
			c.Offer = 0
		}
		if c.SKU, bad = text(w.SKU); bad != nil {
			c.SKU = ""
		}
		if c.Offer == 0 && c.SKU == "" {
			return nil, fmt.Errorf("cannot read the stock webhook: row %d names no offer", i)
		}
		c.Figure, c.Err = decodeFigure(w.Stock, w.Reserve)
		changes = append(changes, c)
	}
	return changes, nil
}

// ToRead says which offers are to be read after a stock webhook: by SKU, or by
// id where the SKU cannot be asked for. Echoes of figures that this client wrote
// itself are left out, once each, provided that they tell no other reserve than
// the one that is known already; known returns it.
func (c *Client) ToRead(changes []Change, known func(sku string) (stock.Quantity, bool)) (skus []string, offers []int64) {
	asked := make(map[string]bool, len(changes))
	for _, change := range changes {
		reserve, told := known(change.SKU)
		if told && change.Err == nil && change.Reserve == reserve && c.own.echo(change, c.opts.Now()) {
			continue
		}
		name := ownKey(change.Offer, change.SKU)
		if asked[name] {
			continue
		}
		asked[name] = true
		switch {
		case Askable(change.SKU):
			skus = append(skus, change.SKU)
		case change.Offer != 0:
			offers = append(offers, change.Offer)
		} // anything else only the next sweep can find
	}
	return skus, offers
}

// OrderEvent is a webhook about an order. It names no products: read them with
// Order.
type OrderEvent struct {
	Name        string // "order.change_order_status"
	Order       int64
	Status      int64 // what a status does to stock is set in the account
	StatusGroup int64
	HasReserves bool
}

// DecodeOrderEvent reads an order webhook.
func DecodeOrderEvent(body []byte) (OrderEvent, error) {
	var w struct {
		Event   jsontext.Value `json:"event"`
		Context struct {
			ID          jsontext.Value `json:"id"`
			Status      jsontext.Value `json:"status_id"`
			Group       jsontext.Value `json:"status_group_id"`
			HasReserves jsontext.Value `json:"has_reserves"`
		} `json:"context"`
	}
	if err := json.Unmarshal(body, &w); err != nil {
		return OrderEvent{}, fmt.Errorf("cannot read the order webhook: %w", err)
	}
	id, err := integer(w.Context.ID)
	if err != nil || id <= 0 {
		return OrderEvent{}, errors.New("cannot read the order webhook: it names no order")
	}
	e := OrderEvent{Order: id, HasReserves: string(w.Context.HasReserves) == "true"}
	// The rest only explains the event; the order is read anyway.
	e.Name, _ = text(w.Event)
	e.Status, _ = integer(w.Context.Status)
	e.StatusGroup, _ = integer(w.Context.Group)
	return e, nil
}
