package virtpos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"ostatok/agent/stock"
)

// ErrEmpty is returned when the source lists nothing: a full run would empty the
// warehouse, and nobody means that.
var ErrEmpty = errors.New("the source lists no product")

// UnmappedError names products that cannot be sent because they have no item at
// VirtPOS: zeroing would take their stock.
type UnmappedError struct{ Products []string }

func (e *UnmappedError) Error() string {
	return fmt.Sprintf("%d products have no item at VirtPOS, the first is %q: map them, or take them out", len(e.Products), e.Products[0])
}

// UnconfirmedError names rows that VirtPOS did not take.
type UnconfirmedError struct{ Rows []RunRow }

func (e *UnconfirmedError) Error() string {
	return fmt.Sprintf("%d rows are not confirmed, so nothing may be zeroed; the first is item %s: %s", len(e.Rows), e.Rows[0].Item, e.Rows[0].Reason)
}

// GuardError says that too much would vanish at once.
type GuardError struct{ Vanish, Of int }

func (e *GuardError) Error() string {
	return fmt.Sprintf("%d of %d items with stock would fall to zero: look whether the source is complete, and approve", e.Vanish, e.Of)
}

// GrownError names items that the source does not know and that have grown during
// the run: goods were received, or someone else writes to the warehouse.
type GrownError struct{ Items []Figure }

func (e *GrownError) Error() string {
	return fmt.Sprintf("%d items that only VirtPOS knows have grown meanwhile, the first is %s: nothing is zeroed", len(e.Items), e.Items[0].Item)
}

// figures lists what is held, by item.
func figures(all map[string]balance) []Figure {
	out := make([]Figure, 0, len(all))
	for id, b := range all {
		out = append(out, Figure{id, b.quantity})
	}
	slices.SortFunc(out, func(a, b Figure) int { return cmp.Compare(a.Item, b.Item) })
	return out
}

func (s Snapshot) byItem() map[string]stock.Quantity {
	m := make(map[string]stock.Quantity, len(s.Figures))
	for _, f := range s.Figures {
		m[f.Item] = f.Quantity
	}
	return m
}

// guard counts what is above zero and would be at or below it: rows of the
// source that say so, and everything that the source does not know.
func (r *running) guard(all map[string]balance, wanted map[string]stock.Quantity) error {
	vanish, of := 0, 0
	for id, b := range all {
		if b.quantity <= 0 {
			continue
		}
		of++
		if q, known := wanted[id]; !known || q <= 0 {
			vanish++
		}
	}
	if r.o.Approved || vanish < r.o.FallFloor || float64(vanish) <= r.o.FallShare*float64(of) {
		return nil
	}
	return &GuardError{vanish, of}
}

// leftOver is what the last run found above zero and not known to the source, and
// still is: it is zeroed by name. What has grown since is used by someone.
func (r *running) leftOver(ctx context.Context, all map[string]balance, wanted map[string]stock.Quantity) ([]Figure, error) {
	if r.run.Phase != Done {
		return nil, nil
	}
	after, err := r.o.Store.Snapshot(ctx, After)
	if err != nil {
		return nil, err
	}
	rows, err := r.o.Store.Rows(ctx)
	if err != nil {
		return nil, err
	}
	sent := make(map[string]bool, len(rows))
	for i := range rows {
		sent[rows[i].Item] = rows[i].Key != ""
	}
	var left []Figure
	for _, f := range after.Figures {
		now := all[f.Item].quantity
		_, listed := wanted[f.Item]
		switch {
		case f.Quantity <= 0, now <= 0, listed, sent[f.Item]:
		case now > f.Quantity:
			r.report.HeldBack = append(r.report.HeldBack, Figure{f.Item, now})
		default:
			left = append(left, f)
		}
	}
	return left, nil
}

// unconfirmed is the error for rows that VirtPOS did not confirm.
func (r *running) unconfirmed() error {
	var rows []RunRow
	for i := range r.rows {
		if r.rows[i].State != Confirmed {
			rows = append(rows, r.rows[i])
		}
	}
	r.report.Refused = rows
	if len(rows) == 0 {
		return nil
	}
	return &UnconfirmedError{rows}
}

// unknown is what VirtPOS holds and the run has no row for.
func (r *running) unknown(all map[string]balance) map[string]stock.Quantity {
	m := make(map[string]stock.Quantity)
	for id, b := range all {
		m[id] = b.quantity
	}
	for i := range r.rows {
		delete(m, r.rows[i].Item)
	}
	return m
}

// foreign are the figures of what the run has no row for.
func (r *running) foreign(taken Snapshot) []Figure {
	own := make(map[string]bool, len(r.rows))
	for i := range r.rows {
		own[r.rows[i].Item] = true
	}
	return slices.DeleteFunc(slices.Clone(taken.Figures), func(f Figure) bool { return own[f.Item] })
}

// changed tells whether anything that the run has no row for is not as it was.
func (r *running) changed(taken Snapshot, all map[string]balance) bool {
	return slices.ContainsFunc(r.foreign(taken), func(f Figure) bool { return all[f.Item].quantity != f.Quantity })
}

// emptied is what the run has no row for and fell to zero since.
func (r *running) emptied(taken Snapshot, all map[string]balance) []Figure {
	return slices.DeleteFunc(r.foreign(taken), func(f Figure) bool { return f.Quantity == 0 || all[f.Item].quantity != 0 })
}

