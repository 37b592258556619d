package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ostatok/agent/config"
	"ostatok/agent/journal"
	"ostatok/sync/push"
)

// fullRun is the full run of a backend: once a day, at its set time, everything
// is sent, also what nobody has changed.
type fullRun interface {
	// next returns when the next attempt is due, a time that may have passed: a
	// set time that was missed is made up for. It is asked only while the clock
	// is trusted, because days are counted.
	next(ctx context.Context) (time.Time, error)

	// attempt makes it, or goes on with one that was interrupted. done says what
	// it did, for the operator, when nothing is left to do for the day.
	attempt(ctx context.Context) (done map[string]any, err error)
}

// fullSetup is what a full run gets of the agent.
type fullSetup struct {
	name     string
	at       daily
	journal  *journal.Journal
	figures  *push.Full
	guard    config.Guard
	location *time.Location
	trusted  func() bool
	now      func() time.Time
}

// fullSchedule is the full run of a target with the figures that it sends.
type fullSchedule struct {
	run     fullRun
	figures *push.Full
}

// openFullRuns sets up the full runs that are configured. Where nothing is to be
// written there are none.
func (a *Agent) openFullRuns() error {
	a.fullRuns = make(map[string]*fullSchedule)
	for _, b := range a.backends.list {
		if b.Full == "" || b.full == nil {
			continue
		}
		figures, err := a.engine.Full(b.Name)
		if _, off := errors.AsType[*push.OffError](err); off {
			continue
		}
		if err != nil {
			return err
		}
		at, err := parseDaily(b.Full, a.location)
		if err != nil {
			return err
		}
		run, err := b.full(fullSetup{
			name: b.Name, at: at, journal: a.journal, figures: figures, guard: a.config.Guard,
			location: a.location, trusted: func() bool { return a.clock.trusted() == nil }, now: a.now,
		})
		if err != nil {
			return fmt.Errorf("cannot set up the full run of target %s: %w", b.Name, err)
		}
		a.fullRuns[b.Name] = &fullSchedule{run, figures}
	}
	return nil
}

// fullLook is how often the time is looked at. Sleeping until the set time would
// miss it when the clock is set meanwhile.
const fullLook = 30 * time.Second

// keepFull makes the full runs of a target.
func (a *Agent) keepFull(ctx context.Context, name string, s *fullSchedule) error {
	told := ""
	for sleep(ctx, fullLook) {
		if a.clock.trusted() != nil {
			continue
		}
		due, err := s.run.next(ctx)
		if err != nil {
			return err
		}
		if a.now().Before(due) {
			continue
		}
		done, err := a.attempt(ctx, s)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil && done != nil:
			told = ""
			done["target"] = name
			a.event(ctx, "full_run_done", journal.Info, "The daily full run of "+name+" is done.", done)
			a.lookAtTargets() // rows that changed meanwhile
		case err != nil:
			// Once a day, however often it is tried.
			text := a.now().In(a.location).Format(time.DateOnly) + err.Error()
			if text == told {
				continue
			}
			told = text
			a.log.Warn().Err(err).Str("target", name).Msg("full run not done")
			a.event(ctx, "full_run_stopped", journal.Warning, "The daily full run of "+name+" is not done: "+err.Error()+".",
				map[string]string{"target": name, "reason": err.Error()})
		}
	}
	return nil
}

// attempt makes a full run while nothing else is written to the target.
func (a *Agent) attempt(ctx context.Context, s *fullSchedule) (map[string]any, error) {
	// What makes a plan wait for a person is the more reason not to send everything.
	if guards := a.ready(ctx); len(guards) > 0 {
		return nil, errors.New(guards[0].Message)
	}
	release, err := s.figures.Hold(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	return s.run.attempt(ctx)
}
