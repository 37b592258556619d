//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"ostatok/agent/local"
	"ostatok/agent/stock"
)

const (
	senders = "a-token-of-the-senders"
	tenant  = "bench"
	here    = 30 // new documents in the shop
	there   = 20 // … and in the cloud
	readers = 6  // clients that look at pages at the same time
	reading = 30 * time.Second
)

// page is what people in the shop notice of the agent on a box of 32 bits: how
// long a new document takes to the page and to the operator, what it costs when
// several look at long lists, and how long a start takes.
func (b *bench) page(ctx context.Context) (err error) {
	dir, shop, _, err := b.synced(ctx, "page", "ostatok-386", "--admin", "--mqtt", "127.0.0.1:0", "--behind", behind(time.Now()).String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shop.stop()) }()
	x := &box{b: b, shop: shop, dir: dir, config: filepath.Join(dir, "page.toml")}
	if x.window, err = watchCloud(shop.URL); err != nil {
		return err
	}
	defer x.window.close()
	if err := x.configure(); err != nil {
		return err
	}
	stop, err := x.starts(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := wait(ctx, 45*time.Second); err != nil { // as in memory
		return err
	}
	idle, err := x.idle(ctx)
	if err != nil {
		return err
	}
	say("  ostatok-386 run with page and MQTT: %.1f MB resident", mebi(idle))
	if err := x.paths(ctx); err != nil {
		return err
	}
	return x.read(ctx, idle)
}

// behind is how long ago the shop's history ends: in a morning, so that people buy
// when it lives on, and at least half a day ago, so that it never meets the clock.
func behind(now time.Time) time.Duration {
	const opened = 7 * time.Hour // UTC, an hour after it opens
	at := now.UTC().Truncate(24 * time.Hour).Add(opened)
	for now.Sub(at) < 12*time.Hour {
		at = at.Add(-24 * time.Hour)
	}
	return now.Sub(at).Round(time.Minute)
}

// box is an agent that serves its page and knows a broker.
type box struct {
	b       *bench
	shop    *shop
	window  *window
	dir     string
	config  string
	address string
	pid     int
}

func (x *box) configure() error {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("cannot find a free port: %w", err)
	}
	x.address = free.Addr().String()
	if err := free.Close(); err != nil {
		return fmt.Errorf("cannot find a free port: %w", err)
	}
	old, err := os.ReadFile(filepath.Join(x.dir, "ostatok.toml"))
	if err != nil {
		return fmt.Errorf("cannot configure an agent: %w", err)
	}
	access := filepath.Join(x.dir, "access")
	text := strings.Replace(string(old), x.shop.URL, x.window.url, 1) + fmt.Sprintf(
		"[local]\nlisten = %q\naccess_file = %q\n[mqtt]\nurls = [%q]\ntenant = %q\nusername = %q\n",
		x.address, access, x.shop.MQTT, tenant, x.shop.Store)
	err = errors.Join(os.WriteFile(access, []byte(senders+"\n"), 0o600), os.WriteFile(x.config, []byte(text), 0o600))
	if err != nil {
		return fmt.Errorf("cannot configure an agent: %w", err)
	}
	return nil
}

// starts starts the agent several times, and leaves the last one running.
func (x *box) starts(ctx context.Context) (stop func() error, err error) {
	const times = 5
	var took []time.Duration
	for n := range times {
		began := time.Now()
		x.pid, stop, err = start(x.b.binary("ostatok-386"), filepath.Join(x.dir, "run.log"), "--config", x.config, "run")
		if err != nil {
			return nil, err
		}
		for {
			if _, err = x.get("/healthz"); err == nil {
				break
			}
			if time.Since(began) > time.Minute {
				return nil, errors.Join(fmt.Errorf("the agent is not ready: %w", err), stop())
			}
			if err := wait(ctx, 2*time.Millisecond); err != nil {
				return nil, errors.Join(err, stop())
			}
		}
		took = append(took, time.Since(began))
		if n < times-1 {
			if err := stop(); err != nil {
				return nil, err
			}
		}
	}
	say("  ostatok-386 run: ready after %v", took)
	x.b.add(true, "start to ready, 20 k products, 100 k documents (386)", "–", "%s", milli(median(took)))
	return stop, nil
}

