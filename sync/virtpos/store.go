package virtpos

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"ostatok/agent/stock"
)

// The extra fields that a Query may ask for.
const (
	FieldName    = "itemname"
	FieldArticle = "article"
	FieldCost    = "cogs"
	FieldPrice   = "price"
	FieldPrices  = "optionalprices"
)

// Query says which balances to read. An empty field does not filter. Whether
// Article and Name match whole or in part is not documented: compare what comes.
// There is no filter by an external code.
type Query struct {
	Warehouse string // VirtPOS's own number; "" is all warehouses
	Item      string // VirtPOS's own number
	Article   string
	Name      string

	// StockOnly leaves out everything that is not above zero, so what does not
	// come may be zero, negative or unknown.
	StockOnly bool

	Fields []string // FieldName, …
}

// Row is one balance. An item that is kept by lots may come in several rows.
type Row struct {
	Warehouse string
	Item      string         // VirtPOS's own number
	Quantity  stock.Quantity // what is there, in thousandths
	Lot       string

	Available    stock.Quantity // without what is reserved; meaningful when HasAvailable
	HasAvailable bool

	// Only when asked for; sums as they were written, in roubles.
	Name    string
	Article string
	Cost    string
	Price   string
	Prices  []Price

	// Err says why the row cannot be used: it names no item or no figure. It is
	// then not zero but not known.
	Err error
}

// Price is a price of one additional price list.
type Price struct{ List, Price string }

// Store reads balances and calls each for every row as it comes. The rows count
// only when Store returns nil: an answer may break off or turn out to be a
// refusal at its end. Nothing is left out silently: an answer that holds less
// than it announces is an error.
func (c *Client) Store(ctx context.Context, q Query, each func(Row) error) error {
	query := url.Values{}
	for name, value := range map[string]string{"warehouseid": q.Warehouse, "itemid": q.Item, "article": q.Article, "itemname": q.Name} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if q.StockOnly {
		query.Set("stockonly", "1")
	}
	form := url.Values{}
	if len(q.Fields) > 0 {
		form.Set("fields", strings.Join(q.Fields, ":"))
	}
	s := &storeAnswer{each: each, list: list{announced: -1}}
	err := c.do(ctx, request{
		path: "store", query: query, form: form, repeatable: true,
		// It is not said whether the number is that of warehouses or of rows.
		complete: func() error { return s.check("balances", max(s.warehouses, s.rows)) },
	}, s.child)
	if err != nil {
		return err
	}
	return s.own
}

// storeAnswer reads root{count, warehouses{warehouse{id, count, items{item}}}}
// in all the forms that JSON may give it.
type storeAnswer struct {
	*decoder
	list
	each       func(Row) error
	own        error // of each; not to be taken for a broken answer
	rows       int64
	warehouses int64
}

func (s *storeAnswer) child(d *decoder, name string) error {
	s.decoder = d
	switch name {
	case "count":
		return s.count(d)
	case "warehouses":
		s.came = true
		return s.places()
	}
	return s.skip()
}

// place is a warehouse of the answer.
type place struct {
	list
	id      string
	rows    int64
	waiting []Row // came before the id did
}

// places reads warehouses: a list of them, or one.
func (s *storeAnswer) places() error {
	p := place{list: list{announced: -1}}
	one := false
	_, err := s.children(func(name string) (err error) {
		switch {
		case listed(name, "warehouse"):
			return s.places()
		case name == "id":
			one = true
			p.id, err = s.leaf()
			for _, row := range p.waiting {
				s.deliver(&p, row)
			}
			p.waiting = nil
			return err
		case name == "count":
			return p.count(s.decoder)
		case name == "items":
			one, p.came = true, true
			return s.items(&p)
		}
		return s.skip()
	})
	if err != nil || !one {
		return err
	}
	if p.id == "" {
		return errors.New("the answer holds a warehouse without an id")
	}
	s.warehouses++
	return p.check("items in warehouse "+clip(p.id), p.rows)
}

// items reads items: a list of them, or one.
func (s *storeAnswer) items(p *place) error {
	var row Row
	one, figure := false, ""
	_, err := s.children(func(name string) (err error) {
		if listed(name, "item") {
			return s.items(p)
		}
		known := true
		switch name {
		case "id":
			row.Item, err = s.leaf()
		case "quantity":
			figure, err = s.leaf()
		case "available_quantity":
			var text string
			if text, err = s.leaf(); err == nil {
				q, bad := stock.ParseQuantity(text)
				row.Available, row.HasAvailable = q, bad == nil
			}
		case "lot_number":
			row.Lot, err = s.leaf()
		case "name", FieldName:
			row.Name, err = s.leaf()
		case "article":
			row.Article, err = s.leaf()
		case "cogs":
			row.Cost, err = s.leaf()
		case "price":
			row.Price, err = s.leaf()
		case "prices":
			_, _, err = s.prices(&row)
		default:
			known, err = false, s.skip()
		}
		one = one || known
		return err
	})
	if err != nil || !one {
		return err
	}
	row.Quantity, row.Err = stock.ParseQuantity(figure)
	if row.Item == "" {
		row.Quantity, row.Err = 0, errors.New("a balance without an item")
	} else if row.Err != nil {
		row.Err = fmt.Errorf("the balance of item %s: %w", clip(row.Item), row.Err)
	}
	p.rows++
	s.rows++
	if p.id == "" {
		p.waiting = append(p.waiting, row)
		return nil
	}
	s.deliver(p, row)
	return nil
}

func (s *storeAnswer) deliver(p *place, row Row) {
	row.Warehouse = p.id
	if s.own == nil {
		s.own = s.each(row)
	}
}

// prices reads price lists: the name price is that of an entry and that of the
// sum in it, so only its content tells.
func (s *storeAnswer) prices(row *Row) (text string, nested bool, err error) {
	var p Price
	text, err = s.children(func(name string) error {
		nested = true
		switch {
		case name == "pricelistid":
			list, err := s.leaf()
			p.List = list
			return err
		case listed(name, "price"):
			sum, entry, err := s.prices(row)
			if !entry {
				p.Price = sum
			}
			return err
		}
		return s.skip()
	})
	if p.List != "" {
		row.Prices = append(row.Prices, p)
	}
	return text, nested, err
}
