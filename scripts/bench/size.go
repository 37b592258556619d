//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// size is what a box downloads and keeps.
func (b *bench) size(ctx context.Context) error {
	const most, mostPacked = 14_000_000, 4_500_000
	file := b.binary("ostatok-arm")
	info, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("cannot look at the binary: %w", err)
	}
	packed, err := packedSize(ctx, file)
	if err != nil {
		return err
	}
	b.add(info.Size() <= most, "`ostatok`, linux/arm, stripped", "≤ 14 MB", "%.2f MB", mega(info.Size()))
	b.add(packed <= mostPacked, "… packed by xz", "≤ 4.5 MB", "%.2f MB", mega(packed))
	return nil
}

func packedSize(ctx context.Context, file string) (int64, error) {
	cmd := exec.CommandContext(ctx, "xz", "-9", "--stdout", file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, fmt.Errorf("cannot run xz: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("cannot run xz: %w", err)
	}
	n, err := io.Copy(io.Discard, out)
	if err != nil {
		return 0, fmt.Errorf("cannot read from xz: %w", err)
	}
	if err := cmd.Wait(); err != nil {
		return 0, fmt.Errorf("xz: %w", err)
	}
	return n, nil
}
