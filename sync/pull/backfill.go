package pull

import (
	"context"
	"slices"
	"time"

	"ostatok/agent/mirror"
)

// emptyMonths ends the backfill of a store whose id does not tell when it was
// opened.
const emptyMonths = 24

// BackfillStep reads one older month, if older documents would settle a level.
// done tells that nothing older is wanted, or that there is nothing older. What
// goes wrong is shown in Status; the error is for this machine's side and the
// end of ctx, as with Cycle.
func (p *Puller) BackfillStep(ctx context.Context) (done bool, err error) {
	give, err := p.take(ctx)
	if err != nil {
		return false, err
	}
	defer give()
	if err := p.load(ctx); err != nil {
		return false, err
	}
	pending, err := p.firstPending(ctx)
	if err != nil || pending {
		return false, err
	}
	var r Report
	done, err = p.backfill(ctx, &r, false)
	p.progress(PhaseIdle, 100, "")
	if err != nil {
		if ctx.Err() == nil && !ours(err) {
			// The month is tried again; the shop's own figures do not wait for
			// it, and the next cycle shows whether the cloud can be reached.
			p.log.Warn().Err(err).Msg("older month broke off")
			return false, nil
		}
		return false, err
	}
	return done, nil
}

// backfill does one step with the turn held: with whole also when no level wants
// older documents.
func (p *Puller) backfill(ctx context.Context, r *Report, whole bool) (done bool, err error) {
	coverage := p.coverage()
	if coverage.Complete {
		return true, nil
	}
	if !whole {
		if older, err := p.wantsOlder(ctx); err != nil || !older {
			return !older, err
		}
	}
	w, last, err := p.nextOlder(ctx, coverage.From)
	if err != nil {
		return false, err
	}
	in := reading{window: w, kept: true, bulk: true}
	in.finish = func(mirror.Window) ([]mirror.Window, *mirror.Coverage) {
		return nil, &mirror.Coverage{From: w.Since, Complete: last}
	}
	p.progress(PhaseBackfill, p.backfillPercent(w), label(w))
	err = p.read(ctx, &in)
	p.taken(&in, r)
	if err != nil {
		return false, err
	}
	p.hear(in.heard)
	if err := p.save(ctx); err != nil {
		return false, err
	}
	if !last {
		if last, err = p.silentLong(ctx, w); err != nil {
			return false, err
		}
	}
	if err := p.fold(ctx, r, false); err != nil || !last {
		return false, err
	}
	p.event("history_complete", "info", "The whole history of the shop is known.", map[string]string{"from": label(w)})
	return true, p.dropWindows(ctx, kindBackfill)
}

// nextOlder returns the window before the known history, and whether it is the
// last one there can be. One that broke off comes first.
func (p *Puller) nextOlder(ctx context.Context, from int64) (w mirror.Window, last bool, err error) {
	windows, err := p.windows(ctx, kindBackfill)
	if err != nil {
		return mirror.Window{}, false, err
	}
	first, dated := firstDay(p.o.Store)
	w = mirror.Window{Kind: kindBackfill, Until: from, Since: monthsBefore(from, 1)}
	for _, have := range windows {
		switch {
		case !have.Done && have.Until == from:
			return have, dated && have.Since <= first, nil
		case have.Done && have.Since == from && have.Documents > p.o.Large:
			// Its newer neighbour was large: ask for less at a time.
			w.Since = from - max(day, (have.Until-have.Since)/2)
		}
	}
	if dated && w.Since <= first {
		w.Since = min(first, from-1)
		return w, true, nil
	}
	return w, false, nil
}

// silentLong ends the history of a store of unknown age after two years without
// a document.
func (p *Puller) silentLong(ctx context.Context, newest mirror.Window) (bool, error) {
	if _, dated := firstDay(p.o.Store); dated {
		return false, nil
	}
	windows, err := p.windows(ctx, kindBackfill)
	if err != nil {
		return false, err
	}
	slices.Reverse(windows)
	until := newest.Until
	for _, w := range windows { // oldest first
		if !w.Done || w.Documents > 0 {
			break
		}
		until = w.Until
	}
	if newest.Documents > 0 || newest.Since > monthsBefore(until, emptyMonths) {
		return false, nil
	}
	p.event("history_ends", "warning", "Two years without a document: nothing older is asked for. The store's id does not tell when the shop was opened.",
		map[string]string{"since": time.UnixMilli(newest.Since).UTC().Format(time.DateOnly)})
	return true, p.cover(ctx, mirror.Coverage{From: newest.Since, Complete: true})
}

// backfillPercent is the share of the shop's life that is known, 0 when its
// first day is not.
func (p *Puller) backfillPercent(w mirror.Window) float64 {
	first, dated := firstDay(p.o.Store)
	now := p.now()
	if !dated || now <= first {
		return 0
	}
	return 100 * float64(now-w.Until) / float64(now-first)
}
