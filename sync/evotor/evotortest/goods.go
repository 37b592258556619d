package evotortest

import (
	"math"
	"net/http"
)

func (c *Cloud) products(r *http.Request) reply {
	s, refused := c.shop(r)
	if refused != nil {
		return *refused
	}
	return c.list(r, `{"id":"00000000-0000-4000-8000-00000000bad2","name":42,"quantity":"много","barcodes":{}}`, func() ([][]byte, *reply) {
		since, refused := milliseconds(r, "since", math.MinInt64)
		if refused != nil {
			return nil, refused
		}
		return s.productsJSON(since), nil
	})
}

func (c *Cloud) product(r *http.Request) reply {
	s, refused := c.shop(r)
	if refused != nil {
		return *refused
	}
	body, ok := s.productJSON(r.PathValue("product"))
	if !ok {
		return failure(http.StatusNotFound, "product not found")
	}
	return object(body)
}

func (s *Shop) productsJSON(since int64) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var items [][]byte
	block := make([]byte, 0, 700*len(s.cards))
	for i := range s.cards {
		if s.cards[i].listed(s.now) && s.cards[i].Updated >= since {
			start := len(block)
			block = s.appendProduct(block, i)
			items = append(items, block[start:len(block):len(block)])
		}
	}
	return items
}

func (s *Shop) productJSON(id string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.index[id]
	if !ok || !s.cards[i].listed(s.now) {
		return nil, false
	}
	return s.appendProduct(nil, int(i)), true
}

// appendProduct writes a card in the shape of sample 07.
func (s *Shop) appendProduct(b []byte, i int) []byte {
	c := &s.cards[i]
	b = append(append(b, `{"type":"`...), c.Type...)
	b = append(append(b, `","id":"`...), c.ID...)
	b = appendText(append(b, `","name":`...), c.Name)
	b = append(append(b, `,"parent_id":"`...), c.Parent...)
	b = appendText(append(b, `","code":`...), c.Code)
	b = appendMoney(append(b, `,"price":`...), c.price)
	if !c.Service() {
		b = appendMoney(append(b, `,"cost_price":`...), c.cost)
		b = appendQuantity(append(b, `,"quantity":`...), s.reported(i))
	}
	b = appendText(append(b, `,"measure_name":`...), c.Measure)
	b = append(b, `,"tax":"NO_VAT","allow_to_sell":true,"description":""`...)
	b = appendText(append(b, `,"article_number":`...), c.Article)
	b = append(b, `,"classification_code":"","quantity_in_package":0,"is_excisable":false,"is_age_limited":false,"store_id":"`...)
	b = append(b, s.set.Store...)
	b = appendDates(append(b, `","user_id":"01-000000000000001"`...), c.Created, c.Updated)
	b = append(b, `,"barcodes":[`...)
	for j, barcode := range c.Barcodes {
		if j > 0 {
			b = append(b, ',')
		}
		b = appendText(b, barcode)
	}
	return append(b, `]}`...)
}
