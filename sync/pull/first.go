package pull

import (
	"context"
	"fmt"

	"ostatok/agent/mirror"
	"ostatok/agent/stock"
	"ostatok/sync/evotor"
)

// firstPending tells whether the first synchronisation is still to be done or
// to be finished. Its windows are dropped last of all, so they are the sign.
func (p *Puller) firstPending(ctx context.Context) (bool, error) {
	windows, err := p.windows(ctx, kindFirst)
	return len(windows) > 0 || p.coverage().From == 0, err
}

func (p *Puller) coverage() mirror.Coverage {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status.Coverage
}

// first reads the horizon month by month, newest first (guide, step 3), and
// goes on where an earlier run was interrupted.
func (p *Puller) first(ctx context.Context, found *findings, r *Report) error {
	windows, err := p.planFirst(ctx)
	if err != nil {
		return err
	}
	for i := 0; i < len(windows); i++ {
		w := windows[i]
		if w.Done {
			continue
		}
		in := reading{window: w, kept: true, bulk: true}
		in.finish = func(w mirror.Window) ([]mirror.Window, *mirror.Coverage) {
			if w.Documents > p.o.Large {
				return halves(windows[i+1:]), nil
			}
			return nil, nil
		}
		in.percent = func(now mirror.Window) float64 { return firstPercent(windows, i, now, p.now()) }
		p.progress(PhaseFirst, in.percent(w), label(w))
		err := p.read(ctx, &in)
		p.taken(&in, r)
		p.hear(in.heard)
		if err != nil {
			if err = p.deviceRefused(ctx, in.window, err, found); err != nil {
				return err
			}
		}
		if err := p.save(ctx); err != nil {
			return err
		}
		if windows, err = p.windows(ctx, kindFirst); err != nil {
			return err
		}
		if p.facts.Counted > 0 && monthDone(windows, i) {
			switch enough, err := p.counted(ctx, windows, i, r); {
			case err != nil:
				return err
			case enough:
				return p.endFirst(ctx, windows[:i+1], r)
			}
		}
	}
	return p.endFirst(ctx, windows, r)
}

// planFirst returns the windows, making the plan when there is none.
func (p *Puller) planFirst(ctx context.Context) ([]mirror.Window, error) {
	windows, err := p.windows(ctx, kindFirst)
	if err != nil || len(windows) > 0 {
		return windows, err
	}
	devices := []string{""}
	if p.o.PerDevice && len(p.facts.Listed) > 0 {
		devices = p.facts.Listed
	}
	p.facts.Started = p.now()
	if err := p.save(ctx); err != nil {
		return nil, err
	}
	if err := p.putWindows(ctx, months(kindFirst, p.facts.Started, p.o.Horizon, devices)); err != nil {
		return nil, err
	}
	return p.windows(ctx, kindFirst)
}

// monthDone tells whether all windows up to i are done and the next one begins
// an older period: then what is known has no gap.
func monthDone(windows []mirror.Window, i int) bool {
	return i+1 == len(windows) || windows[i+1].Since < windows[i].Since
}

// counted tells whether a full INVENTORY settled every product, so that older
// months of the horizon need not be asked (evotor-cloud §13.5).
func (p *Puller) counted(ctx context.Context, windows []mirror.Window, i int, r *Report) (bool, error) {
	if err := p.cover(ctx, mirror.Coverage{From: windows[i].Since}); err != nil {
		return false, err
	}
	if err := p.fold(ctx, r, false); err != nil {
		return false, err
	}
	older, err := p.wantsOlder(ctx)
	return !older, err
}

