package keycrmtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// The rows of one page (OpenAPI 1.2.0).
const (
	defaultLimit = 15
	mostLimit    = 50
)

// list answers GET /offers/stocks. Parameters that it does not know, perPage and
// sort and other filters among them, are ignored without a word.
func (c *CRM) list(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	q := r.URL.Query()
	limit, page := defaultLimit, 1
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > mostLimit {
			c.invalid(w, r, "limit", "The limit must be between 1 and 50.")
			return
		}
		limit = n
	}
	if text := q.Get("page"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			c.invalid(w, r, "page", "The page must be at least 1.")
			return
		}
		page = n
	}
	offers := c.matching(q)
	details := !c.o.IgnoreFilters && q.Get("filter[details]") == "true"
	first := min((page-1)*limit, len(offers))
	last := min(first+limit, len(offers))
	rows := make([]json.RawMessage, 0, last-first)
	for _, o := range offers[first:last] {
		rows = append(rows, c.row(o, details))
	}
	c.reply(w, http.StatusOK, c.envelope(r.URL, rows, page, limit, len(offers), first))
}

func (c *CRM) matching(q url.Values) []*offer {
	if c.o.IgnoreFilters {
		return c.offers
	}
	keep := c.offers
	if text := q.Get("filter[offers_id]"); text != "" {
		asked := make(map[string]bool)
		for id := range strings.SplitSeq(text, ",") {
			asked[strings.TrimSpace(id)] = true
		}
		keep = filtered(keep, func(o *offer) bool { return asked[strconv.FormatInt(o.id, 10)] })
	}
	if text := q.Get("filter[offers_sku]"); text != "" {
		fold := func(s string) string { return s }
		if c.o.Fold {
			fold = strings.ToLower
		}
		asked := make(map[string]bool)
		for sku := range strings.SplitSeq(text, ",") {
			asked[fold(strings.TrimSpace(sku))] = true
		}
		keep = filtered(keep, func(o *offer) bool { return asked[fold(o.sku)] })
	}
	return keep
}

func filtered(offers []*offer, keep func(*offer) bool) (kept []*offer) {
	for _, o := range offers {
		if keep(o) {
			kept = append(kept, o)
		}
	}
	return kept
}

func (c *CRM) row(o *offer, details bool) json.RawMessage {
	sum := o.sum()
	sku := "null"
	if o.sku != "" {
		sku = quote(o.sku)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `{"id":%d,"sku":%s,"price":123.5,"purchased_price":50.5,"quantity":%s,"reserve":%s`, o.id, sku, sum.quantity, sum.reserve)
	if details {
		b.WriteString(`,"warehouse":[`)
		comma := ""
		for _, id := range slices.Sorted(maps.Keys(c.warehouses)) {
			f := o.figures[id]
			if f == nil && !c.o.ListEmpty {
				continue
			}
			if f == nil {
				f = &figure{}
			}
			fmt.Fprintf(&b, `%s{"id":%d,"name":%s,"quantity":%s,"reserve":%s}`, comma, id, quote(c.warehouses[id]), f.quantity, f.reserve)
			comma = ","
		}
		b.WriteByte(']')
	}
	b.WriteByte('}')
	return json.RawMessage(b.String())
}

// envelope is a page as Laravel makes it. Live it has more members than the
// document, and its links are an array (backends.md §3.3).
func (c *CRM) envelope(u *url.URL, rows []json.RawMessage, page, limit, total, first int) []byte {
	address := func(n int) string {
		q := u.Query()
		q.Set("page", strconv.Itoa(n))
		return "https://openapi.keycrm.app" + u.Path + "?" + q.Encode()
	}
	last := max((total+limit-1)/limit, 1)
	var next any
	if page < last {
		next = address(page + 1)
	}
	e := map[string]any{
		"total": total, "current_page": page, "per_page": limit, "data": rows,
		"first_page_url": address(1), "last_page_url": address(last), "next_page_url": next,
	}
	if !c.o.Documented {
		var previous any
		if page > 1 {
			previous = address(page - 1)
		}
		e["last_page"], e["path"], e["prev_page_url"] = last, "https://openapi.keycrm.app"+u.Path, previous
		e["from"], e["to"] = first+1, first+len(rows)
		e["links"] = []map[string]any{{"url": previous, "label": "&laquo; Previous", "active": false}, {"url": next, "label": "Next &raquo;", "active": false}}
	}
	return encode(e)
}

func quote(s string) string { return string(encode(s)) }

// encode is for values that can always be encoded.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
