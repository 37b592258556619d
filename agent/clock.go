package agent

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"ostatok/agent/command"
	"ostatok/agent/journal"
	"ostatok/platform/clock"
)

// seenKey is the journal's note of the latest time that was trusted.
const seenKey = "clock.seen"

// clockWatch judges the clock: by the build, by the time seen before the last
// restart, by what the cloud says.
type clockWatch struct {
	journal *journal.Journal
	now     func() time.Time
	build   time.Time

	mu     sync.Mutex
	seen   time.Time
	cloud  error     // what the cloud's last answer said against the clock
	server time.Time // the cloud's clock at its last answer
	heard  time.Time // … and ours then
}

func openClock(ctx context.Context, j *journal.Journal, now func() time.Time, build time.Time) (*clockWatch, error) {
	w := &clockWatch{journal: j, now: now, build: build}
	noted, err := j.Meta(ctx, seenKey)
	if err != nil {
		return nil, err
	}
	if ms, err := strconv.ParseInt(noted, 10, 64); err == nil {
		w.seen = time.UnixMilli(ms)
	}
	return w, nil
}

// cloudSays is told the Date of every answer of the cloud.
func (w *clockWatch) cloudSays(server time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.server, w.heard = server, w.now()
	w.cloud = clock.Compare(w.heard, server)
}

// known is what can be said of the time: while the clock is not trusted, the
// best guess is what the cloud said last, and before that the latest time that
// was ever trusted.
func (w *clockWatch) known() command.Clock {
	trusted := w.trusted() == nil
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	c := command.Clock{Now: now, Trusted: trusted, Best: later(w.seen, w.build)}
	if since := now.Sub(w.heard); !w.server.IsZero() && since >= 0 {
		c.Best = later(c.Best, w.server.Add(since))
	}
	return c
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// trusted returns why the clock cannot be right, nil when nothing speaks
// against it.
func (w *clockWatch) trusted() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := clock.Trusted(w.now(), w.build, w.seen); err != nil {
		return err
	}
	return w.cloud
}

// note remembers the time for after the next restart. It is called now and then:
// a day is near enough for a board that starts in 1970.
func (w *clockWatch) note(ctx context.Context) error {
	if w.trusted() != nil {
		return nil
	}
	now := w.now()
	if err := w.journal.SetMeta(ctx, seenKey, strconv.FormatInt(now.UnixMilli(), 10)); err != nil {
		return fmt.Errorf("cannot note the time: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = now
	return nil
}
