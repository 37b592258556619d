package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// The bounds on commands. Only what carries an operator's signature gets here, so
// they are reached by mistake and not by an attack.
const (
	KeepCommands = 10_000 // rows of all kinds
	OpenCommands = 100    // received and not yet done
)

// pastExpiry is how long, in ms, a command that is over is kept beyond its expiry.
const pastExpiry = 24 * 60 * 60 * 1000

const (
	floorKey = "command.floor" // epoch ms
	sinceKey = "command.since" // epoch ms
)

// CommandState is where a command is in its life.
type CommandState string

// The states. The last four are final.
const (
	CommandReceived CommandState = "received"
	CommandStarted  CommandState = "started"
	CommandDone     CommandState = "done"
	CommandFailed   CommandState = "failed"
	CommandRejected CommandState = "rejected"
	CommandExpired  CommandState = "expired"
)

// Command is one command of an operator and what became of it.
type Command struct {
	Seq       int64
	Key       string // id of the operator's key; with ID it names the command
	ID        string
	Issuer    string
	Cmd       string
	Args      json.RawMessage // nil for none
	Right     string          // of the key when it came
	Lane      int             // commands of one lane run one after another
	IssuedAt  int64           // epoch ms
	ExpiresAt int64           // epoch ms
	ChangedAt int64           // epoch ms, the last change of state

	State     CommandState
	Clock     string // why the clock was not trusted when expiry was judged
	Result    json.RawMessage
	ErrorCode string
	Error     string
}

// Receipt is what the journal says to a command that comes in.
type Receipt int

// The receipts.
const (
	Taken  Receipt = iota // stored; Seq is set
	Seen                  // the same command was here before
	Old                   // as old as what is forgotten: it cannot be told whether it was here before
	Busy                  // too many are open
	NoRoom                // no more rows are kept
)

// TakeCommand stores a command durably, once: in state CommandReceived, or in a
// final one for a command that is refused.
func (j *Journal) TakeCommand(ctx context.Context, c *Command) (receipt Receipt, err error) {
	err = j.db.Write(ctx, func(tx *sql.Tx) error {
		receipt, err = j.takeCommand(ctx, tx, c)
		return err
	})
	if err != nil {
		return receipt, fmt.Errorf("cannot store command %s: %w", c.Cmd, err)
	}
	return receipt, nil
}

func (j *Journal) takeCommand(ctx context.Context, tx *sql.Tx, c *Command) (Receipt, error) {
	var seen bool
	var rows, open int
	err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM command WHERE key = ? AND id = ?),
		(SELECT count(*) FROM command), (SELECT count(*) FROM command WHERE state IN ('received', 'started'))`, c.Key, c.ID).
		Scan(&seen, &rows, &open)
	if err != nil {
		return Taken, err
	}
	if seen {
		return Seen, nil
	}
	floor, err := number(ctx, tx, floorKey)
	if err != nil {
		return Taken, err
	}
	since, err := number(ctx, tx, sinceKey)
	if err != nil {
		return Taken, err
	}
	switch {
	case c.ExpiresAt <= floor || c.IssuedAt < since:
		return Old, nil
	case rows >= KeepCommands:
		return NoRoom, nil
	case open >= OpenCommands && c.State == CommandReceived:
		return Busy, nil
	}
	c.ChangedAt = j.now().UnixMilli()
	result, err := tx.ExecContext(ctx, `INSERT INTO command
		(key, id, issuer, cmd, args, right, lane, issued_at, expires_at, changed_at, state, clock, result, error_code, error)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.Key, c.ID, c.Issuer, c.Cmd, nullText(c.Args), c.Right, c.Lane, c.IssuedAt, c.ExpiresAt, c.ChangedAt, c.State, c.Clock,
		nullText(c.Result), c.ErrorCode, c.Error)
	if err != nil {
		return Taken, err
	}
	c.Seq, err = result.LastInsertId()
	return Taken, err
}

// SeenCommand tells whether a command was here before, without a write.
func (j *Journal) SeenCommand(ctx context.Context, key, id string) (seen bool, err error) {
	err = j.db.Read().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM command WHERE key = ? AND id = ?)`, key, id).Scan(&seen)
	if err != nil {
		return false, fmt.Errorf("cannot look for command %s: %w", id, err)
	}
	return seen, nil
}

// StartCommand notes durably that a received command begins; ok is false when it
// is not in that state, and then it must not be run.
func (j *Journal) StartCommand(ctx context.Context, seq int64) (ok bool, err error) {
	err = j.db.Write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE command SET state = 'started', changed_at = ? WHERE seq = ? AND state = 'received'`,
			j.now().UnixMilli(), seq)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		ok = n == 1
		return err
	})
	if err != nil {
		return false, fmt.Errorf("cannot note the start of a command: %w", err)
	}
	return ok, nil
}

