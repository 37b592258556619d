package keycrmtest

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"ostatok/agent/stock"
)

// mostRows is how many rows one request may set (OpenAPI 1.2.0).
const mostRows = 10_000

// put answers PUT /offers/stocks: 202 and not a word about single rows. Nothing
// of a refused request is applied.
func (c *CRM) put(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		return // the client has gone
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		c.invalid(w, r, "warehouse_id", "The warehouse id field is required.")
		return
	}
	var in struct {
		Warehouse json.Number                  `json:"warehouse_id"`
		Stocks    []map[string]json.RawMessage `json:"stocks"`
	}
	if json.Unmarshal(body, &in) != nil {
		c.invalid(w, r, "stocks", "The given data was invalid.")
		return
	}
	warehouse, err := in.Warehouse.Int64()
	if err != nil || c.warehouses[warehouse] == "" {
		c.invalid(w, r, "warehouse_id", "The selected warehouse id is invalid.")
		return
	}
	if n := len(in.Stocks); n == 0 || n > mostRows {
		c.invalid(w, r, "stocks", "The stocks must have between 1 and 10000 items.")
		return
	}
	due := c.o.Now().Add(c.o.Visible)
	var accepted []pending
	for i, row := range in.Stocks {
		p, field, reason := c.accept(row)
		if reason != "" {
			c.invalid(w, r, fmt.Sprintf("stocks.%d.%s", i, field), reason)
			return
		}
		if p.offer != nil {
			p.due, p.warehouse = due, warehouse
			accepted = append(accepted, p)
		}
	}
	c.written += len(in.Stocks)
	c.pending = append(c.pending, accepted...)
	c.settle()
	c.stir()
	c.reply(w, http.StatusAccepted, []byte(`{"status":true}`))
}

// accept checks one row. An unknown offer is passed over or refused.
func (c *CRM) accept(row map[string]json.RawMessage) (p pending, field, reason string) {
	var id int64
	var sku string
	byID := json.Unmarshal(row["id"], &id) == nil && id != 0
	bySKU := json.Unmarshal(row["sku"], &sku) == nil && sku != ""
	if !byID && !bySKU {
		return p, "id", "The id field is required when sku is not present."
	}
	text := string(row["quantity"])
	q, err := stock.ParseQuantity(text)
	switch {
	case err != nil || strings.HasPrefix(text, `"`):
		return p, "quantity", "The quantity must be a number."
	case c.refused[sku] && bySKU:
		return p, "sku", "The selected sku is invalid."
	case q < 0 && c.o.RefuseNegative:
		return p, "quantity", "The quantity must be at least 0."
	case q%stock.Unit != 0 && c.o.RefuseDecimals:
		return p, "quantity", "The quantity must be an integer."
	}
	p.quantity = q
	for _, o := range c.offers {
		if (byID && o.id == id) || (!byID && o.sku == sku) {
			p.offer = o
			if c.refused[o.sku] {
				return p, "id", "The selected id is invalid."
			}
			return p, "", ""
		}
	}
	if c.o.RefuseUnknown {
		return p, "sku", "The selected sku is invalid."
	}
	return p, "", ""
}
