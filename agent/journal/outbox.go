package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"ostatok/agent/stock"
)

// Due returns the products whose rows are to be looked at now. A row that waits
// longer than far from now is due as well: the clock was ahead when it was
// planned and has been set back.
func (j *Journal) Due(ctx context.Context, target string, now int64, far time.Duration) (products []string, err error) {
	rows, err := j.db.Read().QueryContext(ctx,
		`SELECT product FROM outbox WHERE target = ? AND next_try IS NOT NULL AND (next_try <= ? OR next_try > ?) ORDER BY product`,
		target, now, now+far.Milliseconds())
	if err != nil {
		return nil, fmt.Errorf("cannot read the outbox of %s: %w", target, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var product string
		if err := rows.Scan(&product); err != nil {
			return nil, fmt.Errorf("cannot read the outbox of %s: %w", target, err)
		}
		products = append(products, product)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("cannot read the outbox of %s: %w", target, err)
	}
	return products, nil
}

// NextTry returns when the next row of a target is due, 0 when none is waiting.
func (j *Journal) NextTry(ctx context.Context, target string) (int64, error) {
	var next sql.NullInt64
	err := j.db.Read().QueryRowContext(ctx,
		`SELECT min(next_try) FROM outbox WHERE target = ? AND next_try IS NOT NULL`, target).Scan(&next)
	if err != nil {
		return 0, fmt.Errorf("cannot read the outbox of %s: %w", target, err)
	}
	return next.Int64, nil
}

const selectEntry = `SELECT product, key, wanted, level, level_state, basis, state, reason, plan, revision,
	attempts, mismatches, next_try, sent_at, changed_at, last_error, fixed FROM outbox WHERE target = ?`

func scanEntry(rows *sql.Rows, target string) (Entry, error) {
	e := Entry{Target: target}
	var basis string
	var next sql.NullInt64
	err := rows.Scan(&e.Product, &e.Key, &e.Wanted, &e.Level, &e.LevelState, &basis, &e.State, &e.Reason, &e.Plan,
		&e.Revision, &e.Attempts, &e.Mismatches, &next, &e.SentAt, &e.ChangedAt, &e.LastError, &e.Fixed)
	if err != nil {
		return e, err
	}
	e.NextTry = next.Int64
	return e, json.Unmarshal([]byte(basis), &e.Basis)
}

// Outbox returns all rows of a target, whatever their state, by product.
func (j *Journal) Outbox(ctx context.Context, target string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		rows, err := j.db.Read().QueryContext(ctx, selectEntry+` ORDER BY product`, target)
		if err != nil {
			yield(Entry{}, fmt.Errorf("cannot read the outbox of %s: %w", target, err))
			return
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			e, err := scanEntry(rows, target)
			if err != nil {
				yield(Entry{}, fmt.Errorf("cannot read the outbox of %s: %w", target, err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(Entry{}, fmt.Errorf("cannot read the outbox of %s: %w", target, err))
		}
	}
}

// Entries returns the rows of the products that have one, by product.
func (j *Journal) Entries(ctx context.Context, target string, products []string) ([]Entry, error) {
	list, err := json.Marshal(products)
	if err != nil {
		return nil, err
	}
	return j.entries(ctx, target, ` AND product IN (SELECT value FROM json_each(?)) ORDER BY product`, string(list))
}

func (j *Journal) entries(ctx context.Context, target, which string, args ...any) (entries []Entry, err error) {
	rows, err := j.db.Read().QueryContext(ctx, selectEntry+which, append([]any{target}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("cannot read the outbox of %s: %w", target, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		e, err := scanEntry(rows, target)
		if err != nil {
			return nil, fmt.Errorf("cannot read the outbox of %s: %w", target, err)
		}
		entries = append(entries, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("cannot read the outbox of %s: %w", target, err)
	}
	return entries, nil
}

// OutboxCounts counts the rows of a target by state.
func (j *Journal) OutboxCounts(ctx context.Context, target string) (c OutboxCounts, err error) {
	rows, err := j.db.Read().QueryContext(ctx, `SELECT state, count(*), count(next_try) FROM outbox WHERE target = ? GROUP BY state`, target)
	if err != nil {
		return c, fmt.Errorf("cannot count the outbox of %s: %w", target, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var state RowState
		var n, due int
		if err := rows.Scan(&state, &n, &due); err != nil {
			return c, fmt.Errorf("cannot count the outbox of %s: %w", target, err)
		}
		c.UnderWay += due
		switch state {
		case Planned:
			c.Planned = n
		case Sent:
			c.Sent = n
		case Accepted:
			c.Accepted = n
		case Verified:
			c.Verified = n
		case Rejected:
			c.Rejected = n
		case Blocked:
			c.Blocked = n
		}
	}
	if err := rows.Err(); err != nil {
		return c, fmt.Errorf("cannot count the outbox of %s: %w", target, err)
	}
	return c, nil
}

// Record stores, in one durable step, what became of outbox rows of one target
// and what the target is known to hold. A row that a newer figure has replaced
// since it was read is left alone; its product is returned. What the target
// holds is stored all the same: it is a fact.
func (j *Journal) Record(ctx context.Context, target string, entries []Entry, held []Held) (replaced map[string]bool, err error) {
	err = j.db.Write(ctx, func(tx *sql.Tx) error {
		replaced = make(map[string]bool)
		if err := putHeld(ctx, tx, held); err != nil {
			return err
		}
		settled := false
		for i := range entries {
			e := &entries[i]
			current, err := updateEntry(ctx, tx, e)
			if err != nil {
				return fmt.Errorf("cannot store the row of product %s: %w", e.Product, err)
			}
			if !current {
				replaced[e.Product] = true
			} else if !e.UnderWay() {
				settled = true
			}
		}
		if !settled {
			return nil
		}
		return finishPlans(ctx, tx, target)
	})
	return replaced, err
}

func updateEntry(ctx context.Context, tx *sql.Tx, e *Entry) (current bool, err error) {
	basis, err := json.Marshal(e.Basis)
	if err != nil {
		return false, err
	}
	result, err := tx.ExecContext(ctx,
		`UPDATE outbox SET wanted = ?, level = ?, level_state = ?, basis = ?, state = ?, reason = ?, attempts = ?,
		   mismatches = ?, next_try = ?, sent_at = ?, changed_at = ?, last_error = ?
		 WHERE target = ? AND product = ? AND revision = ?`,
		e.Wanted, e.Level, e.LevelState, string(basis), e.State, e.Reason, e.Attempts,
		e.Mismatches, nullTime(e.NextTry), e.SentAt, e.ChangedAt, e.LastError,
		e.Target, e.Product, e.Revision)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	if err != nil || n == 0 || e.UnderWay() {
		return n != 0, err
	}
	// The plan's row follows only when it has come to rest: in between it is
	// read from here, and the card is written once instead of three times.
	_, err = tx.ExecContext(ctx, `UPDATE plan_row SET state = ?, reason = ? WHERE plan = ? AND product = ?`,
		e.State, e.Reason, e.Plan, e.Product)
	return true, err
}

// Retry makes the rejected and blocked rows of a target planned again, because
// a person says that the cause is gone. It returns how many.
func (j *Journal) Retry(ctx context.Context, target string) (n int64, err error) {
	now := j.now().UnixMilli()
	err = j.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx,
			`UPDATE plan_row SET state = 'planned', reason = '' WHERE (plan, product) IN
			   (SELECT plan, product FROM outbox WHERE target = ? AND state IN ('rejected', 'blocked'))`, target)
		if err != nil {
			return fmt.Errorf("cannot retry the rows of %s: %w", target, err)
		}
		_, err = tx.ExecContext(ctx,
			`UPDATE plan SET state = 'approved' WHERE state = 'done' AND seq IN
			   (SELECT plan FROM outbox WHERE target = ? AND state IN ('rejected', 'blocked'))`, target)
		if err != nil {
			return fmt.Errorf("cannot retry the rows of %s: %w", target, err)
		}
		result, err := tx.ExecContext(ctx,
			`UPDATE outbox SET state = 'planned', reason = '', attempts = 0, mismatches = 0, next_try = ?,
			   revision = revision + 1, changed_at = ?
			 WHERE target = ? AND state IN ('rejected', 'blocked')`, now, now, target)
		if err != nil {
			return fmt.Errorf("cannot retry the rows of %s: %w", target, err)
		}
		n, err = result.RowsAffected()
		return err
	})
	return n, err
}

func nullTime(ms int64) sql.NullInt64 { return sql.NullInt64{Int64: ms, Valid: ms != 0} }

func nullQuantity(q *stock.Quantity) sql.NullInt64 {
	if q == nil {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: int64(*q), Valid: true}
}

func quantity(n sql.NullInt64) *stock.Quantity {
	if !n.Valid {
		return nil
	}
	q := stock.Quantity(n.Int64)
	return &q
}
