package keycrm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"ostatok/sync/rest"
)

// ErrUnsteady is the cause of a sweep that was given up because the list changed
// under way every time: rows move between its pages then, and some may never
// have been seen. It may go better at a quieter hour; reading by SKU does not
// depend on it.
var ErrUnsteady = errors.New("the list of offers changed each time while it was read, its pages do not fit together")

// passesMost is how often a sweep is begun.
const passesMost = 3

// Sweep reads the stock of every offer. begin is called before the first row,
// and again whenever the sweep starts over: forget then what each was given.
// When it returns nil the list held still as far as can be seen from outside —
// pages are cut by position, so an offer that left and another that came
// between two pages can hide a third. An offer that is missing is therefore one
// about which nothing is known, never one with nothing in stock.
func (c *Client) Sweep(ctx context.Context, begin func(), each func(Offer) error) error {
	return c.steadily(ctx, nil, begin, each)
}

func (c *Client) steadily(ctx context.Context, filter url.Values, begin func(), each func(Offer) error) error {
	moved := ""
	for range passesMost {
		begin()
		var err error
		if moved, err = c.pass(ctx, filter, each); err != nil || moved == "" {
			return err
		}
		c.opts.Log.Info().Str("because", moved).Msg("keycrm sweep starts over")
	}
	return &rest.Error{Kind: rest.Temporary, Method: http.MethodGet, Path: stocksPath, Status: http.StatusOK,
		Err: ErrUnsteady, Detail: ErrUnsteady.Error() + ": " + moved}
}

// pass reads all pages once. It returns why they do not fit together.
func (c *Client) pass(ctx context.Context, filter url.Values, each func(Offer) error) (moved string, err error) {
	seen := make(map[int64]bool)
	total, rows := int64(-1), int64(0)
	for n := int64(1); ; n++ {
		p, err := c.page(ctx, filter, n)
		if err != nil {
			return "", err
		}
		if n == 1 {
			total = p.total
		}
		if p.total != total {
			return fmt.Sprintf("there were %d offers, on page %d there are %d", total, n, p.total), nil
		}
		for _, o := range p.offers {
			if o.ID != 0 && seen[o.ID] {
				return fmt.Sprintf("offer %d comes again on page %d", o.ID, n), nil
			}
			seen[o.ID] = true
			rows++
			if err := each(o); err != nil {
				return "", err
			}
		}
		switch {
		case p.more:
		case total >= 0 && rows != total:
			return fmt.Sprintf("%d offers came where %d were announced", rows, total), nil
		default:
			return "", nil
		}
	}
}
