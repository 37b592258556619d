package agent

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
)

// inspect looks whether a database file is sound, without what opening it does
// besides: no migration, and nothing is set aside. Nobody may have it open.
func inspect(ctx context.Context, file string) (err error) {
	// Immutable keeps SQLite from making files beside it. A write-ahead log that a
	// power cut left has to be played in, or half a checkpoint looks like damage.
	mode := "immutable=1&mode=ro"
	if log, err := os.Stat(file + "-wal"); err == nil && log.Size() > 0 {
		mode = "mode=rw"
	}
	name := "file:" + (&url.URL{Path: filepath.ToSlash(file)}).EscapedPath()
	db, err := sql.Open("sqlite", name+"?_busy_timeout=10000&"+mode)
	if err != nil {
		return fmt.Errorf("cannot look at %s: %w", file, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	var found string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found); err != nil {
		return fmt.Errorf("%s is damaged: %w", filepath.Base(file), err)
	}
	if found != "ok" {
		return fmt.Errorf("%s is damaged: %s", filepath.Base(file), found)
	}
	return nil
}
