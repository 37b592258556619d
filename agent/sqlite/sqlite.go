// Package sqlite is how this project opens a SQLite file: one writer, two
// readers, write-ahead log, a check at the start, migrations, typed errors that
// say what to do, and a backup while running.
//
// The live file is never opened by other means: closing any other descriptor of
// it in this process would drop SQLite's POSIX locks.
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
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// Options say which file to open and how.
type Options struct {
	File       string
	ID         int32 // application_id, which tells our files from others'
	Migrations fs.FS // NNNNN_name.sql at the root, additive within a level

	// Level is the schema level that this build knows. A file of a higher level
	// is refused; a file of a lower one is copied to FILE.level-N and then
	// migrated. Only a change that an older build could not live with raises it.
	Level int

	Full        bool          // synchronous=FULL, for what must never be lost; else NORMAL
	CacheKiB    int           // page cache of the writer; 0 is 1024
	CheckWithin time.Duration // time for quick_check at the start; 0 is 20 s
	Log         zerolog.Logger
}

const (
	defaultCacheKiB    = 1024
	readerCacheKiB     = 256
	readers            = 2
	busyMilliseconds   = 10_000
	journalLimit       = 4 << 20 // bytes of WAL kept after a checkpoint
	defaultCheckWithin = 20 * time.Second
)

// DB is an open file.
type DB struct {
	file    string
	cache   int
	log     zerolog.Logger
	writer  *sql.DB
	readers *sql.DB
	trouble atomic.Pointer[error] // of the last write, nil for none
}

// Open opens the file, or creates it when there is none. It returns a
// *CorruptError for a file that is damaged or not ours, and an *OpenError for
// everything that keeps a sound file from being used.
func Open(ctx context.Context, o Options) (*DB, error) {
	if o.CacheKiB == 0 {
		o.CacheKiB = defaultCacheKiB
	}
	if o.CheckWithin == 0 {
		o.CheckWithin = defaultCheckWithin
	}
	file, err := filepath.Abs(o.File)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", o.File, err)
	}
	if err := probe(file); err != nil {
		return nil, err
	}
	// SQLite would let everybody read it, and what lies beside it takes its mode. Only
	// a file that is not there is opened by hand: closing one in use drops its locks.
	if f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err == nil {
		if err := f.Close(); err != nil {
			return nil, classify(file, err)
		}
	}
	for again := false; ; again = true {
		d, err := open(ctx, file, o)
		if _, damaged := errors.AsType[*CorruptError](err); !damaged {
			return d, err
		}
		if err = Doubt(file, err); again || !intact(file) {
			return nil, err
		}
	}
}

// Doubt returns err, or for a *CorruptError of a file that the card does not give
// at all an *OpenError: SQLite says "malformed" also when a read failed, and
// whoever sets a file aside for that loses a sound one. The file must be closed.
func Doubt(file string, err error) error {
	if _, damaged := errors.AsType[*CorruptError](err); !damaged {
		return err
	}
	// An empty one, such as was just begun, cannot be damaged either.
	if some, _ := readable(file); !some {
		return &OpenError{File: file, Reason: Failing, Err: errors.New(err.Error())}
	}
	return err
}

// intact tells whether all of the file can be read: then it may have been one
// answer that failed, and damage is found again.
func intact(file string) bool {
	_, all := readable(file)
	return all
}

func open(ctx context.Context, file string, o Options) (*DB, error) {
	d := &DB{file: file, cache: o.CacheKiB, log: o.Log}
	if err := d.open(ctx, o); err != nil {
		return nil, errors.Join(classify(file, err), d.Close())
	}
	return d, nil
}

func (d *DB) open(ctx context.Context, o Options) (err error) {
	if err := d.check(ctx, o); err != nil {
		return err
	}
	synchronous := "NORMAL"
	if o.Full {
		synchronous = "FULL"
	}
	d.writer, err = sql.Open("sqlite", dsn(d.file, o.CacheKiB, url.Values{
		"_txlock":       {"immediate"}, // a read lock is never upgraded, so busy can always be waited for
		"_auto_vacuum":  {"incremental"},
		"_journal_mode": {"WAL"},
		"_synchronous":  {synchronous},
	}))
	if err != nil {
		return err
	}
	d.writer.SetMaxOpenConns(1)
	d.writer.SetMaxIdleConns(1)
	if err := d.migrate(ctx, o); err != nil {
		return err
	}
	d.readers, err = sql.Open("sqlite", dsn(d.file, readerCacheKiB, url.Values{"_query_only": {"1"}}))
	if err != nil {
		return err
	}
	d.readers.SetMaxOpenConns(readers)
	d.readers.SetMaxIdleConns(readers)
	return d.readers.PingContext(ctx)
}

