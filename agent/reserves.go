package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"ostatok/agent/local"
	"ostatok/agent/mirror"
	"ostatok/agent/stock"
	"ostatok/sync/keycrm"
	"ostatok/sync/push"
)

// What is promised to buyers is read from KeyCRM: everything now and then, and
// between that the SKUs which a webhook named. All of it shares the account's
// rate limit with the deliveries, so half of the limit at most is spent on it.
const (
	reservesLeast = 5 * time.Minute  // between two readings of everything
	reservesFresh = time.Minute      // young enough to plan by
	reservesOld   = time.Hour        // too old to raise a figure by
	reservesQuiet = 2 * time.Second  // webhooks come in bursts
	reservesWait  = 30 * time.Second // most that a delivery waits for them
	reservesPart  = 10 * keycrm.PageRows
)

// openReserves takes up where the last process left off, and forgets systems that
// are no longer asked.
func (a *Agent) openReserves(ctx context.Context) error {
	sources, err := a.mirror.ReserveSources(ctx)
	if err != nil {
		return err
	}
	for _, s := range sources {
		if b := a.backends.named(s.Name); b != nil && b.reserves != nil {
			b.reserves.done(s.At)
		} else if err := a.mirror.DropReserves(ctx, s.Name); err != nil {
			return err
		}
	}
	return nil
}

// keepReserves keeps the reserves of one target up to date.
func (a *Agent) keepReserves(ctx context.Context, b *backend) error {
	const failedFirst = time.Minute
	f := b.reserves
	pause, wait := failedFirst, time.Duration(0)
	for {
		due := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			due.Stop()
			return nil
		case <-f.wake:
			due.Stop()
			if !sleep(ctx, reservesQuiet) {
				return nil
			}
		case <-due.C:
		}
		wait = a.config.Evotor.Poll
		// Without the catalogue nobody can say which SKUs are the shop's, and that
		// nothing was read would look as if nothing were reserved.
		if !a.puller.Status().Complete {
			continue
		}
		err := a.readDue(ctx, b)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			pause, wait = failedFirst, f.left()
		case elsewhere(err):
			a.log.Warn().Err(err).Str("target", b.Name).Msg("reserves not read")
			wait, pause = pause, min(2*pause, f.every())
		default:
			return err
		}
	}
}

// readDue reads everything when that is due, else what was marked.
func (a *Agent) readDue(ctx context.Context, b *backend) error {
	if b.reserves.left() <= 0 {
		return a.readReserves(ctx, b, 0)
	}
	return a.readMarked(ctx, b)
}

// readReserves reads the reserves of all matched products, unless somebody else
// has just done so.
func (a *Agent) readReserves(ctx context.Context, b *backend, unless time.Duration) (err error) {
	f := b.reserves
	leave, err := enter(ctx, f.whole)
	if err != nil {
		return err
	}
	defer leave()
	if age, ok := f.age(); ok && age < unless {
		return nil
	}
	defer func() { f.note(err) }()
	if err := a.matchReserves(ctx, b); err != nil {
		return err
	}
	skus, gone, began := f.begin()
	// The first reading counts as a whole: until it is done, nothing is known.
	// Later ones are kept part by part, so that one that fails late is not lost.
	all, before := make(map[string]stock.Quantity), f.heard()
	for part := range slices.Chunk(skus, reservesPart) {
		err := f.read(ctx, part, func(read map[string]stock.Quantity) error {
			if before != 0 {
				return a.putReserves(ctx, b, read, before)
			}
			maps.Copy(all, read)
			return nil
		})
		if err != nil {
			return fmt.Errorf("cannot read the reserves of %s: %w", b.Name, err)
		}
	}
	for _, product := range gone {
		all[product] = 0
	}
	if err := a.putReserves(ctx, b, all, began); err != nil {
		return err
	}
	f.done(began)
	if before == 0 {
		// They may all be zero, and so change nothing; but targets waited for them.
		a.lookAtAvailable()
	}
	return nil
}

// lookAtAvailable has the targets looked at that are told what is available.
func (a *Agent) lookAtAvailable() {
	for _, b := range a.backends.list {
		if b.available() {
			a.lookAt(b.Name)
		}
	}
}

