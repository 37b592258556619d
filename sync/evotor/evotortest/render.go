package evotortest

import (
	"math/rand/v2"
	"strconv"
	"time"

	"ostatok/agent/stock"
)

// Stamp is the layout of every time in the cloud's JSON: the offset has no
// colon (evotor-cloud §6).
const Stamp = "2006-01-02T15:04:05.000-0700"

// printGroup is the same in every shop (evotor-cloud §17).
const printGroup = "46dd89f0-3a54-470a-a166-ad01fa34b86a"

// renderer writes documents as JSON, many into one block of memory.
type renderer struct {
	r     *rand.Rand
	block []byte
}

func (w *renderer) render(s *Shop, d *draft) []byte {
	if need := 3000 + 1300*len(d.lines); cap(w.block)-len(w.block) < need {
		w.block = make([]byte, 0, max(need, 1<<20))
	}
	start := len(w.block)
	w.block = w.document(w.block, s, d)
	return w.block[start:len(w.block):len(w.block)]
}

func (w *renderer) document(b []byte, s *Shop, d *draft) []byte {
	t, doc := s.terminals[d.terminal], &d.document
	b = append(b, `{"type":"`...)
	b = append(b, doc.Type...)
	b = append(b, `","id":"`...)
	b = append(b, doc.ID...)
	b = append(b, `","extras":{},"number":`...)
	b = strconv.AppendInt(b, doc.Number, 10)
	b = append(b, `,"close_date":"`...)
	b = appendStamp(b, doc.Closed)
	b = append(b, `","time_zone_offset":`...)
	b = strconv.AppendInt(b, zone, 10)
	b = append(b, `,"session_id":"`...)
	b = append(b, d.sessionID...)
	b = append(b, `","session_number":`...)
	b = strconv.AppendInt(b, d.session, 10)
	b = append(b, `,"close_user_id":"`...)
	b = append(b, t.employee...)
	b = append(b, `","device_id":"`...)
	b = append(b, doc.Device...)
	b = append(b, `","store_id":"`...)
	b = append(b, doc.Store...)
	b = append(b, `","user_id":"01-000000000000001","body":`...)
	switch doc.Type {
	case stock.Sell, stock.Payback, stock.Buy, stock.Buyback:
		b = w.receipt(b, s, d)
	case stock.Accept, stock.Return, stock.WriteOff:
		b = w.delivery(b, s, d)
	case stock.Inventory:
		b = w.inventory(b, s, d)
	case stock.Revaluation:
		b = w.revaluation(b, s, d)
	default:
		b = w.paperwork(b, d)
	}
	b = append(b, `,"counterparties":null,"created_at":"`...)
	b = appendStamp(b, doc.Arrived)
	return append(b, `","version":"V2"}`...)
}

// receipt is the body of a sale and its relatives.
func (w *renderer) receipt(b []byte, s *Shop, d *draft) []byte {
	b = append(b, `{"positions":[`...)
	full, paid := int64(0), int64(0)
	for i := range d.lines {
		l := &d.lines[i]
		if l.sub {
			continue
		}
		if i > 0 {
			b = append(b, ',')
		}
		sum, result := l.sums()
		full, paid = full+sum, paid+result
		b = w.position(b, s, d, i)
	}
	b = append(b, `],"doc_discounts":[],"payments":[`...)
	rest := paid
	if d.advance && paid >= 200 {
		b = w.payment(b, paid/2, 0, "ADVANCE")
		b = append(b, ',')
		rest -= paid / 2
	}
	if d.cash {
		change := (50000 - rest%50000) % 50000
		b = w.payment(b, rest+change, change, "CASH")
	} else {
		b = w.payment(b, rest, 0, "ELECTRON")
	}
	b = append(b, `],"print_groups":[{"id":"`+printGroup+`","type":"CASH_RECEIPT","org_name":null,"org_inn":null,"org_address":null,"taxation_system":null,"medicine_attributes":null}],"pos_print_results":[`...)
	b = w.printed(b, d, paid)
	b = append(b, `],"sum":`...)
	b = appendMoney(b, full)
	b = append(b, `,"result_sum":`...)
	b = appendMoney(b, paid)
	b = append(b, `,"customer_email":null,"customer_phone":null`...)
	if d.base != nil {
		b = append(b, `,"base_document_id":"`...)
		b = append(b, d.base.document...)
		b = append(b, `","base_document_number":`...)
		b = strconv.AppendInt(b, d.base.number, 10)
	}
	return append(b, '}')
}

