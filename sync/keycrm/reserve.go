package keycrm

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"

	"ostatok/agent/stock"
	"ostatok/sync/rest"
)

// Reserves reads how much of each SKU is held for orders in a warehouse; 0 is
// all of them. With SKUs it asks for those, without it reads every offer. A SKU
// that has no entry in the result is one about which nothing is known — it is
// not there, or it could not be read — and its last known reserve should stand.
// Offers that share a SKU are summed. It returns all or nothing: a part of the
// reserves would look like a mass of cancelled orders.
func (c *Client) Reserves(ctx context.Context, warehouse int64, skus []string) (map[string]stock.Quantity, error) {
	var reserves map[string]stock.Quantity
	var unread map[string]bool
	begin := func() {
		reserves, unread = make(map[string]stock.Quantity, len(skus)), make(map[string]bool)
	}
	each := func(o Offer) error {
		f, err := o.In(warehouse)
		switch {
		case errors.Is(err, errNoWarehouses):
			return undivided(err)
		case err != nil:
			c.opts.Log.Warn().Int64("offer", o.ID).Str("sku", o.SKU).Err(err).Msg("keycrm reserve cannot be read")
			unread[o.SKU] = true
		case o.SKU != "":
			reserves[o.SKU] += f.Reserve
		}
		return nil
	}
	var err error
	if skus == nil {
		err = c.Sweep(ctx, begin, each)
	} else {
		begin()
		err = c.BySKU(ctx, skus, each)
	}
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(reserves, func(sku string, _ stock.Quantity) bool { return unread[sku] })
	return reserves, nil
}

// undivided is the error of an answer without details: it concerns all rows, so
// it is the call's.
func undivided(err error) error {
	return &rest.Error{Kind: rest.Protocol, Method: http.MethodGet, Path: stocksPath, Status: http.StatusOK, Err: err, Detail: err.Error()}
}

// Warehouses lists the warehouses that hold any offer, by id and without
// figures. KeyCRM has no list of warehouses, so this reads every offer.
func (c *Client) Warehouses(ctx context.Context) ([]Warehouse, error) {
	var names map[int64]string
	err := c.Sweep(ctx, func() { names = make(map[int64]string) }, func(o Offer) error {
		for _, w := range o.Warehouses {
			names[w.ID] = w.Name
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	list := make([]Warehouse, 0, len(names))
	for _, id := range slices.Sorted(maps.Keys(names)) {
		list = append(list, Warehouse{ID: id, Name: names[id]})
	}
	return list, nil
}