// endFirst makes the end of the first synchronisation durable. Polling starts
// from the time it was planned at, not from the newest document: windows were
// read one after the other, and a terminal may have sold since its own was.
func (p *Puller) endFirst(ctx context.Context, windows []mirror.Window, r *Report) error {
	from := windows[len(windows)-1].Since
	first, dated := firstDay(p.o.Store)
	if err := p.cover(ctx, mirror.Coverage{From: from, Complete: dated && from <= first}); err != nil {
		return err
	}
	f := &p.facts
	f.High = f.Started
	if f.High == 0 { // the plan was kept and the note of it was not
		f.High = windows[0].Since
	}
	f.Deep = f.High
	if f.Newest > 0 {
		f.High = min(f.High, f.Newest)
	}
	if err := p.save(ctx); err != nil {
		return err
	}
	if err := p.fold(ctx, r, true); err != nil {
		return err
	}
	return p.dropWindows(ctx, kindFirst)
}

// firstPercent is the share of the first synchronisation that is done: windows
// count by the time they span, and the one being read by its documents against
// what the finished ones had in the same time.
func firstPercent(windows []mirror.Window, at int, reading mirror.Window, now int64) float64 {
	span := func(w mirror.Window) float64 {
		if w.Until == 0 {
			return float64(max(now-w.Since, 1))
		}
		return float64(w.Until - w.Since)
	}
	var total, done, documents float64
	for i, w := range windows {
		total += span(w)
		if w.Done && i != at {
			done += span(w)
			documents += float64(w.Documents)
		}
	}
	part := 1.0
	if !reading.Done {
		expected := float64(reading.Documents) + 2000 // a guess while nothing is known
		if documents > 0 {
			expected = max(documents/done*span(reading), float64(reading.Documents)*1.05)
		}
		part = min(float64(reading.Documents)/expected, 0.98)
	}
	// The last few percent are the fold's.
	return 97 * (done + part*span(reading)) / total
}

// deviceRefused judges an error on one terminal's window. When the cloud
// refuses only this terminal, the application is not installed there; its
// documents are left out, as they are from the listing of the whole shop, and
// are asked for as soon as one of them shows up.
func (p *Puller) deviceRefused(ctx context.Context, w mirror.Window, err error, found *findings) error {
	if w.Device == "" || !deviceOnly(err) {
		return err
	}
	_, shop := p.cloud.Documents(ctx, evotor.DocumentsQuery{Store: p.o.Store, Since: p.now(), Limit: 1},
		func(evotor.Item[stock.Document]) error { return nil })
	if shop != nil {
		return shop
	}
	found.add(Problem{Kind: DeviceRefused,
		Message: "The cloud does not give the documents of terminal " + w.Device + ".",
		Advice:  "Install the application on this terminal too; its documents are then fetched by themselves."})
	w.Cursor, w.Done = "", true
	return p.putWindows(ctx, []mirror.Window{w})
}

// fold computes the levels of what was stored without. Only the fold that ends
// the first synchronisation is part of its progress.
func (p *Puller) fold(ctx context.Context, r *Report, ends bool) error {
	changes, err := p.mirror.Fold(ctx, func(done, total int) {
		if ends && total > 0 {
			p.progress(PhaseFold, 97+3*float64(done)/float64(total), "")
		}
	})
	if err != nil {
		return fmt.Errorf("cannot compute levels: %w", err)
	}
	r.Changes += len(changes)
	p.changed(changes)
	return nil
}

// olderSettles are the reasons that older documents can remove.
func olderSettles(reason stock.Reason) bool {
	return reason == stock.ReasonDisagree || reason == stock.ReasonAlone
}

// wantsOlder tells whether older documents would settle a product: it has none
// yet, or its level rests on what one terminal, or terminals that disagree, said
// first.
func (p *Puller) wantsOlder(ctx context.Context) (bool, error) {
	open := []stock.State{stock.Unresolved, stock.Assumed}
	for row, err := range p.mirror.Rows(ctx, mirror.Query{States: open}) {
		if err != nil {
			return false, fmt.Errorf("cannot read levels: %w", err)
		}
		if row.Deleted || row.Service() {
			continue
		}
		if row.Level.State == stock.Unresolved || olderSettles(row.Level.Reason) {
			return true, nil
		}
	}
	return false, nil
}
