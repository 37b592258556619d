package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"ostatok/agent/stock"
)

// FullRunRow is one row of a target's full run; State is the client's word.
type FullRunRow struct {
	Item     string // the target's own number; unique in the run
	Key      string // "" for what only the target knows
	State    string
	Quantity stock.Quantity  // what was sent
	Before   *stock.Quantity // what was overwritten, nil when not told
	Reason   string
}

// FullRunFigure is what a target held of an item.
type FullRunFigure struct {
	Item     string         `json:"i"`
	Quantity stock.Quantity `json:"q"`
}

// FullRunSnapshot is what a target held at a moment of its run.
type FullRunSnapshot struct {
	Moment  string
	Figures []FullRunFigure
}

// FullRun returns the newest run of a target as SaveFullRun was given it; ok is
// false when there never was one.
func (j *Journal) FullRun(ctx context.Context, target string) (run []byte, ok bool, err error) {
	err = j.db.Read().QueryRowContext(ctx, `SELECT run FROM full_run WHERE target = ?`, target).Scan(&run)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("cannot read the full run of %s: %w", target, err)
	}
	return run, true, nil
}

// SaveFullRun keeps a target's run in one durable step: the run itself, the rows
// that are new or have changed, and, unless nil, a snapshot. replace begins a new
// run: rows and snapshots of the one before are dropped.
func (j *Journal) SaveFullRun(ctx context.Context, target string, run []byte, rows []FullRunRow, snapshot *FullRunSnapshot, replace bool) error {
	err := j.db.Write(ctx, func(tx *sql.Tx) error {
		if replace {
			for _, statement := range []string{
				`DELETE FROM full_run_row WHERE target = ?`, `DELETE FROM full_run_snapshot WHERE target = ?`,
			} {
				if _, err := tx.ExecContext(ctx, statement, target); err != nil {
					return err
				}
			}
		}
		if _, err := tx.ExecContext(ctx,
			`INSERT INTO full_run (target, run) VALUES (?, ?)
			 ON CONFLICT (target) DO UPDATE SET run = excluded.run WHERE run <> excluded.run`, target, run); err != nil {
			return err
		}
		if err := putFullRunRows(ctx, tx, target, rows); err != nil || snapshot == nil {
			return err
		}
		figures, err := json.Marshal(filled(snapshot.Figures))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx,
			`INSERT INTO full_run_snapshot (target, moment, figures) VALUES (?, ?, ?)
			 ON CONFLICT (target, moment) DO UPDATE SET figures = excluded.figures`, target, snapshot.Moment, string(figures))
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot keep the full run of %s: %w", target, err)
	}
	return nil
}

func putFullRunRows(ctx context.Context, tx *sql.Tx, target string, rows []FullRunRow) error {
	if len(rows) == 0 {
		return nil
	}
	put, err := tx.PrepareContext(ctx,
		`INSERT INTO full_run_row (target, item, key, state, quantity, before, reason) VALUES (?, ?, ?, ?, ?, ?, ?)
		 ON CONFLICT (target, item) DO UPDATE SET key = excluded.key, state = excluded.state,
		   quantity = excluded.quantity, before = excluded.before, reason = excluded.reason`)
	if err != nil {
		return err
	}
	defer func() { _ = put.Close() }()
	for i := range rows {
		r := &rows[i]
		if _, err := put.ExecContext(ctx, target, r.Item, r.Key, r.State, r.Quantity, nullQuantity(r.Before), r.Reason); err != nil {
			return fmt.Errorf("item %s: %w", r.Item, err)
		}
	}
	return nil
}

// FullRunRows returns the rows of a target's newest run, by item.
func (j *Journal) FullRunRows(ctx context.Context, target string) (list []FullRunRow, err error) {
	rows, err := j.db.Read().QueryContext(ctx,
		`SELECT item, key, state, quantity, before, reason FROM full_run_row WHERE target = ? ORDER BY item`, target)
	if err != nil {
		return nil, fmt.Errorf("cannot read the full run of %s: %w", target, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var r FullRunRow
		var before sql.NullInt64
		if err := rows.Scan(&r.Item, &r.Key, &r.State, &r.Quantity, &before, &r.Reason); err != nil {
			return nil, fmt.Errorf("cannot read the full run of %s: %w", target, err)
		}
		r.Before = quantity(before)
		list = append(list, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("cannot read the full run of %s: %w", target, err)
	}
	return list, nil
}

// FullRunSnapshot returns what a target held at a moment of its newest run, empty
// when that was not taken.
func (j *Journal) FullRunSnapshot(ctx context.Context, target, moment string) (FullRunSnapshot, error) {
	s := FullRunSnapshot{Moment: moment}
	var figures string
	err := j.db.Read().QueryRowContext(ctx,
		`SELECT figures FROM full_run_snapshot WHERE target = ? AND moment = ?`, target, moment).Scan(&figures)
	if errors.Is(err, sql.ErrNoRows) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(figures), &s.Figures)
	}
	if err != nil {
		return s, fmt.Errorf("cannot read what %s held: %w", target, err)
	}
	return s, nil
}
