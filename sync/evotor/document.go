package evotor

import (
	"errors"
	"fmt"

	"ostatok/agent/stock"
)

// Why an item is set aside.
var (
	// ErrNoBody: the document moves stock but came without its lines, as lists
	// may; fetch it by its id (evotor-cloud §10).
	ErrNoBody = errors.New("has no lines, fetch the document by its id")
	// ErrNoID: an item without an id cannot be told from others.
	ErrNoID = errors.New("has no id")
	// ErrNoTime: a document without a close time has no place in the history.
	ErrNoTime = errors.New("has no close time")
	// ErrEmptyCount: an INVENTORY that lists nothing would set every product of
	// the shop to zero.
	ErrEmptyCount = errors.New("is a count that lists no product, which would set the whole shop to zero")
)

// DecodeDocument reads one document in any form in which the cloud gives or
// sends one: version 2 with flat or wrapped lists, version 1, and ReceiptCreated.
// The document holds what could be read also when there is an error: the errors
// above, stock.ErrQuantity, or what is wrong with the JSON.
func DecodeDocument(raw []byte) (stock.Document, error) {
	if err := check(raw); err != nil {
		return stock.Document{}, fmt.Errorf("cannot read the document: %w", err)
	}
	return (&reader{}).document(raw)
}

// DecodeDocuments reads what a request brings: one document or an array of them.
// The error is about the whole text; what is wrong with one document is its
// item's. Raw parts belong to raw.
func DecodeDocuments(raw []byte) ([]Item[stock.Document], error) {
	if err := check(raw); err != nil {
		return nil, fmt.Errorf("cannot read the documents: %w", err)
	}
	rd := &reader{names: names{}}
	c := cursor{text: raw}
	switch c.kind() {
	case '{':
		d, err := rd.document(raw)
		return []Item[stock.Document]{{Value: d, Raw: raw, Err: err, ID: d.ID}}, nil
	case '[':
		items := []Item[stock.Document]{}
		for c.enter(); c.more(); {
			one := c.skip()
			d, err := rd.document(one)
			items = append(items, Item[stock.Document]{Value: d, Raw: one, Err: err, ID: d.ID})
		}
		return items, nil
	}
	return nil, errors.New("cannot read the documents: neither an object nor an array")
}

// envelope is a document while it is read: the order of members is the sender's.
type envelope struct {
	d       stock.Document
	uuid    string // V1's id
	imei    string // V1's deviceId, where there is no deviceUuid
	body    []byte // V2, met before the type was
	records []byte // V1's transactions
	receipt []byte // data of ReceiptCreated
	when    int64  // timestamp of ReceiptCreated, epoch ms
	listed  bool   // there was a list of lines, maybe an empty one
	failed  error  // the first thing wrong
}

func (e *envelope) fail(err error, where string) {
	if err != nil && e.failed == nil {
		e.failed = fmt.Errorf("%s %w", where, err)
	}
}

// document decodes checked text.
func (rd *reader) document(raw []byte) (stock.Document, error) {
	e := &envelope{}
	c := cursor{text: raw}
	if c.kind() != '{' {
		return e.d, errors.New("the document is not an object")
	}
	for c.enter(); c.more(); {
		name := c.name()
		rd.member(e, name, &c)
	}
	if e.d.Type == "ReceiptCreated" {
		return rd.receipt(e)
	}
	if e.d.ID == "" {
		e.d.ID = e.uuid
	}
	if e.d.Device == "" {
		e.d.Device = e.imei
	}
	if e.d.Type.Moves() {
		switch {
		case e.body != nil:
			rd.body(e, &cursor{text: e.body})
		case e.records != nil:
			rd.records(e, &cursor{text: e.records})
		}
	}
	if e.d.Type != stock.Inventory {
		e.d.Complete = stock.CompleteUnsaid // V1 says it with every type
	}
	return e.d, e.verdict()
}

// verdict is the first reason why the document cannot be used. What identifies
// it comes first, because without it nothing else can be asked for.
func (e *envelope) verdict() error {
	switch {
	case e.d.ID == "":
		return fmt.Errorf("the document %w", ErrNoID)
	case e.d.Type == "":
		return errors.New("the document has no type")
	case e.failed != nil:
		return e.failed
	case e.d.Closed == 0:
		return fmt.Errorf("the document %w", ErrNoTime)
	case !e.d.Type.Moves():
		return nil
	case !e.listed:
		return fmt.Errorf("the document %w", ErrNoBody)
	case e.d.Type == stock.Inventory && len(e.d.Lines) == 0:
		return fmt.Errorf("the document %w", ErrEmptyCount)
	}
	return nil
}

