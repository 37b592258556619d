package virtpos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ostatok/agent/stock"
)

// running is a run in the hands of one call.
type running struct {
	o      FullOptions
	w      *warehouse
	now    func() time.Time
	run    Run
	rows   []RunRow
	report Report
}

// load takes up the run that was interrupted, or starts one.
func (r *running) load(ctx context.Context) error {
	run, ok, err := r.o.Store.Load(ctx)
	if err != nil {
		return err
	}
	r.run = run
	if !ok || run.Phase.Ended() {
		return r.start(ctx)
	}
	if r.old() && run.Phase == Updating {
		run.Phase, run.Reason = Stopped, "it was too old to be gone on with"
		if err := r.save(ctx, run, nil, nil); err != nil {
			return err
		}
		return r.start(ctx)
	}
	r.report.Resumed = true
	r.rows, err = r.o.Store.Rows(ctx)
	if err != nil || run.Phase == Checking {
		return err
	}
	if err := r.resolve(ctx); err != nil {
		return err
	}
	_, err = r.read(ctx) // what is believed is what is there now
	return err
}

func (r *running) old() bool {
	age := r.now().UnixMilli() - r.run.Started
	return age < 0 || age > r.o.MaxAge.Milliseconds()
}

func (r *running) resolve(ctx context.Context) error {
	keys := make([]string, 0, len(r.rows))
	for i := range r.rows {
		if r.rows[i].Key != "" {
			keys = append(keys, r.rows[i].Key)
		}
	}
	return r.w.resolve(ctx, keys)
}

func (r *running) step(ctx context.Context) error {
	switch r.run.Phase {
	case Updating:
		return r.update(ctx)
	case Zeroing:
		return r.zero(ctx)
	case Checking:
		return r.check(ctx)
	default:
		return r.mend(ctx)
	}
}

// stop ends the run for a reason that does not pass by itself, and returns it.
func (r *running) stop(ctx context.Context, reason error) error {
	run := r.run
	run.Phase, run.Reason = Stopped, reason.Error()
	if err := r.save(ctx, run, nil, nil); err != nil {
		return err
	}
	return reason
}

// save keeps the run before anything relies on it.
func (r *running) save(ctx context.Context, run Run, rows []RunRow, taken *Snapshot) error {
	if err := r.o.Store.Save(ctx, run, rows, taken); err != nil {
		return err
	}
	r.run = run
	return nil
}

// start makes sure that the run may be made, asks for the version, and keeps it.
// Until then nothing has changed, and a crash means starting over.
func (r *running) start(ctx context.Context) error {
	rows, unmapped, err := r.o.Source.Figures(ctx)
	switch {
	case err != nil:
		return err
	case len(unmapped) > 0:
		return &UnmappedError{unmapped}
	case len(rows) == 0:
		return ErrEmpty
	}
	keys := make([]string, len(rows))
	for i := range rows {
		keys[i] = rows[i].Key
	}
	if err := r.w.resolve(ctx, keys); err != nil {
		return err
	}
	next := make([]RunRow, len(rows))
	wanted := make(map[string]stock.Quantity, len(rows))
	for i, row := range rows {
		next[i] = RunRow{Item: r.w.item(row.Key), Key: row.Key, State: Waiting}
		if next[i].Item == "" {
			unmapped = append(unmapped, row.Key)
			continue
		}
		if _, twice := wanted[next[i].Item]; twice {
			return fmt.Errorf("the source lists item %s twice", next[i].Item)
		}
		wanted[next[i].Item] = row.Quantity
	}
	if len(unmapped) > 0 {
		return &UnmappedError{unmapped}
	}
	all, err := r.read(ctx)
	if err != nil {
		return err
	}
	left, err := r.leftOver(ctx, all, wanted)
	if err != nil {
		return err
	}
	for _, figure := range left {
		next = append(next, RunRow{Item: figure.Item, State: Waiting})
		wanted[figure.Item] = 0
	}
	if err := r.guard(all, wanted); err != nil {
		return err
	}
	slices.SortFunc(next, func(a, b RunRow) int { return cmp.Compare(a.Item, b.Item) })
	version, err := r.w.client.OnhandVersion(ctx, r.w.o.Warehouse)
	if err != nil {
		return err
	}
	run := Run{Phase: Updating, Version: version, Started: r.now().UnixMilli(), Unsafe: r.run.Unsafe,
		Held: len(r.report.HeldBack) > 0}
	if err := r.o.Store.Begin(ctx, run, next, Snapshot{AtStart, figures(all)}); err != nil {
		return err
	}
	r.run, r.rows = run, next
	return nil
}

