package evotortest

import (
	"strconv"

	"ostatok/agent/stock"
)

// delivery is the body of ACCEPT, RETURN and WRITE_OFF.
func (w *renderer) delivery(b []byte, s *Shop, d *draft) []byte {
	kind := d.document.Type
	b = append(b, `{"positions":[`...)
	total := int64(0)
	for i := range d.lines {
		l := &d.lines[i]
		c := &s.cards[l.product]
		sum := (c.cost*int64(l.quantity) + 500) / 1000
		total += sum
		b = w.goods(b, s, d, i)
		if kind != stock.WriteOff {
			b = append(b, `,"bar_code":`...)
			b = w.barcode(b, s, l)
			b = append(b, `,"mark":null`...)
		}
		b = append(b, `,"product_type":"`...)
		b = append(b, c.Type...)
		b = append(b, `","alcohol_by_volume":0,"alcohol_product_kind_code":0,"tare_volume":0,"product_name":`...)
		b = appendText(b, c.Name)
		b = append(b, `,"measure_name":`...)
		b = appendText(b, c.Measure)
		b = append(b, `,"price":`...)
		b = appendMoney(b, l.price)
		b = append(b, `,"cost_price":`...)
		b = appendMoney(b, c.cost)
		b = append(b, `,"sum":`...)
		b = appendMoney(b, sum)
		b = append(b, '}')
	}
	b = append(b, `],`...)
	if kind != stock.WriteOff {
		b = append(b, `"supplier_id":null,`...)
	}
	b = append(b, `"description":null,"sum":`...)
	b = appendMoney(b, total)
	return append(b, '}')
}

// goods opens a position with what every document with goods has.
func (w *renderer) goods(b []byte, s *Shop, d *draft, i int) []byte {
	l := &d.lines[i]
	if i > 0 {
		b = append(b, ',')
	}
	b = append(b, `{"product_id":"`...)
	b = append(b, s.cards[l.product].ID...)
	b = append(b, `","quantity":`...)
	b = appendQuantity(b, l.quantity)
	b = append(b, `,"initial_quantity":`...)
	b = appendQuantity(b, l.stated)
	b = append(b, `,"code":`...)
	b = w.code(b, s, l)
	b = append(b, `,"id":`...)
	b = strconv.AppendInt(b, d.line+2*int64(i)+1, 10)
	b = append(b, `,"uuid":"`...)
	b = appendUUID(b, &l.uuid)
	return append(b, `","extra_keys":[]`...)
}

func (w *renderer) inventory(b []byte, s *Shop, d *draft) []byte {
	b = append(b, `{"positions":[`...)
	for i := range d.lines {
		b = append(w.goods(b, s, d, i), '}')
	}
	b = append(b, `],"complete_inventory":`...)
	b = strconv.AppendBool(b, d.document.Complete == stock.CompleteYes)
	return append(b, '}')
}

func (w *renderer) revaluation(b []byte, s *Shop, d *draft) []byte {
	b = append(b, `{"base_document_id":null,"base_document_number":null,"positions":[`...)
	for i := range d.lines {
		l := &d.lines[i]
		b = append(b, `{"uuid":"`...)
		b = appendUUID(b, &l.uuid)
		b = append(b, `","product_id":"`...)
		b = append(b, s.cards[l.product].ID...)
		b = append(b, `","code":`...)
		b = w.code(b, s, l)
		b = append(b, `,"price":{"before":`...)
		b = appendMoney(b, l.price)
		b = append(b, `,"after":`...)
		b = appendMoney(b, s.cards[l.product].price)
		b = append(b, `,"accept":`...)
		b = appendMoney(b, s.cards[l.product].price)
		b = append(b, `},"extra_keys":[]}`...)
	}
	return append(b, `]}`...)
}

// paperwork is the body of sessions, cash and reports: counters and money.
func (w *renderer) paperwork(b []byte, d *draft) []byte {
	if d.document.Type == "OPEN_SESSION" {
		return append(b, `{}`...)
	}
	if d.document.Type == "CLOSE_SESSION" {
		return append(b, `{"revenue":0,"total":0}`...)
	}
	b = append(b, `{"receipt_number":`...)
	b = strconv.AppendInt(b, d.receipt, 10)
	b = append(b, `,"document_number":`...)
	b = strconv.AppendInt(b, d.document.Number, 10)
	b = append(b, `,"session_number":`...)
	b = strconv.AppendInt(b, d.session, 10)
	b = append(b, `,"receipt_date":"`...)
	b = inZone(d.document.Closed).AppendFormat(b, "02012006")
	b = append(b, `","fn_serial_number":null,"kkt_serial_number":"00000000000000","kkt_reg_number":"0000000000000000","fiscal_sign_doc_number":null,"fiscal_document_number":null`...)
	switch d.document.Type {
	case "Z_REPORT", "X_REPORT":
		return append(b, `,"total":0,"proceeds":0,"cash":0,"quantity_sales":{"quantity":41,"reversal":0,"back":1,"reversal_back":0},"sales":{"summ":0,"reversal":0,"sections":[{"number":0,"name":"ТАРОЙ","value":0}]}}`...)
	case "CASH_OUTCOME":
		return append(b, `,"description":null,"sum":1000,"payment_category_name":"Инкассация","payment_category_id":1,"receiver":null}`...)
	}
	return append(b, `,"sum":1000,"description":null,"contributor":null}`...)
}