// member takes one member of the document; names of V2 and V1 do not clash.
func (rd *reader) member(e *envelope, name []byte, c *cursor) {
	var err error
	switch string(name) {
	case "id":
		e.d.ID, err = text(c.skip())
	case "uuid":
		e.uuid, err = text(c.skip())
	case "type":
		var s string
		s, err = rd.names.text(c.skip())
		e.d.Type = stock.Type(s)
	case "number":
		e.d.Number, err = integer(c.skip())
	case "close_date", "closeDate":
		e.d.Closed, err = optional(c.skip(), moment)
	case "created_at":
		e.d.Arrived, _ = optional(c.skip(), moment) // informative: no reason to lose the document
	case "device_id", "deviceUuid":
		e.d.Device, err = rd.names.text(c.skip())
	case "deviceId":
		e.imei, err = rd.names.text(c.skip())
	case "store_id", "storeUuid":
		e.d.Store, err = rd.names.text(c.skip())
	case "completeInventory":
		e.d.Complete = completeness(c.skip())
	case "body":
		if e.d.Type != "" && e.d.Type.Moves() && c.kind() == '{' {
			rd.body(e, c)
			return
		}
		e.body = object(c.skip())
	case "transactions":
		e.records = c.skip()
	case "data":
		e.receipt = object(c.skip())
	case "timestamp":
		e.when, err = milliseconds(c.skip())
	default:
		c.skip()
	}
	if err != nil {
		e.fail(err, string(name))
	}
}

// optional reads a value that may be null.
func optional(value []byte, read func([]byte) (int64, error)) (int64, error) {
	if len(value) == 0 || value[0] == 'n' {
		return 0, nil
	}
	return read(value)
}

// object returns the text of an object, nil for anything else.
func object(value []byte) []byte {
	if len(value) == 0 || value[0] != '{' {
		return nil
	}
	return value
}

func completeness(value []byte) stock.Completeness {
	switch string(value) {
	case "true", `"true"`:
		return stock.CompleteYes
	case "false", `"false"`:
		return stock.CompleteNo
	}
	return stock.CompleteUnsaid
}

// body reads the body of a V2 document that moves stock.
func (rd *reader) body(e *envelope, c *cursor) {
	e.body = nil
	for c.enter(); c.more(); {
		switch string(c.name()) {
		case "positions":
			if c.kind() != '[' {
				c.skip()
				continue
			}
			e.listed = true
			e.d.Lines = make([]stock.Line, 0, 4) // a receipt has two or three
			for c.enter(); c.more(); {
				rd.position(e, c, false)
			}
		case "complete_inventory":
			e.d.Complete = completeness(c.skip())
		default:
			c.skip()
		}
	}
}

// position adds one line, and those of its sub_positions after it.
func (rd *reader) position(e *envelope, c *cursor, sub bool) {
	if c.kind() != '{' {
		c.skip()
		e.fail(errors.New("is not an object"), e.line())
		return
	}
	at := len(e.d.Lines)
	e.d.Lines = append(e.d.Lines, stock.Line{Sub: sub})
	counted := rd.fields(e, c, at)
	line := &e.d.Lines[at]
	if line.Product != "" && !counted {
		e.fail(errors.New("has no quantity"), fmt.Sprintf("line %d", at+1))
	}
}

func (e *envelope) line() string { return fmt.Sprintf("line %d", len(e.d.Lines)+1) }

// fields reads the members of the line at index at; the slice may grow meanwhile.
func (rd *reader) fields(e *envelope, c *cursor, at int) (counted bool) {
	for c.enter(); c.more(); {
		name := c.name()
		var err error
		switch string(name) {
		case "product_id":
			e.d.Lines[at].Product, err = rd.names.text(c.skip())
		case "quantity":
			var ok bool
			e.d.Lines[at].Quantity, ok, err = quantity(c.skip())
			counted = counted || ok
		case "initial_quantity":
			e.d.Lines[at].Stated, e.d.Lines[at].HasStated, err = quantity(c.skip())
		case "settlement_method", "payment_feature": // its name of 2018
			e.d.Lines[at].Settlement, err = rd.settlement(c)
		case "sub_positions":
			if c.kind() != '[' || e.d.Lines[at].Sub {
				c.skip()
				continue
			}
			for c.enter(); c.more(); {
				rd.position(e, c, true)
			}
		case "position", "sub_position":
			// The documentation wraps each element, real documents do not (evotor-cloud §10.1).
			if c.kind() == '{' {
				counted = rd.fields(e, c, at) || counted
			} else {
				c.skip()
			}
		default:
			// splitted_positions too: they split the price of the same quantity (§12.1).
			c.skip()
		}
		if err != nil {
			e.fail(err, fmt.Sprintf("line %d: %s", at+1, name))
		}
	}
	return counted
}

// settlement reads {"type": "CHECKOUT_FULL", …}, or the bare word.
func (rd *reader) settlement(c *cursor) (string, error) {
	if c.kind() != '{' {
		return rd.names.text(c.skip())
	}
	method := ""
	for c.enter(); c.more(); {
		if string(c.name()) != "type" {
			c.skip()
			continue
		}
		var err error
		if method, err = rd.names.text(c.skip()); err != nil {
			return "", err
		}
	}
	return method, nil
}
