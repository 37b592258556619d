package stock

import "cmp"

// Order is the place of a document in the shop's history: close time, device,
// number, and the id where two documents agree in all three.
type Order struct {
	Closed   int64  // epoch ms
	Device   string // device id
	Number   int64
	Document string // document id
}

// Compare orders documents as they were written.
func (o Order) Compare(other Order) int {
	return cmp.Or(
		cmp.Compare(o.Closed, other.Closed),
		cmp.Compare(o.Device, other.Device),
		cmp.Compare(o.Number, other.Number),
		cmp.Compare(o.Document, other.Document),
	)
}

// Movement is what one document does to one product: its lines of that product
// combined.
type Movement struct {
	Order
	Type    Type
	Product string
	Arrived int64    // when the cloud had it, epoch ms; 0 when not told
	Moved   Quantity // sum of |quantity| of the lines that move stock; the count for INVENTORY, the figure for Write

	// Low and High are the least and the greatest stock that the lines state.
	// A product repeated in a document is stated per line, each line already
	// reflecting those before it (evotor-cloud §13.4), so which of the two is
	// the stock before the document depends on the direction and the reading.
	Low, High Quantity
	HasStated bool

	Unlisted bool // set to zero by a full INVENTORY that does not list the product
	Unsaid   bool // … and the INVENTORY did not say that it was complete
}

// Options are the switches of the rules for lines.
type Options struct {
	OpenTareIgnored bool // OPEN_TARE is for the excise report only and moves nothing
	SubIgnored      bool // sub_positions do not move stock
}

// Notice is something in a document that a person should know of.
type Notice struct {
	Kind    string // one of the Notice… constants
	Detail  string // the value that was met
	Product string
}

// The kinds of notices.
const (
	NoticeType       = "unknown_document_type"
	NoticeSettlement = "unknown_settlement"
	NoticeUnsaid     = "count_without_completeness"
	NoticeRepeated   = "count_repeats_product"
	NoticeFreePrice  = "free_price_line"
)

// Movements returns what a document does, one movement for each product it
// names, in the order of their first lines, and what is worth noticing in it.
// A line without effect on stock that states it still gives a movement: the
// statement is evidence.
func (d *Document) Movements(o Options) ([]Movement, []Notice) {
	var notices []Notice
	if !d.Type.Known() {
		return nil, []Notice{{Kind: NoticeType, Detail: string(d.Type)}}
	}
	if !d.Type.Moves() || (d.Type == OpenTare && o.OpenTareIgnored) {
		return nil, nil
	}
	if d.Type == Inventory && d.Complete == CompleteUnsaid {
		notices = append(notices, Notice{Kind: NoticeUnsaid})
	}
	movements := make([]Movement, 0, len(d.Lines))
	var index map[string]int
	if len(d.Lines) > 8 {
		index = make(map[string]int, len(d.Lines))
	}
	find := func(product string) int {
		if index != nil {
			if i, ok := index[product]; ok {
				return i
			}
			return -1
		}
		for i := range movements {
			if movements[i].Product == product {
				return i
			}
		}
		return -1
	}
	for _, line := range d.Lines {
		if freePrice(line.Product) {
			notices = append(notices, Notice{Kind: NoticeFreePrice})
			continue
		}
		if line.Sub && o.SubIgnored {
			continue
		}
		moves, known := d.settles(line.Settlement)
		if !known {
			notices = append(notices, Notice{Kind: NoticeSettlement, Detail: line.Settlement, Product: line.Product})
		}
		moved := line.Quantity.Abs()
		if d.Type == Inventory || d.Type == Write {
			moved = line.Quantity // a count may find minus; the figure is what it says
		} else if !moves {
			moved = 0
		}
		i := find(line.Product)
		if i < 0 {
			if index != nil {
				index[line.Product] = len(movements)
			}
			movements = append(movements, Movement{
				Order: Order{d.Closed, d.Device, d.Number, d.ID},
				Type:  d.Type, Product: line.Product, Arrived: d.Arrived, Moved: moved,
				Low: line.Stated, High: line.Stated, HasStated: line.HasStated,
			})
			continue
		}
		m := &movements[i]
		if d.Type == Inventory {
			notices = append(notices, Notice{Kind: NoticeRepeated, Product: line.Product})
		}
		m.Moved += moved
		switch {
		case line.HasStated && !m.HasStated:
			m.Low, m.High, m.HasStated = line.Stated, line.Stated, true
		case line.HasStated:
			m.Low, m.High = min(m.Low, line.Stated), max(m.High, line.Stated)
		}
	}
	return movements, notices
}

// FullCount tells whether the document sets every product that it does not
// list to zero (inventory article: complete_inventory true or absent).
func (d *Document) FullCount() bool {
	return d.Type == Inventory && d.Complete != CompleteNo
}

// Zero is the movement that a full count makes for a product that it does not
// list.
func (d *Document) Zero(product string) Movement {
	return Movement{
		Order: Order{d.Closed, d.Device, d.Number, d.ID}, Type: Inventory, Product: product,
		Arrived: d.Arrived, Unlisted: true, Unsaid: d.Complete == CompleteUnsaid,
	}
}

// settles tells whether a line with this settlement method moves stock, and
// whether the method is one we know (guide, settlement table; evotor-cloud
// §13.3). Only sales and customers' returns are asked.
func (d *Document) settles(method string) (moves, known bool) {
	if d.Type != Sell && d.Type != Payback {
		return true, true
	}
	switch method {
	case "", "CHECKOUT_FULL", "CHECKOUT_PARTIAL", "CREDIT_PASS", "CREDIT_CHECKOUT":
		return true, true
	case "PREPAYMENT_FULL", "PREPAYMENT_PARTIAL", "ADVANCE":
		return false, true
	}
	return true, false
}

// freePrice tells whether a line is sold at a free price, without a product
// (evotor-cloud §13.7); the constant is the reserved id of V1.
func freePrice(product string) bool {
	return product == "" || product == "390067bf-e8d3-4fcc-8c30-fbfd77a0a70d"
}
