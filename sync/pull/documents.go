package pull

import (
	"context"
	"slices"

	"ostatok/agent/mirror"
)

// documents brings the known history up to now.
func (p *Puller) documents(ctx context.Context, found *findings, r *Report) error {
	pending, err := p.firstPending(ctx)
	if err != nil {
		return err
	}
	if pending {
		if err := p.first(ctx, found, r); err != nil {
			return err
		}
	} else if err := p.fold(ctx, r, false); err != nil { // what an earlier run left unfolded
		return err
	}
	if err := p.rescans(ctx, found, r); err != nil {
		return err
	}
	if err := p.poll(ctx, found, r); err != nil {
		return err
	}
	// Terminals heard for the first time may have older documents.
	return p.rescans(ctx, found, r)
}

// poll asks again for everything from the overlap on, and once a day for much
// more: a terminal without internet delivers old documents late, under their
// old time (evotor-cloud §10).
func (p *Puller) poll(ctx context.Context, found *findings, r *Report) error {
	now, f := p.now(), &p.facts
	deep := f.Refused || now-f.Deep >= day || now < f.Deep
	since := min(p.high(), now) - p.o.Overlap.Milliseconds()
	if deep {
		// From the last deep re-scan, not from now: after weeks without
		// internet the look back must reach as far as it would have.
		since = min(since, min(f.Deep, now)-p.o.Deep.Milliseconds())
	}
	if first, ok := firstDay(p.o.Store); ok {
		since = max(since, first)
	}
	since = max(since, 1)
	phase := PhasePoll
	if deep {
		phase = PhaseRescan
	}
	in := reading{
		window: mirror.Window{Kind: kindPoll, Since: since},
		// Many documents are folded faster together.
		bulk: now-since > p.o.Overlap.Milliseconds()+3*day,
	}
	p.progress(phase, 0, label(in.window))
	// Documents are never deleted: the newest one known must be listed again.
	// A list without any is asked for once more, and then not believed.
	hidden := func() bool {
		return p.coverage().Newest >= since && in.new+in.repeated+in.setAside == 0
	}
	err := p.read(ctx, &in)
	if err == nil && hidden() {
		in.window.Cursor, in.window.Done = "", false
		err = p.read(ctx, &in)
	}
	p.taken(&in, r)
	if err != nil {
		return err
	}
	if hidden() {
		found.add(Problem{Kind: NoDocuments,
			Message: "The cloud shows none of the documents that it showed before.",
			Advice:  "Check that the application is still installed on the terminals and may read their documents.", Blocks: true})
		f.Refused = true // what was hidden is asked again, however old it is by then
		return p.save(ctx)
	}
	f.High = max(f.High, in.newest)
	if f.High > now { // our own clock was ahead once
		f.High = max(in.newest, since)
	}
	if deep {
		f.Deep, f.Refused = now, false
	}
	var fresh []string
	for _, device := range in.heard {
		if !slices.Contains(f.Heard, device) {
			fresh = append(fresh, device)
		}
	}
	if err := p.planRescans(ctx, fresh); err != nil {
		return err
	}
	p.hear(in.heard)
	if err := p.save(ctx); err != nil {
		return err
	}
	if in.bulk {
		return p.fold(ctx, r, false)
	}
	return nil
}

// high is where polling starts from; the beginning of what is known when no
// document was ever seen.
func (p *Puller) high() int64 {
	if p.facts.High > 0 {
		return p.facts.High
	}
	return p.coverage().From
}

// hear remembers terminals of which documents came.
func (p *Puller) hear(devices []string) {
	for _, device := range devices {
		if !slices.Contains(p.facts.Heard, device) {
			p.facts.Heard = append(p.facts.Heard, device)
		}
	}
}