// get reads a page to its end.
func (x *box) get(path string) (body []byte, err error) {
	resp, err := http.Get("http://" + x.address + path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, resp.Status)
	}
	return io.ReadAll(resp.Body)
}

// idle is the resident size while nobody looks.
func (x *box) idle(ctx context.Context) (int64, error) {
	var sizes []int64
	for range 15 {
		if err := wait(ctx, time.Second); err != nil {
			return 0, err
		}
		size, err := memory(x.pid, "VmRSS")
		if err != nil {
			return 0, fmt.Errorf("the agent that ran: %w", err)
		}
		sizes = append(sizes, size)
	}
	return median(sizes), nil
}

// read has several clients look at lists, and notes the largest resident size
// meanwhile.
func (x *box) read(ctx context.Context, idle int64) error {
	const mostPeak = 48 << 20 // as in a first sync
	// The mark of the largest size begins anew (proc(5)).
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", x.pid), []byte("5"), 0); err != nil {
		return fmt.Errorf("cannot reset the mark of the largest size: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, reading)
	defer cancel()
	var work sync.WaitGroup
	counts, errs := make([]int, readers), make([]error, readers)
	for n := range readers {
		work.Go(func() { counts[n], errs[n] = x.reader(ctx, n) })
	}
	work.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	peak, err := memory(x.pid, "VmHWM")
	if err != nil {
		return err
	}
	pages := 0
	for _, n := range counts {
		pages += n
	}
	x.b.add(peak <= mostPeak, "memory, peak while 6 clients read Stock of 20 k products (386)", "≤ 48 MB RSS",
		"%.1f MB; idle with page and MQTT %.1f MB (%d pages, %.0f a second)", mebi(peak), mebi(idle), pages, float64(pages)/reading.Seconds())
	return nil
}

// reader turns the pages of a list, searches, or takes the whole table, again
// and again.
func (x *box) reader(ctx context.Context, n int) (pages int, err error) {
	path := "/stock"
	for ctx.Err() == nil {
		body, err := x.get(path)
		if err != nil {
			return pages, err
		}
		pages++
		switch n {
		case 0:
			path = "/stock.csv"
		case 1:
			path = "/stock?q=" + url.QueryEscape([]string{"хлеб", "молоко", "460", "чай зел"}[pages%4])
		default:
			path = next(body)
		}
	}
	return pages, nil
}

// next is where a page of the stock leads on, or its beginning at the end.
func next(body []byte) string {
	before, _, ok := strings.Cut(string(body), `rel="next"`)
	after := string(body)[len(before):]
	if _, rest, found := strings.Cut(after, `href="`); ok && found {
		to, _, _ := strings.Cut(rest, `"`)
		return strings.ReplaceAll(to, "&amp;", "&")
	}
	return "/stock"
}

// known are products whose level is known and above zero.
func (x *box) known(ctx context.Context) ([]local.Item, error) {
	out, err := exec.CommandContext(ctx, x.b.binary("ostatok"), "--config", x.config, "stock", "--state", "known", "--format", "json").Output()
	if err != nil {
		return nil, fmt.Errorf("cannot list the stock: %w", err)
	}
	var items []local.Item
	if err := json.Unmarshal(out, &items); err != nil {
		return nil, fmt.Errorf("cannot read the stock: %w", err)
	}
	return slices.DeleteFunc(items, func(i local.Item) bool { return *i.Quantity <= stock.Unit }), nil
}

func milli(d time.Duration) string { return fmt.Sprintf("%.0f ms", float64(d.Microseconds())/1000) }
