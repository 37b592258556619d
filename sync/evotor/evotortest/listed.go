package evotortest

import (
	"cmp"
	"hash/fnv"
	"math"
	"net/http"
	"slices"
	"strings"
)

// documents answers for a store or one of its devices: since is inclusive,
// until exclusive, type a list separated by commas (evotor-cloud §10).
func (c *Cloud) documents(r *http.Request) reply {
	s, refused := c.shop(r)
	if refused != nil {
		return *refused
	}
	device := r.PathValue("device")
	return c.list(r, badDocument, func() ([][]byte, *reply) {
		since, refused := milliseconds(r, "since", math.MinInt64)
		if refused != nil {
			return nil, refused
		}
		until, refused := milliseconds(r, "until", math.MaxInt64)
		if refused != nil {
			return nil, refused
		}
		var types []string
		if text := r.URL.Query().Get("type"); text != "" {
			types = strings.Split(text, ",")
		}
		hidden := c.hiddenDevices()
		var found []*Document
		all := s.Documents()
		for i := range all {
			d := &all[i]
			at := d.Closed
			if c.options.ByArrival {
				at = d.Arrived
			}
			if at < since || at >= until || hidden[d.Device] || (device != "" && d.Device != device) ||
				(types != nil && !slices.Contains(types, string(d.Type))) {
				continue
			}
			found = append(found, d)
		}
		c.order(found)
		items := make([][]byte, len(found))
		for i, d := range found {
			items[i] = d.JSON
		}
		return items, nil
	})
}

const badDocument = `{"type":"SELL","id":"00000000-0000-4000-8000-00000000bad1","number":"?","close_date":"вчера","device_id":null,"body":{"positions":{"quantity":"много"}}}`

// order sorts by close time, or by a hash of the id: in no order, but the same
// each time.
func (c *Cloud) order(documents []*Document) {
	if !c.options.Shuffle {
		slices.SortStableFunc(documents, func(a, b *Document) int { return cmp.Compare(a.Closed, b.Closed) })
		return
	}
	mix := func(d *Document) uint32 {
		h := fnv.New32a()
		_, _ = h.Write([]byte(d.ID)) // a hash takes everything
		return h.Sum32()
	}
	slices.SortStableFunc(documents, func(a, b *Document) int { return cmp.Compare(mix(a), mix(b)) })
}

func (c *Cloud) hiddenDevices() map[string]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	hidden := make(map[string]bool, len(c.hidden))
	for id, yes := range c.hidden {
		hidden[id] = yes
	}
	return hidden
}

func (c *Cloud) document(r *http.Request) reply {
	s, refused := c.shop(r)
	if refused != nil {
		return *refused
	}
	all := s.Documents()
	c.mu.Lock()
	defer c.mu.Unlock()
	index := c.byID[s.Store()]
	if index == nil {
		index = make(map[string]int)
		c.byID[s.Store()] = index
	}
	for i := len(index); i < len(all); i++ {
		index[all[i].ID] = i
	}
	i, ok := index[r.PathValue("document")]
	if !ok || i >= len(all) || c.hidden[all[i].Device] {
		return failure(http.StatusNotFound, "document not found")
	}
	return object(all[i].JSON)
}

func (c *Cloud) stores(r *http.Request) reply {
	return c.list(r, `{"id":7,"name":null}`, func() ([][]byte, *reply) {
		var items [][]byte
		for _, s := range c.allShops() {
			items = append(items, s.storeJSON())
		}
		return items, nil
	})
}

func (c *Cloud) store(r *http.Request) reply {
	s, refused := c.shop(r)
	if refused != nil {
		return *refused
	}
	return object(s.storeJSON())
}

func (s *Shop) storeJSON() []byte {
	from := s.set.From.UnixMilli()
	b := append([]byte(`{"id":"`), s.Store()...)
	b = append(b, `","name":"Магазин у дома","address":"Россия, Москва","user_id":"01-000000000000001"`...)
	return append(appendDates(b, from, from), '}')
}

func (c *Cloud) devices(r *http.Request) reply {
	return c.list(r, `{"id":7,"store_id":null}`, func() ([][]byte, *reply) {
		var items [][]byte
		hidden := c.hiddenDevices()
		for _, s := range c.allShops() {
			for _, d := range s.Devices() {
				if hidden[d.ID] {
					continue
				}
				b := append([]byte(`{"id":"`), d.ID...)
				b = appendText(append(b, `","name":`...), d.Name)
				b = append(append(b, `,"store_id":"`...), d.Store...)
				b = append(b, `","timezone_offset":10800000,"serial_number":"00307400000000","device_model":"POWER","user_id":"01-000000000000001"`...)
				items = append(items, append(appendDates(b, d.Created, d.Created), '}'))
			}
		}
		return items, nil
	})
}

func (c *Cloud) groups(r *http.Request) reply {
	s, refused := c.shop(r)
	if refused != nil {
		return *refused
	}
	return c.list(r, `{"id":7,"name":null}`, func() ([][]byte, *reply) {
		var items [][]byte
		for _, g := range s.Groups() {
			b := append([]byte(`{"id":"`), g.ID...)
			b = appendText(append(b, `","name":`...), g.Name)
			if g.Parent != "" {
				b = append(append(append(b, `,"parent_id":"`...), g.Parent...), '"')
			}
			b = append(append(b, `,"barcodes":[],"store_id":"`...), s.Store()...)
			b = append(b, `","user_id":"01-000000000000001"`...)
			items = append(items, append(appendDates(b, g.Created, g.Created), '}'))
		}
		return items, nil
	})
}

func appendDates(b []byte, created, updated int64) []byte {
	b = appendStamp(append(b, `,"created_at":"`...), created)
	b = appendStamp(append(b, `","updated_at":"`...), updated)
	return append(b, '"')
}
