package evotor

import (
	"context"
	"fmt"
	"time"

	"ostatok/agent/stock"
	"ostatok/sync/rest"
	"ostatok/sync/target"
)

// Target is the cloud's catalogue of one shop as a system to write to. Keys are
// product ids.
func (c *Client) Target(store string) target.Target {
	return &shop{client: c, store: store}
}

type shop struct {
	client *Client
	store  string
	wrote  time.Time // when the last write was sent, for the pace
}

// fewKeys is up to how many cards are read one by one; a listing is one request
// for a thousand.
const fewKeys = 50

// Traits: batches are small because a figure is computed when its batch is sent,
// and what is sold while the batch is on its way would be overwritten. Reading
// many keys lists the catalogue once, so they are read in one go.
func (s *shop) Traits() target.Traits {
	return target.Traits{Name: "Evotor cloud", Reads: true, Batch: 100, ReadBatch: 100_000, Precision: 1}
}

// Read reads the cards. A card without a quantity counts as not found: the cloud
// does not tell what it holds.
func (s *shop) Read(ctx context.Context, keys []string) ([]target.Observation, error) {
	found := make(map[string]target.Observation, len(keys))
	read := s.list
	if len(keys) <= fewKeys {
		read = s.single
	}
	if err := read(ctx, keys, found); err != nil {
		return nil, err
	}
	out := make([]target.Observation, len(keys))
	for i, key := range keys {
		o, ok := found[key]
		if !ok {
			o = target.Observation{Key: key, At: s.client.opts.Now().UnixMilli()}
		}
		out[i] = o
	}
	return out, nil
}

func (s *shop) single(ctx context.Context, keys []string, found map[string]target.Observation) error {
	for _, key := range keys {
		p, err := s.client.Product(ctx, s.store, key)
		switch rest.KindOf(err) {
		case rest.NotFound, rest.Gone:
			continue
		}
		if err != nil {
			return err
		}
		s.observe(found, key, p)
	}
	return nil
}

// list reads the whole catalogue and keeps what was asked for.
func (s *shop) list(ctx context.Context, keys []string, found map[string]target.Observation) error {
	wanted := make(map[string]bool, len(keys))
	for _, key := range keys {
		wanted[key] = true
	}
	seen := map[string]bool{}
	for cursor := ""; ; {
		p, err := s.client.Products(ctx, s.store, cursor, func(i Item[stock.Product]) error {
			if i.Err == nil && wanted[i.ID] {
				s.observe(found, i.ID, i.Value)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if p.Next == "" {
			return nil
		}
		if seen[p.Next] {
			return &rest.Error{Kind: rest.Protocol, Method: "GET", Path: path("stores", s.store, "products"), Err: errCursor, Detail: errCursor.Error()}
		}
		seen[p.Next] = true
		cursor = p.Next
	}
}

func (s *shop) observe(found map[string]target.Observation, key string, p stock.Product) {
	if !p.HasCloud {
		return
	}
	found[key] = target.Observation{Key: key, Quantity: p.Cloud, Found: true, At: s.client.opts.Now().UnixMilli()}
}

// Write sets the figures one by one: the cloud has no other way that leaves the
// rest of the card alone. What concerns one card is that row's outcome; what
// concerns the token, the shop or the line ends the call, with the outcomes so
// far.
func (s *shop) Write(ctx context.Context, rows []target.Row) ([]target.Outcome, error) {
	out := make([]target.Outcome, 0, len(rows))
	for _, row := range rows {
		if err := s.pace(ctx); err != nil {
			return out, err
		}
		err := s.client.SetQuantity(ctx, s.store, row.Key, row.Quantity)
		if err != nil {
			switch rest.KindOf(err) {
			case rest.NotFound, rest.Gone, rest.Invalid:
			default:
				return out, err
			}
		}
		out = append(out, target.Outcome{Key: row.Key, Err: err})
	}
	return out, nil
}

// pace keeps Options.WritePace between two writes.
func (s *shop) pace(ctx context.Context) error {
	now := s.client.opts.Now()
	if wait := s.client.opts.WritePace - now.Sub(s.wrote); !s.wrote.IsZero() && wait > 0 {
		timer := time.NewTimer(min(wait, s.client.opts.WritePace)) // the clock may have been set back
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return fmt.Errorf("cannot write to the cloud: %w", ctx.Err())
		case <-timer.C:
		}
		now = s.client.opts.Now()
	}
	s.wrote = now
	return nil
}
