package evotor

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"ostatok/agent/stock"
	"ostatok/sync/rest"
	"ostatok/sync/target"
)

// SetQuantity sets the stock of one product in the cloud. The figure is absolute
// and there is no precondition: a sale in flight may be overwritten (evotor-cloud
// §9), so read the documents first and the card afterwards.
func (c *Client) SetQuantity(ctx context.Context, store, product string, q stock.Quantity) error {
	body := append([]byte(`{"quantity":`), q.String()...)
	_, _, err := c.read(ctx, rest.Request{
		Method: http.MethodPatch, Path: path("stores", store, "products", product), Budget: "product",
		Header: http.Header{"Content-Type": {mediaType}}, Body: append(body, '}'), Within: target.Fresh,
	})
	return err
}

// Limits of one bulk request (evotor-cloud §1, §9).
const (
	BulkRows  = 1000
	BulkBytes = 10 << 20
)

// ReplaceProducts creates or replaces whole cards: members that are not sent are
// lost, so send what WithQuantity made of a card just read. At most BulkRows
// cards and BulkBytes bytes. The work is done later: see WaitTask.
func (c *Client) ReplaceProducts(ctx context.Context, store string, cards []jsontext.Value) (Task, error) {
	switch {
	case len(cards) == 0:
		return Task{}, errors.New("cannot replace products: no card given")
	case len(cards) > BulkRows:
		return Task{}, fmt.Errorf("cannot replace products: %d cards, at most %d at once", len(cards), BulkRows)
	}
	size := 2
	for _, card := range cards {
		size += len(card) + 1
	}
	if size > BulkBytes {
		return Task{}, fmt.Errorf("cannot replace products: %d bytes, at most %d at once", size, BulkBytes)
	}
	body := make([]byte, 0, size)
	for i, card := range cards {
		body = append(body, "[,"[min(i, 1)])
		body = append(body, card...)
	}
	resp, answer, err := c.read(ctx, rest.Request{
		Method: http.MethodPut, Path: path("stores", store, "products"), Budget: "products",
		Header: http.Header{"Content-Type": {bulkMediaType}}, Body: append(body, ']'),
	})
	if err != nil {
		return Task{}, err
	}
	return readTask(resp, answer)
}

// WithQuantity returns a card as it was read with another quantity, fit to be
// sent back: without nulls, which the cloud does not take, and without the
// members that are the server's own (evotor-cloud §1, §8).
func WithQuantity(card []byte, q stock.Quantity) (jsontext.Value, error) {
	if err := checkObject(card); err != nil {
		return nil, fmt.Errorf("cannot use the card: %w", err)
	}
	out := append(make([]byte, 0, len(card)+24), `{"quantity":`...)
	out = append(out, q.String()...)
	c := cursor{text: card}
	for c.enter(); c.more(); {
		quoted := c.skip()
		value := c.skip()
		switch string(quoted) {
		case `"quantity"`, `"store_id"`, `"user_id"`, `"created_at"`, `"updated_at"`:
			continue
		}
		if value[0] == 'n' {
			continue
		}
		out = append(out, ',')
		out = append(out, quoted...)
		out = append(out, ':')
		out = append(out, value...)
	}
	return append(out, '}'), nil
}
