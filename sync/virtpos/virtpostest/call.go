package virtpostest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ostatok/agent/stock"
)

// three prints a quantity as VirtPOS does: "2.000".
func three(q stock.Quantity) string {
	sign := ""
	if q < 0 {
		sign, q = "-", -q
	}
	return fmt.Sprintf("%s%d.%03d", sign, int64(q/stock.Unit), int64(q%stock.Unit))
}

// read answers store.
func (s *Server) read(c *exchange) tree {
	fields := strings.Split(c.either("fields"), ":")
	only := c.get("stockonly") == "1"
	one := c.get("itemid")
	out := success("store")
	if only {
		out.add(number("stockonly", "1"))
	}
	list := tree{name: "warehouses", list: "warehouse"}
	for _, w := range s.warehouses {
		if id := c.get("warehouseid"); id != "" && id != w.id {
			continue
		}
		items := tree{name: "items", list: "item"}
		for _, row := range w.rows {
			if one != "" && row.Item != one {
				continue
			}
			item, ok := s.item(row.Item)
			switch {
			case !ok, only && row.Quantity <= 0, s.settings.HideZero && row.Quantity == 0,
				c.get("article") != "" && c.get("article") != item.Article,
				c.get("itemname") != "" && c.get("itemname") != item.Name:
				continue
			}
			items.add(renderRow(row, item, fields))
		}
		list.add(tree{name: "warehouse", children: []tree{
			number("id", w.id), text("name", w.name), number("count", strconv.Itoa(len(items.children))), items,
		}})
	}
	out.add(number("count", strconv.Itoa(len(list.children))))
	out.add(list)
	return out
}

func renderRow(row *Balance, item Item, fields []string) tree {
	t := tree{name: "item", children: []tree{
		number("id", row.Item), number("quantity", three(row.Quantity)),
		number("available_quantity", three(row.Quantity-row.Reserved)), text("lot_number", row.Lot),
	}}
	for _, field := range fields {
		switch field {
		case "itemname":
			t.add(text("name", item.Name)) // asked for by one name, told by another
		case "article":
			t.add(text("article", item.Article))
		case "cogs":
			t.add(number("cogs", orZero(row.Cost)))
		case "price":
			t.add(number("price", orZero(item.Price)))
		case "optionalprices":
			prices := tree{name: "prices", list: "price"}
			for _, list := range slices.Sorted(keysOf(item.Prices)) {
				prices.add(tree{name: "price", children: []tree{number("pricelistid", list), number("price", item.Prices[list])}})
			}
			t.add(prices)
		}
	}
	return t
}

func keysOf(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func orZero(sum string) string {
	if sum == "" {
		return "0.00"
	}
	return sum
}

// update answers store/updateOnhand.
func (s *Server) update(c *exchange) tree {
	w, problem := s.where(c)
	if problem != "" {
		return failure(problem)
	}
	if w == nil {
		return failure("Не указан магазин")
	}
	item, ok := s.which(c)
	if !ok {
		return failure("Товар не найден")
	}
	if s.refused[item.ID] {
		return failure("Изменение товара запрещено")
	}
	q, err := stock.ParseQuantity(c.either("quantity"))
	if err != nil {
		return failure("Неверное количество")
	}
	if q < 0 && s.settings.RefuseNegative {
		return failure("Количество не может быть отрицательным")
	}
	before := len(w.rows)
	row := s.row(w, item.ID, c.either("lot_number"))
	isNew := "0"
	if len(w.rows) > before {
		isNew = "1"
	}
	out := success("")
	out.add(number("id", strconv.FormatInt(row.id, 10)), number("itemid", item.ID), number("warehouseid", w.id),
		number("isnew", isNew), number("quantity_before", three(row.Quantity)))
	row.Quantity = q
	for name, field := range map[string]*string{"lot_number": &row.Lot, "cogs": &row.Cost, "manuf_date": &row.Made, "expir_date": &row.Expires} {
		if value := c.either(name); value != "" {
			*field = value
		}
	}
	s.stamp(row)
	s.written[item.ID]++
	return out
}

// version answers store/getOnhandVersion. The form of the answer is not
// described.
func (s *Server) version(c *exchange) tree {
	if _, problem := s.where(c); problem != "" {
		return failure(problem)
	}
	out := success("")
	out.add(number("version", strconv.FormatInt(s.ask(), 10)))
	return out
}

// zero answers store/setZeroOnhand. Without a warehouse it takes all of them.
func (s *Server) zero(c *exchange) tree {
	only, problem := s.where(c)
	if problem != "" {
		return failure(problem)
	}
	limit, err := strconv.ParseInt(c.get("version"), 10, 64)
	switch {
	case err != nil && s.settings.RefuseNoVersion:
		return failure("Не указана версия")
	case err != nil:
		limit = s.counter + 1
	}
	for _, w := range s.warehouses {
		if only != nil && w != only {
			continue
		}
		for _, row := range w.rows {
			if row.Version < limit || s.settings.UpTo && row.Version == limit {
				row.Quantity = 0
			}
		}
	}
	return success("")
}

// where finds the warehouse of a call, nil when none is named. The external code
// counts only when the number is absent.
func (s *Server) where(c *exchange) (w *warehouse, problem string) {
	id, external := c.get("warehouseid"), c.get("ext_warehouseid")
	if id == "" && external == "" {
		return nil, ""
	}
	for _, w := range s.warehouses {
		if id != "" && w.id == id || id == "" && w.external == external {
			return w, ""
		}
	}
	return nil, "Магазин не найден"
}

// which finds the item of a call, likewise.
func (s *Server) which(c *exchange) (Item, bool) {
	if id := c.get("itemid"); id != "" {
		return s.item(id)
	}
	external := c.get("ext_itemid")
	i := slices.IndexFunc(s.items, func(i Item) bool { return external != "" && i.External == external })
	if i < 0 {
		return Item{}, false
	}
	return s.items[i], true
}

func (s *Server) item(id string) (Item, bool) {
	i := slices.IndexFunc(s.items, func(i Item) bool { return i.ID == id })
	if i < 0 {
		return Item{}, false
	}
	return s.items[i], true
}

// listItems and listWarehouses answer the lookups.
func (s *Server) listItems(c *exchange) tree {
	list := tree{name: "items", list: "item"}
	for _, i := range s.items {
		if c.picks(i.ID, i.External) {
			list.add(tree{name: "item", children: []tree{
				number("id", i.ID), text("name", i.Name), text("external_id", i.External), text("type", "G"), number("enabled", "1"),
			}})
		}
	}
	return listing("item", list)
}

func (s *Server) listWarehouses(c *exchange) tree {
	list := tree{name: "warehouses", list: "warehouse"}
	for _, w := range s.warehouses {
		if c.picks(w.id, w.external) {
			list.add(tree{name: "warehouse", children: []tree{number("id", w.id), text("name", w.name), text("external_id", w.external)}})
		}
	}
	return listing("warehouse", list)
}

func listing(kind string, list tree) tree {
	out := success(kind)
	out.add(number("count", strconv.Itoa(len(list.children))), list)
	return out
}

func (c *exchange) picks(id, external string) bool {
	if want := c.either("id"); want != "" {
		return want == id
	}
	if want := c.either("external_id"); want != "" {
		return want == external
	}
	return true
}
