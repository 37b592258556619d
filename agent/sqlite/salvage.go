package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	driver "modernc.org/sqlite"
)

// Salvage copies what can still be read from a damaged file into fresh, table
// by table in the order given; without names, every table that fresh has. It
// reads each table from both ends up to the damage. Rows that fresh already has
// are left as they are. It returns the rows saved of each table; an error means
// that fresh could not be written, never that the damaged file was unreadable.
func Salvage(ctx context.Context, damaged string, fresh *DB, tables ...string) (map[string]int64, error) {
	saved := make(map[string]int64)
	if len(tables) == 0 {
		var err error
		if tables, err = tablesOf(ctx, fresh.readers); err != nil {
			return saved, classify(fresh.file, fmt.Errorf("cannot list the tables: %w", err))
		}
	}
	old, err := sql.Open("sqlite", dsn(damaged, defaultCacheKiB, url.Values{"_query_only": {"1"}}))
	if err != nil {
		return saved, fmt.Errorf("cannot salvage %s: %w", damaged, err)
	}
	defer func() { _ = old.Close() }()
	old.SetMaxOpenConns(1)
	for _, table := range tables {
		n, err := salvageTable(ctx, old, fresh, table)
		saved[table] += n
		if err != nil {
			return saved, err
		}
	}
	return saved, nil
}

func tablesOf(ctx context.Context, db *sql.DB) ([]string, error) {
	return column(ctx, db, `SELECT name FROM sqlite_schema
		WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'migration' ORDER BY rowid`)
}

func column(ctx context.Context, db *sql.DB, query string, args ...any) (out []string, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		out = append(out, text)
	}
	return out, rows.Err()
}

// salvageBatch rows are written per transaction.
const salvageBatch = 500

func salvageTable(ctx context.Context, old *sql.DB, fresh *DB, table string) (int64, error) {
	const names = "SELECT name FROM pragma_table_info(?)"
	have, err := column(ctx, old, names, table)
	if err != nil || len(have) == 0 {
		return 0, ctx.Err() // not readable at all: nothing to save
	}
	want, err := column(ctx, fresh.readers, names, table)
	if err != nil {
		return 0, classify(fresh.file, err)
	}
	want = slices.DeleteFunc(want, func(name string) bool { return !slices.Contains(have, name) })
	if len(want) == 0 {
		return 0, nil
	}
	for i, name := range want {
		want[i] = identifier(name)
	}
	columns := strings.Join(want, ", ")
	insert := fmt.Sprintf("INSERT OR IGNORE INTO %s (%s) VALUES (?%s)",
		identifier(table), columns, strings.Repeat(", ?", len(want)-1))
	var saved int64
	for _, order := range []string{"rowid", "rowid DESC", ""} {
		query := "SELECT " + columns + " FROM " + identifier(table)
		if order != "" {
			query += " ORDER BY " + order
		}
		n, whole, err := salvageRows(ctx, old, fresh, query, insert, len(want))
		saved += n
		if err != nil || whole {
			return saved, err
		}
	}
	return saved, ctx.Err()
}

// salvageRows copies until the rows end (whole) or cannot be read any more.
func salvageRows(ctx context.Context, old *sql.DB, fresh *DB, query, insert string, width int) (saved int64, whole bool, err error) {
	rows, err := old.QueryContext(ctx, query)
	if err != nil {
		return 0, false, ctx.Err()
	}
	defer func() { _ = rows.Close() }() // of a damaged file: its errors are expected
	for more := true; more; {
		err := fresh.Write(ctx, func(tx *sql.Tx) error {
			statement, err := tx.PrepareContext(ctx, insert)
			if err != nil {
				return err
			}
			defer func() { _ = statement.Close() }()
			for range salvageBatch {
				if more = rows.Next(); !more {
					return nil
				}
				values, targets := make([]any, width), make([]any, width)
				for i := range values {
					targets[i] = &values[i]
				}
				if rows.Scan(targets...) != nil {
					continue
				}
				result, err := statement.ExecContext(ctx, values...)
				var fault *driver.Error
				if errors.As(err, &fault) && fault.Code()&0xff == codeConstraint {
					continue // a value torn by the damage
				}
				if err != nil {
					return err
				}
				n, err := result.RowsAffected()
				if err != nil {
					return err
				}
				saved += n
			}
			return nil
		})
		if err != nil {
			return saved, false, err
		}
	}
	return saved, rows.Err() == nil, ctx.Err()
}

func identifier(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
