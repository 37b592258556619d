package virtpos

import (
	"context"
	"fmt"
)

// Check asks for the warehouse and changes nothing: it tells whether the address,
// the key and the warehouse are right.
func (c *Client) Check(ctx context.Context, o TargetOptions) error {
	w := c.warehouse(o)
	id, err := w.find(ctx)
	switch {
	case isRefusal(err):
		return w.refusesAll(ctx, err)
	case err != nil:
		return fmt.Errorf("cannot ask VirtPOS for its warehouses: %w", err)
	case id == "":
		return w.noWarehouse(nil)
	}
	return nil
}
