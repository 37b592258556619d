package agent

import (
	"context"
	"fmt"
	"time"
)

// aliveKey is the journal's note by which it is known that it can be written.
const aliveKey = "alive"

const (
	stuckAfter = time.Minute     // a loop that turns every two seconds
	noteEvery  = 5 * time.Minute // a card wears out by a write each second
)

// pulse is what healthy has seen.
type pulse struct {
	turned time.Time // the loop, last
	noted  time.Time // the journal, last
}

// turn notes that the loop turns.
func (a *Agent) turn() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pulse.turned = time.Now()
}

// healthy tells whether this process does its work, as far as this box alone can
// tell: the loop turns, both databases answer, the journal can be written. A
// cloud or a broker that cannot be reached says nothing about it.
func (a *Agent) healthy(ctx context.Context) error {
	a.mu.Lock()
	p, now := a.pulse, time.Now()
	a.mu.Unlock()
	// A clock that was set back cannot hide a loop that stands still: the times are
	// of one process and compared by its monotonic clock.
	if still := now.Sub(p.turned); p.turned.IsZero() || still > stuckAfter {
		return fmt.Errorf("the agent's loop does not turn")
	}
	if _, err := a.mirror.Newest(ctx); err != nil {
		return err
	}
	if !p.noted.IsZero() && now.Sub(p.noted) < noteEvery {
		return nil
	}
	if err := a.journal.SetMeta(ctx, aliveKey, a.now().UTC().Format(time.RFC3339)); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pulse.noted = now
	return nil
}

// signOfLife tells the service manager that the agent works, and goes on telling
// while it is healthy: without a sign the manager ends the process and starts it
// anew.
func (a *Agent) signOfLife(ctx context.Context) error {
	if err := a.manager.Ready(); err != nil {
		return err
	}
	a.manager.Keep(ctx, a.healthy, func(err error) {
		a.log.Error().Err(err).Msg("no sign of life for the service manager")
	})
	<-ctx.Done()
	return nil
}
