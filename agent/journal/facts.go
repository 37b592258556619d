package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Meta returns a small fact by its key, "" when it was never set.
func (j *Journal) Meta(ctx context.Context, key string) (string, error) {
	var value string
	err := j.db.Read().QueryRowContext(ctx, `SELECT value FROM meta WHERE key = ?`, key).Scan(&value)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("cannot read %s from the journal: %w", key, err)
	}
	return value, nil
}

// SetMeta stores a small fact durably.
func (j *Journal) SetMeta(ctx context.Context, key, value string) error {
	return j.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx,
			`INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
		if err != nil {
			return fmt.Errorf("cannot store %s in the journal: %w", key, err)
		}
		return nil
	})
}

// Target returns what is remembered of a target, zero facts for a new one.
func (j *Journal) Target(ctx context.Context, name string) (TargetFacts, error) {
	f := TargetFacts{Name: name}
	err := j.db.Read().QueryRowContext(ctx,
		`SELECT blocked, last_success, last_error, last_error_at, verified_at, noticed_at FROM target WHERE name = ?`, name).
		Scan(&f.Blocked, &f.LastSuccess, &f.LastError, &f.LastErrorAt, &f.VerifiedAt, &f.NoticedAt)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return f, fmt.Errorf("cannot read the state of target %s: %w", name, err)
	}
	return f, nil
}

// SetTarget stores what is to be remembered of a target.
func (j *Journal) SetTarget(ctx context.Context, f TargetFacts) error {
	return j.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx,
			`INSERT INTO target (name, blocked, last_success, last_error, last_error_at, verified_at, noticed_at)
			 VALUES (?, ?, ?, ?, ?, ?, ?)
			 ON CONFLICT (name) DO UPDATE SET blocked = excluded.blocked, last_success = excluded.last_success,
			   last_error = excluded.last_error, last_error_at = excluded.last_error_at,
			   verified_at = excluded.verified_at, noticed_at = excluded.noticed_at`,
			f.Name, f.Blocked, f.LastSuccess, f.LastError, f.LastErrorAt, f.VerifiedAt, f.NoticedAt)
		if err != nil {
			return fmt.Errorf("cannot store the state of target %s: %w", f.Name, err)
		}
		return nil
	})
}
