package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"ostatok/agent/stock"
	"ostatok/sync/keycrm"
	"ostatok/sync/rest"
)

// reserveFeed is what is known of the reserves of one KeyCRM warehouse, and what
// is to be read next.
type reserveFeed struct {
	client    *keycrm.Client
	warehouse int64
	rate      int // requests a minute, of the account
	now       func() time.Time

	whole chan struct{} // held by the one who reads everything
	turn  chan struct{} // held from a question until its answer is kept: answers stay in order
	wake  chan struct{} // something was marked

	mu      sync.Mutex
	known   map[string]promise // by SKU; nil until the catalogue was looked through
	lesson  int64              // of the matcher, under which it was
	gone    []string           // products with a reserve that have no SKU any more
	skus    map[string]bool    // to be read
	offers  map[int64]bool     // whose SKUs are to be read
	orders  map[int64]bool     // whose products' SKUs are to be read
	crowded bool               // more was marked than is kept: read everything
	readAt  int64              // when the last complete reading began, epoch ms, 0: never
	failed  error              // of the last reading, nil when it was good
}

// promise is what is known of a SKU.
type promise struct {
	product  string
	quantity stock.Quantity
	told     bool // quantity means something
}

// marksMost is how much of a kind is kept to be read: whoever knows the address
// of a webhook can send as many as they like.
const marksMost = 2000

func newReserveFeed(c *keycrm.Client, warehouse int64, rate int, now func() time.Time) *reserveFeed {
	return &reserveFeed{
		client: c, warehouse: warehouse, rate: rate, now: now,
		whole: make(chan struct{}, 1), turn: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		skus: make(map[string]bool), offers: make(map[int64]bool), orders: make(map[int64]bool),
	}
}

// enter waits until a room of one is free.
func enter(ctx context.Context, room chan struct{}) (leave func(), err error) {
	select {
	case room <- struct{}{}:
		return func() { <-room }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("cannot read the reserves: %w", ctx.Err())
	}
}

// read asks for SKUs and hands over the reserves by product.
func (f *reserveFeed) read(ctx context.Context, skus []string, keep func(map[string]stock.Quantity) error) error {
	leave, err := enter(ctx, f.turn)
	if err != nil {
		return err
	}
	defer leave()
	read, err := f.client.Reserves(ctx, f.warehouse, skus)
	if err != nil {
		return err
	}
	byProduct := make(map[string]stock.Quantity, len(read))
	f.mu.Lock()
	for sku, q := range read {
		if p, ours := f.known[sku]; ours {
			f.known[sku] = promise{p.product, q, true}
			byProduct[p.product] = q
		}
	}
	f.mu.Unlock()
	return keep(byProduct)
}

// matches tells whether the SKUs are those of a lesson of the matcher.
func (f *reserveFeed) matches(lesson int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.known != nil && f.lesson == lesson
}

// match takes over which SKUs are the shop's under a lesson of the matcher. One
// that is new since the last time is marked, because nobody has asked for it yet.
func (f *reserveFeed) match(lesson int64, skus map[string]string, gone []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lesson, f.gone = lesson, gone
	known := make(map[string]promise, len(skus))
	for sku, product := range skus {
		before, had := f.known[sku]
		if had && before.product == product {
			known[sku] = before
			continue
		}
		known[sku] = promise{product: product}
		if f.known != nil {
			f.crowded = !add(f.skus, sku) || f.crowded
		}
	}
	f.known = known
}

// begin begins a complete reading: what was marked so far is part of it.
func (f *reserveFeed) begin() (skus, gone []string, began int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.skus)
	f.crowded = false
	return slices.Sorted(maps.Keys(f.known)), f.gone, f.now().UnixMilli()
}

// done ends a complete reading that began at (epoch ms).
func (f *reserveFeed) done(at int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readAt, f.failed = at, nil
}

// note keeps why the last reading failed.
func (f *reserveFeed) note(err error) {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = err
}

func (f *reserveFeed) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

// heard is when the last complete reading began, epoch ms, 0 for never.
func (f *reserveFeed) heard() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.readAt
}

// age is how old the last complete reading is; ok is false when nobody can tell.
func (f *reserveFeed) age() (age time.Duration, ok bool) {
	at := f.heard()
	age = f.now().Sub(time.UnixMilli(at))
	return age, at != 0 && age >= 0
}

// cost is how long reading everything takes at the account's rate.
func (f *reserveFeed) cost() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	requests := (len(f.known) + keycrm.PageRows - 1) / keycrm.PageRows
	return time.Duration(requests) * time.Minute / time.Duration(f.rate)
}

// every is how often everything is read: as often as half of the rate allows.
func (f *reserveFeed) every() time.Duration { return max(reservesLeast, 2*f.cost()) }

// left is how long it is until everything is read again.
func (f *reserveFeed) left() time.Duration {
	age, ok := f.age()
	f.mu.Lock()
	crowded := f.crowded
	f.mu.Unlock()
	if !ok || crowded {
		return 0
	}
	return f.every() - age
}

// add puts a mark into its set, and tells whether there was room.
func add[K comparable](set map[K]bool, key K) bool {
	if len(set) >= marksMost && !set[key] {
		return false
	}
	set[key] = true
	return true
}

// mark has SKUs read soon.
func (f *reserveFeed) mark(skus ...string) {
	f.mu.Lock()
	for _, sku := range skus {
		if _, ours := f.known[sku]; ours { // others are no business of this shop
			f.crowded = !add(f.skus, sku) || f.crowded
		}
	}
	f.mu.Unlock()
	f.stir()
}

// stir wakes the one who reads.
func (f *reserveFeed) stir() {
	select {
	case f.wake <- struct{}{}:
	default: // is awake already
	}
}

// marked takes up to most SKUs out of those that were marked.
func (f *reserveFeed) marked(most int) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	skus := slices.Sorted(maps.Keys(f.skus))
	skus = skus[:min(most, len(skus))]
	for _, sku := range skus {
		delete(f.skus, sku)
	}
	return skus
}

// resolve finds the SKUs of marked offers and orders. Those that are not to be
// had any more are dropped, and so are those that do not answer: the next
// complete reading knows of their effect.
func (f *reserveFeed) resolve(ctx context.Context) error {
	f.mu.Lock()
	offers := slices.Sorted(maps.Keys(f.offers))
	orders := slices.Sorted(maps.Keys(f.orders))
	clear(f.offers)
	clear(f.orders)
	f.mu.Unlock()
	var skus []string
	var failed error
	if len(offers) > 0 {
		failed = f.client.ByID(ctx, offers, func(o keycrm.Offer) error {
			skus = append(skus, o.SKU)
			return nil
		})
	}
	for _, id := range orders {
		order, err := f.client.Order(ctx, id)
		switch rest.KindOf(err) {
		case rest.NotFound, rest.Gone:
			continue
		}
		if err != nil {
			failed = err
			break
		}
		skus = append(skus, order.SKUs()...)
	}
	f.mark(skus...)
	if failed != nil {
		f.mu.Lock()
		f.crowded = true
		f.mu.Unlock()
	}
	return failed
}
