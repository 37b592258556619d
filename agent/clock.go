package agent

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

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

	mu    sync.Mutex
	seen  time.Time
	cloud error // what the cloud's last answer said against the clock
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
	w.cloud = clock.Compare(w.now(), server)
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
