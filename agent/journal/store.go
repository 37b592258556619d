package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// KeepPlans is how many plans that are over are kept for each target. They are
// counted, not dated: a clock that jumps ahead must not drop them.
const KeepPlans = 50

// SavePlan makes p the current plan of its target and returns what is stored.
// An open plan, or the last one rejected, with the same content stays as it is,
// with its guards brought up to date. An open plan with other content is
// superseded: it keeps its id and loses its rows, which live on, as far as they
// are the same, in the new plan, so that a plan of a whole catalogue is not
// written anew after every sale.
func (j *Journal) SavePlan(ctx context.Context, p Plan) (saved Plan, err error) {
	err = j.db.Write(ctx, func(tx *sql.Tx) error {
		saved, err = j.savePlan(ctx, tx, p)
		return err
	})
	if err != nil {
		return Plan{}, fmt.Errorf("cannot store the plan for %s: %w", p.Target, err)
	}
	return saved, nil
}

func (j *Journal) savePlan(ctx context.Context, tx *sql.Tx, p Plan) (Plan, error) {
	last, err := scanPlan(tx.QueryRowContext(ctx, selectPlan+
		` WHERE target = ? AND state <> 'superseded' ORDER BY state = 'open' DESC, seq DESC LIMIT 1`, p.Target))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return p, err
	}
	found := err == nil
	p.State = PlanOpen
	if len(p.Rows) == 0 {
		p.State = PlanDone // nothing to decide; the guards say why
	}
	p.CreatedAt = j.now().UTC().Truncate(time.Millisecond)
	switch {
	case found && last.ID == p.ID && (last.State == PlanOpen || last.State == PlanRejected || len(p.Rows) == 0):
		p.Seq, p.State, p.CreatedAt = last.Seq, last.State, last.CreatedAt
	case found && last.State == PlanOpen:
		p.Seq = last.Seq
		if err := supersede(ctx, tx, &last, &p); err != nil {
			return p, err
		}
		if err := syncRows(ctx, tx, &p); err != nil {
			return p, err
		}
	default:
		result, err := tx.ExecContext(ctx,
			`INSERT INTO plan (id, target, state, created_at, guards, counts) VALUES (?, ?, ?, ?, '', '')`,
			p.ID, p.Target, p.State, p.CreatedAt.UnixMilli())
		if err != nil {
			return p, err
		}
		if p.Seq, err = result.LastInsertId(); err != nil {
			return p, err
		}
		if err := syncRows(ctx, tx, &p); err != nil {
			return p, err
		}
		if err := prune(ctx, tx, p.Target); err != nil {
			return p, err
		}
	}
	return p, putNotes(ctx, tx, &p)
}

// supersede leaves the old id as a plan without rows and gives the row of the
// open plan its new id.
func supersede(ctx context.Context, tx *sql.Tx, old, p *Plan) error {
	// An earlier trace of either id would say the same.
	if _, err := tx.ExecContext(ctx, `DELETE FROM plan WHERE target = ? AND state = 'superseded' AND id IN (?, ?)`,
		p.Target, old.ID, p.ID); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx,
		`INSERT INTO plan (id, target, state, created_at, decided_at, guards, counts)
		 SELECT id, target, 'superseded', created_at, ?, guards, counts FROM plan WHERE seq = ?`,
		p.CreatedAt.UnixMilli(), old.Seq); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE plan SET id = ?, state = ?, created_at = ? WHERE seq = ?`,
		p.ID, p.State, p.CreatedAt.UnixMilli(), p.Seq); err != nil {
		return err
	}
	return prune(ctx, tx, p.Target)
}

// syncRows makes the stored rows of a plan those of p, touching only what
// differs.
func syncRows(ctx context.Context, tx *sql.Tx, p *Plan) error {
	stored, err := planRows(ctx, tx, p.Seq, 0, -1)
	if err != nil {
		return err
	}
	old := make(map[string]*PlanRow, len(stored))
	for i := range stored {
		old[stored[i].Product] = &stored[i]
	}
	put, err := tx.PrepareContext(ctx,
		`INSERT INTO plan_row (plan, product, key, code, name, from_value, to_value, level, level_state, basis, state, reason)
		 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		 ON CONFLICT (plan, product) DO UPDATE SET key = excluded.key, code = excluded.code, name = excluded.name,
		   from_value = excluded.from_value, to_value = excluded.to_value, level = excluded.level,
		   level_state = excluded.level_state, basis = excluded.basis, state = excluded.state, reason = excluded.reason`)
	if err != nil {
		return err
	}
	defer func() { _ = put.Close() }()
	for i := range p.Rows {
		r := &p.Rows[i]
		before := old[r.Product]
		delete(old, r.Product)
		if before != nil && sameRow(before, r) {
			*r = *before
			continue
		}
		basis, err := json.Marshal(r.Basis)
		if err != nil {
			return err
		}
		if _, err := put.ExecContext(ctx, p.Seq, r.Product, r.Key, r.Code, r.Name, nullQuantity(r.From), r.To,
			r.Level, r.LevelState, string(basis), r.State, r.Reason); err != nil {
			return err
		}
	}
	for product := range old {
		if _, err := tx.ExecContext(ctx, `DELETE FROM plan_row WHERE plan = ? AND product = ?`, p.Seq, product); err != nil {
			return err
		}
	}
	return nil
}

// sameRow leaves the basis out: an older document that gives the same level is
// as good a ground for approval, and a sale taken back must not rewrite the row.
func sameRow(a, b *PlanRow) bool {
	if (a.From == nil) != (b.From == nil) || (a.From != nil && *a.From != *b.From) {
		return false
	}
	return a.Key == b.Key && a.Code == b.Code && a.Name == b.Name && a.To == b.To && a.Level == b.Level &&
		a.LevelState == b.LevelState && a.State == b.State && a.Reason == b.Reason
}

// putNotes stores guards, counts and unmatched products where they differ.
func putNotes(ctx context.Context, tx *sql.Tx, p *Plan) error {
	guards, err := json.Marshal(filled(p.Guards))
	if err != nil {
		return err
	}
	counts, err := json.Marshal(p.Counts)
	if err != nil {
		return err
	}
	unmatched, err := json.Marshal(filled(p.Unmatched))
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE plan SET guards = ?1, counts = ?2 WHERE seq = ?3 AND (guards <> ?1 OR counts <> ?2)`,
		string(guards), string(counts), p.Seq); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx,
		`INSERT INTO plan_unmatched (plan, list) VALUES (?, ?)
		 ON CONFLICT (plan) DO UPDATE SET list = excluded.list WHERE list <> excluded.list`, p.Seq, string(unmatched))
	return err
}