// grown is the error for unknown items that hold more than they did.
func (r *running) grown(ctx context.Context, since Moment, unknown map[string]stock.Quantity) error {
	taken, err := r.o.Store.Snapshot(ctx, since)
	if err != nil {
		return err
	}
	before := taken.byItem()
	var items []Figure
	for id, q := range unknown {
		if q > max(before[id], 0) {
			items = append(items, Figure{id, q})
		}
	}
	if len(items) == 0 {
		return nil
	}
	slices.SortFunc(items, func(a, b Figure) int { return cmp.Compare(a.Item, b.Item) })
	return &GrownError{items}
}

// prepare looks at the warehouse once more, with every row confirmed, and decides
// whether there is something to zero.
func (r *running) prepare(ctx context.Context) error {
	all, err := r.read(ctx)
	if err != nil {
		return err
	}
	unknown := r.unknown(all)
	if err := r.grown(ctx, AtStart, unknown); err != nil {
		return r.stopFor(ctx, err)
	}
	wanted := make(map[string]stock.Quantity, len(r.rows))
	for i := range r.rows {
		wanted[r.rows[i].Item] = r.rows[i].Quantity
	}
	if err := r.guard(all, wanted); err != nil {
		return r.stop(ctx, err)
	}
	run := r.run
	for _, q := range unknown {
		if q != 0 && r.o.Mass && !r.run.Unsafe && !r.run.Held {
			run.Phase = Zeroing
			return r.save(ctx, run, nil, &Snapshot{Before, figures(all)})
		}
	}
	return r.finish(ctx, all)
}

// stopFor ends the run when the error is one of those that do not pass.
func (r *running) stopFor(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*GrownError](err); ok {
		return r.stop(ctx, err)
	}
	return err
}

// zero zeroes what was not written. It may have been sent before, by a call that
// did not live to see the answer. It is sent again, with the same version, only
// when everything that it concerns still is as it was: otherwise it may have been
// carried out, and what came in since may not be told from what was there. Then
// the rest is left to the next run.
func (r *running) zero(ctx context.Context) error {
	run := r.run
	run.Phase = Checking
	if r.old() {
		return r.save(ctx, run, nil, nil)
	}
	if err := r.unconfirmed(); err != nil {
		return r.stop(ctx, err)
	}
	if r.report.Resumed {
		all, err := r.read(ctx)
		if err != nil {
			return err
		}
		if err := r.grown(ctx, Before, r.unknown(all)); err != nil {
			return r.stopFor(ctx, err)
		}
		taken, err := r.o.Store.Snapshot(ctx, Before)
		if err != nil {
			return err
		}
		if r.changed(taken, all) {
			return r.save(ctx, run, nil, nil)
		}
	}
	err := r.w.client.SetZeroOnhand(ctx, r.w.o.Warehouse, r.run.Version)
	if isRefusal(err) {
		if all := r.w.refusesAll(ctx, err); all != nil {
			return all
		}
		return r.stop(ctx, err)
	}
	if err != nil {
		return err
	}
	return r.save(ctx, run, nil, nil)
}

// check compares what is held with what was held just before the zeroing.
// Whether the version of a row that was just written counts as older is not
// documented (backends §1.9), so it may have taken good stock.
func (r *running) check(ctx context.Context) error {
	if err := r.w.resolve(ctx, nil); err != nil {
		return err
	}
	all, err := r.read(ctx)
	if err != nil {
		return err
	}
	taken, err := r.o.Store.Snapshot(ctx, Before)
	if err != nil {
		return err
	}
	before := taken.byItem()
	r.report.Zeroed = r.emptied(taken, all)
	var hurt []RunRow
	good := 0
	for i := range r.rows {
		row := &r.rows[i]
		if row.State != Confirmed || before[row.Item] == 0 {
			continue
		}
		good++
		if all[row.Item].quantity == 0 {
			row.State = Waiting
			hurt = append(hurt, *row)
			r.report.Mended = append(r.report.Mended, row.Item)
		}
	}
	if len(hurt) == 0 {
		return r.finish(ctx, all)
	}
	run := r.run
	run.Phase = Mending
	if 2*len(hurt) > good { // one may have been sold in that very moment
		run.Unsafe = true
		r.w.client.opts.Log.Error().Int("rows", len(hurt)).Msg("the zeroing of VirtPOS took rows that had just been written, it is not used any more")
	}
	return r.save(ctx, run, hurt, nil)
}

// mend writes again what the zeroing took.
func (r *running) mend(ctx context.Context) error {
	if err := r.resolve(ctx); err != nil {
		return err
	}
	if err := r.send(ctx); err != nil {
		return err
	}
	if err := r.unconfirmed(); err != nil {
		return r.stop(ctx, err)
	}
	all, err := r.read(ctx)
	if err != nil {
		return err
	}
	return r.finish(ctx, all)
}

// finish keeps what is held at the end: what the source does not know in it is
// zeroed one by one in the next run.
func (r *running) finish(ctx context.Context, all map[string]balance) error {
	for id, q := range r.unknown(all) {
		if q > 0 {
			r.report.Left = append(r.report.Left, Figure{id, q})
		}
	}
	slices.SortFunc(r.report.Left, func(a, b Figure) int { return cmp.Compare(a.Item, b.Item) })
	run := r.run
	run.Phase = Done
	return r.save(ctx, run, nil, &Snapshot{After, figures(all)})
}
