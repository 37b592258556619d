package keycrm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"ostatok/agent/stock"
)

// Figure is what is in stock and how much of it is held for orders, in
// thousandths.
type Figure struct {
	Quantity stock.Quantity // all of it, reserved goods included
	Reserve  stock.Quantity // the part that is held for orders
}

// Available is what can still be sold. Below zero means that more is held than
// there is, which happens (backends.md §3.6): it is told as it is.
func (f Figure) Available() stock.Quantity { return f.Quantity - f.Reserve }

// Offer is a variant of a product in KeyCRM, which is what its stock is kept by.
type Offer struct {
	ID         int64
	SKU        string // may be empty, and may not be unique
	Figure            // over all warehouses
	Warehouses []Warehouse
	Err        error // what could not be read; the figures then mean nothing

	detailed bool // the answer has the member warehouse, be it empty
}

// Warehouse is the stock of an offer in one warehouse.
type Warehouse struct {
	ID   int64
	Name string
	Figure
}

var (
	errNoWarehouses = errors.New("the answer does not tell the warehouses apart though it was asked to, its figures are those of all of them")
	errTwice        = errors.New("the answer names one warehouse twice")
)

// In returns the figure in a warehouse; 0 is all of them summed. An offer that
// the warehouse does not list has none of it there: whether KeyCRM lists such
// warehouses is not documented.
func (o *Offer) In(warehouse int64) (Figure, error) {
	if o.Err != nil {
		return Figure{}, o.Err
	}
	if warehouse == 0 {
		return o.Figure, nil
	}
	found, f := false, Figure{}
	for _, w := range o.Warehouses {
		if w.ID != warehouse {
			continue
		}
		if found {
			return Figure{}, errTwice
		}
		found, f = true, w.Figure
	}
	// The sum must never pass for the figure of one warehouse.
	if !o.detailed && o.Figure != (Figure{}) {
		return Figure{}, errNoWarehouses
	}
	return f, nil
}

// tolerant are the options under which answers are read: one strange name must
// not lose a page.
func tolerant() []jsontext.Options {
	return []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
}

type wireOffer struct {
	ID         jsontext.Value `json:"id"`
	SKU        jsontext.Value `json:"sku"`
	Quantity   jsontext.Value `json:"quantity"`
	Reserve    jsontext.Value `json:"reserve"`
	Warehouses jsontext.Value `json:"warehouse"`
}

type wireWarehouse struct {
	ID       jsontext.Value `json:"id"`
	Name     jsontext.Value `json:"name"`
	Quantity jsontext.Value `json:"quantity"`
	Reserve  jsontext.Value `json:"reserve"`
}

// decodeOffer reads one row; what is wrong with it is in Err, beside what could
// be read.
func decodeOffer(raw []byte) (o Offer) {
	var w wireOffer
	if err := json.Unmarshal(raw, &w); err != nil {
		return Offer{Err: fmt.Errorf("cannot read the offer: %w", err)}
	}
	var errs []error
	keep := func(field string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("cannot read its %s: %w", field, err))
		}
	}
	var err error
	o.ID, err = integer(w.ID)
	keep("id", err)
	o.SKU, err = text(w.SKU)
	keep("sku", err)
	o.Figure, err = decodeFigure(w.Quantity, w.Reserve)
	keep("stock", err)
	o.Warehouses, err = decodeWarehouses(w.Warehouses)
	keep("warehouses", err)
	o.detailed = w.Warehouses != nil
	o.Err = errors.Join(errs...)
	return o
}

func decodeWarehouses(raw jsontext.Value) ([]Warehouse, error) {
	if raw == nil || raw.Kind() == 'n' {
		return nil, nil
	}
	var rows []wireWarehouse
	if err := json.Unmarshal(raw, &rows); err != nil {
		return nil, err
	}
	list := make([]Warehouse, len(rows))
	for i := range rows {
		var err error
		if list[i].ID, err = integer(rows[i].ID); err != nil {
			return nil, err
		}
		if list[i].Name, err = text(rows[i].Name); err != nil {
			return nil, err
		}
		if list[i].Figure, err = decodeFigure(rows[i].Quantity, rows[i].Reserve); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// decodeFigure wants both members: a reserve that is not told would be taken for
// none, and its goods sold twice. A null reserve is none.
func decodeFigure(quantity, reserve jsontext.Value) (f Figure, err error) {
	if f.Quantity, err = amount(quantity); err != nil {
		return Figure{}, fmt.Errorf("quantity %w", err)
	}
	if reserve.Kind() == 'n' {
		return f, nil
	}
	if f.Reserve, err = amount(reserve); err != nil {
		return Figure{}, fmt.Errorf("reserve %w", err)
	}
	return f, nil
}

var errAbsent = errors.New("is not told")

// amount reads a quantity from its literal text. More than three decimals are
// rounded: the server computes in binary fractions and prints what comes out.
func amount(v jsontext.Value) (stock.Quantity, error) {
	switch v.Kind() {
	case '0':
	case '"':
		unquoted, err := jsontext.AppendUnquote(nil, v)
		if err != nil {
			return 0, err
		}
		v = unquoted
	default:
		return 0, errAbsent
	}
	q, err := stock.ParseQuantity(string(v))
	if err == nil {
		return q, nil
	}
	f, _, bad := big.ParseFloat(string(v), 10, 128, big.ToNearestEven)
	if bad != nil || f.IsInf() || f.MantExp(nil) > 39 { // more than half a million million units
		return 0, err
	}
	half := big.NewFloat(0.5)
	if f.Sign() < 0 {
		half.Neg(half)
	}
	rounded, _ := f.Add(f.Mul(f, big.NewFloat(1000)), half).Int64()
	return stock.Quantity(rounded), nil
}

// text reads a string; a number becomes its digits, null is "".
func text(v jsontext.Value) (string, error) {
	switch v.Kind() {
	case '"':
		b, err := jsontext.AppendUnquote(nil, bytes.ToValidUTF8(v, []byte("\uFFFD")))
		return string(b), err
	case '0':
		return string(v), nil
	case 'n', 0:
		return "", nil
	}
	return "", errors.New("is not text")
}

// integer reads a whole number, also one in quotes.
func integer(v jsontext.Value) (int64, error) {
	s, err := text(v)
	if err != nil {
		return 0, err
	}
	if s == "" {
		return 0, errAbsent
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, errors.New("is not a whole number")
	}
	return n, nil
}
