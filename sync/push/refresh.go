package push

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// refreshEvery is how old the mirror may become during a delivery.
const refreshEvery = time.Minute

// turn is a lock that a context can give up waiting for.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) give() { <-t }

// aside lets others have the turn while do works, and takes it back.
func (t turn) aside(do func() error) error {
	t.give()
	defer func() { t <- struct{}{} }()
	return do()
}

// pulls are the pulls of documents that all lanes share: one at a time.
type pulls struct {
	turn turn

	mu    sync.Mutex // guards the rest
	at    time.Time  // when the last one that succeeded ended; zero: do not rely on it
	stale bool       // the one under way may not show what was done since it began
	ended int        // how many have ended
	err   error      // of the last one
}

// fresh tells whether the documents are new enough.
func (p *pulls) fresh(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	age := now.Sub(p.at)
	return !p.at.IsZero() && age >= 0 && age < refreshEvery
}

// expire makes the next refresh pull, and wait for a pull that begins from now on.
func (p *pulls) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.stale = time.Time{}, true
}

func (p *pulls) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stale = false
}

func (p *pulls) end(now time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended++
	p.err = err
	if err == nil && !p.stale {
		p.at = now
	}
}

func (p *pulls) last() (ended int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended, p.err
}

// refresh pulls documents unless that was done less than a minute ago. A figure
// that is computed without the last documents would undo their sales. Lanes that
// waited for a pull share its failure: without a network each would find out for
// itself, one after the other.
func (e *Engine) refresh(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if e.o.Refresh == nil || e.pulls.fresh(e.now()) {
		return nil
	}
	before, _ := e.pulls.last()
	if err := e.pulls.turn.take(ctx); err != nil {
		return err
	}
	defer e.pulls.turn.give()
	if e.pulls.fresh(e.now()) {
		return nil
	}
	if ended, err := e.pulls.last(); ended != before && err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	e.pulls.begin()
	err := e.o.Refresh(ctx)
	if err != nil {
		err = fmt.Errorf("nothing is sent because the newest documents could not be had: %w", err)
	}
	e.pulls.end(e.now(), err)
	return err
}
