package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// check looks whether a file that exists is ours and sound. It does so on a
// connection that cannot write: what is damaged, or another program's, must be
// left as it was found.
func (d *DB) check(ctx context.Context, o Options) (err error) {
	if info, err := os.Stat(d.file); err != nil || info.Size() == 0 {
		return nil // the probe has seen to what else can be wrong
	}
	db, err := sql.Open("sqlite", dsn(d.file, readerCacheKiB, url.Values{"_query_only": {"1"}}))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	var id int32
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return fmt.Errorf("cannot read the header: %w", err)
	}
	var tables int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return fmt.Errorf("cannot read the schema: %w", err)
	}
	if id == 0 && tables == 0 {
		return nil // created, and cut off before the first write
	}
	if id != o.ID {
		return &CorruptError{File: d.file, Detail: fmt.Sprintf("application id %d, expected %d", id, o.ID)}
	}
	// A big file on a slow card could take minutes; what the time does not reach
	// is found when it is read.
	within, cancel := context.WithTimeout(ctx, o.CheckWithin)
	defer cancel()
	var found string
	err = db.QueryRowContext(within, "PRAGMA quick_check(1)").Scan(&found)
	switch {
	case err != nil && ctx.Err() == nil && within.Err() != nil:
		d.log.Warn().Str("file", d.file).Dur("within", o.CheckWithin).Msg("database check cut short")
		return nil
	case err != nil:
		return fmt.Errorf("cannot check: %w", err)
	case found != "ok":
		return &CorruptError{File: d.file, Detail: found}
	}
	return nil
}

// migrate brings the schema up. Within a level migrations only add, so that
// the release before still opens the file after a rollback.
func (d *DB) migrate(ctx context.Context, o Options) error {
	var level int
	if err := d.writer.QueryRowContext(ctx, "PRAGMA user_version").Scan(&level); err != nil {
		return fmt.Errorf("cannot read the schema level: %w", err)
	}
	if level > o.Level {
		return &OpenError{File: d.file, Reason: Newer}
	}
	steps, err := migrations(o.Migrations)
	if err != nil {
		return fmt.Errorf("cannot read the migrations: %w", err)
	}
	var tables int
	if err := d.writer.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return fmt.Errorf("cannot read the schema: %w", err)
	}
	if tables == 0 {
		if _, err := d.writer.ExecContext(ctx, "PRAGMA application_id = "+strconv.Itoa(int(o.ID))); err != nil {
			return fmt.Errorf("cannot mark the file as ours: %w", err)
		}
	}
	if tables > 0 && level < o.Level {
		copied := d.file + copySuffix + strconv.Itoa(level)
		if err := backup(ctx, d.writer, copied); err != nil {
			return fmt.Errorf("cannot copy the file before its schema is raised: %w", err)
		}
		d.log.Info().Str("copy", copied).Int("level", o.Level).Msg("schema level raised")
	}
	if err := d.apply(ctx, steps); err != nil {
		return fmt.Errorf("cannot migrate: %w", err)
	}
	if level < o.Level {
		if _, err := d.writer.ExecContext(ctx, "PRAGMA user_version = "+strconv.Itoa(o.Level)); err != nil {
			return fmt.Errorf("cannot record the schema level: %w", err)
		}
	}
	return nil
}

// copySuffix and a level name the copy that is made before a file is raised from
// that level.
const copySuffix = ".level-"

// DropCopies removes the copies that were made before a moment of the file as it
// was before its level was raised.
func (d *DB) DropCopies(before time.Time) error {
	dir, name := filepath.Split(d.file)
	list, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("cannot look for copies: %w", err)
	}
	var errs []error
	for _, entry := range list {
		if !strings.HasPrefix(entry.Name(), name+copySuffix) {
			continue
		}
		info, err := entry.Info()
		if err == nil && info.ModTime().Before(before) {
			err = os.Remove(filepath.Join(dir, entry.Name()))
			d.log.Info().Str("copy", entry.Name()).Err(err).Msg("copy of before the schema step dropped")
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("cannot drop a copy: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Check runs integrity_check over the whole file; damage is a *CorruptError.
func (d *DB) Check(ctx context.Context) error {
	var found string
	if err := d.readers.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&found); err != nil {
		return classify(d.file, fmt.Errorf("cannot check: %w", err))
	}
	if found != "ok" {
		return &CorruptError{File: d.file, Detail: found}
	}
	return nil
}

// vacuumPages is the slice of free pages given back at a time: a full VACUUM
// would need twice the disk.
const vacuumPages = 2048

// Maintain refreshes the planner's statistics, gives a slice of free pages back
// to the file system and empties the write-ahead log.
func (d *DB) Maintain(ctx context.Context) error {
	for _, pragma := range []string{
		"PRAGMA optimize",
		"PRAGMA incremental_vacuum(" + strconv.Itoa(vacuumPages) + ")",
		"PRAGMA wal_checkpoint(TRUNCATE)",
	} {
		if _, err := d.writer.ExecContext(ctx, pragma); err != nil {
			return classify(d.file, fmt.Errorf("cannot run %s: %w", pragma, err))
		}
	}
	return nil
}

// Backup copies the database to file through SQLite's backup API while it is in
// use. The copy appears under its name only when it is whole and on disk.
func (d *DB) Backup(ctx context.Context, file string) error {
	if err := backup(ctx, d.readers, file); err != nil {
		return classify(d.file, fmt.Errorf("cannot back up to %s: %w", file, err))
	}
	return nil
}

func backup(ctx context.Context, from *sql.DB, file string) error {
	conn, err := from.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // returns it to the pool
	// One snapshot for the whole copy: without it every write by another
	// connection would start the copy over.
	if _, err := conn.ExecContext(ctx, "BEGIN DEFERRED"); err != nil {
		return err
	}
	defer func() { _, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") }()
	var tables int
	if err := conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return err
	}
	partial := file + ".partial"
	if err := os.Remove(partial); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	err = conn.Raw(func(raw any) error { return copyPages(ctx, raw, partial) })
	if err != nil {
		return errors.Join(err, removeSet(partial))
	}
	return publish(partial, file)
}
