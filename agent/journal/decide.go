package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// ErrOnlyAssumed says that a plan has nothing that may be approved without
// naming the assumed rows.
var ErrOnlyAssumed = errors.New("all rows of this plan rest on assumptions: look at their reasons and approve with the assumed rows")

// Approve puts the ready rows of a plan, and with assumed its assumed rows, into
// the outbox and returns how many. An approved plan may be approved again to
// add its assumed rows. The error is a *PlanError when the plan is not open, or
// ErrOnlyAssumed.
func (j *Journal) Approve(ctx context.Context, id string, assumed bool) (p Plan, rows int64, err error) {
	err = j.decide(ctx, id, func(tx *sql.Tx, found Plan) error {
		p = found
		if p.State != PlanOpen && p.State != PlanApproved {
			return j.undecidable(ctx, tx, p)
		}
		rows, err = j.approve(ctx, tx, &p, assumed)
		return err
	})
	return p, rows, err
}

func (j *Journal) approve(ctx context.Context, tx *sql.Tx, p *Plan, assumed bool) (int64, error) {
	now := j.now().UnixMilli()
	// What an older plan still has under way for these products gives way.
	_, err := tx.ExecContext(ctx,
		`UPDATE plan_row SET state = 'skipped', reason = 'a newer figure took its place' WHERE state = 'planned' AND (plan, product) IN
		   (SELECT o.plan, o.product FROM plan_row r JOIN outbox o ON o.target = ?1 AND o.product = r.product
		    WHERE r.plan = ?2 AND o.plan <> ?2 AND (r.state = 'ready' OR (?3 AND r.state = 'assumed')))`,
		p.Target, p.Seq, assumed)
	if err != nil {
		return 0, err
	}
	result, err := tx.ExecContext(ctx,
		`INSERT INTO outbox (target, product, key, wanted, level, level_state, basis, state, plan, next_try, changed_at)
		 SELECT ?1, product, key, to_value, level, level_state, basis, 'planned', plan, ?4, ?4 FROM plan_row
		 WHERE plan = ?2 AND (state = 'ready' OR (?3 AND state = 'assumed'))
		 ON CONFLICT (target, product) DO UPDATE SET key = excluded.key, wanted = excluded.wanted, level = excluded.level,
		   level_state = excluded.level_state, basis = excluded.basis, state = 'planned', reason = '', plan = excluded.plan,
		   revision = revision + 1, attempts = 0, mismatches = 0, next_try = excluded.next_try,
		   changed_at = excluded.changed_at, last_error = '', fixed = 0`,
		p.Target, p.Seq, assumed, now)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	if err != nil {
		return 0, err
	}
	if n == 0 {
		if p.State == PlanApproved {
			return 0, nil // approved before, and nothing to add
		}
		return 0, ErrOnlyAssumed
	}
	_, err = tx.ExecContext(ctx,
		`UPDATE plan_row SET state = 'planned' WHERE plan = ? AND (state = 'ready' OR (? AND state = 'assumed'))`, p.Seq, assumed)
	if err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE plan SET state = 'approved', decided_at = ? WHERE seq = ?`, now, p.Seq)
	p.State = PlanApproved
	return n, errors.Join(err, finishPlans(ctx, tx, p.Target))
}

// Reject closes an open plan: the same differences are not proposed again. The
// error is a *PlanError when the plan is not open.
func (j *Journal) Reject(ctx context.Context, id string) (p Plan, err error) {
	err = j.decide(ctx, id, func(tx *sql.Tx, found Plan) error {
		p = found
		switch p.State {
		case PlanRejected:
			return nil
		case PlanOpen:
			p.State = PlanRejected
			_, err := tx.ExecContext(ctx, `UPDATE plan SET state = 'rejected', decided_at = ? WHERE seq = ?`,
				j.now().UnixMilli(), p.Seq)
			return err
		}
		return j.undecidable(ctx, tx, p)
	})
	return p, err
}

func (j *Journal) decide(ctx context.Context, id string, fn func(*sql.Tx, Plan) error) error {
	return j.db.Write(ctx, func(tx *sql.Tx) error {
		p, err := scanPlan(tx.QueryRowContext(ctx, selectPlan+` WHERE id = ? ORDER BY `+decidable+` LIMIT 1`, id))
		if errors.Is(err, sql.ErrNoRows) {
			return j.undecidable(ctx, tx, Plan{ID: id})
		}
		if err != nil {
			return fmt.Errorf("cannot read plan %s: %w", id, err)
		}
		return fn(tx, p)
	})
}

func (j *Journal) undecidable(ctx context.Context, tx *sql.Tx, p Plan) error {
	current, err := currentPlan(ctx, tx, p.Target)
	return errors.Join(err, &PlanError{ID: p.ID, State: p.State, Current: current})
}

// currentPlan is the id of the open plan of a target, or of the newest open one
// of any target for "".
func currentPlan(ctx context.Context, q interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}, target string) (string, error) {
	var id string
	err := q.QueryRowContext(ctx,
		`SELECT id FROM plan WHERE state = 'open' AND (?1 = '' OR target = ?1) ORDER BY seq DESC LIMIT 1`, target).Scan(&id)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("cannot read the open plan: %w", err)
	}
	return id, nil
}

// finishPlans marks approved plans done when nothing of them is under way.
func finishPlans(ctx context.Context, tx *sql.Tx, target string) error {
	_, err := tx.ExecContext(ctx,
		`UPDATE plan SET state = 'done' WHERE target = ? AND state = 'approved' AND NOT EXISTS
		   (SELECT 1 FROM outbox WHERE outbox.plan = plan.seq AND next_try IS NOT NULL)`, target)
	if err != nil {
		return fmt.Errorf("cannot finish the plans of %s: %w", target, err)
	}
	return nil
}

// prune drops the oldest plans of a target that are over, and superseded ones
// in the same number: they are kept to answer what became of an id.
func prune(ctx context.Context, tx *sql.Tx, target string) error {
	for _, superseded := range []bool{false, true} {
		_, err := tx.ExecContext(ctx,
			`DELETE FROM plan WHERE seq IN
			   (SELECT seq FROM plan WHERE target = ? AND state IN ('superseded', 'done', 'rejected') AND (state = 'superseded') = ?
			    ORDER BY seq DESC LIMIT -1 OFFSET ?)`, target, superseded, KeepPlans)
		if err != nil {
			return fmt.Errorf("cannot drop old plans of %s: %w", target, err)
		}
	}
	return nil
}