// sums are the line's price before and after its discount, kopecks.
func (l *draftLine) sums() (sum, result int64) {
	sum = (l.price*int64(l.quantity) + 500) / 1000
	if l.half {
		return sum, sum / 2
	}
	return sum, sum
}

func (w *renderer) position(b []byte, s *Shop, d *draft, i int) []byte {
	l := &d.lines[i]
	name, measure, kind, precision := "Товар по свободной цене", "шт", "NORMAL", byte('0')
	if l.product < 0 {
		b = append(b, `{"product_id":null,"quantity":`...)
	} else {
		c := &s.cards[l.product]
		name, measure, kind = c.Name, c.Measure, c.Type
		if c.weighed {
			precision = '3'
		}
		b = append(b, `{"product_id":"`...)
		b = append(b, c.ID...)
		b = append(b, `","quantity":`...)
	}
	b = appendQuantity(b, l.quantity)
	b = append(b, `,"initial_quantity":`...)
	b = appendQuantity(b, l.stated)
	b = append(b, `,"quantity_in_package":null,"bar_code":`...)
	b = w.barcode(b, s, l)
	b = append(b, `,"product_type":"`...)
	b = append(b, kind...)
	b = append(b, `","mark":null,"mark_data":null,"alcohol_by_volume":0,"alcohol_product_kind_code":0,"tare_volume":0,"code":`...)
	b = w.code(b, s, l)
	b = append(b, `,"product_name":`...)
	b = appendText(b, name)
	b = append(b, `,"measure_name":`...)
	b = appendText(b, measure)
	b = append(b, `,"id":`...)
	b = strconv.AppendInt(b, d.line+2*int64(i)+1, 10)
	b = append(b, `,"uuid":"`...)
	b = appendUUID(b, &l.uuid)
	b = append(b, `","extra_keys":[],"sub_positions":[`...)
	for j := i + 1; j < len(d.lines) && d.lines[j].sub; j++ {
		if j > i+1 {
			b = append(b, ',')
		}
		b = w.subPosition(b, s, d, j)
	}
	sum, result := l.sums()
	b = append(b, `],"measure_precision":`...)
	b = append(b, precision)
	b = append(b, `,"price":`...)
	b = appendMoney(b, l.price)
	b = append(b, `,"cost_price":0,"result_price":`...)
	if l.half {
		b = appendMoney(b, l.price/2)
	} else {
		b = appendMoney(b, l.price)
	}
	b = append(b, `,"sum":`...)
	b = appendMoney(b, sum)
	b = append(b, `,"tax":{"type":"NO_VAT","sum":0,"result_sum":0},"result_sum":`...)
	b = appendMoney(b, result)
	b = append(b, `,"position_discount":`...)
	if l.half {
		b = append(b, `{"discount_sum":`...)
		b = appendMoney(b, sum-result)
		b = append(b, `,"discount_percent":50,"discount_type":"SUM","coupon":null,"discount_price":`...)
		b = appendMoney(b, l.price/2)
		b = append(b, '}')
	} else {
		b = append(b, "null"...)
	}
	b = append(b, `,"doc_distributed_discount":null,"print_group_id":"`+printGroup+`","splitted_positions":null,"attributes_choices":null,"settlement_method":{"type":"`...)
	b = append(b, l.settlement...)
	return append(b, `","amount":null},"agent_requisites":null}`...)
}

func (w *renderer) subPosition(b []byte, s *Shop, d *draft, i int) []byte {
	l := &d.lines[i]
	c := &s.cards[l.product]
	b = append(b, `{"id":`...)
	b = strconv.AppendInt(b, d.line+2*int64(i)+1, 10)
	b = append(b, `,"uuid":"`...)
	b = appendUUID(b, &l.uuid)
	b = append(b, `","product_id":"`...)
	b = append(b, c.ID...)
	b = append(b, `","product_name":`...)
	b = appendText(b, c.Name)
	b = append(b, `,"product_type":"`...)
	b = append(b, c.Type...)
	b = append(b, `","measure_name":`...)
	b = appendText(b, c.Measure)
	b = append(b, `,"initial_quantity":`...)
	b = appendQuantity(b, l.stated)
	b = append(b, `,"quantity":`...)
	b = appendQuantity(b, l.quantity)
	return append(b, `,"price":0,"cost_price":0,"result_price":0,"sum":0,"result_sum":0,"alcohol_by_volume":0,"alcohol_product_kind_code":0}`...)
}

