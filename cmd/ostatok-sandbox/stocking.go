package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"ostatok/agent/stock"
	"ostatok/sync/virtpos/virtpostest"
)

// card is a product of the shop and the keys under which the systems have it;
// "" where one does not.
type card struct {
	stock.Product
	virtpos string // external code: the shop's code
	item    string // VirtPOS's own number
	zelenka string // id: the product's id in the cloud
	keycrm  string // SKU: the article, or one of KeyCRM's own making
	mapped  bool   // the SKU follows from nothing, only a mapping tells it
	shared  bool   // KeyCRM has two offers of the SKU
}

// stock fills the systems as a shop finds them that has kept them by hand: most
// figures are wrong, some products are missing, and SKUs have been mistyped.
func (b *backends) stock() []card {
	r := rand.New(rand.NewPCG(b.shop.Settings().Seed, 4))
	b.virtpos.AddWarehouse(virtposWarehouse, "SHOP", "Магазин")
	b.keycrm.AddWarehouse(keycrmWarehouse, "Магазин")
	products := b.shop.Products()
	articles := make(map[string]int)
	for i := range products {
		articles[products[i].Article]++
	}
	cards := make([]card, 0, len(products))
	told, articled := 0, 0 // of those that people will look at
	for i := range products {
		p := &products[i]
		if p.Service() {
			continue
		}
		c := card{Product: *p, virtpos: p.Code, item: strconv.Itoa(1001 + i), zelenka: p.ID, keycrm: p.Article}
		if p.Article == "" || articles[p.Article] > 1 {
			c.keycrm, c.mapped = "SKU-"+p.Code, true
		}
		level, ok := b.shop.Told(p.ID)
		if ok {
			told++
			if told == 5 || told == 15 {
				c.virtpos, c.item = "", ""
			}
			if !c.mapped {
				articled++
				switch articled {
				case 4: // the Cyrillic letter became a Latin one
					c.keycrm = strings.Replace(c.keycrm, "А", "A", 1)
				case 8:
					c.shared = true
				case 12:
					c.keycrm = ""
				}
			}
		}
		b.put(r, &c, level)
		if ok && c.keycrm != "" {
			b.reserve(&c, told, level)
		}
		cards = append(cards, c)
	}
	for i := range 3 {
		id := strconv.Itoa(901 + i)
		b.virtpos.AddItem(virtpostest.Item{ID: id, External: "old-" + id, Name: fmt.Sprintf("Снято с продажи %d", i+1)})
		b.virtpos.Put(virtposWarehouse, virtpostest.Balance{Item: id, Quantity: stock.Quantity(i+1) * stock.Unit})
	}
	return cards
}

// put adds the product to the systems, with a figure each.
func (b *backends) put(r *rand.Rand, c *card, level stock.Quantity) {
	if c.virtpos != "" {
		b.virtpos.AddItem(virtpostest.Item{ID: c.item, External: c.virtpos, Name: c.Name, Article: c.Article})
		b.virtpos.Put(virtposWarehouse, virtpostest.Balance{Item: c.item, Quantity: astray(r, level)})
	}
	b.zelenka.Set(zelenkaWarehouse, c.zelenka, max(0, int64(astray(r, level)/stock.Unit)))
	if c.keycrm == "" {
		return
	}
	b.keycrm.AddOffer(c.keycrm)
	if c.shared {
		b.keycrm.AddOffer(c.keycrm)
	}
	b.keycrm.Set(keycrmWarehouse, c.keycrm, max(0, astray(r, level)))
}

// astray is a figure after months without anybody looking: a third are right, the
// others a few pieces off.
func astray(r *rand.Rand, level stock.Quantity) stock.Quantity {
	if r.IntN(3) == 0 {
		return level
	}
	return level + stock.Quantity(r.IntN(12)-4)*stock.Unit
}

// reserve holds goods of every seventh product for orders, of one more than there
// are.
func (b *backends) reserve(c *card, n int, level stock.Quantity) {
	switch {
	case n == 14:
		b.keycrm.Reserve(keycrmWarehouse, c.keycrm, max(0, level)+2*stock.Unit)
	case n%7 == 0 && level >= 3*stock.Unit:
		b.keycrm.Reserve(keycrmWarehouse, c.keycrm, stock.Quantity(1+n%2)*stock.Unit)
	}
}
