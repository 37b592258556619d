package keycrm

import "context"

// Check reads one page of stock and changes nothing. known tells whether an offer
// on it is kept in the warehouse; when it is not, that may be the wrong number or
// a warehouse that holds little: there is no list of warehouses to ask for.
func (c *Client) Check(ctx context.Context, warehouse int64) (known bool, err error) {
	p, err := c.page(ctx, nil, 1)
	if err != nil {
		return false, err
	}
	for _, o := range p.offers {
		for _, w := range o.Warehouses {
			known = known || w.ID == warehouse
		}
	}
	return known, nil
}
