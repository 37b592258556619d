package main

import (
	"encoding/csv"
	"net/http"

	"ostatok/agent/stock"
)

// held is a product in a system.
type held struct {
	Key      string          `json:"key"`
	Quantity stock.Quantity  `json:"quantity"`
	Reserved *stock.Quantity `json:"reserved,omitempty"` // only where the system keeps reserves
}

// holding is what each system holds of a product; null where it does not have it.
type holding struct {
	Product string `json:"product_id"`
	Code    string `json:"code"`
	Name    string `json:"name"`
	VirtPOS *held  `json:"virtpos"`
	Zelenka *held  `json:"zelenka"`
	KeyCRM  *held  `json:"keycrm"`
}

// holds tells what the systems really hold, whatever they told their clients.
func (b *backends) holds(w http.ResponseWriter, _ *http.Request) {
	cards := b.catalog()
	balances := make(map[string]stock.Quantity)
	for _, row := range b.virtpos.Balances(virtposWarehouse) {
		balances[row.Item] += row.Quantity
	}
	rows := make([]holding, 0, len(cards))
	for i := range cards {
		c := &cards[i]
		row := holding{Product: c.ID, Code: c.Code, Name: c.Name}
		if q, ok := balances[c.item]; ok && c.item != "" {
			row.VirtPOS = &held{Key: c.virtpos, Quantity: q}
		}
		if q, ok := b.zelenka.Holds(zelenkaWarehouse, c.zelenka); ok {
			row.Zelenka = &held{Key: c.zelenka, Quantity: q}
		}
		if q, reserved, ok := b.keycrm.Holds(keycrmWarehouse, c.keycrm); ok {
			row.KeyCRM = &held{Key: c.keycrm, Quantity: q, Reserved: &reserved}
		}
		rows = append(rows, row)
	}
	answer(w, struct {
		Products []holding `json:"products"`
		// Violations are the requests that broke Zelenka's rules.
		Violations []string `json:"violations"`
	}{rows, b.zelenka.Violations()})
}

// mapping is what KeyCRM's user would export: the SKUs that follow from nothing
// in the shop's catalogue, as `ostatok mapping import` takes them.
func (b *backends) mapping(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	rows := [][]string{{"product_id", "code", "name", "key"}}
	for _, c := range b.catalog() {
		if c.mapped {
			rows = append(rows, []string{c.ID, c.Code, c.Name, c.keycrm})
		}
	}
	_ = csv.NewWriter(w).WriteAll(rows) // the client has gone
}
