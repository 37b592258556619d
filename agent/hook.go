package agent

import (
	"context"
	"crypto/subtle"

	"ostatok/agent/local"
	"ostatok/agent/stock"
	"ostatok/sync/keycrm"
)

// The kinds of webhooks that KeyCRM sends.
const (
	HookStocks = "stocks"
	HookOrders = "orders"
)

// HookTarget returns the target whose webhooks carry the secret in their address.
func (a *Agent) HookTarget(secret string) (name string, ok bool) {
	for _, b := range a.backends.list {
		own := b.HookSecret.Reveal()
		// All are compared, and as a whole: the time tells nothing of a secret.
		if subtle.ConstantTimeCompare([]byte(own), []byte(secret)) == 1 && own != "" {
			name, ok = b.Name, true
		}
	}
	return name, ok
}

// Hook takes a webhook of a target. Webhooks are not signed and may be late,
// repeated or forged, so nothing in them is believed: they only say what is worth
// reading. The error is a *local.Error.
func (a *Agent) Hook(_ context.Context, name, kind string, body []byte) error {
	b := a.backends.named(name)
	if b == nil || b.reserves == nil {
		return &local.Error{Code: local.NotFound, Message: "target " + name + " takes no webhooks: it reads no reserves"}
	}
	f := b.reserves
	switch kind {
	case HookStocks:
		changes, err := keycrm.DecodeChanges(body)
		if err != nil {
			return &local.Error{Code: local.Refused, Message: err.Error()}
		}
		f.changed(changes)
	case HookOrders:
		event, err := keycrm.DecodeOrderEvent(body)
		if err != nil {
			return &local.Error{Code: local.Refused, Message: err.Error()}
		}
		f.ordered(event.Order)
	default:
		return &local.Error{Code: local.NotFound, Message: "there are no webhooks of the kind " + kind}
	}
	return nil
}

// changed marks what a stock webhook tells of. Echoes of our own writes are left
// out.
func (f *reserveFeed) changed(changes []keycrm.Change) {
	skus, offers := f.client.ToRead(changes, func(sku string) (stock.Quantity, bool) {
		f.mu.Lock()
		defer f.mu.Unlock()
		p := f.known[sku]
		return p.quantity, p.told
	})
	f.mu.Lock()
	for _, id := range offers {
		f.crowded = !add(f.offers, id) || f.crowded
	}
	f.mu.Unlock()
	f.mark(skus...)
}

// ordered marks an order: its products are not told, but can be asked for.
func (f *reserveFeed) ordered(id int64) {
	f.mu.Lock()
	f.crowded = !add(f.orders, id) || f.crowded
	f.mu.Unlock()
	f.stir()
}
