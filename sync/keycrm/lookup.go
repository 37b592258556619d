package keycrm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"ostatok/sync/rest"
)

// ErrIgnored is the cause of an answer in which the server has passed over our
// filter and lists everything. It does so silently with filters that it does not
// know (backends.md §3.3), so every answer is checked against the question.
var ErrIgnored = errors.New("the server ignores the filter and lists offers nobody asked for")

// longestFilter bounds a list in a URL, escaped: proxies refuse long ones, and
// one Cyrillic letter is six characters there.
const longestFilter = 3000

// Askable tells whether a SKU can be asked for: the filter is a list with
// commas, and the framework behind it trims what it is given.
func Askable(sku string) bool {
	return sku != "" && !strings.Contains(sku, ",") && strings.TrimSpace(sku) == sku
}

// BySKU reads the offers of SKUs, which must be Askable. One SKU may have
// several offers or none.
func (c *Client) BySKU(ctx context.Context, skus []string, each func(Offer) error) error {
	for _, sku := range skus {
		if !Askable(sku) {
			return fmt.Errorf("cannot ask KeyCRM for the SKU %q: it is empty or holds a comma or spaces at its ends", sku)
		}
	}
	return c.lookup(ctx, "filter[offers_sku]", skus, func(o Offer) string { return o.SKU }, each)
}

// ByID reads offers by their ids.
func (c *Client) ByID(ctx context.Context, ids []int64, each func(Offer) error) error {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = strconv.FormatInt(id, 10)
	}
	return c.lookup(ctx, "filter[offers_id]", list, func(o Offer) string { return strconv.FormatInt(o.ID, 10) }, each)
}

// lookup asks in parts whose answers fit on one page, so that no paging can tear
// them.
func (c *Client) lookup(ctx context.Context, filter string, keys []string, key func(Offer) string, each func(Offer) error) error {
	for len(keys) > 0 {
		n, size := 0, 0
		for n < len(keys) && n < c.opts.PageRows {
			size += len(url.QueryEscape(keys[n])) + len("%2C")
			if size > longestFilter && n > 0 {
				break
			}
			n++
		}
		offers, err := c.part(ctx, filter, keys[:n], key)
		if err != nil {
			return err
		}
		for _, o := range offers {
			if err := each(o); err != nil {
				return err
			}
		}
		keys = keys[n:]
	}
	return nil
}

// part returns the offers of the keys. Others in the answer are a different
// spelling of a key, which a database may take for the same, or the filter was
// ignored. In an answer that ends with its first page that makes no difference:
// what was asked for and is not there does not exist. A longer answer with
// strangers in it is not believed, nor read to its end.
func (c *Client) part(ctx context.Context, filter string, keys []string, key func(Offer) string) ([]Offer, error) {
	asked := make(map[string]bool, len(keys))
	for _, k := range keys {
		asked[k] = true
	}
	query := url.Values{filter: {strings.Join(keys, ",")}}
	p, err := c.page(ctx, query, 1)
	if err != nil {
		return nil, err
	}
	var offers []Offer
	begin := func() { offers = offers[:0] }
	keep := func(o Offer) error {
		if asked[key(o)] {
			offers = append(offers, o)
			return nil
		}
		c.opts.Log.Warn().Str("filter", filter).Int64("offer", o.ID).Msg("keycrm answers with an offer nobody asked for")
		if p.more {
			return &rest.Error{Kind: rest.Protocol, Method: http.MethodGet, Path: stocksPath, Status: http.StatusOK,
				Err: ErrIgnored, Detail: ErrIgnored.Error() + ": " + filter}
		}
		return nil
	}
	for _, o := range p.offers {
		if err := keep(o); err != nil {
			return nil, err
		}
	}
	switch {
	case p.more: // many offers of one SKU: all of them, from the beginning
		err = c.steadily(ctx, query, begin, keep)
	case p.total >= 0 && p.total != int64(len(p.offers)):
		err = &rest.Error{Kind: rest.Protocol, Method: http.MethodGet, Path: stocksPath, Status: http.StatusOK,
			Err: errShort, Detail: errShort.Error()}
	}
	return offers, err
}

var errShort = errors.New("the answer has fewer or more rows than it announces")
