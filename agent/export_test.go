package agent

import (
	"context"
	"time"

	"ostatok/agent/command"
	"ostatok/agent/ingest"
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

// KnownTime is what is known of the time.
func (a *Agent) KnownTime() command.Clock { return a.clock.known() }

// LogLevel sets the level of the log for a time, as an operator does.
func (a *Agent) LogLevel(level, length string) error {
	_, err := operated{a}.doLogLevel([]byte(`{"level":"` + level + `","for":"` + length + `"}`))
	return err
}

// TidyUp is the daily housekeeping.
func (a *Agent) TidyUp(ctx context.Context) error { return a.tidy(ctx) }

// Hand is a document that comes in over the shop's own network.
func (a *Agent) Hand(ctx context.Context, d ingest.Document) error {
	_, err := a.inbox.Accept(ctx, []ingest.Document{d})
	a.lookAtInbox()
	return err
}

// AllEvents are the newest events.
func (a *Agent) AllEvents(ctx context.Context) ([]journal.Event, error) { return a.events(ctx) }

// TradingAt tells whether the shop trades at a time, by what it has learned.
func (a *Agent) TradingAt(ctx context.Context, now time.Time) (bool, error) {
	a.updates, a.now, a.location = &updates{}, func() time.Time { return now }, time.UTC
	return a.trading(ctx)
}
