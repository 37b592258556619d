package zelenka

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"ostatok/agent/stock"
	"ostatok/sync/rest"
	"ostatok/sync/target"
)

// tally is what batch-update answered, row by row.
type tally struct {
	taken    int64            // as the answer says
	refused  map[string]error // *RowError by key
	nameless int              // errors that name no row that was sent
	absent   bool             // every refusal is about the point of sale
}

// adds tells whether the answer accounts for every row. One point of sale a
// request makes that a rule: with several, the errors of one item in two of them
// would fall together (backends §2.8).
func (t *tally) adds(rows int) bool {
	return t.nameless == 0 && t.taken == int64(rows-len(t.refused))
}

// batch sends rows of one point of sale, whose keys can be written and differ,
// and tells what became of each.
func (c *Client) batch(ctx context.Context, w Warehouse, rows []target.Row) (*tally, error) {
	b := newBody(w)
	sent := make(map[string]bool, len(rows))
	for _, row := range rows {
		if err := b.add(row.Key, pieces(row.Quantity)); err != nil {
			return nil, err
		}
		sent[row.Key] = true
	}
	request, err := b.request()
	if err != nil {
		return nil, err
	}
	request.Repeatable, request.Within = true, target.Fresh
	var t *tally
	err = c.call(ctx, request, func(resp *rest.Response) error {
		t = &tally{refused: make(map[string]error), absent: true}
		var err error
		t.taken, err = decodeAnswer(resp.Body, func(f failure) {
			key, known := f.of(sent)
			if !known {
				t.nameless++
				return
			}
			t.absent = t.absent && isWarehouse(f.text)
			t.refused[key] = &RowError{Key: key, Reason: c.session.hide(f.text)}
		})
		if err != nil {
			return resp.Broken(err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if t.absent && t.taken == 0 && len(t.refused) == len(rows) {
		return nil, &WarehouseError{w}
	}
	return t, nil
}

// of is the row that an entry is about. In a list the place is the id: PHP writes
// a map of the ids 0, 1, 2 so (backends §2.8).
func (f failure) of(sent map[string]bool) (key string, known bool) {
	key = f.id
	if key == "" && f.at >= 0 {
		key = strconv.Itoa(f.at)
	}
	return key, sent[key]
}

// Taken is what /onhand/update says that it took.
type Taken struct {
	Added    bool // 201: there was no figure before; otherwise it was replaced
	Quantity stock.Quantity
}

// Update sets one figure. It tells what was taken, which a batch does not. The
// error is a *rest.Error, *KeyError or about ctx.
func (c *Client) Update(ctx context.Context, w Warehouse, row target.Row) (Taken, error) {
	body, err := newWriter(w).append(nil, row.Key, pieces(row.Quantity))
	if err != nil {
		return Taken{}, &KeyError{row.Key, err}
	}
	var taken Taken
	err = c.call(ctx, rest.Request{Path: "/onhand/update", Header: jsonHeader(), Body: body, Repeatable: true, Within: target.Fresh}, func(resp *rest.Response) error {
		q, err := decodeUpdate(resp.Body)
		if err == nil && resp.Status != http.StatusOK && resp.Status != http.StatusCreated {
			err = errors.New("neither added nor updated")
		}
		if err != nil {
			return resp.Broken(err)
		}
		taken = Taken{Added: resp.Status == http.StatusCreated, Quantity: q}
		return nil
	})
	return taken, err
}

// upload sends a whole point of sale. It is tried once: the next attempt is made
// of newer figures.
func (c *Client) upload(ctx context.Context, b *body, failed func(failure)) (taken int64, err error) {
	request, err := b.request()
	if err != nil {
		return 0, err
	}
	request.Query, request.Within = url.Values{"isfull": {"1"}}, target.Fresh
	err = c.call(ctx, request, func(resp *rest.Response) error {
		n, err := decodeAnswer(resp.Body, failed)
		if err != nil {
			return resp.Broken(err)
		}
		taken = n
		return nil
	})
	return taken, err
}
