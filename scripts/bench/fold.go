//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// fold is the time from documents to levels, by the benchmarks of the mirror.
func (b *bench) fold(ctx context.Context) error {
	const mostOne, mostAll = 100 * time.Millisecond, 2 * time.Second
	one, err := b.benchmark(ctx, "BenchmarkOneDocument", "200x")
	if err != nil {
		return err
	}
	all, err := b.benchmark(ctx, "BenchmarkRefold", "2x")
	if err != nil {
		return err
	}
	b.add(one <= mostOne, "one new document → level", "≤ 100 ms", "%.1f ms", float64(one.Microseconds())/1000)
	b.add(all <= mostAll, "re-fold of everything, 300 k lines", "≤ 2 s", "%.2f s", all.Seconds())
	return nil
}

// benchmark runs one benchmark and returns the median time of an operation.
func (b *bench) benchmark(ctx context.Context, name, times string) (time.Duration, error) {
	dir, err := b.fresh("fold") // the benchmarks' files: on the disk too
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^"+name+"$", "-benchtime", times,
		"-count", strconv.Itoa(b.runs), "-timeout", "30m", "./agent/mirror")
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	var took []time.Duration
	for line := range strings.Lines(string(out)) {
		// BenchmarkRefold-2   2   1034567890 ns/op …
		f := strings.Fields(line)
		if len(f) < 4 || !strings.HasPrefix(f[0], name) || f[3] != "ns/op" {
			continue
		}
		ns, err := strconv.ParseFloat(f[2], 64)
		if err != nil {
			return 0, fmt.Errorf("cannot read the result of %s: %w", name, err)
		}
		took = append(took, time.Duration(ns))
	}
	if len(took) != b.runs {
		return 0, fmt.Errorf("%s: %d results instead of %d\n%s", name, len(took), b.runs, out)
	}
	say("  %s: %v", name, took)
	return median(took), nil
}
