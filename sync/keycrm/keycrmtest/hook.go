package keycrmtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

// hook is a webhook set up in the cabinet.
type hook struct {
	url        string
	orders     bool    // of order statuses; otherwise of stock
	warehouses []int64 // of stock; none: all of them summed
}

// message is a webhook that is to be posted.
type message struct {
	url    string
	body   []byte
	single bool
}

// mostQueued bounds the webhooks of an account that nobody delivers; older ones
// are lost, as the vendor promises nothing about them.
const mostQueued = 10_000

// AddStockHook posts stock changes to url from now on. Several warehouses, or
// none, are summed into one figure (backends.md §3.7).
func (c *CRM) AddStockHook(url string, warehouses ...int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hooks = append(c.hooks, hook{url: url, warehouses: warehouses})
}

// SetTransport is what webhooks are posted with from now on.
func (c *CRM) SetTransport(t http.RoundTripper) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.o.Transport = t
}

// AddOrderHook posts changes of order statuses to url from now on.
func (c *CRM) AddOrderHook(url string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hooks = append(c.hooks, hook{url: url, orders: true})
}

// changed tells the stock webhooks; changes through the API are told like all
// others, so a writer hears its own echo.
func (c *CRM) changed(warehouse int64, o *offer) {
	for _, h := range c.hooks {
		if h.orders || (len(h.warehouses) > 0 && !slices.Contains(h.warehouses, warehouse)) {
			continue
		}
		var sum figure
		for id, f := range o.figures {
			if len(h.warehouses) == 0 || slices.Contains(h.warehouses, id) {
				sum.quantity += f.quantity
				sum.reserve += f.reserve
			}
		}
		row := map[string]any{"offer_id": o.id, "sku": o.sku,
			"in_stock": json.RawMessage(sum.quantity.String()), "in_reserve": json.RawMessage(sum.reserve.String())}
		if c.o.SingleHook {
			c.enqueue(message{h.url, encode(row), true})
		} else {
			c.enqueue(message{h.url, encode([]any{row}), false})
		}
	}
}

func (c *CRM) orderChanged(o *order) {
	for _, h := range c.hooks {
		if h.orders {
			c.enqueue(message{url: h.url, body: encode(map[string]any{"event": "order.change_order_status", "context": o.fields()})})
		}
	}
}

func (c *CRM) enqueue(m message) {
	if len(c.queue) >= mostQueued {
		c.queue = slices.Delete(c.queue, 0, mostQueued/2)
	}
	c.queue = append(c.queue, m)
	c.stir()
}

// stir wakes Run.
func (c *CRM) stir() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Deliver posts the webhooks that are waiting, in their order. What cannot be
// posted is lost; the error tells of it.
func (c *CRM) Deliver(ctx context.Context) error {
	c.mu.Lock()
	c.settle()
	queue := c.queue
	c.queue = nil
	transport := c.o.Transport
	c.mu.Unlock()
	var errs []error
	for _, m := range queue {
		if err := post(ctx, transport, m); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func post(ctx context.Context, transport http.RoundTripper, m message) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url, bytes.NewReader(m.body))
	if err != nil {
		return fmt.Errorf("cannot post a webhook: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if m.single {
		req.Header.Set("keycrm-webhook", "stocks")
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("cannot post a webhook: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("a webhook was answered with %d", resp.StatusCode)
	}
	return nil
}

// Run posts webhooks as they come, until ctx ends. Failed ones are lost.
func (c *CRM) Run(ctx context.Context) {
	for {
		_ = c.Deliver(ctx) // nobody to tell: the vendor promises nothing either
		c.mu.Lock()
		var next <-chan time.Time
		if len(c.pending) > 0 {
			next = time.After(max(c.pending[0].due.Sub(c.o.Now()), time.Millisecond))
		}
		c.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		case <-next:
		}
	}
}
