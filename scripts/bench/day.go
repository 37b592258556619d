//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
)

// day is what an agent writes to the card on a day on which nothing happens.
func (b *bench) day(ctx context.Context) (err error) {
	const most = 20_000_000
	dir, shop, _, err := b.synced(ctx, "day", "ostatok")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shop.stop()) }()
	cmd := exec.CommandContext(ctx, b.binary("idle"), "-config", filepath.Join(dir, "ostatok.toml"))
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return fmt.Errorf("%w\n%s", err, exit.Stderr)
	}
	if err != nil {
		return fmt.Errorf("cannot run the idle day: %w", err)
	}
	var d struct{ Polls, Catalogues, Stored, Written, Tidied int64 }
	if err := json.Unmarshal(out, &d); err != nil {
		return fmt.Errorf("cannot read the idle day: %w", err)
	}
	total := d.Stored + d.Tidied
	b.add(total <= most, "flash, written on an idle day", "≤ 20 MB", "%.1f MB (%d polls, %d catalogues; %.1f MB by write calls; daily tidying %.1f MB)",
		mega(total), d.Polls, d.Catalogues, mega(d.Written), mega(d.Tidied))
	return nil
}
