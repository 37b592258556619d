package virtpostest

import (
	"slices"

	"ostatok/agent/stock"
)

// Item is an item of the catalogue.
type Item struct {
	ID       string
	External string
	Name     string
	Article  string
	Price    string
	Prices   map[string]string // by price list
}

// Balance is one balance row.
type Balance struct {
	Item     string
	Quantity stock.Quantity
	Reserved stock.Quantity
	Lot      string
	Cost     string
	Made     string
	Expires  string
	Version  int64

	id int64
}

type warehouse struct {
	id, external, name string
	rows               []*Balance
}

// AddWarehouse adds a warehouse.
func (s *Server) AddWarehouse(id, external, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.warehouses = append(s.warehouses, &warehouse{id: id, external: external, name: name})
}

// AddItem adds an item to the catalogue; it has no balances yet.
func (s *Server) AddItem(i Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items = append(s.items, i)
}

// Put sets a balance as if it had been there for long: without a version. With
// settings.Lots it is the row of b.Lot.
func (s *Server) Put(warehouse string, b Balance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.warehouse(warehouse)
	for i, row := range w.rows {
		if row.Item == b.Item && (!s.settings.Lots || row.Lot == b.Lot) {
			b.id = row.id
			w.rows[i] = &b
			return
		}
	}
	s.nextRow++
	b.id = s.nextRow
	w.rows = append(w.rows, &b)
}

// Set changes what an item has, as a user does in the office.
func (s *Server) Set(warehouse, item string, q stock.Quantity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.row(s.warehouse(warehouse), item, "").Quantity = q
}

// Write sets a balance as another program does that uses the same interface.
func (s *Server) Write(warehouse, item string, q stock.Quantity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := s.row(s.warehouse(warehouse), item, "")
	row.Quantity = q
	s.stamp(row)
}

// Sell is a sale on a till.
func (s *Server) Sell(warehouse, item string, q stock.Quantity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := s.row(s.warehouse(warehouse), item, "")
	row.Quantity -= q
	if s.settings.SalesStamp {
		s.stamp(row)
	}
}

// Receive is a receipt of goods.
func (s *Server) Receive(warehouse, item string, q stock.Quantity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := s.row(s.warehouse(warehouse), item, "")
	row.Quantity += q
	if s.settings.ReceiptsStamp {
		s.stamp(row)
	}
}

// Ask raises the version as another program's question does, and returns it.
func (s *Server) Ask() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ask()
}

// Holds is what a warehouse really holds of an item in all its lots; ok is false
// when there is no row.
func (s *Server) Holds(warehouse, item string) (q stock.Quantity, ok bool) {
	for _, b := range s.Balances(warehouse) {
		if b.Item == item {
			q, ok = q+b.Quantity, true
		}
	}
	return q, ok
}

// Balances lists the rows of a warehouse.
func (s *Server) Balances(warehouse string) []Balance {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rows []Balance
	for _, row := range s.warehouse(warehouse).rows {
		rows = append(rows, *row)
	}
	return rows
}

// warehouse panics on a wrong id: that is a fault of the test.
func (s *Server) warehouse(id string) *warehouse {
	i := slices.IndexFunc(s.warehouses, func(w *warehouse) bool { return w.id == id })
	return s.warehouses[i]
}

// row returns a balance row, a new one when there is none. Without a lot it is
// any of the item's: which one is not described.
func (s *Server) row(w *warehouse, item, lot string) *Balance {
	for _, row := range w.rows {
		if row.Item == item && (lot == "" || row.Lot == lot || !s.settings.Lots) {
			return row
		}
	}
	s.nextRow++
	row := &Balance{Item: item, Lot: lot, id: s.nextRow}
	w.rows = append(w.rows, row)
	return row
}

// stamp gives a row that was written its version.
func (s *Server) stamp(row *Balance) {
	if s.settings.CountWrites {
		s.counter++
	}
	row.Version = s.counter
}

func (s *Server) ask() int64 {
	if !s.settings.CountWrites {
		s.counter++
	}
	return s.counter
}
