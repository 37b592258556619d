//go:build linux

// Command bench measures the budgets that the design promises, prints a table of
// promised beside measured and fails when a budget is broken. run.sh builds what
// it measures; README.md says how each figure comes about.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// The shop of every measurement (design: budgets).
const (
	terminals = 2
	products  = 20_000
	documents = 100_000
	months    = 6
)

// bench is one run of all measurements.
type bench struct {
	dir  string // binaries, and the data of each measurement
	runs int    // a figure is the median of so many
	rows []row
}

// row is a line of the table.
type row struct {
	budget, promised, measured string
	ok                         bool
}

func main() {
	dir := flag.String("dir", "", "where run.sh put the binaries, and where data may go")
	runs := flag.Int("runs", 3, "runs of which each figure is the median")
	soft := flag.Bool("soft", false, "only report: a broken budget is not a failure")
	only := flag.String("only", "", "measure only these, by name: size,fold,sync,memory,day,page")
	flag.Parse()
	if *dir == "" || *runs < 1 {
		fmt.Fprintln(os.Stderr, "bench: run scripts/bench/run.sh")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := &bench{dir: *dir, runs: *runs}
	if err := b.all(ctx, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	b.print()
	if slices.ContainsFunc(b.rows, func(r row) bool { return !r.ok }) && !*soft {
		os.Exit(1)
	}
}

func (b *bench) all(ctx context.Context, only string) error {
	if err := b.onDisk(); err != nil {
		return err
	}
	for _, m := range []struct {
		name    string
		measure func(context.Context) error
	}{
		{"size", b.size}, {"memory", b.memory}, {"sync", b.sync}, {"fold", b.fold}, {"day", b.day}, {"page", b.page},
	} {
		if only != "" && !slices.Contains(strings.Split(only, ","), m.name) {
			continue
		}
		say("%s", m.name)
		if err := m.measure(ctx); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}

// onDisk refuses a directory in memory: nothing is written to storage there.
func (b *bench) onDisk() error {
	const tmpfs = 0x01021994
	var fs syscall.Statfs_t
	if err := syscall.Statfs(b.dir, &fs); err != nil {
		return fmt.Errorf("cannot look at %s: %w", b.dir, err)
	}
	if fs.Type == tmpfs {
		return errors.New(b.dir + " is in memory; set BENCH_DIR to a directory on a disk")
	}
	return nil
}

func (b *bench) binary(name string) string { return filepath.Join(b.dir, name) }

// fresh makes an empty directory for one measurement, without an earlier one's
// data waiting to be written under it.
func (b *bench) fresh(name string) (string, error) {
	dir := filepath.Join(b.dir, name)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return "", fmt.Errorf("cannot make %s: %w", dir, err)
	}
	syscall.Sync()
	return dir, nil
}

func (b *bench) add(ok bool, budget, promised, measured string, args ...any) {
	b.rows = append(b.rows, row{budget, promised, fmt.Sprintf(measured, args...), ok})
}

func (b *bench) print() {
	fmt.Println("| budget | promised | measured | ok |")
	fmt.Println("|---|---|---|---|")
	for _, r := range b.rows {
		ok := "yes"
		if !r.ok {
			ok = "**no**"
		}
		fmt.Printf("| %s | %s | %s | %s |\n", r.budget, r.promised, r.measured, ok)
	}
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// median of figures; the lower of the middle two, so that it is one that was
// measured.
func median[T int64 | float64 | time.Duration](figures []T) T {
	sorted := slices.Sorted(slices.Values(figures))
	return sorted[(len(sorted)-1)/2]
}

// mega is bytes in MB of 10^6, for files; mebi in MB of 2^20, for memory.
func mega(n int64) float64 { return float64(n) / 1e6 }
func mebi(n int64) float64 { return float64(n) / (1 << 20) }