// readMarked reads what webhooks have named, and what is new in the catalogue.
func (a *Agent) readMarked(ctx context.Context, b *backend) error {
	f := b.reserves
	err := f.resolve(ctx)
	for err == nil {
		part := f.marked(reservesPart)
		if len(part) == 0 {
			return nil
		}
		err = f.read(ctx, part, func(read map[string]stock.Quantity) error {
			return a.putReserves(ctx, b, read, f.heard())
		})
		if err != nil {
			f.mark(part...)
		}
	}
	err = fmt.Errorf("cannot read the reserves of %s: %w", b.Name, err)
	f.note(err)
	return err
}

// freshReserves brings the reserves up to date before figures are computed from
// them, as far as that is quickly done: somebody may just have ordered. The next
// reading does the rest, and reserveState says how far they can be relied on.
func (a *Agent) freshReserves(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, reservesWait)
	defer cancel()
	for _, b := range a.backends.list {
		f := b.reserves
		if f == nil || f.heard() == 0 {
			continue // the first reading is under way
		}
		err := a.matchReserves(ctx, b)
		switch {
		case err != nil:
		case f.cost() <= reservesWait/2:
			err = a.readReserves(ctx, b, reservesFresh)
		default:
			err = a.readMarked(ctx, b)
		}
		if err != nil {
			a.log.Warn().Err(err).Str("target", b.Name).Msg("reserves not brought up to date")
		}
	}
}

// firstReserves reads the reserves that are not known yet, or are due, for a sync
// without the loop that keeps them.
func (a *Agent) firstReserves(ctx context.Context) error {
	var errs []error
	for _, b := range a.backends.list {
		if b.reserves != nil && b.reserves.left() <= 0 {
			errs = append(errs, a.readReserves(ctx, b, reservesFresh))
		}
	}
	return errors.Join(errs...)
}

// reserveState tells the engine how far the reserves can be relied on.
func (a *Agent) reserveState(context.Context) push.ReserveState {
	state := push.ReserveState{Known: true}
	for _, b := range a.backends.list {
		f := b.reserves
		if f == nil {
			continue
		}
		why := ""
		if err := f.failure(); err != nil {
			why = ": " + err.Error()
		}
		if f.heard() == 0 {
			return push.ReserveState{Reason: "what " + b.Name + " holds for orders is not known yet" + why}
		}
		if age, ok := f.age(); !ok || age > max(reservesOld, 2*f.every()) {
			state.Old = true
			state.Reason = fmt.Sprintf("what %s holds for orders was last read at %s%s",
				b.Name, millis(f.heard()).UTC().Format(time.RFC3339), why)
		}
	}
	return state
}

// reserveProblems tells people of reserves that are not known or old, where
// somebody depends on them.
func (a *Agent) reserveProblems() []local.Problem {
	if !slices.ContainsFunc(a.backends.list, (*backend).available) {
		return nil
	}
	switch state := a.reserveState(context.Background()); {
	case !state.Known:
		return []local.Problem{{Kind: push.GuardReserves, Message: upper(state.Reason) + ".",
			Do: "Targets that are told what is available wait for it."}}
	case state.Old:
		return []local.Problem{{Kind: "reserves_old", Message: upper(state.Reason) + ".",
			Do: "Figures of what is available are lowered and not raised until it answers."}}
	}
	return nil
}

// matchReserves finds the SKUs of the shop's products, and products with a
// reserve that have no SKU any more.
func (a *Agent) matchReserves(ctx context.Context, b *backend) error {
	lesson, err := a.learn(ctx, b.Name)
	if err != nil || b.reserves.matches(lesson) {
		return err
	}
	skus := make(map[string]string)
	var gone []string
	for row, err := range a.mirror.Rows(ctx, mirror.Query{}) {
		if err != nil {
			return err
		}
		key, _ := b.matcher.Key(row.Product)
		switch {
		case !row.Deleted && !row.Service() && keycrm.Askable(key):
			skus[key] = row.ID
		case row.Reserved != 0:
			gone = append(gone, row.ID)
		}
	}
	b.reserves.match(lesson, skus, gone)
	return nil
}

// putReserves keeps what was read, by product, and has figures computed anew
// where that changes them.
func (a *Agent) putReserves(ctx context.Context, b *backend, reserves map[string]stock.Quantity, at int64) error {
	changed, err := a.mirror.PutReserves(ctx, b.Name, at, reserves, false)
	if err != nil {
		return err
	}
	if len(changed) > 0 {
		a.levelsChanged(changed...)
		a.lookAtAvailable()
	}
	return nil
}
