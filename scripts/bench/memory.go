//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// memory is the resident size on a box of 32 bits: at the peak of a first sync,
// and of an agent that polls a shop where nothing happens.
func (b *bench) memory(ctx context.Context) error {
	const mostPeak, mostIdle = 48 << 20, 25 << 20
	var peaks, idles []int64
	for range b.runs {
		peak, idle, err := b.resident(ctx)
		if err != nil {
			return err
		}
		peaks, idles = append(peaks, peak), append(idles, idle)
	}
	peak, idle := median(peaks), median(idles)
	b.add(peak <= mostPeak, "memory, peak of a first sync of 100 k documents (386)", "≤ 48 MB RSS", "%.1f MB", mebi(peak))
	b.add(idle <= mostIdle, "memory, idle, 20 k products, 100 k documents (386)", "≤ 25 MB RSS", "%.1f MB", mebi(idle))
	return nil
}

func (b *bench) resident(ctx context.Context) (peak, idle int64, err error) {
	dir, shop, u, err := b.synced(ctx, "memory", "ostatok-386")
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, shop.stop()) }()
	pid, stop, err := start(b.binary("ostatok-386"), filepath.Join(dir, "run.log"), "--config", filepath.Join(dir, "ostatok.toml"), "run")
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := wait(ctx, 45*time.Second); err != nil {
		return 0, 0, err
	}
	var sizes []int64
	for range 45 {
		if err := wait(ctx, time.Second); err != nil {
			return 0, 0, err
		}
		size, err := memory(pid, "VmRSS")
		if err != nil {
			return 0, 0, fmt.Errorf("the agent that ran: %w", err)
		}
		sizes = append(sizes, size)
	}
	say("  ostatok-386 run: %.1f MB resident, %.1f to %.1f", mebi(median(sizes)), mebi(slices.Min(sizes)), mebi(slices.Max(sizes)))
	return u.peak, median(sizes), nil
}
