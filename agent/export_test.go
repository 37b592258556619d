package agent

import (
	"context"
	"time"

	"ostatok/agent/journal"
	"ostatok/agent/local"
)

// KeepFull makes the full runs of a target until ctx ends.
func (a *Agent) KeepFull(ctx context.Context, name string) error {
	return a.keepFull(ctx, name, a.fullRuns[name])
}

// KeepReserves keeps the reserves of a target up to date until ctx ends.
func (a *Agent) KeepReserves(ctx context.Context, name string) error {
	return a.keepReserves(ctx, a.backends.named(name))
}

// HasFull tells whether a target has full runs.
func (a *Agent) HasFull(name string) bool { return a.fullRuns[name] != nil }

// CheckTargets is the part of the doctor's visit that concerns the targets.
func (d *Doctor) CheckTargets(ctx context.Context) []local.Check { return d.checkTargets(ctx) }

// KeepInStep is the running agent without its doors: a socket would hold up a
// fake clock.
func (a *Agent) KeepInStep(ctx context.Context) { a.keepInStep(ctx) }

// AllEvents are the newest events.
func (a *Agent) AllEvents(ctx context.Context) ([]journal.Event, error) { return a.events(ctx) }

// TradingAt tells whether the shop trades at a time, by what it has learned.
func (a *Agent) TradingAt(ctx context.Context, now time.Time) (bool, error) {
	a.updates, a.now, a.location = &updates{}, func() time.Time { return now }, time.UTC
	return a.trading(ctx)
}
