package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"ostatok/agent/stock"
	"ostatok/sync/evotor"
)

// waves is how often one shop's cloud is brought to its levels: the whole
// catalogue at first, then what somebody has spoilt.
const waves = 3

// deliver kills an agent that brings the cloud to its levels. The shop stands
// still while it is at it and lives on for some days after each wave.
func (r *round) deliver(ctx context.Context) error {
	if err := r.sandbox.speed(ctx, 0); err != nil {
		return err
	}
	for wave := range waves {
		if wave > 0 {
			if err := r.settle(ctx); err != nil {
				return err
			}
			if err := r.later(ctx, 24*time.Hour, 96*time.Hour); err != nil {
				return err
			}
		}
		if err := errors.Join(r.note(ctx), r.sandbox.faults(ctx, roughWrites)); err != nil {
			return err
		}
		for tries := r.tries(); r.counts[delivery]*waves < r.quota*(wave+1) && tries > 0; tries-- {
			if err := r.killDelivery(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *round) killDelivery(ctx context.Context) error {
	// Rows of which a kill took the answer are looked at again after a while.
	if r.counts[delivery] > 0 && (r.last.underWay == 0 || time.Now().Before(r.last.due)) {
		if err := r.spoil(ctx); err != nil {
			return err
		}
	}
	// The second look at the shop is the one before the figures are sent.
	at := trigger{mark: saysLooking, n: 2, after: r.within(delivery)}
	if r.last.underWay > 0 && r.rng.IntN(4) == 0 {
		at = trigger{after: r.within(delivery)}
	}
	if err := r.kill(ctx, delivery, "auto", at); err != nil {
		return err
	}
	return r.judgeWrites(ctx)
}

// spoilt is what an accounting program that went wrong writes over figures.
const spoilt = 900_000*stock.Unit + 1

// spoil writes over the cloud's figures of a part of the catalogue, which the
// agent has to bring back.
func (r *round) spoil(ctx context.Context) error {
	_, products, err := r.sandbox.truth(ctx)
	if err != nil {
		return err
	}
	if err := r.sandbox.faults(ctx, nil); err != nil {
		return err
	}
	client, err := evotor.New(evotor.Options{URL: r.sandbox.URL, Token: r.sandbox.Token})
	if err != nil {
		return fmt.Errorf("cannot spoil the cloud's figures: %w", err)
	}
	defer client.Close()
	for _, id := range slices.Sorted(maps.Keys(products)) {
		if products[id].Told == nil || r.rng.IntN(3) > 0 {
			continue
		}
		if err := client.SetQuantity(ctx, r.sandbox.Store, id, spoilt); err != nil {
			return fmt.Errorf("cannot spoil the cloud's figures: %w", err)
		}
	}
	return r.sandbox.faults(ctx, roughWrites)
}
