package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// migration is one step of the schema: a file NNNNN_name.sql.
type migration struct {
	version int64
	name    string
	text    string
}

// migrations returns the steps in their order.
func migrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	var all []migration
	for _, name := range names {
		number, _, ok := strings.Cut(path.Base(name), "_")
		version, err := strconv.ParseInt(number, 10, 32)
		if !ok || err != nil || version <= 0 {
			return nil, fmt.Errorf("migration %s has no number", name)
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		all = append(all, migration{version, name, string(text)})
	}
	slices.SortFunc(all, func(a, b migration) int { return int(a.version - b.version) })
	for i := 1; i < len(all); i++ {
		if all[i].version == all[i-1].version {
			return nil, fmt.Errorf("migrations %s and %s have one number", all[i-1].name, all[i].name)
		}
	}
	return all, nil
}

// apply takes the steps that the file has not had, each in a transaction of its
// own with the note that it was taken. Steps that only a newer release knows
// are no error: within a level they have only added.
func (d *DB) apply(ctx context.Context, steps []migration) error {
	if _, err := d.writer.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS migration (version INTEGER PRIMARY KEY) STRICT"); err != nil {
		return err
	}
	for _, m := range steps {
		err := d.Write(ctx, func(tx *sql.Tx) error {
			var had bool
			if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM migration WHERE version = ?)", m.version).Scan(&had); err != nil || had {
				return err
			}
			if _, err := tx.ExecContext(ctx, m.text); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, "INSERT INTO migration (version) VALUES (?)", m.version)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}