// FinishCommand notes durably how a command ended: State, Clock, Result, ErrorCode
// and Error. One that has ended already stays as it is.
func (j *Journal) FinishCommand(ctx context.Context, c Command) error {
	return j.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE command SET state = ?, clock = ?, result = ?, error_code = ?, error = ?, changed_at = ?
			WHERE seq = ? AND state IN ('received', 'started')`,
			c.State, c.Clock, nullText(c.Result), c.ErrorCode, c.Error, j.now().UnixMilli(), c.Seq)
		if err != nil {
			return fmt.Errorf("cannot note the end of command %s: %w", c.Cmd, err)
		}
		return nil
	})
}

const selectCommand = `SELECT seq, key, id, issuer, cmd, args, right, lane, issued_at, expires_at, changed_at,
	state, clock, result, error_code, error FROM command `

// NextCommand returns the oldest received command of a lane.
func (j *Journal) NextCommand(ctx context.Context, lane int) (c Command, found bool, err error) {
	list, err := j.commands(ctx, `WHERE state = 'received' AND lane = ? ORDER BY seq LIMIT 1`, lane)
	if err != nil || len(list) == 0 {
		return Command{}, false, err
	}
	return list[0], true, nil
}

// StartedCommands returns the commands that have begun and not ended. At the
// start of the agent these are the ones that were interrupted.
func (j *Journal) StartedCommands(ctx context.Context) ([]Command, error) {
	return j.commands(ctx, `WHERE state = 'started' ORDER BY seq`)
}

// UnpublishedCommands returns commands whose state the operator was not told of,
// oldest first.
func (j *Journal) UnpublishedCommands(ctx context.Context, limit int) ([]Command, error) {
	return j.commands(ctx, `WHERE published <> state ORDER BY seq LIMIT ?`, limit)
}

// CountUnpublished is how many commands UnpublishedCommands would return.
func (j *Journal) CountUnpublished(ctx context.Context) (n int64, err error) {
	err = j.db.Read().QueryRowContext(ctx, `SELECT count(*) FROM command WHERE published <> state`).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("cannot count commands: %w", err)
	}
	return n, nil
}

// PublishedCommands notes that the operator was told of the commands' states.
func (j *Journal) PublishedCommands(ctx context.Context, list []Command) error {
	return j.db.Write(ctx, func(tx *sql.Tx) error {
		for _, c := range list {
			// The state may have gone on meanwhile; then it is told of again.
			if _, err := tx.ExecContext(ctx, `UPDATE command SET published = ? WHERE seq = ?`, c.State, c.Seq); err != nil {
				return fmt.Errorf("cannot note that command %s was answered: %w", c.Cmd, err)
			}
		}
		return nil
	})
}

func (j *Journal) commands(ctx context.Context, where string, args ...any) (list []Command, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("cannot read commands: %w", err)
		}
	}()
	rows, err := j.db.Read().QueryContext(ctx, selectCommand+where, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var c Command
		var args, result sql.NullString
		if err := rows.Scan(&c.Seq, &c.Key, &c.ID, &c.Issuer, &c.Cmd, &args, &c.Right, &c.Lane, &c.IssuedAt, &c.ExpiresAt,
			&c.ChangedAt, &c.State, &c.Clock, &result, &c.ErrorCode, &c.Error); err != nil {
			return nil, err
		}
		c.Args, c.Result = raw(args), raw(result)
		list = append(list, c)
	}
	return list, rows.Err()
}

func raw(s sql.NullString) json.RawMessage {
	if !s.Valid {
		return nil
	}
	return json.RawMessage(s.String)
}

// ForgetOldCommands drops commands that are over and published, a day after their
// expiry by the given time (epoch ms), or sooner when there are too many. Their
// expiry becomes the floor under which no command is taken, so a clock that jumps
// ahead and back opens no door to what was dropped.
func (j *Journal) ForgetOldCommands(ctx context.Context, now int64) error {
	err := j.db.Write(ctx, func(tx *sql.Tx) error {
		const over = `state NOT IN ('received', 'started') AND published = state`
		limit := now - pastExpiry
		var crowd sql.NullInt64
		err := tx.QueryRowContext(ctx, `SELECT expires_at FROM command ORDER BY expires_at DESC LIMIT 1 OFFSET ?`, KeepCommands*3/4).Scan(&crowd)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		limit = max(limit, crowd.Int64)
		var floor sql.NullInt64
		if err := tx.QueryRowContext(ctx, `SELECT max(expires_at) FROM command WHERE expires_at <= ? AND `+over, limit).Scan(&floor); err != nil || !floor.Valid {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM command WHERE expires_at <= ? AND `+over, limit); err != nil {
			return err
		}
		had, err := number(ctx, tx, floorKey)
		if err != nil {
			return err
		}
		return setNumber(ctx, tx, floorKey, max(floor.Int64, had))
	})
	if err != nil {
		return fmt.Errorf("cannot drop old commands: %w", err)
	}
	return nil
}

// CommandsSince sets the moment (epoch ms) before which no command may have been
// issued, where it is not set: a journal that is new does not know what was done
// before it. With sure, the moment is brought down to at when it was set by a
// clock that was ahead.
func (j *Journal) CommandsSince(ctx context.Context, at int64, sure bool) error {
	since, err := j.number(ctx, sinceKey)
	if err != nil || (since != 0 && (since <= at || !sure)) {
		return err
	}
	return j.SetMeta(ctx, sinceKey, strconv.FormatInt(at, 10))
}

// DoubtCommands makes the journal new in the sense of CommandsSince: after a
// restore or a salvage it may have lost commands that were done.
func (j *Journal) DoubtCommands(ctx context.Context) error { return j.SetMeta(ctx, sinceKey, "") }

func number(ctx context.Context, q rowQuerier, key string) (int64, error) {
	var text string
	err := q.QueryRowContext(ctx, `SELECT value FROM meta WHERE key = ?`, key).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) || (err == nil && text == "") {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

type rowQuerier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func setNumber(ctx context.Context, tx *sql.Tx, key string, n int64) error {
	_, err := tx.ExecContext(ctx,
		`INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
		key, strconv.FormatInt(n, 10))
	return err
}
