package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// Received is a document that came in over the shop's own network and that the
// cloud may not have yet.
type Received struct {
	Seq    int64  // order of arrival
	ID     string // the document's, unique
	At     int64  // when it came, epoch ms
	Closed int64  // when it was closed, epoch ms
	Size   int64  // bytes of Raw
	Raw    []byte // exactly as it came; left out by Received
}

// InboxSize is how much has been received and is not yet the cloud's.
type InboxSize struct{ Documents, Bytes int64 }

// Receive keeps documents in one durable step: when it returns they survive a
// power cut. One that is here already is left as it is. fresh is what was new.
func (j *Journal) Receive(ctx context.Context, list []Received) (fresh InboxSize, err error) {
	err = j.db.Write(ctx, func(tx *sql.Tx) error {
		fresh = InboxSize{}
		for i := range list {
			r := &list[i]
			result, err := tx.ExecContext(ctx,
				`INSERT INTO inbox (id, at, closed, size) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
				r.ID, j.now().UnixMilli(), r.Closed, len(r.Raw))
			if err != nil {
				return err
			}
			if n, err := result.RowsAffected(); err != nil || n == 0 {
				if err != nil {
					return err
				}
				continue
			}
			seq, err := result.LastInsertId()
			if err != nil {
				return err
			}
			// A body without its row, of a journal that was salvaged, is of no use.
			if _, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO inbox_body (seq, raw) VALUES (?, ?)`, seq, r.Raw); err != nil {
				return err
			}
			fresh.Documents++
			fresh.Bytes += int64(len(r.Raw))
		}
		return nil
	})
	if err != nil {
		return InboxSize{}, fmt.Errorf("cannot keep what was received: %w", err)
	}
	return fresh, nil
}

// Received returns up to limit documents after a sequence number in the order of
// arrival, without their bodies.
func (j *Journal) Received(ctx context.Context, afterSeq int64, limit int) (list []Received, err error) {
	rows, err := j.db.Read().QueryContext(ctx,
		`SELECT seq, id, at, closed, size FROM inbox WHERE seq > ? ORDER BY seq LIMIT ?`, afterSeq, limit)
	if err != nil {
		return nil, fmt.Errorf("cannot read what was received: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var r Received
		if err := rows.Scan(&r.Seq, &r.ID, &r.At, &r.Closed, &r.Size); err != nil {
			return nil, fmt.Errorf("cannot read what was received: %w", err)
		}
		list = append(list, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("cannot read what was received: %w", err)
	}
	return list, nil
}

// ReceivedBody returns the body of a document; nil when there is none, as after a
// journal was salvaged.
func (j *Journal) ReceivedBody(ctx context.Context, seq int64) (raw []byte, err error) {
	err = j.db.Read().QueryRowContext(ctx, `SELECT raw FROM inbox_body WHERE seq = ?`, seq).Scan(&raw)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("cannot read a document that was received: %w", err)
	}
	return raw, nil
}

// DropReceived removes documents that need not be kept any more.
func (j *Journal) DropReceived(ctx context.Context, seqs []int64) error {
	if len(seqs) == 0 {
		return nil
	}
	err := j.db.Write(ctx, func(tx *sql.Tx) error {
		for len(seqs) > 0 {
			some := seqs[:min(len(seqs), dropStep)]
			seqs = seqs[len(some):]
			args := make([]any, len(some))
			for i, seq := range some {
				args[i] = seq
			}
			in := "(?" + strings.Repeat(",?", len(some)-1) + ")"
			for _, table := range []string{"inbox_body", "inbox"} {
				if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE seq IN "+in, args...); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot drop what was received: %w", err)
	}
	return nil
}

// dropStep is how many rows one statement removes.
const dropStep = 500

// InboxSize returns how much has been received and is still kept.
func (j *Journal) InboxSize(ctx context.Context) (s InboxSize, err error) {
	err = j.db.Read().QueryRowContext(ctx, `SELECT count(*), ifnull(sum(size), 0) FROM inbox`).Scan(&s.Documents, &s.Bytes)
	if err != nil {
		return s, fmt.Errorf("cannot read how much was received: %w", err)
	}
	return s, nil
}
