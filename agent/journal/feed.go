package journal

import (
	"context"
	"database/sql"
	"fmt"
)

// KeepEventBytes bounds the events by their size; KeepEvents by their number.
const KeepEventBytes = 4 << 20

const (
	sessionKey = "remote.session"
	cursorKey  = "remote.events"  // the last event that the broker has
	askedKey   = "remote.rebirth" // number of the last rebirth that was asked for
	rebornKey  = "remote.reborn"  // … and of the last one that was sent
	dropKey    = "remote.dropped."
)

// NextSession returns a number that no connection has had before.
func (j *Journal) NextSession(ctx context.Context) (session int64, err error) {
	err = j.db.Write(ctx, func(tx *sql.Tx) error {
		if session, err = number(ctx, tx, sessionKey); err != nil {
			return err
		}
		session++
		return setNumber(ctx, tx, sessionKey, session)
	})
	if err != nil {
		return 0, fmt.Errorf("cannot number the session: %w", err)
	}
	return session, nil
}

// RaiseSession makes sure that the next session is above one that the broker
// remembers: a journal that was lost begins to count anew.
func (j *Journal) RaiseSession(ctx context.Context, above int64) error {
	return j.db.Write(ctx, func(tx *sql.Tx) error {
		had, err := number(ctx, tx, sessionKey)
		if err == nil && had < above {
			err = setNumber(ctx, tx, sessionKey, above)
		}
		if err != nil {
			return fmt.Errorf("cannot raise the session's number: %w", err)
		}
		return nil
	})
}

// UnsentEvents returns the oldest events that the broker does not have.
func (j *Journal) UnsentEvents(ctx context.Context, limit int) ([]Event, error) {
	cursor, err := j.number(ctx, cursorKey)
	if err != nil {
		return nil, err
	}
	return j.Events(ctx, cursor, limit)
}

// EventsSent notes that the broker has all events up to a sequence number.
func (j *Journal) EventsSent(ctx context.Context, seq int64) error {
	return j.db.Write(ctx, func(tx *sql.Tx) error {
		if err := setNumber(ctx, tx, cursorKey, seq); err != nil {
			return fmt.Errorf("cannot note the events that were sent: %w", err)
		}
		return nil
	})
}

// Backlog is what of the events did not reach the broker.
type Backlog struct {
	Waiting                                   int64
	DroppedInfo, DroppedWarning, DroppedError int64 // since the journal began
}

// EventBacklog counts what waits and what was dropped before it was sent.
func (j *Journal) EventBacklog(ctx context.Context) (b Backlog, err error) {
	cursor, err := j.number(ctx, cursorKey)
	if err != nil {
		return b, err
	}
	if err := j.db.Read().QueryRowContext(ctx, `SELECT count(*) FROM event WHERE seq > ?`, cursor).Scan(&b.Waiting); err != nil {
		return b, fmt.Errorf("cannot count events: %w", err)
	}
	for severity, n := range map[string]*int64{Info: &b.DroppedInfo, Warning: &b.DroppedWarning, Error: &b.DroppedError} {
		if *n, err = j.number(ctx, dropKey+severity); err != nil {
			return b, err
		}
	}
	return b, nil
}

