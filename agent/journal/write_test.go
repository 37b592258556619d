package journal_test

import (
	"context"
	"database/sql"

	"ostatok/agent/journal"
)

// write runs a statement in the journal's file.
func write(ctx context.Context, j *journal.Journal, statement string) error {
	return j.DB().Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, statement)
		return err
	})
}
