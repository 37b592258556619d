package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
)

// KeepEvents is how many events are kept, KeepEventBytes how large they may be.
// Nothing is dropped by the clock, because one that jumps ahead would drop
// everything; trimEvents says what goes first.
const KeepEvents = 10_000

// pruneEvery is how many events come between two looks at the bound.
const pruneEvery = 256

// The severities of events.
const (
	Info    = "info"
	Warning = "warning"
	Error   = "error"
)

// Event is something that people or other programs should learn of.
type Event struct {
	ID       string          // unique; "" lets AddEvent make one
	Seq      int64           // given by the journal, grows without gaps that matter
	At       int64           // epoch ms; 0 is now
	Kind     string          // stable name, the key of translations
	Severity string          // Info, Warning or Error
	Message  string          // English, for people
	Data     json.RawMessage // facts of the kind, may be nil
}

// AddEvent stores the event durably. The same id again changes nothing.
func (j *Journal) AddEvent(ctx context.Context, e Event) error {
	return j.db.Write(ctx, func(tx *sql.Tx) error { return j.addEvent(ctx, tx, e) })
}

func (j *Journal) addEvent(ctx context.Context, tx *sql.Tx, e Event) error {
	if e.ID == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("cannot make an event id: %w", err)
		}
		e.ID = id.String()
	}
	if e.At == 0 {
		e.At = j.now().UnixMilli()
	}
	result, err := tx.ExecContext(ctx,
		`INSERT INTO event (id, at, kind, severity, message, data) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		e.ID, e.At, e.Kind, e.Severity, e.Message, nullText(e.Data))
	if err != nil {
		return fmt.Errorf("cannot store event %s: %w", e.Kind, err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return err
	}
	seq, err := result.LastInsertId()
	if err != nil {
		return err
	}
	if seq%pruneEvery == 0 {
		err = trimEvents(ctx, tx)
	}
	return err
}

// Events returns up to limit events after a sequence number, oldest first.
func (j *Journal) Events(ctx context.Context, afterSeq int64, limit int) ([]Event, error) {
	return j.events(ctx, `SELECT seq, id, at, kind, severity, message, data FROM event WHERE seq > ? ORDER BY seq LIMIT ?`, afterSeq, limit)
}

func (j *Journal) events(ctx context.Context, query string, args ...any) (events []Event, err error) {
	rows, err := j.db.Read().QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("cannot read events: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var e Event
		var data sql.NullString
		if err := rows.Scan(&e.Seq, &e.ID, &e.At, &e.Kind, &e.Severity, &e.Message, &data); err != nil {
			return nil, fmt.Errorf("cannot read events: %w", err)
		}
		if data.Valid {
			e.Data = json.RawMessage(data.String)
		}
		events = append(events, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("cannot read events: %w", err)
	}
	return events, nil
}

func (j *Journal) pruneEvents(ctx context.Context) error {
	return j.db.Write(ctx, func(tx *sql.Tx) error {
		err := trimEvents(ctx, tx)
		if err != nil {
			return fmt.Errorf("cannot drop old events: %w", err)
		}
		return nil
	})
}

func nullText(b []byte) sql.NullString {
	return sql.NullString{String: string(b), Valid: len(b) > 0}
}
