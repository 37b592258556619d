package push

import (
	"context"
	"encoding/json"
	"fmt"

	"ostatok/agent/journal"
)

// Plans returns the plans of a target, or of all for "", newest first: the
// current ones, or all that are kept. The error may be ErrNoTarget.
func (e *Engine) Plans(ctx context.Context, name string, all bool) ([]Plan, error) {
	if name != "" {
		if _, err := e.lane(name); err != nil {
			return nil, err
		}
	}
	return e.journal.Plans(ctx, name, all)
}

// Approve lets the ready rows of a plan be written, and with assumed those that
// rest on an assumption, too. Approving again changes nothing, or adds the
// assumed rows. Errors that a caller may tell apart: *journal.PlanError names
// the plan that is open now; journal.ErrOnlyAssumed; *OffError; ErrNoTarget.
func (e *Engine) Approve(ctx context.Context, id string, assumed bool) error {
	e.deciding.Lock()
	defer e.deciding.Unlock()
	_, err := e.approve(ctx, id, assumed, "person")
	return err
}

func (e *Engine) approve(ctx context.Context, id string, assumed bool, by string) (int64, error) {
	p, err := e.journal.Plan(ctx, id)
	if err != nil {
		return 0, err
	}
	l, err := e.lane(p.Target)
	if err != nil {
		return 0, err
	}
	if l.Policy == Off {
		return 0, &OffError{Target: l.Name}
	}
	p, rows, err := e.journal.Approve(ctx, id, assumed)
	if err != nil || rows == 0 {
		return 0, err
	}
	e.log.Info().Str("target", l.Name).Str("plan", id).Int64("rows", rows).Str("by", by).Msg("plan approved")
	if by == "policy" {
		return rows, nil // nobody's decision: the outbox tells the rest
	}
	return rows, e.event(ctx, "plan_approved", journal.Info,
		fmt.Sprintf("plan %s for %s was approved: %d rows", id, l.Name, rows),
		map[string]any{"target": l.Name, "plan": id, "rows": rows, "assumed": assumed, "guards": p.Guards})
}

// Reject closes an open plan; the same differences are not proposed again until
// they change. The error may be a *journal.PlanError.
func (e *Engine) Reject(ctx context.Context, id string) error {
	e.deciding.Lock()
	defer e.deciding.Unlock()
	p, err := e.journal.Reject(ctx, id)
	if err != nil {
		return err
	}
	return e.event(ctx, "plan_rejected", journal.Info,
		fmt.Sprintf("plan %s for %s was rejected", id, p.Target), map[string]any{"target": p.Target, "plan": id})
}

func (e *Engine) event(ctx context.Context, kind, severity, message string, facts map[string]any) error {
	data, err := json.Marshal(facts)
	if err != nil {
		return fmt.Errorf("cannot encode event %s: %w", kind, err)
	}
	return e.journal.AddEvent(ctx, journal.Event{
		At: e.millis(), Kind: kind, Severity: severity, Message: message, Data: data,
	})
}
