package zelenka

import (
	"context"
	"fmt"
	"time"
)

// clockTime is a time of day.
type clockTime struct{ hour, minute int }

func parseClockTime(text string) (clockTime, error) {
	t, err := time.Parse("15:04", text)
	if err != nil {
		return clockTime{}, fmt.Errorf("cannot use %q as the time of the full run: write a time of day such as 03:30", text)
	}
	return clockTime{t.Hour(), t.Minute()}, nil
}

// on is the instant of the time on t's day, or on the days next to it.
func (c clockTime) on(t time.Time, days int) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day()+days, c.hour, c.minute, 0, 0, t.Location())
}

// last is the newest set time that is not after t.
func (c clockTime) last(t time.Time) time.Time {
	if today := c.on(t, 0); !today.After(t) {
		return today
	}
	return c.on(t, -1)
}

// farAhead is how far a kept time may lie ahead of the clock before the clock is
// taken to have been wrong when it was kept.
const farAhead = 2 * time.Hour

// Next returns when Run is to be called, a time that may have passed. A time that
// was missed is made up for, the newest only. The very first run is at the next
// set time. The error is ErrClock or the Store's.
func (f *FullRun) Next(ctx context.Context) (time.Time, error) {
	_, next, err := f.plan(ctx)
	return next, err
}

// plan returns the run to make or to go on with, and when.
func (f *FullRun) plan(ctx context.Context) (Run, time.Time, error) {
	if !f.o.Trusted() {
		return Run{}, time.Time{}, ErrClock
	}
	run, ok, err := f.o.Store.Load(ctx)
	if err != nil {
		return Run{}, time.Time{}, fmt.Errorf("cannot load the state of Zelenka's full run: %w", err)
	}
	now := f.client.opts.Now().In(f.o.Location)
	slot := f.at.last(now)
	day, following := slot.Format(time.DateOnly), f.at.on(slot, 1)
	// A day that is further off than the next was kept by a clock that was wrong,
	// and would hold back every run until it comes.
	if !ok || run.Day > f.at.on(slot, 2).Format(time.DateOnly) {
		run = Run{Phase: Waiting, Day: day, Rows: run.Rows, InStock: run.InStock}
		if err := f.save(ctx, run); err != nil {
			return Run{}, time.Time{}, err
		}
	}
	switch {
	case run.Day < day:
		return Run{Day: day, Rows: run.Rows, InStock: run.InStock}, slot, nil
	case run.Day > day || run.Phase.Ended():
		return run, following, nil
	}
	next := time.UnixMilli(run.NextTry)
	if next.Sub(now) > farAhead {
		next = now
	}
	return run, next, nil
}

func (f *FullRun) save(ctx context.Context, run Run) error {
	if err := f.o.Store.Save(ctx, run); err != nil {
		return fmt.Errorf("cannot keep the state of Zelenka's full run: %w", err)
	}
	return nil
}
