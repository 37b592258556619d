package zelenka

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"strconv"
	"time"

	"ostatok/sync/rest"
	"ostatok/sync/target"
)

const (
	retryFirst  = time.Minute // after the first failure, doubled by each further one
	retryMost   = time.Hour
	uploadsMost = 5    // failed uploads of the whole list in a day: somebody pays for the line
	refusedMost = 100  // refusals that a report names
	resendRows  = 1000 // rows that are handed over at once
	namedMost   = 5    // rows that an error names
)

// running is one attempt at a day's run.
type running struct {
	*FullRun
	run    Run
	report Report

	list    *body
	sent    sent
	inStock int64
}

// sent is what was sent of each row, by a hash of its key: the keys of two hundred
// thousand rows would take more memory than the agent has. That two keys share a
// hash is once in a thousand million runs; it is then taken for a duplicate, and
// the next attempt uses another seed.
type sent struct {
	seed    maphash.Seed
	pieces  map[uint64]int64
	refused map[uint64]bool
}

func newSent() sent {
	return sent{maphash.MakeSeed(), make(map[uint64]int64), make(map[uint64]bool)}
}

func (s *sent) hash(key string) uint64 { return maphash.String(s.seed, key) }

// attempt makes the run from its beginning. What ends ctx leaves the run open.
func (r *running) attempt(ctx context.Context) error {
	err := r.steps(ctx)
	switch {
	case err == nil:
		r.client.opts.Log.Info().Stringer("warehouse", r.o.Warehouse).Int64("rows", r.run.Rows).Int64("bytes", r.report.Bytes).
			Int("refused", r.report.Refusal).Int("changed", r.report.Changed).Bool("unsure", r.report.Unsure).Msg("zelenka full run done")
		return nil
	case ctx.Err() != nil:
		return err
	}
	return errors.Join(err, r.failed(ctx, err))
}

func (r *running) steps(ctx context.Context) error {
	if r.run.Uploads >= uploadsMost {
		return r.giveUp(ctx)
	}
	if err := r.pack(ctx); err != nil {
		return err
	}
	if err := r.send(ctx); err != nil {
		return err
	}
	return r.check(ctx)
}

func (r *running) millis() int64 { return r.client.opts.Now().UnixMilli() }

// failed keeps why the attempt failed and when to make the next.
func (r *running) failed(ctx context.Context, err error) error {
	wait := min(retryFirst<<min(r.run.Failed, 10), retryMost)
	if fault, ok := errors.AsType[*rest.Error](err); ok {
		wait = max(wait, min(fault.RetryAfter, retryMost))
	}
	r.run.Failed++
	r.run.Reason = err.Error()
	r.run.NextTry = r.client.opts.Now().Add(wait).UnixMilli()
	return r.save(ctx, r.run)
}

// pack lists the source once and refuses a list that must not be sent.
func (r *running) pack(ctx context.Context) error {
	if err := r.o.Source.Refresh(ctx); err != nil {
		return fmt.Errorf("the newest figures could not be had: %w", err)
	}
	list, sent := newBody(r.o.Warehouse), newSent()
	inStock := int64(0)
	missing := &IncompleteError{}
	for row, err := range r.o.Source.Figures(ctx) {
		switch {
		case errors.Is(err, ErrNoFigure), errors.Is(err, ErrNoKey):
			if missing.Rows++; len(missing.First) < namedMost {
				missing.First = append(missing.First, row.Key)
			}
			continue
		case err != nil:
			return fmt.Errorf("the products could not be listed: %w", err)
		}
		n := pieces(row.Quantity)
		switch err := list.add(row.Key, n); {
		case errors.Is(err, errBodyFull):
			return ErrTooLarge
		case err != nil:
			return &KeyError{row.Key, err}
		}
		h := sent.hash(row.Key)
		if _, twice := sent.pieces[h]; twice {
			return &DuplicateError{row.Key}
		}
		sent.pieces[h] = n
		if n > 0 {
			inStock++
		}
	}
	if err := ctx.Err(); err != nil { // a source may just stop
		return err
	}
	if err := r.guard(list.rows, inStock, missing); err != nil {
		return err
	}
	r.list, r.sent, r.inStock = list, sent, inStock
	return nil
}

func (r *running) guard(rows int, inStock int64, missing *IncompleteError) error {
	gone := r.run.InStock - inStock
	switch {
	case rows == 0:
		return ErrEmpty
	case r.o.Approved:
		return nil
	case missing.Rows > 0:
		return missing
	case inStock == 0, gone >= r.o.FallFloor && float64(gone) > r.o.FallShare*float64(r.run.InStock):
		return &GuardError{Had: r.run.InStock, Has: inStock}
	}
	return nil
}

