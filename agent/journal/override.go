package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
)

// Override is one setting that an operator has laid over the file.
type Override struct {
	Key       string
	Value     json.RawMessage
	Until     int64  // epoch ms
	By        string // issuer and key of the command
	Command   int64  // Seq of the command
	SetAt     int64  // epoch ms
	Confirmed bool   // the broker was reached with it
}

// Tries is how often the agent may start with an override that has not proved
// itself: one that stops the agent must not do so for ever.
const Tries = 3

// Overrides returns those that are laid over the file, by key.
func (j *Journal) Overrides(ctx context.Context) (list []Override, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("cannot read the overrides: %w", err)
		}
	}()
	rows, err := j.db.Read().QueryContext(ctx, `SELECT key, value, until, by, command, set_at, confirmed FROM override ORDER BY key`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var o Override
		var value string
		if err := rows.Scan(&o.Key, &value, &o.Until, &o.By, &o.Command, &o.SetAt, &o.Confirmed); err != nil {
			return nil, err
		}
		o.Value = json.RawMessage(value)
		list = append(list, o)
	}
	return list, rows.Err()
}

// SetOverrides lays settings over the file and takes others off, as one.
func (j *Journal) SetOverrides(ctx context.Context, set []Override, drop []string) error {
	err := j.db.Write(ctx, func(tx *sql.Tx) error {
		for _, key := range drop {
			if _, err := tx.ExecContext(ctx, `DELETE FROM override WHERE key = ?`, key); err != nil {
				return err
			}
		}
		for _, o := range set {
			if _, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO override (key, value, until, by, command, set_at, confirmed)
				VALUES (?, ?, ?, ?, ?, ?, ?)`, o.Key, string(o.Value), o.Until, o.By, o.Command, j.now().UnixMilli(), o.Confirmed); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot store the overrides: %w", err)
	}
	return nil
}

// ConfirmOverrides notes that the broker was reached with all of them.
func (j *Journal) ConfirmOverrides(ctx context.Context) error {
	return j.writeOverrides(ctx, `UPDATE override SET confirmed = 1, tries = 0 WHERE confirmed = 0`)
}

// TryOverrides counts a start of the agent and returns the keys that have had
// their Tries and are dropped.
func (j *Journal) TryOverrides(ctx context.Context) (dropped []string, err error) {
	unproved := false
	list, err := j.Overrides(ctx)
	if err != nil {
		return nil, err
	}
	for _, o := range list {
		unproved = unproved || !o.Confirmed
	}
	if !unproved { // nearly always; spares a write at each start
		return nil, nil
	}
	if err := j.writeOverrides(ctx, `UPDATE override SET tries = tries + 1 WHERE confirmed = 0`); err != nil {
		return nil, err
	}
	rows, err := j.db.Read().QueryContext(ctx, `SELECT key FROM override WHERE tries > ?`, Tries)
	if err != nil {
		return nil, fmt.Errorf("cannot read the overrides: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			return nil, fmt.Errorf("cannot read the overrides: %w", err)
		}
		dropped = append(dropped, key)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("cannot read the overrides: %w", err)
	}
	if err := rows.Close(); err != nil || len(dropped) == 0 {
		return nil, err
	}
	return dropped, j.SetOverrides(ctx, nil, dropped)
}

func (j *Journal) writeOverrides(ctx context.Context, query string, args ...any) error {
	return j.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, query, args...); err != nil {
			return fmt.Errorf("cannot store the overrides: %w", err)
		}
		return nil
	})
}
