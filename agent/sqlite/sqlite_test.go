package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/sqlite"
)

const testID = 0x54455354

func migrations(extra ...string) fs.FS {
	files := fstest.MapFS{"00001_note.sql": {Data: []byte(
		"CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);\n")}}
	for i, statement := range extra {
		files[fmt.Sprintf("%05d_more.sql", i+2)] = &fstest.MapFile{Data: []byte(statement + ";\n")}
	}
	return files
}

func options(file string) sqlite.Options {
	return sqlite.Options{File: file, ID: testID, Migrations: migrations(), Log: zerolog.Nop()}
}

func mustOpen(t *testing.T, o sqlite.Options) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func add(t *testing.T, db *sqlite.DB, from, to int) {
	t.Helper()
	err := db.Write(t.Context(), func(tx *sql.Tx) error {
		for i := from; i < to; i++ {
			if _, err := tx.Exec("INSERT INTO note VALUES (?, ?)", i, fmt.Sprintf("%d %s", i, strings.Repeat("x", 100))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, db *sqlite.DB) (n int) {
	t.Helper()
	if err := db.Read().QueryRow("SELECT count(*) FROM note").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A shop's sales are nobody else's, also in a directory that others may enter.
func TestFilesAreTheOwners(t *testing.T) {
	file := filepath.Join(t.TempDir(), "n.db")
	db := mustOpen(t, options(file))
	add(t, db, 0, 1)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if info, err := os.Stat(file + suffix); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", suffix, info.Mode(), err)
		}
	}
}

func TestSettings(t *testing.T) {
	// A quote, a space and a question mark in the name must not end it early.
	dir := filepath.Join(t.TempDir(), "shop's data? 100%")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	o := options(filepath.Join(dir, "a.db"))
	o.Full = true
	db := mustOpen(t, o)
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "busy_timeout": "10000", "mmap_size": "0", "temp_store": "1",
		"temp_store_directory": dir, "application_id": fmt.Sprint(testID), "auto_vacuum": "2",
		"journal_size_limit": "4194304", "foreign_keys": "1",
	} {
		var read, written string
		if err := db.Read().QueryRow("PRAGMA " + pragma).Scan(&read); err != nil {
			t.Fatal(pragma, err)
		}
		err := db.Write(t.Context(), func(tx *sql.Tx) error { return tx.QueryRow("PRAGMA " + pragma).Scan(&written) })
		if err != nil {
			t.Fatal(pragma, err)
		}
		if read != want || written != want {
			t.Errorf("%s = %q reading, %q writing; want %q", pragma, read, written, want)
		}
	}
	var synchronous int
	err := db.Write(t.Context(), func(tx *sql.Tx) error { return tx.QueryRow("PRAGMA synchronous").Scan(&synchronous) })
	if err != nil || synchronous != 2 {
		t.Errorf("synchronous = %d, %v; want FULL", synchronous, err)
	}
	if _, err := db.Read().Exec("INSERT INTO note VALUES (1, 'x')"); err == nil {
		t.Error("a reader can write")
	}
	if _, err := db.Read().Exec(`SELECT "no such column" FROM note`); err == nil {
		t.Error("a misspelt column is read as a string")
	}
}

func TestWriteRollsBack(t *testing.T) {
	db := mustOpen(t, options(filepath.Join(t.TempDir(), "a.db")))
	stop := errors.New("stop")
	err := db.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec("INSERT INTO note VALUES (1, 'x')")
		return errors.Join(err, stop)
	})
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = db.Write(t.Context(), func(tx *sql.Tx) error {
			_, _ = tx.Exec("INSERT INTO note VALUES (2, 'y')")
			panic("bug")
		})
	}()
	if n := count(t, db); n != 0 {
		t.Fatalf("%d rows of failed writes", n)
	}
	add(t, db, 0, 1) // the writer is free again
}

func TestDamage(t *testing.T) {
	sound := func(t *testing.T) string {
		file := filepath.Join(t.TempDir(), "a.db")
		db := mustOpen(t, options(file))
		add(t, db, 0, 2000)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		return file
	}
	cases := map[string]func(t *testing.T, file string) error{
		"garbage": func(t *testing.T, file string) error {
			return os.WriteFile(file, bytes.Repeat([]byte("not a database "), 1000), 0o600)
		},
		"truncated": func(t *testing.T, file string) error { return os.Truncate(file, 40_960) },
		"page overwritten": func(t *testing.T, file string) error {
			f, err := os.OpenFile(file, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt(bytes.Repeat([]byte{0xA5}, 3*4096), 20*4096)
			return errors.Join(err, f.Close())
		},
		"another program's": func(t *testing.T, file string) error {
			if err := os.Remove(file); err != nil {
				return err
			}
			db, err := sql.Open("sqlite", file)
			if err != nil {
				return err
			}
			_, err = db.Exec("CREATE TABLE theirs (x)")
			return errors.Join(err, db.Close())
		},
	}
	for name, damage := range cases {
		t.Run(name, func(t *testing.T) {
			file := sound(t)
			if err := damage(t, file); err != nil {
				t.Fatal(err)
			}
			before, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = sqlite.Open(t.Context(), options(file))
			var corrupt *sqlite.CorruptError
			if !errors.As(err, &corrupt) {
				t.Fatalf("got %v, want a CorruptError", err)
			}
			if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
				t.Error("a damaged file was changed by opening it")
			}
		})
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "plain"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]sqlite.Reason{
		"nowhere/a.db": sqlite.Missing,
		"plain/a.db":   sqlite.Permission, // ENOTDIR
		"folder":       sqlite.NotAFile,
	} {
		_, err := sqlite.Open(t.Context(), options(filepath.Join(dir, file)))
		var open *sqlite.OpenError
		if !errors.As(err, &open) {
			t.Errorf("%s: got %v, want an OpenError", file, err)
		} else if open.Reason != want && !(file == "plain/a.db" && open.Reason == sqlite.Missing) {
			t.Errorf("%s: reason %s, want %s", file, open.Reason, want)
		}
	}
}

