package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"ostatok/agent/mirror"
)

// window is a month of the first synchronisation, epoch ms; the newest has no end.
type window struct {
	since, until int64
	done         bool
}

// state is what a killed agent has left on disk.
type state struct {
	documents int            // in the mirror, own writes included
	from      int64          // documents are complete from here, epoch ms; 0: not yet
	closed    []int64        // close times of the cloud's documents in it, epoch ms, sorted
	windows   []window       // of the first synchronisation
	underWay  int            // figures on their way to the cloud
	due       time.Time      // when the first of them is due, zero for none
	outbox    map[string]int // figures by state
	aside     []string       // files that the agent set aside as damaged
}

// at is what the agent was doing, as its files tell.
func (s *state) at() phase {
	switch {
	case s.from == 0 || len(s.windows) > 0:
		return first
	case s.underWay > 0:
		return delivery
	}
	return polling
}

// point is where in its phase that was.
func (s *state) point() string {
	done := 0
	for _, w := range s.windows {
		if w.done {
			done++
		}
	}
	switch at := s.at(); {
	case at == first && len(s.windows) == 0:
		return "… before its months were planned"
	case at == first && done == 0:
		return "… before a month was read"
	case at == first && done < len(s.windows):
		return "… between months"
	case at == first:
		return "… before the levels were computed"
	case at == polling:
		return "… with nothing to send"
	case s.outbox["sent"] > 0:
		return "… with figures sent and no answer kept"
	case s.outbox["accepted"] > 0:
		return "… with figures accepted and not read back"
	}
	return "… with figures still to be sent"
}

// begun tells whether a first synchronisation has something to go on with.
func (s *state) begun() bool {
	return slices.ContainsFunc(s.windows, func(w window) bool { return w.done })
}

// lost names what was committed before and is not there any more.
func (s *state) lost(before *state) error {
	switch {
	case s.documents < before.documents:
		return fmt.Errorf("%d documents became %d", before.documents, s.documents)
	case before.from != 0 && (s.from == 0 || s.from > before.from):
		return fmt.Errorf("the known history began at %d and begins at %d", before.from, s.from)
	case before.from != 0 && len(before.windows) == 0 && len(s.windows) > 0:
		return errors.New("the first synchronisation was done and has begun again")
	}
	for _, w := range before.windows {
		if w.done && slices.Contains(s.windows, window{w.since, w.until, false}) {
			return fmt.Errorf("the month from %s was read and is not", date(w.since))
		}
	}
	return nil
}

// gap names a time that the agent takes for known and of which it has not all
// documents; cloud are the close times of those that it can have had by then.
func (s *state) gap(cloud []int64) error {
	spans := []window{}
	for _, w := range s.windows {
		if w.done {
			spans = append(spans, w)
		}
	}
	if s.from != 0 {
		spans = append(spans, window{since: s.from})
	}
	for _, w := range spans {
		if have, want := within(s.closed, w), within(cloud, w); have < want {
			return fmt.Errorf("%d documents from %s on, of %d, and the agent takes them for read", have, date(w.since), want)
		}
	}
	return nil
}

// within counts the times in a window.
func within(times []int64, w window) int {
	first, _ := slices.BinarySearch(times, w.since)
	last := len(times)
	if w.until != 0 {
		last, _ = slices.BinarySearch(times, w.until)
	}
	return max(0, last-first)
}

func date(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.DateOnly) }

// look examines copies of the files: opening the files themselves would take
// the recovery from the next start of the agent.
func look(ctx context.Context, data, scratch string) (s *state, checked int, err error) {
	s = &state{outbox: map[string]int{}}
	if s.aside, err = filepath.Glob(filepath.Join(data, "*.corrupt-*")); err != nil {
		return nil, 0, fmt.Errorf("cannot look into %s: %w", data, err)
	}
	for _, name := range []string{"mirror.db", "journal.db"} {
		there, err := copyDatabase(data, scratch, name)
		if err != nil {
			return nil, checked, err
		}
		if !there {
			continue
		}
		checked++
		if err := examine(ctx, filepath.Join(scratch, name), s); err != nil {
			return nil, checked, fmt.Errorf("%s: %w", filepath.Join(data, name), err)
		}
	}
	return s, checked, nil
}

func copyDatabase(data, scratch, name string) (there bool, err error) {
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return false, fmt.Errorf("cannot copy %s: %w", name, err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} { // the copy's own index is rebuilt from its log
		to := filepath.Join(scratch, name+suffix)
		if err := os.Remove(to); err != nil && !errors.Is(err, os.ErrNotExist) {
			return false, fmt.Errorf("cannot copy %s: %w", name, err)
		}
		if suffix == "-shm" {
			continue
		}
		in, err := os.Open(filepath.Join(data, name+suffix))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("cannot copy %s: %w", name, err)
		}
		out, err := os.Create(to)
		if err == nil {
			_, err = io.Copy(out, in)
			err = errors.Join(err, out.Close())
		}
		if err = errors.Join(err, in.Close()); err != nil {
			return false, fmt.Errorf("cannot copy %s: %w", name, err)
		}
		there = there || suffix == ""
	}
	return there, nil
}

