package zelenka

import "context"

// Check logs in and changes nothing. Whether the point of sale exists cannot be
// asked for: only a write tells.
func (c *Client) Check(ctx context.Context) error {
	_, err := c.session.token(ctx, "")
	return err
}