// dsn is the name of the file with the settings that every connection needs.
// The driver applies busy_timeout first.
func dsn(file string, cacheKiB int, q url.Values) string {
	q.Set("_busy_timeout", strconv.Itoa(busyMilliseconds))
	q.Set("_dqs", "0")
	q.Set("_error_rc", "1") // else a missing directory reads as "out of memory"
	q["_pragma"] = []string{
		"cache_size(-" + strconv.Itoa(cacheKiB) + ")",
		"foreign_keys(1)",
		"journal_size_limit(" + strconv.Itoa(journalLimit) + ")",
		"mmap_size(0)", // address space is short on 32 bits, and a bad card must not raise SIGBUS
		"temp_store(file)",
		// Sorting must spill beside the data: /tmp of a small box is often memory.
		"temp_store_directory(" + quote(filepath.Dir(file)) + ")",
	}
	return uri(file) + "?" + q.Encode()
}

func uri(file string) string {
	return "file:" + (&url.URL{Path: filepath.ToSlash(file)}).EscapedPath()
}

func quote(text string) string {
	b := []byte{'\''}
	for i := range len(text) {
		if text[i] == '\'' {
			b = append(b, '\'')
		}
		b = append(b, text[i])
	}
	return string(append(b, '\''))
}

// File is the absolute name of the file.
func (d *DB) File() string { return d.file }

// Write runs fn in the one write transaction (BEGIN IMMEDIATE) and commits it;
// an error or a panic of fn rolls it back. Writers wait for each other: fn must
// not call Write. A full disk is a *FullError, damage a *CorruptError.
func (d *DB) Write(ctx context.Context, fn func(*sql.Tx) error) (err error) {
	defer func() { d.note(err) }()
	tx, err := d.writer.BeginTx(ctx, nil)
	if err != nil {
		return classify(d.file, fmt.Errorf("cannot begin to write: %w", err))
	}
	done := false
	defer func() {
		if !done {
			// The cause is already on its way up; a failed rollback adds nothing.
			_ = tx.Rollback()
		}
	}()
	if err := fn(tx); err != nil {
		return classify(d.file, err)
	}
	if err := tx.Commit(); err != nil {
		return classify(d.file, fmt.Errorf("cannot commit: %w", err))
	}
	done = true
	return nil
}

// Trouble is why the last write failed, if that was the file's or the card's
// doing; nil once a write has succeeded again.
func (d *DB) Trouble() error {
	if err := d.trouble.Load(); err != nil {
		return *err
	}
	return nil
}

func (d *DB) note(err error) {
	switch {
	case err == nil:
		d.trouble.Store(nil)
	case ofTheCard(err):
		d.trouble.Store(&err)
	}
}

// Read returns the connections for reading, two at most. Rows must not be held
// open while waiting for anything slow: they keep the WAL from being emptied.
func (d *DB) Read() *sql.DB { return d.readers }

// Bulk prepares the writer for much work at once: a page cache of so many KiB,
// and statement journals in memory. Without the first, pages of an index are
// written many times per transaction; without the second, a statement of many
// rows first copies to a file every page that it touches. 0 ends it.
func (d *DB) Bulk(ctx context.Context, kib int) error {
	pragmas := []string{"PRAGMA temp_store = memory", "PRAGMA cache_size = -" + strconv.Itoa(kib)}
	if kib == 0 {
		// Pages beyond the new size are given back only on demand.
		pragmas = []string{"PRAGMA temp_store = file", "PRAGMA cache_size = -" + strconv.Itoa(d.cache), "PRAGMA shrink_memory"}
	}
	for _, pragma := range pragmas {
		if _, err := d.writer.ExecContext(ctx, pragma); err != nil {
			return classify(d.file, fmt.Errorf("cannot run %s: %w", pragma, err))
		}
	}
	return nil
}

// Size returns the bytes of the file and of its write-ahead log.
func (d *DB) Size(ctx context.Context) (db, wal int64, err error) {
	err = d.readers.QueryRowContext(ctx,
		"SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").Scan(&db)
	if err != nil {
		return 0, 0, classify(d.file, fmt.Errorf("cannot read the size: %w", err))
	}
	if info, err := os.Stat(d.file + "-wal"); err == nil {
		wal = info.Size()
	}
	return db, wal, nil
}

// Close closes the file; the write-ahead log is emptied into it.
func (d *DB) Close() error {
	var errs []error
	// The writer last: the last connection to close is the one that checkpoints.
	for _, db := range []*sql.DB{d.readers, d.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}