// send uploads the list. That it is being sent is kept first: an agent that dies
// of it must not try for ever.
func (r *running) send(ctx context.Context) error {
	r.run.Phase, r.run.Started, r.run.Ended, r.run.NextTry = Sending, r.millis(), 0, 0
	r.run.Uploads++
	if err := r.save(ctx, r.run); err != nil {
		return err
	}
	rows, absent, nameless := r.list.rows, true, 0
	r.report.Bytes = r.list.size + 1
	taken, err := r.client.upload(ctx, r.list, func(f failure) {
		key := f.id
		if key == "" && f.at >= 0 {
			key = strconv.Itoa(f.at)
		}
		h := r.sent.hash(key)
		if _, known := r.sent.pieces[h]; known {
			r.sent.refused[h] = true
		} else {
			key = ""
			nameless++
		}
		absent = absent && isWarehouse(f.text)
		r.report.Refusal++
		if len(r.report.Refused) < refusedMost {
			r.report.Refused = append(r.report.Refused, Refused{key, r.client.session.hide(f.text)})
		}
	})
	r.list = nil
	if err != nil {
		if !mayHaveArrived(err) {
			r.run.Uploads--
		}
		return err
	}
	refused := len(r.sent.refused)
	if taken == 0 && absent && refused == rows {
		return &WarehouseError{r.o.Warehouse}
	}
	r.report.Taken = taken
	r.report.Unsure = nameless > 0 || taken != int64(rows-refused)
	r.run.Phase, r.run.Rows, r.run.InStock = Checking, int64(rows), r.inStock
	return r.save(ctx, r.run)
}

// mayHaveArrived tells whether the list may have reached the server's program.
func mayHaveArrived(err error) bool {
	fault, ok := errors.AsType[*rest.Error](err)
	if !ok {
		return true
	}
	switch fault.Kind {
	case rest.Unauthorized, rest.RateLimited:
		return false
	case rest.Temporary:
		return fault.Status != 0
	}
	return true
}

// check lists the source once more and hands over what is to be sent again.
func (r *running) check(ctx context.Context) error {
	if err := r.settle(ctx); err != nil {
		return err
	}
	if err := r.o.Source.Refresh(ctx); err != nil {
		return fmt.Errorf("what changed meanwhile is not known: %w", err)
	}
	err := r.resend(ctx, func(row target.Row) bool {
		h := r.sent.hash(row.Key)
		before, known := r.sent.pieces[h]
		changed := !known || before != pieces(row.Quantity)
		if changed {
			r.report.Changed++
		}
		return changed || r.report.Unsure || r.sent.refused[h]
	})
	if err != nil {
		return err
	}
	r.run.Phase, r.run.Ended, r.run.NextTry, r.run.Reason = Done, r.millis(), 0, ""
	return r.save(ctx, r.run)
}

// settle lets the server's queue empty itself.
func (r *running) settle(ctx context.Context) error {
	if r.o.Settle < 0 {
		return nil
	}
	timer := time.NewTimer(r.o.Settle)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("the run was interrupted: %w", ctx.Err())
	case <-timer.C:
		return nil
	}
}

// resend hands over the rows that which picks, with their present figures.
func (r *running) resend(ctx context.Context, which func(target.Row) bool) error {
	var rows []target.Row
	flush := func() error {
		if len(rows) == 0 {
			return nil
		}
		if err := r.o.Resend(ctx, rows); err != nil {
			return fmt.Errorf("what is to be sent again could not be kept: %w", err)
		}
		r.report.Resent += len(rows)
		rows = nil // they are the other side's now
		return nil
	}
	for row, err := range r.o.Source.Figures(ctx) {
		switch {
		case errors.Is(err, ErrNoFigure), errors.Is(err, ErrNoKey):
			continue
		case err != nil:
			return fmt.Errorf("what changed meanwhile is not known: %w", err)
		}
		if !which(row) {
			continue
		}
		rows = append(rows, target.Row{Key: row.Key, Quantity: Whole(row.Quantity)})
		if len(rows) == resendRows {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return flush()
}

// giveUp ends a day whose lists were sent in vain. Zelenka may have worked on any
// of them in part, so every row is sent again in ordinary batches.
func (r *running) giveUp(ctx context.Context) error {
	r.report.Unsure = true
	if err := r.resend(ctx, func(target.Row) bool { return true }); err != nil {
		return err
	}
	r.run.Phase, r.run.Ended, r.run.NextTry = Stopped, r.millis(), 0
	r.client.opts.Log.Warn().Stringer("warehouse", r.o.Warehouse).Int("uploads", r.run.Uploads).Int("resent", r.report.Resent).
		Msg("zelenka full run given up for today, its rows are sent in ordinary batches")
	return r.save(ctx, r.run)
}
