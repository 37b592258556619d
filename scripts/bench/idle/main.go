//go:build linux

// Command idle lets an agent live through a day in minutes: each poll takes its
// clock a minute further, so that what is due every hour and every day comes as
// often as it would. It prints what the agent wrote to its files.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"ostatok/agent"
	"ostatok/agent/config"
	"ostatok/agent/journal"
	"ostatok/agent/mirror"
)

// A few more than the minutes of a day: the look back by a month comes when the
// last one is a whole day old.
const polls = 24*60 + 5

func main() {
	file := flag.String("config", "", "the configuration of an agent that is in step with its shop")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *file); err != nil {
		fmt.Fprintln(os.Stderr, "idle:", err)
		os.Exit(1)
	}
}

// result is what the day cost, bytes.
type result struct {
	Polls, Catalogues int64
	Stored            int64 // sent to storage
	Written           int64 // given to write calls
	Tidied            int64 // sent to storage by the daily tidying
}

func run(ctx context.Context, file string) error {
	c, err := config.Load(file, nil)
	if err != nil {
		return err
	}
	// Below the limit of the configuration: the clock makes a minute of it.
	c.Evotor.Poll = 50 * time.Millisecond
	ctx, end := context.WithCancel(ctx)
	defer end()
	d := &day{dir: c.DataDir, began: time.Now(), end: end, transport: http.DefaultTransport}
	a, err := agent.Open(ctx, c, agent.Options{
		Build: agent.Build{Version: "bench"}, Now: d.now, Transport: d, Log: zerolog.New(os.Stderr).Level(zerolog.WarnLevel),
	})
	if err != nil {
		return err
	}
	a.Run(ctx)
	if err := a.Close(); err != nil {
		return err
	}
	if d.err != nil {
		return d.err
	}
	if d.polls.Load() < polls {
		return fmt.Errorf("only %d polls of %d", d.polls.Load(), polls)
	}
	r := d.result
	if r.Tidied, err = tidy(c, d.now); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// tidy does what the agent does once a day, after 20 minutes that this day does
// not have.
func tidy(c *config.Config, now func() time.Time) (int64, error) {
	ctx, log := context.Background(), zerolog.Nop()
	m, _, err := mirror.Open(ctx, mirror.Options{
		Dir: c.DataDir, Store: c.Store, Rules: c.Stock.Options(), Method: c.Stock.Method,
		Pinned: c.Stock.Pinned(), Keep: c.Mirror.Keep, Now: now, Log: log,
	})
	if err != nil {
		return 0, err
	}
	j, _, err := journal.Open(ctx, journal.Options{Dir: c.DataDir, Now: now, Log: log})
	if err != nil {
		return 0, err
	}
	before, _, err := output()
	if err != nil {
		return 0, err
	}
	for _, step := range []func() error{
		func() error { return m.Tidy(ctx) }, func() error { return j.Maintain(ctx) }, m.Close, j.Close,
		func() error { return flush(c.DataDir) },
	} {
		if err := step(); err != nil {
			return 0, err
		}
	}
	after, _, err := output()
	return after - before, err
}

// day is the agent's clock and its way to the cloud.
type day struct {
	dir       string
	began     time.Time
	end       context.CancelFunc
	transport http.RoundTripper
	polls     atomic.Int64

	// Of the one goroutine that polls.
	result          result
	stored, written int64 // at the first poll
	err             error
}

func (d *day) now() time.Time { return d.began.Add(time.Duration(d.polls.Load()) * time.Minute) }

// RoundTrip counts the polls and lets the cloud's clock agree with the agent's.
func (d *day) RoundTrip(r *http.Request) (*http.Response, error) {
	first := !r.URL.Query().Has("cursor")
	switch {
	case first && strings.HasSuffix(r.URL.Path, "/documents"):
		rest()
		if d.err = d.minute(); d.err != nil {
			d.end()
		}
	case first && strings.HasSuffix(r.URL.Path, "/products"):
		d.result.Catalogues++
	}
	response, err := d.transport.RoundTrip(r)
	if err == nil {
		response.Header.Set("Date", d.now().UTC().Format(http.TimeFormat))
	}
	return response, err
}

// minute closes the minute before a poll: the kernel would have written its
// pages by now, so that writing to one of them again counts again.
func (d *day) minute() error {
	if err := flush(d.dir); err != nil {
		return err
	}
	stored, written, err := output()
	if err != nil {
		return err
	}
	if n := d.polls.Add(1); n == 1 {
		d.stored, d.written = stored, written
	} else {
		d.result.Polls = n - 1
	}
	d.result.Stored, d.result.Written = stored-d.stored, written-d.written
	if d.result.Polls >= polls {
		d.end()
	}
	return nil
}

// rest waits until the rest of the agent has nothing to do. A plan takes seconds,
// which at this pace would be many minutes: some of the day's plans would be
// missing.
func rest() {
	const still = 10 * time.Millisecond
	for range 500 {
		before := worked()
		time.Sleep(still)
		if worked()-before < still/5 {
			return
		}
	}
}

// worked is the CPU time of this process.
func worked() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// flush writes to storage what waits for it, on the whole file system: opening
// and closing the databases here would take SQLite's locks from them.
func flush(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(file.Fd())), file.Close())
}

// output reads what this process has written, bytes.
func output() (stored, written int64, err error) {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return 0, 0, err
		}
		switch name {
		case "write_bytes":
			stored = n
		case "wchar":
			written = n
		}
	}
	return stored, written, nil
}