func (w *renderer) payment(b []byte, sum, change int64, kind string) []byte {
	b = append(b, `{"id":"`...)
	var id [16]byte
	randomID(w.r, &id)
	b = appendUUID(b, &id)
	b = append(b, `","parent_id":null,"sum":`...)
	b = appendMoney(b, sum)
	b = append(b, `,"type":"`...)
	b = append(b, kind...)
	b = append(b, `","parts":[{"print_group_id":"`+printGroup+`","part_sum":`...)
	b = appendMoney(b, sum)
	b = append(b, `,"change":`...)
	b = appendMoney(b, change)
	b = append(b, `}],"app_payment":null,`...)
	switch kind {
	case "ELECTRON":
		b = append(b, `"merchant_info":{"number":"123","english_name":"123","category_code":"123"},"bank_info":{"name":"BANK"},"app_info":{"app_id":null,"name":"Банковская карта"}`...)
	case "CASH":
		b = append(b, `"merchant_info":null,"bank_info":null,"app_info":{"app_id":null,"name":"Наличные"}`...)
	default:
		b = append(b, `"merchant_info":null,"bank_info":null,"app_info":{"app_id":null,"name":"По предоплате"}`...)
	}
	return append(b, `,"cashless_info":null,"driver_info":null}`...)
}

func (w *renderer) printed(b []byte, d *draft, paid int64) []byte {
	local := inZone(d.document.Closed)
	b = append(b, `{"receipt_number":`...)
	b = strconv.AppendInt(b, d.receipt, 10)
	b = append(b, `,"document_number":`...)
	b = strconv.AppendInt(b, d.document.Number, 10)
	b = append(b, `,"session_number":`...)
	b = strconv.AppendInt(b, max(d.session-1, 0), 10) // the fiscal one is another number
	b = append(b, `,"receipt_date":"`...)
	b = local.AppendFormat(b, "02012006")
	b = append(b, `","receipt_time":"`...)
	b = local.AppendFormat(b, "1504")
	b = append(b, `","fn_reg_number":null,"fiscal_sign_doc_number":"0000000000","fiscal_document_number":`...)
	b = strconv.AppendInt(b, d.receipt+1000, 10)
	b = append(b, `,"fn_serial_number":"0000000000000000","kkt_serial_number":"00000000000000","kkt_reg_number":"0000000000000000","print_group_id":"`+printGroup+`","check_sum":`...)
	b = appendMoney(b, paid)
	return append(b, '}')
}

func (w *renderer) barcode(b []byte, s *Shop, l *draftLine) []byte {
	if l.product >= 0 && len(s.cards[l.product].Barcodes) > 0 && l.uuid[0]&1 == 0 {
		return appendText(b, s.cards[l.product].Barcodes[0])
	}
	return append(b, "null"...)
}

func (w *renderer) code(b []byte, s *Shop, l *draftLine) []byte {
	if l.product < 0 {
		return append(b, "null"...)
	}
	return appendText(b, s.cards[l.product].Code)
}

func appendStamp(b []byte, at int64) []byte {
	return time.UnixMilli(at).UTC().AppendFormat(b, Stamp)
}

// appendMoney prints kopecks as roubles, as short as a JSON number can be.
func appendMoney(b []byte, kopecks int64) []byte {
	return appendQuantity(b, stock.Quantity(kopecks*10))
}

func appendQuantity(b []byte, q stock.Quantity) []byte {
	text, _ := q.MarshalJSON() // a quantity always has a form
	return append(b, text...)
}

// appendText prints a text as JSON; the generator's texts have nothing in them
// that Go and JSON quote differently.
func appendText(b []byte, text string) []byte { return strconv.AppendQuote(b, text) }
