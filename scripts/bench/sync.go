//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// sync is a first sync beside the floor and beside a straightforward mirror,
// each in its turn, and what it wrote to the card.
func (b *bench) sync(ctx context.Context) error {
	const mostFloors, leastPython, mostWritten = 3.0, 2.0, 4.0
	var ours, floor, python []time.Duration
	var written, calls, kept []float64 // bytes a document
	for range b.runs {
		r, err := b.round(ctx)
		if err != nil {
			return err
		}
		ours, floor, python = append(ours, r.ours.wall), append(floor, r.floor.wall), append(python, r.python.wall)
		count := float64(r.documents)
		written, calls, kept = append(written, float64(r.ours.stored)/count), append(calls, float64(r.ours.written)/count), append(kept, float64(r.size)/count)
	}
	o, f, p := median(ours), median(floor), median(python)
	floors, times := o.Seconds()/f.Seconds(), p.Seconds()/o.Seconds()
	b.add(floors <= mostFloors, "first sync of 100 k documents × 3 lines, beside the floor (curl + sqlite3)", "≤ 3 ×",
		"%.1f × (%.1f s : %.1f s)", floors, o.Seconds(), f.Seconds())
	b.add(times >= leastPython, "… beside a straightforward Python mirror", "≥ 2 × as fast",
		"%.1f × (%.1f s : %.1f s)", times, o.Seconds(), p.Seconds())
	w, c, k := median(written), median(calls), median(kept)
	b.add(w <= mostWritten*k, "flash, written in a first sync beside what is stored", "≤ 4 ×",
		"%.1f × (%.0f B : %.0f B a document; %.1f × by write calls)", w/k, w, k, c/k)
	return nil
}

// round is one turn of all three.
type round struct {
	ours, floor, python used
	documents           int64
	size                int64 // of the mirror, bytes
}

func (b *bench) round(ctx context.Context) (r round, err error) {
	dir, shop, u, err := b.synced(ctx, "ours", "ostatok")
	if err != nil {
		return round{}, err
	}
	defer func() { err = errors.Join(err, shop.stop()) }()
	r.ours = u
	mirror := filepath.Join(dir, "data", "mirror.db")
	info, err := os.Stat(mirror)
	if err != nil {
		return r, fmt.Errorf("cannot look at the mirror: %w", err)
	}
	r.size = info.Size()
	if r.documents, err = count(ctx, mirror, "document"); err != nil {
		return r, err
	}

	if dir, err = b.fresh("python"); err != nil {
		return r, err
	}
	file := filepath.Join(dir, "mirror.db")
	if r.python, err = b.peer(ctx, "python3", "scripts/bench/mirror.py", shop.URL, shop.Store, shop.Token, file); err != nil {
		return r, err
	}
	rows := filepath.Join(b.dir, "rows")
	if err := export(ctx, file, rows); err != nil { // each turn has a shop of its own
		return r, err
	}
	if err := same(ctx, r.documents, file); err != nil {
		return r, err
	}

	if dir, err = b.fresh("floor"); err != nil {
		return r, err
	}
	if r.floor, err = b.peer(ctx, "scripts/bench/floor.sh", shop.URL, shop.Store, shop.Token, rows, dir); err != nil {
		return r, err
	}
	return r, same(ctx, r.documents, filepath.Join(dir, "floor.db"))
}

func (b *bench) peer(ctx context.Context, name string, args ...string) (used, error) {
	u, err := watch(ctx, name, args...)
	if err == nil {
		say("  %s: %.1f s, %.1f s of CPU", name, u.wall.Seconds(), u.cpu.Seconds())
	}
	return u, err
}

// same refuses to compare peers that did not do the same work.
func same(ctx context.Context, documents int64, file string) error {
	n, err := count(ctx, file, "document")
	if err == nil && n != documents {
		err = fmt.Errorf("%s has %d documents, ours has %d", file, n, documents)
	}
	return err
}

func count(ctx context.Context, file, table string) (int64, error) {
	out, err := exec.CommandContext(ctx, "sqlite3", file, "SELECT count(*) FROM "+table).Output()
	if err != nil {
		return 0, fmt.Errorf("cannot count the rows of %s: %w", file, err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("cannot count the rows of %s: %w", file, err)
	}
	return n, nil
}

// export writes the rows that the floor loads, from what the mirror in Python
// made of the same shop.
func export(ctx context.Context, file, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot make %s: %w", dir, err)
	}
	var script strings.Builder
	script.WriteString(".mode csv\n")
	for _, table := range []string{"product", "document", "line"} {
		fmt.Fprintf(&script, ".once '%s'\nSELECT * FROM %s;\n", filepath.Join(dir, table+".csv"), table)
	}
	cmd := exec.CommandContext(ctx, "sqlite3", "-bail", file)
	cmd.Stdin = strings.NewReader(script.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot export rows: %w\n%s", err, out)
	}
	return nil
}
