package evotor

import (
	"errors"
	"fmt"

	"ostatok/agent/stock"
)

// records reads the transactions of a V1 document. Goods are those of type
// REGISTER_POSITION and INVENTORY; others repeat the product (POSITION_TAX) or
// count something else (REGISTER_BILLS) and are no stock (evotor-cloud §16).
func (rd *reader) records(e *envelope, c *cursor) {
	if c.kind() != '[' {
		return
	}
	e.listed = true
	for c.enter(); c.more(); {
		if c.kind() != '{' {
			c.skip()
			continue
		}
		rd.record(e, c)
	}
}

func (rd *reader) record(e *envelope, c *cursor) {
	var (
		kind    string
		line    stock.Line
		counted bool
		failed  error
	)
	for c.enter(); c.more(); {
		name := c.name()
		var err error
		switch string(name) {
		case "type":
			kind, err = rd.names.text(c.skip())
		case "commodityUuid":
			line.Product, err = rd.names.text(c.skip())
		case "quantity":
			line.Quantity, counted, err = quantity(c.skip())
		case "balanceQuantity":
			line.Stated, line.HasStated, err = quantity(c.skip())
		default:
			c.skip()
		}
		if err != nil && failed == nil {
			failed = fmt.Errorf("%s %w", name, err)
		}
	}
	if kind != "REGISTER_POSITION" && kind != "INVENTORY" {
		return
	}
	if failed == nil && line.Product != "" && !counted {
		failed = errors.New("has no quantity")
	}
	if failed != nil {
		e.fail(failed, e.line())
	}
	e.d.Lines = append(e.d.Lines, line)
}

// receipt reads a ReceiptCreated event. Its envelope is the event's; the document
// is data, whose id equals the one in the listing (evotor-cloud §14.1). It states
// no stock, and a customer's return counts below zero.
func (rd *reader) receipt(e *envelope) (stock.Document, error) {
	in := &envelope{failed: e.failed}
	in.d.Arrived = e.when
	if e.receipt != nil {
		c := &cursor{text: e.receipt}
		for c.enter(); c.more(); {
			rd.receiptMember(in, c.name(), c)
		}
	}
	if in.d.Closed == 0 {
		in.d.Closed = e.when
	}
	return in.d, in.verdict()
}

func (rd *reader) receiptMember(e *envelope, name []byte, c *cursor) {
	var err error
	switch string(name) {
	case "id":
		e.d.ID, err = text(c.skip())
	case "type":
		var s string
		s, err = rd.names.text(c.skip())
		e.d.Type = stock.Type(s)
	case "deviceId":
		e.d.Device, err = rd.names.text(c.skip())
	case "storeId":
		e.d.Store, err = rd.names.text(c.skip())
	case "dateTime":
		e.d.Closed, err = optional(c.skip(), moment)
	case "items":
		if c.kind() != '[' {
			c.skip()
			break
		}
		e.listed = true
		for c.enter(); c.more(); {
			rd.receiptItem(e, c)
		}
	default:
		c.skip()
	}
	if err != nil {
		e.fail(err, string(name))
	}
}

// receiptItem reads one line. Lines cut down to a single member have been seen;
// such a receipt must be fetched by its id.
func (rd *reader) receiptItem(e *envelope, c *cursor) {
	if c.kind() != '{' {
		c.skip()
		e.fail(errors.New("is not an object"), e.line())
		return
	}
	var line stock.Line
	counted := false
	for c.enter(); c.more(); {
		name := c.name()
		var err error
		switch string(name) {
		case "id":
			line.Product, err = rd.names.text(c.skip())
		case "quantity":
			line.Quantity, counted, err = quantity(c.skip())
		default:
			c.skip()
		}
		if err != nil {
			e.fail(fmt.Errorf("%s %w", name, err), e.line())
		}
	}
	if !counted {
		e.fail(ErrNoBody, e.line())
	}
	e.d.Lines = append(e.d.Lines, line)
}
