package evotortest

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"ostatok/agent/stock"
)

const (
	largestBody     = 10 << 20 // evotor-cloud §1
	largestBulk     = 1000
	largestQuantity = 10_000_000 * stock.Unit // seven digits before the point
	bulkType        = "application/vnd.evotor.v2+bulk+json"
)

// body reads what a client sends, if its type is one of those allowed.
func body(r *http.Request, types ...string) ([]byte, *reply) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(types, kind) {
		refused := failure(http.StatusUnsupportedMediaType, "content type must be "+strings.Join(types, " or "))
		return nil, &refused
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, largestBody+1))
	if err != nil {
		refused := failure(http.StatusBadRequest, "cannot read the body")
		return nil, &refused
	}
	if len(b) > largestBody {
		refused := failure(http.StatusRequestEntityTooLarge, "body is larger than 10 MB")
		return nil, &refused
	}
	return b, nil
}

// quantityOf reads a quantity as strictly as the cloud: a JSON number.
func quantityOf(raw json.RawMessage) (stock.Quantity, bool) {
	if len(raw) == 0 || raw[0] == '"' {
		return 0, false
	}
	q, err := stock.ParseQuantity(string(raw))
	return q, err == nil && q.Abs() < largestQuantity
}

// patchProduct sets quantity, price or cost_price of a product; the quantity is
// absolute (evotor-cloud §9).
func (c *Cloud) patchProduct(r *http.Request) reply {
	s, refused := c.shop(r)
	if refused != nil {
		return *refused
	}
	b, refused := body(r, "application/vnd.evotor.v2+json", "application/json")
	if refused != nil {
		return *refused
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil || len(fields) == 0 {
		return failure(http.StatusBadRequest, "body must be an object with one or more of quantity, price, cost_price")
	}
	for name, raw := range fields {
		if _, ok := quantityOf(raw); !ok || !slices.Contains([]string{"quantity", "price", "cost_price"}, name) {
			return failure(http.StatusBadRequest, name+" is not allowed here or has a bad value")
		}
	}
	id := r.PathValue("product")
	if _, ok := s.productJSON(id); !ok {
		return failure(http.StatusNotFound, "product not found")
	}
	if raw, ok := fields["quantity"]; ok {
		q, _ := quantityOf(raw)
		at := s.Now()
		if !s.SetQuantity(id, q, at) {
			return failure(http.StatusBadRequest, "a service has no quantity")
		}
		c.notePatch(id, q, at)
	}
	answer, _ := s.productJSON(id)
	return object(answer)
}

// task is a bulk write. It is done at once; its status goes one step further
// each time that it is asked for, as a queue's would.
type task struct {
	id       string
	status   string
	final    string
	modified int64
	details  []byte
}

func (t *task) json(details bool) []byte {
	b := append([]byte(`{"id":"`), t.id...)
	b = appendStamp(append(b, `","modified_at":"`...), t.modified)
	b = append(append(b, `","type":"product","status":"`...), t.status...)
	b = append(b, '"')
	if details && (t.status == "COMPLETED" || t.status == "FAILED") {
		b = append(append(b, `,"details":`...), t.details...)
	}
	return append(b, '}')
}

// replaceProducts replaces cards in bulk. A replaced card loses what was not
// sent: one without a quantity has none left, which is how stock gets wiped.
// Unlike the real cloud, it does not create products.
func (c *Cloud) replaceProducts(r *http.Request) reply {
	s, refused := c.shop(r)
	if refused != nil {
		return *refused
	}
	b, refused := body(r, bulkType)
	if refused != nil {
		return *refused
	}
	var items []json.RawMessage
	if err := json.Unmarshal(b, &items); err != nil || len(items) == 0 || len(items) > largestBulk {
		return failure(http.StatusBadRequest, "body must be an array of 1 to 1000 products")
	}
	at := s.Now()
	t := &task{status: "ACCEPTED", final: "COMPLETED", modified: at.UnixMilli(), details: []byte{'['}}
	for i, item := range items {
		if i > 0 {
			t.details = append(t.details, ',')
		}
		id, q, violation := bulkItem(item)
		if violation == "" && !s.SetQuantity(id, q, at) {
			violation = "is not a product with stock"
		}
		if violation != "" {
			t.final = "FAILED"
			t.details = append(appendText(append(t.details, `{"message":"validation failed for specified payload","code":"validation_failed","product_id":`...), id), `,"violations":[{"reason":`...)
			t.details = append(appendText(t.details, violation), `,"subject":"product"}]}`...)
			continue
		}
		c.notePatch(id, q, at)
		t.details = append(t.details, item...)
	}
	t.details = append(t.details, ']')
	c.mu.Lock()
	defer c.mu.Unlock()
	t.id = fmt.Sprintf("b0000000-0000-4000-8000-%012d", len(c.taskIDs)+1)
	c.tasks[t.id] = t
	c.taskIDs = append(c.taskIDs, t.id)
	return reply{status: http.StatusAccepted, location: "/bulks/" + t.id, body: t.json(false)}
}

func bulkItem(raw json.RawMessage) (id string, q stock.Quantity, violation string) {
	var item struct {
		ID       string           `json:"id"`
		Name     *string          `json:"name"`
		Price    *json.RawMessage `json:"price"`
		Quantity json.RawMessage  `json:"quantity"`
	}
	if err := json.Unmarshal(raw, &item); err != nil {
		return "", 0, "is not a product"
	}
	if item.ID == "" || item.Name == nil || item.Price == nil {
		return item.ID, 0, "id, name and price must not be null"
	}
	if item.Quantity == nil {
		return item.ID, 0, ""
	}
	q, ok := quantityOf(item.Quantity)
	if !ok {
		return item.ID, 0, "quantity has a bad value"
	}
	return item.ID, q, ""
}

func (c *Cloud) bulk(r *http.Request) reply {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.tasks[r.PathValue("task")]
	if !ok {
		return failure(http.StatusNotFound, "task not found")
	}
	switch t.status {
	case "ACCEPTED":
		t.status = "RUNNING"
	case "RUNNING":
		t.status = t.final
	}
	return object(t.json(true))
}

func (c *Cloud) bulks(r *http.Request) reply {
	return c.list(r, `{"id":7}`, func() ([][]byte, *reply) {
		c.mu.Lock()
		defer c.mu.Unlock()
		var items [][]byte
		for _, id := range c.taskIDs {
			items = append(items, c.tasks[id].json(false))
		}
		return items, nil
	})
}