const selectPlan = `SELECT seq, id, target, state, created_at, guards, counts FROM plan`

func scanPlan(row interface{ Scan(...any) error }) (Plan, error) {
	var p Plan
	var created int64
	var guards, counts string
	if err := row.Scan(&p.Seq, &p.ID, &p.Target, &p.State, &created, &guards, &counts); err != nil {
		return p, err
	}
	p.CreatedAt = time.UnixMilli(created).UTC()
	return p, errors.Join(json.Unmarshal([]byte(guards), &p.Guards), json.Unmarshal([]byte(counts), &p.Counts))
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// planRows reads rows of a plan, limit of them or all below zero; while they are
// under way their state is the outbox's.
func planRows(ctx context.Context, q querier, seq int64, from, limit int) (list []PlanRow, err error) {
	rows, err := q.QueryContext(ctx,
		`SELECT r.product, r.key, r.code, r.name, r.from_value, r.to_value, r.level, r.level_state, r.basis,
		        coalesce(o.state, r.state), coalesce(o.reason, r.reason)
		 FROM plan_row r JOIN plan p ON p.seq = r.plan
		 LEFT JOIN outbox o ON r.state = 'planned' AND o.target = p.target AND o.product = r.product AND o.plan = r.plan
		 WHERE r.plan = ? ORDER BY r.product LIMIT ? OFFSET ?`, seq, limit, from)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var r PlanRow
		var from sql.NullInt64
		var basis string
		if err := rows.Scan(&r.Product, &r.Key, &r.Code, &r.Name, &from, &r.To, &r.Level, &r.LevelState, &basis,
			&r.State, &r.Reason); err != nil {
			return nil, err
		}
		r.From = quantity(from)
		if err := json.Unmarshal([]byte(basis), &r.Basis); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// Plans returns the plans of a target, or of all targets for "", newest first:
// those that are open or under way and the newest of each target, or all that
// are kept.
func (j *Journal) Plans(ctx context.Context, target string, all bool) ([]Plan, error) {
	plans, err := j.plans(ctx, selectPlan+` p WHERE (?1 = '' OR target = ?1) AND
		(?2 OR state IN ('open', 'approved') OR
		 (state <> 'superseded' AND seq = (SELECT max(seq) FROM plan q WHERE q.target = p.target AND q.state <> 'superseded')))
		ORDER BY target, seq DESC`, target, all)
	if err != nil {
		return nil, fmt.Errorf("cannot read the plans: %w", err)
	}
	return plans, nil
}

// Plan returns the plan of an id; where an id came more than once, the one that
// can be decided on, else the newest. The error is a *PlanError when there is none.
func (j *Journal) Plan(ctx context.Context, id string) (Plan, error) {
	plans, err := j.plans(ctx, selectPlan+` WHERE id = ? ORDER BY `+decidable+` LIMIT 1`, id)
	if err != nil {
		return Plan{}, fmt.Errorf("cannot read plan %s: %w", id, err)
	}
	if len(plans) == 0 {
		current, err := currentPlan(ctx, j.db.Read(), "")
		return Plan{}, errors.Join(err, &PlanError{ID: id, Current: current})
	}
	return plans[0], nil
}

// decidable orders plans of one id by what may be decided on.
const decidable = `state = 'open' DESC, state = 'approved' DESC, seq DESC`

// plans reads the heads first, because rows are read on another connection.
func (j *Journal) plans(ctx context.Context, query string, args ...any) ([]Plan, error) {
	plans, err := j.planHeads(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	for i := range plans {
		p := &plans[i]
		if p.Rows, err = planRows(ctx, j.db.Read(), p.Seq, 0, -1); err != nil {
			return nil, err
		}
		if p.Unmatched, err = j.unmatched(ctx, p.Seq); err != nil {
			return nil, err
		}
	}
	return plans, nil
}

// unmatched is what a plan cannot write; nothing of a superseded one.
func (j *Journal) unmatched(ctx context.Context, seq int64) (list []Unmatched, err error) {
	var text string
	err = j.db.Read().QueryRowContext(ctx, `SELECT list FROM plan_unmatched WHERE plan = ?`, seq).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &list)
	}
	return list, err
}

func (j *Journal) planHeads(ctx context.Context, query string, args ...any) (plans []Plan, err error) {
	rows, err := j.db.Read().QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		p, err := scanPlan(rows)
		if err != nil {
			return nil, err
		}
		plans = append(plans, p)
	}
	return plans, rows.Err()
}

// OpenPlan returns the id of a target's open plan, "" when there is none.
func (j *Journal) OpenPlan(ctx context.Context, target string) (string, error) {
	return currentPlan(ctx, j.db.Read(), target)
}
