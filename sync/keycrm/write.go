package keycrm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"ostatok/agent/stock"
	"ostatok/sync/rest"
)

// Row is one figure to set. The offer is named by its id or, when that is 0, by
// its SKU.
type Row struct {
	Offer    int64
	SKU      string
	Quantity stock.Quantity // all that is there, reserved goods included
}

var errNotAccepted = errors.New(`the answer is not {"status":true}, the figures were not accepted`)

// SetStocks brings the rows of one warehouse to their figures, at most
// BatchRows. nil means accepted, no more: KeyCRM does not tell what became of
// single rows, passes over SKUs that it does not know, and shows the figures
// some time later. Only a later reading proves them (backends.md §3.4). Every
// changed row leaves a movement in the account, so do not send unchanged ones.
//
// It is sent once: after a failure that may pass the figures should be computed
// anew, because goods may have been sold while the line was down. For the same
// reason a pause that the server asks for is not waited out but returned.
func (c *Client) SetStocks(ctx context.Context, warehouse int64, rows []Row) error {
	switch {
	case warehouse <= 0:
		return fmt.Errorf("cannot set stock in warehouse %d: its id is above 0", warehouse)
	case len(rows) == 0 || len(rows) > BatchRows:
		return fmt.Errorf("cannot set %d rows: at least one and at most %d", len(rows), BatchRows)
	}
	body, err := encodeRows(warehouse, rows)
	if err != nil {
		return err
	}
	r := rest.Request{Method: http.MethodPut, Path: stocksPath, Body: body, Header: http.Header{"Content-Type": {"application/json"}}}
	return c.once(ctx, r, 0, func(resp *rest.Response) error {
		var answer struct {
			Status jsontext.Value `json:"status"`
		}
		err := json.NewDecoder(resp.Body).Decode(&answer)
		if err == nil && string(answer.Status) != "true" {
			err = errNotAccepted
		}
		if err != nil {
			return resp.Broken(err)
		}
		return nil
	})
}

func encodeRows(warehouse int64, rows []Row) ([]byte, error) {
	b := make([]byte, 0, 64+len(rows)*48)
	b = append(b, `{"warehouse_id":`...)
	b = strconv.AppendInt(b, warehouse, 10)
	b = append(b, `,"stocks":[`...)
	for i, row := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		switch {
		case row.Offer != 0:
			b = append(b, `{"id":`...)
			b = strconv.AppendInt(b, row.Offer, 10)
		case row.SKU != "":
			b = append(b, `{"sku":`...)
			var err error
			if b, err = jsontext.AppendQuote(b, row.SKU); err != nil {
				return nil, fmt.Errorf("cannot send the SKU %q: %w", row.SKU, err)
			}
		default:
			return nil, fmt.Errorf("cannot set row %d: it names no offer", i)
		}
		b = append(b, `,"quantity":`...)
		b = append(b, row.Quantity.String()...)
		b = append(b, '}')
	}
	return append(b, "]}"...), nil
}