func TestLocked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.db")
	mustOpen(t, options(file))
	other, err := sql.Open("sqlite", file+"?_txlock=exclusive")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	tx, err := other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	// A cancelled wait is the context's error and not damage.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sqlite.Open(ctx, options(file)); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
}

func TestSetAside(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.db")
	now := time.Date(2026, 11, 21, 20, 30, 0, 0, time.UTC)
	for _, want := range []string{".corrupt-20261121T203000Z", ".corrupt-20261121T203000Z-2"} {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if err := os.WriteFile(file+suffix, []byte(suffix), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		moved, err := sqlite.SetAside(file, sqlite.Corrupt, now)
		if err != nil || moved != file+want {
			t.Fatalf("moved to %s, %v", moved, err)
		}
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if got, err := os.ReadFile(moved + suffix); err != nil || string(got) != suffix {
				t.Errorf("%s: %q, %v", suffix, got, err)
			}
			if _, err := os.Stat(file + suffix); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is still there", suffix)
			}
		}
	}
}

func TestSchemaLevels(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.db")
	o := options(file)
	db := mustOpen(t, o)
	add(t, db, 0, 10)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	next := o
	next.Migrations = migrations("ALTER TABLE note ADD COLUMN author TEXT")
	for _, step := range []sqlite.Options{next, o, next} { // up, back to the release before, up again
		db := mustOpen(t, step)
		if n := count(t, db); n != 10 {
			t.Fatalf("%d rows, want 10", n)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	raised := next
	raised.Level = 1
	db = mustOpen(t, raised)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := sqlite.Open(t.Context(), next)
	var open *sqlite.OpenError
	if !errors.As(err, &open) || open.Reason != sqlite.Newer {
		t.Fatalf("got %v, want Newer", err)
	}
	o.File = file + ".level-0"
	if n := count(t, mustOpen(t, o)); n != 10 {
		t.Fatalf("the copy made before has %d rows, want 10", n)
	}
	db = mustOpen(t, raised)
	for _, step := range []struct {
		before time.Time
		stays  bool
	}{{time.Now().Add(-time.Hour), true}, {time.Now().Add(time.Hour), false}} {
		if err := db.DropCopies(step.before); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(o.File); (err == nil) != step.stays {
			t.Errorf("copies of before %v dropped: %v", step.before, err)
		}
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestBackupWhileWriting(t *testing.T) {
	dir := t.TempDir()
	db := mustOpen(t, options(filepath.Join(dir, "a.db")))
	add(t, db, 0, 3000)
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		n := 3000
		for {
			select {
			case <-stop:
				done <- n
				return
			default:
				add(t, db, n, n+2) // two at a time: an odd count is a torn copy
				n += 2
			}
		}
	}()
	copied := filepath.Join(dir, "copy.db")
	for range 5 {
		if err := db.Backup(t.Context(), copied); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	last := <-done
	if n := count(t, db); n != last {
		t.Fatalf("%d rows, want %d", n, last)
	}
	second := mustOpen(t, options(copied))
	if err := second.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := count(t, second); n < 3000 || n > last || n%2 != 0 {
		t.Fatalf("the copy has %d rows, the file %d", n, last)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.partial*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestMaintainGivesSpaceBack(t *testing.T) {
	db := mustOpen(t, options(filepath.Join(t.TempDir(), "a.db")))
	add(t, db, 0, 5000)
	before, wal, err := db.Size(t.Context())
	if err != nil || before == 0 || wal == 0 {
		t.Fatal(before, wal, err)
	}
	err = db.Write(t.Context(), func(tx *sql.Tx) error { _, err := tx.Exec("DELETE FROM note"); return err })
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, wal, err := db.Size(t.Context())
	if err != nil || after*4 > before || wal != 0 {
		t.Fatalf("%d bytes, then %d and %d of WAL, %v", before, after, wal, err)
	}
}

func TestSalvage(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a.db")
	db := mustOpen(t, options(file))
	add(t, db, 0, 5000)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(bytes.Repeat([]byte{0x5A}, 2*4096), info.Size()/4096/2*4096)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	var corrupt *sqlite.CorruptError
	if _, err := sqlite.Open(t.Context(), options(file)); !errors.As(err, &corrupt) {
		t.Fatalf("got %v, want a CorruptError", err)
	}
	moved, err := sqlite.SetAside(file, sqlite.Corrupt, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	fresh := mustOpen(t, options(file))
	saved, err := sqlite.Salvage(t.Context(), moved, fresh, "note")
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, fresh); int64(n) != saved["note"] || n < 4500 || n > 5000 {
		t.Fatalf("saved %v, %d rows there", saved, n)
	}
	if err := fresh.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}
