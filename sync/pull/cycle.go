package pull

import (
	"context"
	"errors"
	"time"

	"ostatok/agent/mirror"
	"ostatok/agent/stock"
)

// Cycle says what a cycle does beyond what is due.
type Cycle struct {
	Backfill  bool // fetch the whole older history, however long it takes
	Catalogue bool // read the catalogue though it is not due
	Again     bool // read all that is known of the history again
}

// Report tells what a cycle did.
type Report struct {
	Complete bool      // nothing is left open: figures may be written
	Problems []Problem // what is the matter, also where it does not block

	New      int // documents stored
	Repeated int // documents that were there already
	SetAside int // readings of items that could not be used; an item may be read several times
	Products int // in the catalogue, 0 when it was not read
	Gone     int // products that are not in the catalogue any more
	Changes  int // levels that changed

	current bool // documents were read up to now, whatever else is the matter
}

// Cycle pulls what is due: stores, terminals, the catalogue, the first
// synchronisation or what came since, and terminals that became visible.
//
// Whatever the cloud refuses, breaks off or answers strangely is a problem in
// the report, which is then not Complete; the error is for what went wrong on
// this machine, and for the end of ctx.
func (p *Puller) Cycle(ctx context.Context, c Cycle) (Report, error) {
	give, err := p.take(ctx)
	if err != nil {
		return Report{}, err
	}
	defer give()
	var found findings
	var r Report
	p.update(func(s *Status) { s.Documents = 0 })
	err = p.load(ctx)
	if err == nil {
		err = p.cycle(ctx, c, &found, &r)
	}
	p.progress(PhaseIdle, 100, "")
	return p.conclude(ctx, found, r, err)
}

// conclude turns what was met into the report and the status.
func (p *Puller) conclude(ctx context.Context, found findings, r Report, err error) (Report, error) {
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	if err != nil && !ours(err) {
		found.add(describe(err))
		err = nil
	}
	if err != nil {
		found.add(Problem{Kind: MirrorFailed, Message: "The mirror on this box fails: " + text(err) + ".",
			Advice: "Check the free space and the card of the box, then run `ostatok doctor`.", Blocks: true})
	}
	if r.SetAside > 0 {
		found.add(Problem{Kind: SetAside,
			Message: "Some of the cloud's items could not be used and were set aside.",
			Advice:  "Send a diagnosis to support; the figures of the products in them may be wrong."})
	}
	r.Problems, r.Complete = found, !found.blocks()
	if r.Complete {
		now := p.now()
		p.update(func(s *Status) { s.LastSuccess = time.UnixMilli(now).UTC() })
		if now-p.facts.Success >= successEvery.Milliseconds() || now < p.facts.Success {
			p.facts.Success = now
			err = p.save(ctx)
		}
	}
	p.update(func(s *Status) { s.Complete = r.Complete })
	p.show(found)
	return r, err
}

// cycle does the steps in their order; each rests on the one before.
func (p *Puller) cycle(ctx context.Context, c Cycle, found *findings, r *Report) error {
	p.progress(PhaseShop, 0, "")
	ok, err := p.visible(ctx, found)
	if err != nil || !ok {
		return p.withheld(ctx, err, !ok)
	}
	devices, err := p.devices(ctx)
	if err != nil {
		return p.withheld(ctx, err, false)
	}
	if err := p.products(ctx, c.Catalogue, found, r); err != nil {
		if !p.bearable(err) {
			return p.withheld(ctx, err, false)
		}
		found.add(describe(err))
	}
	if c.Again {
		if err := p.planRescans(ctx, p.facts.Listed); err != nil {
			return err
		}
	}
	if err := p.documents(ctx, found, r); err != nil {
		return p.withheld(ctx, err, false)
	}
	r.current = true
	if err := p.silence(ctx, devices, found); err != nil {
		return err
	}
	if r.Products > 0 {
		if err := p.groups(ctx); err != nil {
			return err
		}
	}
	if c.Backfill {
		for done := false; !done; {
			if done, err = p.backfill(ctx, r, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// bearable tells whether documents can go on after the catalogue failed: with
// older cards, but not with none, and not when the answer would be the same.
func (p *Puller) bearable(err error) bool {
	if ours(err) || p.facts.Catalogue == 0 {
		return false
	}
	switch describe(err).Kind {
	case BadAnswer, RequestRefused, CursorRepeated:
		return true
	}
	return false
}

// withheld remembers that the cloud kept the shop to itself, so that what was
// written meanwhile is asked for from further back, and passes the error on.
func (p *Puller) withheld(ctx context.Context, err error, hidden bool) error {
	if !hidden && !refused(err) || p.facts.Refused || p.facts.Started == 0 {
		return err
	}
	p.facts.Refused = true
	return errors.Join(err, p.save(ctx))
}

// silence reports a shop that has terminals older than the horizon and not one
// document: most likely the application is not installed on them, and the cloud
// then shows an empty list instead of an error (evotor-cloud §2).
func (p *Puller) silence(ctx context.Context, devices []mirror.Device, found *findings) error {
	if len(p.facts.Heard) > 0 || p.facts.Newest > 0 {
		return nil
	}
	horizon := monthsBefore(p.now(), p.o.Horizon)
	for _, d := range devices {
		if d.Created > 0 && d.Created < horizon {
			found.add(Problem{Kind: NoDocuments, Blocks: true,
				Message: "The cloud shows no document of this shop, though its terminals are not new.",
				Advice:  "Is the application installed on the terminals? Install it in the Evotor account on each of them."})
			return nil
		}
	}
	return nil
}

// taken adds a reading's results to the report and to what is remembered.
func (p *Puller) taken(in *reading, r *Report) {
	r.New += in.new
	r.Repeated += in.repeated
	r.SetAside += in.setAside
	p.facts.Counted = max(p.facts.Counted, in.counted)
	p.facts.Newest = max(p.facts.Newest, in.newest)
}

// notices tells of what a person should know in the documents, each thing once
// in a run of the program: a shop that sells at a free price does so every day.
func (p *Puller) notices(result mirror.Result) {
	for _, n := range result.Notices {
		if n.Kind == stock.NoticeFreePrice || n.Kind == mirror.NoticeChanged {
			continue // daily business, and told below
		}
		key := n.Kind + " " + n.Detail
		if p.told[key] || len(p.told) >= mostTold {
			continue
		}
		p.told[key] = true
		p.event(n.Kind, "warning", "A document holds something unusual: "+n.Kind+".",
			map[string]string{"detail": n.Detail, "product": n.Product, "document": n.Document})
	}
	if result.Changed > 0 {
		p.log.Warn().Int("documents", result.Changed).Msg("documents came again with another content, the first was kept")
		p.event("document_changed", "warning", "The cloud sent documents again with another content; the first was kept.",
			map[string]int{"documents": result.Changed})
	}
}

// mostTold bounds the memory of what was told.
const mostTold = 256