// read reads the whole warehouse. A figure that cannot be read is a reason to do
// nothing: it might be the one that matters.
func (r *running) read(ctx context.Context) (map[string]balance, error) {
	all, err := r.w.all(ctx)
	if err != nil {
		return nil, err
	}
	for id, b := range all {
		if b.err != nil {
			return nil, b.err
		}
		r.w.known[id] = b
	}
	return all, nil
}

// update writes the rows that are not confirmed yet. When all are, it looks for
// products that the source has learned of meanwhile; they join the run.
func (r *running) update(ctx context.Context) error {
	if err := r.send(ctx); err != nil {
		return err
	}
	if err := r.unconfirmed(); err != nil {
		return r.stop(ctx, err)
	}
	rows, unmapped, err := r.o.Source.Figures(ctx)
	switch {
	case err != nil:
		return err
	case len(unmapped) > 0:
		return r.stop(ctx, &UnmappedError{unmapped})
	case len(rows) == 0:
		return ErrEmpty
	}
	have := make(map[string]*RunRow, len(r.rows))
	for i := range r.rows {
		have[r.rows[i].Item] = &r.rows[i]
	}
	var fresh, learned []RunRow
	for _, row := range rows {
		if err := r.w.resolve(ctx, []string{row.Key}); err != nil {
			return err
		}
		item := r.w.item(row.Key)
		switch old := have[item]; {
		case item == "":
			unmapped = append(unmapped, row.Key)
		case old == nil:
			fresh = append(fresh, RunRow{Item: item, Key: row.Key, State: Waiting})
		case old.Key == "": // it was left over, and is not any more
			*old = RunRow{Item: item, Key: row.Key, State: Waiting}
			learned = append(learned, *old)
		}
	}
	switch {
	case len(unmapped) > 0:
		return r.stop(ctx, &UnmappedError{unmapped})
	case len(fresh)+len(learned) > 0:
		r.rows = append(r.rows, fresh...)
		return r.save(ctx, r.run, append(fresh, learned...), nil)
	}
	return r.prepare(ctx)
}

// send writes all waiting rows, each with its figure of now. It returns an error
// for what may pass, and leaves the row waiting: what became of it is not known,
// and it is written again. Rows that are refused are kept as such.
func (r *running) send(ctx context.Context) error {
	var sent []RunRow // and not kept
	keep := func() error {
		if len(sent) == 0 {
			return nil
		}
		// What has happened has happened, also when the context has ended.
		err := r.save(context.WithoutCancel(ctx), r.run, sent, nil)
		sent = sent[:0]
		return err
	}
	asked := false
	for i := range r.rows {
		row := &r.rows[i]
		if row.State != Waiting {
			continue
		}
		err := r.write(ctx, row)
		if isRefusal(err) && !asked {
			if all := r.w.refusesAll(ctx, err); all != nil {
				err = all
			}
			asked = true
		}
		switch {
		case err == nil:
			row.State, row.Reason = Confirmed, ""
		case isRefusal(err), isRow(err), errors.Is(err, ErrNoFigure):
			row.State, row.Reason = Refused, err.Error()
		default:
			return errors.Join(err, keep())
		}
		if sent = append(sent, *row); len(sent) >= r.o.SaveEvery {
			if err := keep(); err != nil {
				return err
			}
		}
	}
	return keep()
}

// write sends the row's figure of now. When something was overwritten that was
// not believed to be there, the source is asked again: it may not have known of
// a sale that the write has just undone.
func (r *running) write(ctx context.Context, row *RunRow) error {
	q, err := r.figure(ctx, row)
	if err != nil {
		return err
	}
	believed := r.w.known[row.Item]
	before, err := r.put(ctx, row, q)
	row.Before = before
	if err != nil || before == nil || *before == believed.quantity {
		return err
	}
	r.report.Surprise = append(r.report.Surprise, Surprise{row.Item, believed.quantity, *before})
	if row.Key == "" {
		return nil
	}
	if err := r.o.Source.Refresh(ctx); err != nil {
		return err
	}
	again, err := r.figure(ctx, row)
	if err != nil || again == q {
		return err
	}
	_, err = r.put(ctx, row, again)
	return err
}

func (r *running) figure(ctx context.Context, row *RunRow) (stock.Quantity, error) {
	if row.Key == "" {
		return 0, nil
	}
	return r.o.Source.Figure(ctx, row.Key)
}

func (r *running) put(ctx context.Context, row *RunRow, q stock.Quantity) (*stock.Quantity, error) {
	ref := r.w.ref(row.Key)
	if row.Key == "" {
		ref = Ref{ID: row.Item}
	}
	before, err := r.w.put(ctx, ref, row.Item, r.w.known[row.Item], q)
	if err == nil {
		row.Quantity = q
		r.report.Sent++
	}
	return before, err
}
