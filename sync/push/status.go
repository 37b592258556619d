package push

import (
	"context"

	"ostatok/agent/journal"
)

// Status is how a target is doing. Times are epoch ms, 0 for never.
type Status struct {
	Target  string `json:"target"`
	Kind    string `json:"kind"`
	Policy  Policy `json:"policy"`
	Open    string `json:"open,omitempty"`    // id of the plan that waits
	Blocked string `json:"blocked,omitempty"` // why nothing is sent, "" when it works
	journal.OutboxCounts
	LastSuccess int64  `json:"last_success,omitempty"`
	LastError   string `json:"last_error,omitempty"`
	LastErrorAt int64  `json:"last_error_at,omitempty"`
	VerifiedAt  int64  `json:"verified_at,omitempty"` // when figures were last read back and right
	NextTry     int64  `json:"next_try,omitempty"`    // when the outbox is looked at next
}

// Status returns how a target is doing.
func (e *Engine) Status(ctx context.Context, name string) (Status, error) {
	l, err := e.lane(name)
	if err != nil {
		return Status{}, err
	}
	s := Status{Target: l.Name, Kind: l.Kind, Policy: l.Policy}
	facts, err := e.journal.Target(ctx, name)
	if err != nil {
		return s, err
	}
	s.Blocked, s.LastSuccess, s.VerifiedAt = facts.Blocked, facts.LastSuccess, facts.VerifiedAt
	s.LastError, s.LastErrorAt = facts.LastError, facts.LastErrorAt
	if s.OutboxCounts, err = e.journal.OutboxCounts(ctx, name); err != nil {
		return s, err
	}
	if s.Open, err = e.journal.OpenPlan(ctx, name); err != nil {
		return s, err
	}
	s.NextTry, err = e.nextTry(ctx, l)
	return s, err
}

// nextTry is when a delivery to the target makes sense again, 0 for never.
func (e *Engine) nextTry(ctx context.Context, l *lane) (int64, error) {
	if l.Policy == Off {
		return 0, nil
	}
	next, err := e.journal.NextTry(ctx, l.Name)
	if err != nil || next == 0 {
		return 0, err
	}
	if l.full.Load() { // its end wakes nobody
		next = max(next, e.millis()+lookAgain.Milliseconds())
	}
	return max(next, l.pausedUntil.Load()), nil
}

// Retry makes the rejected and blocked rows of a target due again and ends its
// pause, because a person says that the cause is gone. It returns how many rows.
func (e *Engine) Retry(ctx context.Context, name string) (int64, error) {
	l, err := e.lane(name)
	if err != nil {
		return 0, err
	}
	l.pausedUntil.Store(0)
	return e.journal.Retry(ctx, name)
}
