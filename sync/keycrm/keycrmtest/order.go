package keycrmtest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"ostatok/agent/stock"
)

// Status is what an order's status does to stock. Which status does what is set
// in the account (backends.md §3.6).
type Status int64

// The statuses of this account.
const (
	StatusNew       Status = 1
	StatusReserved  Status = 2 // the goods are held
	StatusFulfilled Status = 3 // the reserve turns into a write-off
	StatusCancelled Status = 4 // everything is taken back
)

type order struct {
	id     int64
	status Status
	lines  []OrderLine
}

// OrderLine is one line of an order.
type OrderLine struct {
	Warehouse int64 // 0: none is chosen, so nothing is held
	SKU       string
	Quantity  stock.Quantity
}

// PlaceOrder adds a new order and returns its id.
func (c *CRM) PlaceOrder(lines ...OrderLine) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastID++
	c.orders[c.lastID] = &order{id: c.lastID, status: StatusNew, lines: lines}
	return c.lastID
}

// SetStatus moves an order, and its goods with it.
func (c *CRM) SetStatus(id int64, to Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	o := c.orders[id]
	if o == nil || o.status == to {
		return
	}
	c.undo(o)
	for _, l := range o.lines {
		of, f := c.placed(l)
		if f == nil {
			continue
		}
		switch to {
		case StatusReserved:
			f.reserve += l.Quantity
			c.changed(l.Warehouse, of)
		case StatusFulfilled:
			c.move(l.Warehouse, of, f.quantity-l.Quantity)
		}
	}
	o.status = to
	c.orderChanged(o)
}

// undo takes back what the order's status did.
func (c *CRM) undo(o *order) {
	for _, l := range o.lines {
		of, f := c.placed(l)
		if f == nil {
			continue
		}
		switch o.status {
		case StatusReserved:
			f.reserve -= l.Quantity
			c.changed(l.Warehouse, of)
		case StatusFulfilled:
			c.move(l.Warehouse, of, f.quantity+l.Quantity)
		}
	}
}

func (c *CRM) placed(l OrderLine) (*offer, *figure) {
	for _, o := range c.offers {
		if o.sku == l.SKU && l.Warehouse != 0 {
			return o, o.figure(l.Warehouse)
		}
	}
	return nil, nil
}

// order answers GET /order/{id}; products are there only when they are asked for.
func (c *CRM) order(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	o := c.orders[id]
	if o == nil {
		c.fail(w, r, http.StatusNotFound, `{"message":"Not found"}`)
		return
	}
	e := o.fields()
	if strings.Contains(r.URL.Query().Get("include"), "products") {
		e["products"] = c.products(o, strings.Contains(r.URL.Query().Get("include"), "products.offer"))
	}
	c.reply(w, http.StatusOK, encode(e))
}

func (o *order) fields() map[string]any {
	return map[string]any{"id": o.id, "status_id": int64(o.status), "status_group_id": int64(o.status),
		"source_uuid": nil, "has_reserves": o.status == StatusReserved, "payment_status": "not_paid"}
}

func (c *CRM) products(o *order, withOffer bool) []map[string]any {
	list := make([]map[string]any, 0, len(o.lines))
	for i, l := range o.lines {
		p := map[string]any{"id": i + 1, "sku": l.SKU, "quantity": json.RawMessage(l.Quantity.String()), "shipment_type": "property"}
		if l.Warehouse != 0 {
			p["shipment_type"] = "warehouse"
			p["warehouse"] = map[string]any{"id": l.Warehouse, "name": c.warehouses[l.Warehouse]}
		}
		if withOffer {
			p["offer"] = nil
			for _, of := range c.offers {
				if of.sku == l.SKU {
					p["offer"] = map[string]any{"id": of.id, "sku": of.sku}
				}
			}
		}
		list = append(list, p)
	}
	return list
}
