package mirror

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// inserter writes rows many at a time: most of the cost of a row is in the call
// that brings it.
type inserter struct {
	ctx   context.Context
	tx    *sql.Tx
	head  string // INSERT INTO t (columns)
	tail  string // ON CONFLICT …
	width int    // columns
	rows  int    // rows per statement
	full  *sql.Stmt
	args  []any
}

func newInserter(ctx context.Context, tx *sql.Tx, head string, width, rows int) *inserter {
	// The transaction ends with the context; a watcher per statement as well
	// would cost a goroutine each.
	return &inserter{ctx: context.WithoutCancel(ctx), tx: tx, head: head, width: width, rows: rows,
		args: make([]any, 0, width*rows)}
}

func (in *inserter) add(values ...any) error {
	in.args = append(in.args, values...)
	if len(in.args) < in.width*in.rows {
		return nil
	}
	_, err := in.flush()
	return err
}

// flush writes what has been added and returns how many rows went in.
func (in *inserter) flush() (inserted int64, err error) {
	n := len(in.args) / in.width
	if n == 0 {
		return 0, nil
	}
	var result sql.Result
	if n == in.rows {
		if in.full == nil {
			if in.full, err = in.tx.PrepareContext(in.ctx, in.query(n)); err != nil {
				return 0, fmt.Errorf("cannot prepare %s: %w", in.head, err)
			}
		}
		result, err = in.full.ExecContext(in.ctx, in.args...)
	} else {
		result, err = in.tx.ExecContext(in.ctx, in.query(n), in.args...)
	}
	clear(in.args)
	in.args = in.args[:0]
	if err != nil {
		return 0, fmt.Errorf("cannot run %s: %w", in.head, err)
	}
	return result.RowsAffected()
}

func (in *inserter) query(rows int) string {
	return in.head + " VALUES " + placeholders(rows, in.width) + in.tail
}

// close writes the rest.
func (in *inserter) close() error {
	_, err := in.flush()
	if in.full != nil {
		err = errors.Join(err, in.full.Close())
	}
	return err
}

// placeholders is (?, ?), (?, ?) … for so many rows of so many columns.
func placeholders(rows, width int) string {
	row := "(?" + strings.Repeat(",?", width-1) + ")"
	return row + strings.Repeat(","+row, rows-1)
}

// batches calls fn with stretches of at most size.
func batches[T any](all []T, size int, fn func([]T) error) error {
	for len(all) > 0 {
		n := min(size, len(all))
		if err := fn(all[:n]); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

// anys turns keys into arguments.
func anys[T any](all []T) []any {
	out := make([]any, len(all))
	for i, v := range all {
		out[i] = v
	}
	return out
}