// examine checks one database and reads from it how far the agent was.
func examine(ctx context.Context, file string, s *state) (err error) {
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	if err := sound(ctx, db); err != nil {
		return err
	}
	var tables string
	if err := db.QueryRowContext(ctx, "SELECT ifnull(group_concat(name), '') FROM sqlite_schema WHERE type = 'table'").Scan(&tables); err != nil {
		return fmt.Errorf("cannot read the schema: %w", err)
	}
	switch names := "," + tables + ","; {
	case strings.Contains(names, ",sync_window,"):
		return s.readMirror(ctx, db)
	case strings.Contains(names, ",outbox,"):
		return s.readJournal(ctx, db)
	}
	return nil // killed before it had tables
}

// sound is SQLite's own judgement.
func sound(ctx context.Context, db *sql.DB) error {
	found, err := texts(ctx, db, "PRAGMA integrity_check")
	if err != nil {
		return fmt.Errorf("integrity_check: %w", err)
	}
	if len(found) != 1 || found[0] != "ok" {
		return fmt.Errorf("integrity_check: %s", strings.Join(found, "; "))
	}
	broken, err := texts(ctx, db, `SELECT "table" || ' ' || ifnull(rowid, '') FROM pragma_foreign_key_check`)
	if err != nil {
		return fmt.Errorf("foreign_key_check: %w", err)
	}
	if len(broken) > 0 {
		return fmt.Errorf("foreign_key_check: %s", strings.Join(broken, "; "))
	}
	return nil
}

func texts(ctx context.Context, db *sql.DB, query string) (list []string, err error) {
	err = each(ctx, db, query, func(rows *sql.Rows) error {
		var text string
		err := rows.Scan(&text)
		list = append(list, text)
		return err
	})
	return list, err
}

func each(ctx context.Context, db *sql.DB, query string, fn func(*sql.Rows) error) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (s *state) readMirror(ctx context.Context, db *sql.DB) error {
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM document").Scan(&s.documents); err != nil {
		return fmt.Errorf("cannot count documents: %w", err)
	}
	var coverage string
	err := db.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'mirror.coverage'").Scan(&coverage)
	if err == nil {
		var c struct{ From int64 }
		err = json.Unmarshal([]byte(coverage), &c)
		s.from = c.From
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("cannot read the coverage: %w", err)
	}
	err = each(ctx, db, "SELECT since, until, done FROM sync_window WHERE kind = 'first'", func(rows *sql.Rows) error {
		var w window
		err := rows.Scan(&w.since, &w.until, &w.done)
		s.windows = append(s.windows, w)
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot read the progress: %w", err)
	}
	err = each(ctx, db, fmt.Sprintf("SELECT closed FROM document WHERE source = %d ORDER BY closed", mirror.Cloud), func(rows *sql.Rows) error {
		var at int64
		err := rows.Scan(&at)
		s.closed = append(s.closed, at)
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot read the documents: %w", err)
	}
	return nil
}

func (s *state) readJournal(ctx context.Context, db *sql.DB) error {
	err := each(ctx, db, "SELECT state, count(*) FROM outbox GROUP BY state", func(rows *sql.Rows) error {
		var name string
		var n int
		err := rows.Scan(&name, &n)
		s.outbox[name] = n
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot read the outbox: %w", err)
	}
	s.underWay = s.outbox["planned"] + s.outbox["sent"] + s.outbox["accepted"]
	var due sql.NullInt64
	if err := db.QueryRowContext(ctx, "SELECT min(next_try) FROM outbox").Scan(&due); err != nil {
		return fmt.Errorf("cannot read the outbox: %w", err)
	}
	if due.Valid {
		s.due = time.UnixMilli(due.Int64)
	}
	return nil
}

// documentIDs are the ids of the documents from a source, with repetitions if
// there were any.
func documentIDs(ctx context.Context, file string, source mirror.Source) ([]string, error) {
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the documents: %w", err)
	}
	defer db.Close()
	// An id that is a UUID is kept as its 16 bytes.
	ids, err := texts(ctx, db, fmt.Sprintf(`SELECT CASE typeof(key) WHEN 'blob' THEN
		substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-' || substr(h, 13, 4) || '-' || substr(h, 17, 4) || '-' || substr(h, 21)
		ELSE key END FROM (SELECT key, lower(hex(key)) AS h FROM document WHERE source = %d)`, source))
	if err != nil {
		return nil, fmt.Errorf("cannot read the documents: %w", err)
	}
	return ids, nil
}
