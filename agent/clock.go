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

// seenKey is the journal's note of the latest time that the cloud vouched for.
const seenKey = "clock.seen"

// clockWatch judges the clock of the box: by the build, by the time seen before
// the last restart, by what the cloud said. What passes since then it measures by
// the process's own, monotonic time, so a clock that jumps is found out at once
// and with the cloud away, and one that is set right is believed at once.
type clockWatch struct {
	journal *journal.Journal
	box     func() time.Time // the clock in question
	build   time.Time
	opened  time.Time // of the process

	mu     sync.Mutex
	seen   time.Time
	server time.Time // the cloud's clock at its last answer
	heard  time.Time // … and the process's
}

func openClock(ctx context.Context, j *journal.Journal, box func() time.Time, build time.Time) (*clockWatch, error) {
	w := &clockWatch{journal: j, box: box, build: build, opened: time.Now()}
	noted, err := j.Meta(ctx, seenKey)
	if err != nil {
		return nil, err
	}
	if ms, err := strconv.ParseInt(noted, 10, 64); err == nil {
		w.seen = time.UnixMilli(ms)
	}
	return w, nil
}

// bestTime is what tells the best known time. Whatever is kept with a time, or
// until one, is kept by it and not by the clock of the box.
func (a *Agent) bestTime(box func() time.Time) func() time.Time {
	return func() time.Time {
		if a.clock == nil { // it rests on the journal, which is not open yet
			return box()
		}
		return a.clock.known().Time()
	}
}

// cloudSays is told the Date of every answer of the cloud.
func (w *clockWatch) cloudSays(server time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.server, w.heard = server, time.Now()
}

// known is what can be said of the time.
func (w *clockWatch) known() command.Clock {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.box()
	return command.Clock{Now: now, Trusted: w.judge(now) == nil, Best: w.guess()}
}

// guess is the time without the clock: by what the cloud said last, and before it
// said anything by the latest time that it ever vouched for.
func (w *clockWatch) guess() time.Time {
	if !w.server.IsZero() {
		return w.server.Add(time.Since(w.heard))
	}
	best := w.build
	if w.seen.After(best) {
		best = w.seen
	}
	return best.Add(time.Since(w.opened))
}

// trusted returns why the clock cannot be right, nil when nothing speaks
// against it.
func (w *clockWatch) trusted() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.judge(w.box())
}

// judge: what the cloud says outweighs what was seen before, or a time that was
// noted wrongly would be held against the right one until it comes.
func (w *clockWatch) judge(now time.Time) error {
	if w.server.IsZero() {
		return clock.Trusted(now, w.build, w.seen)
	}
	if err := clock.Trusted(now, w.build, time.Time{}); err != nil {
		return err
	}
	return clock.CompareAfter(now, w.server, time.Since(w.heard))
}

// note remembers the time for after the next restart, once the cloud has told it:
// a clock that nobody has confirmed would poison the note. It is called now and
// then: a day is near enough for a board that starts in 1970.
func (w *clockWatch) note(ctx context.Context) error {
	w.mu.Lock()
	heard, now := !w.server.IsZero(), w.guess()
	w.mu.Unlock()
	if !heard {
		return nil
	}
	if err := w.journal.SetMeta(ctx, seenKey, strconv.FormatInt(now.UnixMilli(), 10)); err != nil {
		return fmt.Errorf("cannot note the time: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = now
	return nil
}