// trimEvents keeps the events within their bounds. Those that the operator has
// (all of them, where there is no operator) go first, the oldest first; then
// information, then warnings, errors last.
func trimEvents(ctx context.Context, tx *sql.Tx) error {
	cursor, err := number(ctx, tx, cursorKey)
	if err != nil {
		return err
	}
	used := true
	if cursor == 0 {
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM meta WHERE key = ?)`, cursorKey).Scan(&used); err != nil {
			return err
		}
	}
	rows, err := tx.QueryContext(ctx, `
		DELETE FROM event WHERE seq IN (
			SELECT seq FROM (
				SELECT seq, row_number() OVER w AS n,
				       sum(length(message) + coalesce(length(data), 0) + 128) OVER w AS bytes
				FROM (SELECT seq, message, data,
				             CASE WHEN NOT ?1 OR seq <= ?2 THEN 0 WHEN severity = 'error' THEN 3
				                  WHEN severity = 'warning' THEN 2 ELSE 1 END AS worth FROM event)
				WINDOW w AS (ORDER BY worth DESC, seq DESC))
			WHERE n > ?3 OR bytes > ?4)
		RETURNING seq, severity`, used, cursor, KeepEvents, KeepEventBytes)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	dropped := map[string]int64{}
	for rows.Next() {
		var seq int64
		var severity string
		if err := rows.Scan(&seq, &severity); err != nil {
			return err
		}
		if used && seq > cursor {
			dropped[severity]++
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if err := rows.Close(); err != nil {
		return err
	}
	for severity, n := range dropped {
		had, err := number(ctx, tx, dropKey+severity)
		if err != nil {
			return err
		}
		if err := setNumber(ctx, tx, dropKey+severity, had+n); err != nil {
			return err
		}
	}
	return nil
}

// FeedEvents notes that somebody is to get the events, before the first was sent.
func (j *Journal) FeedEvents(ctx context.Context) error {
	noted, err := j.Meta(ctx, cursorKey)
	if err != nil || noted != "" {
		return err
	}
	return j.SetMeta(ctx, cursorKey, "0")
}

// LevelsSent returns the figure that the operator was last told of each product.
func (j *Journal) LevelsSent(ctx context.Context) (sent map[string]string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("cannot read the levels that were sent: %w", err)
		}
	}()
	rows, err := j.db.Read().QueryContext(ctx, `SELECT product, figure FROM level_sent`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	sent = map[string]string{}
	for rows.Next() {
		var product, figure string
		if err := rows.Scan(&product, &figure); err != nil {
			return nil, err
		}
		sent[product] = figure
	}
	return sent, rows.Err()
}

// SetLevelsSent stores figures that the operator was told; "" for a product that
// is gone. What is stored already costs no write.
func (j *Journal) SetLevelsSent(ctx context.Context, sent map[string]string) error {
	err := j.db.Write(ctx, func(tx *sql.Tx) error {
		for product, figure := range sent {
			var err error
			if figure == "" {
				_, err = tx.ExecContext(ctx, `DELETE FROM level_sent WHERE product = ?`, product)
			} else {
				_, err = tx.ExecContext(ctx, `INSERT INTO level_sent (product, figure) VALUES (?, ?)
					ON CONFLICT (product) DO UPDATE SET figure = excluded.figure WHERE figure <> excluded.figure`, product, figure)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot store the levels that were sent: %w", err)
	}
	return nil
}

// AskRebirth notes that everything is owed to the operator.
func (j *Journal) AskRebirth(ctx context.Context) error {
	return j.db.Write(ctx, func(tx *sql.Tx) error {
		n, err := number(ctx, tx, askedKey)
		if err == nil {
			err = setNumber(ctx, tx, askedKey, n+1)
		}
		if err != nil {
			return fmt.Errorf("cannot note the rebirth: %w", err)
		}
		return nil
	})
}

// Rebirth returns the number of the rebirth that is owed, 0 for none.
func (j *Journal) Rebirth(ctx context.Context) (int64, error) {
	asked, err := j.number(ctx, askedKey)
	if err != nil {
		return 0, err
	}
	sent, err := j.number(ctx, rebornKey)
	if err != nil || sent >= asked {
		return 0, err
	}
	return asked, nil
}

// Reborn notes that everything was sent for a rebirth; one that was asked for
// meanwhile is still owed.
func (j *Journal) Reborn(ctx context.Context, n int64) error {
	return j.db.Write(ctx, func(tx *sql.Tx) error {
		if err := setNumber(ctx, tx, rebornKey, n); err != nil {
			return fmt.Errorf("cannot note the rebirth: %w", err)
		}
		return nil
	})
}

func (j *Journal) number(ctx context.Context, key string) (int64, error) {
	n, err := number(ctx, j.db.Read(), key)
	if err != nil {
		return 0, fmt.Errorf("cannot read %s: %w", key, err)
	}
	return n, nil
}
