package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
)

// RecentEvents returns up to limit events from before a sequence number, newest
// first; 0 is the newest of all.
func (j *Journal) RecentEvents(ctx context.Context, before int64, limit int) ([]Event, error) {
	if before <= 0 {
		before = math.MaxInt64
	}
	return j.events(ctx, `SELECT seq, id, at, kind, severity, message, data FROM event WHERE seq < ? ORDER BY seq DESC LIMIT ?`, before, limit)
}

// Stuck returns up to limit outbox rows of a target that are rejected or
// blocked, by product.
func (j *Journal) Stuck(ctx context.Context, target string, limit int) ([]Entry, error) {
	return j.entries(ctx, target, ` AND state IN (?, ?) ORDER BY product LIMIT ?`, Rejected, Blocked, limit)
}

// Waiting returns what the open plan of a target would write of a product; ok is
// false when it leaves the product alone, or there is none.
func (j *Journal) Waiting(ctx context.Context, target, product string) (r PlanRow, ok bool, err error) {
	err = j.db.Read().QueryRowContext(ctx, `SELECT r.to_value, r.level_state, r.state, r.reason
		FROM plan p JOIN plan_row r ON r.plan = p.seq AND r.product = ? WHERE p.target = ? AND p.state = ?`,
		product, target, PlanOpen).Scan(&r.To, &r.LevelState, &r.State, &r.Reason)
	if errors.Is(err, sql.ErrNoRows) {
		return r, false, nil
	}
	if err != nil {
		return r, false, fmt.Errorf("cannot read the plan of %s: %w", target, err)
	}
	r.Product = product
	return r, true, nil
}

// PlanHead is a plan without its rows, which may be as many as the catalogue has
// products.
type PlanHead struct {
	Plan             // Rows is empty
	Size, Asking int // its rows, and those of them that wait to be approved by name
}

// PlanHeads returns the plans that are open or under way, by target, newest first.
func (j *Journal) PlanHeads(ctx context.Context) ([]PlanHead, error) {
	plans, err := j.planHeads(ctx, selectPlan+` WHERE state IN (?, ?) ORDER BY target, seq DESC`, PlanOpen, PlanApproved)
	if err != nil {
		return nil, fmt.Errorf("cannot read the plans: %w", err)
	}
	heads := make([]PlanHead, len(plans))
	for i := range plans {
		h := &heads[i]
		h.Plan = plans[i]
		err := j.db.Read().QueryRowContext(ctx, `SELECT count(*), count(*) FILTER (WHERE state = ?) FROM plan_row WHERE plan = ?`,
			Assumed, h.Seq).Scan(&h.Size, &h.Asking)
		if err == nil {
			h.Unmatched, err = j.unmatched(ctx, h.Seq)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read plan %s: %w", h.ID, err)
		}
	}
	return heads, nil
}

// PlanRows returns up to limit rows of a plan from one on, by product.
func (j *Journal) PlanRows(ctx context.Context, seq int64, from, limit int) ([]PlanRow, error) {
	rows, err := planRows(ctx, j.db.Read(), seq, from, limit)
	if err != nil {
		return nil, fmt.Errorf("cannot read a plan's rows: %w", err)
	}
	return rows, nil
}
