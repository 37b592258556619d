package pull

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"ostatok/agent/mirror"
	"ostatok/agent/stock"
)

// commitEvery bounds how long received documents wait for their transaction
// when the cloud is slow.
const commitEvery = 10 * time.Second

// reading is one window on its way into the mirror.
type reading struct {
	window mirror.Window
	kept   bool // the window's progress is durable, so that it can be resumed
	bulk   bool // folding waits until all is in

	// finish returns what else becomes true in the transaction that completes
	// the window; it may be nil.
	finish func(mirror.Window) ([]mirror.Window, *mirror.Coverage)

	percent func(mirror.Window) float64 // how far the whole is; may be nil

	// Results.
	started  int64 // when it was asked, epoch ms
	newest   int64 // newest close time, epoch ms, not after started
	counted  int64 // newest full INVENTORY, epoch ms
	heard    []string
	new      int
	repeated int
	setAside int

	bad  []mirror.Bad // of the transaction being gathered
	page int64        // documents of the page being read
}

// read takes a window to its end: one goroutine downloads and decodes, this one
// writes. When the download breaks off, what has come is kept.
func (p *Puller) read(ctx context.Context, r *reading) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.started = p.now()
	q := newQueue(int64(p.o.InFlight))
	var broke error
	go func() {
		defer close(q.entries)
		broke = p.download(ctx, r.window, r.kept || r.bulk, q)
	}()
	err := p.drain(ctx, r, q)
	cancel()
	for range q.entries { // the goroutine has ended when the channel is closed
	}
	if err != nil {
		return err
	}
	return broke
}

// drain writes what comes until the download ends: many documents in one
// transaction, so that the pages of the indexes, whose order is random, are not
// written to the card again and again.
func (p *Puller) drain(ctx context.Context, r *reading, q *queue) error {
	for e := range q.entries {
		if e.mark != nil { // of a page without anything to store
			q.taken(e)
			p.mark(r, e.mark)
			if !r.window.Done || !r.kept {
				continue
			}
			if err := p.put(ctx, r, mirror.Batch{}); err != nil {
				return err
			}
			continue
		}
		if err := p.put(ctx, r, mirror.Batch{More: p.more(r, q, e)}); err != nil {
			return err
		}
	}
	return nil
}

// more gives the mirror the documents of one transaction, the first of which is
// already here.
func (p *Puller) more(r *reading, q *queue, first entry) iter.Seq[mirror.Document] {
	return func(yield func(mirror.Document) bool) {
		late := time.NewTimer(commitEvery)
		defer late.Stop()
		documents := 0
		for e, open := first, true; open; {
			q.taken(e)
			switch {
			case e.mark != nil:
				p.mark(r, e.mark)
			case e.bad != nil:
				r.bad = append(r.bad, *e.bad)
			case e.document != nil:
				r.note(&e.document.Document)
				if documents++; !yield(*e.document) {
					return
				}
			}
			if r.window.Done || documents >= p.o.BatchDocuments || len(r.bad) >= mostBad {
				return
			}
			select {
			case e, open = <-q.entries:
			case <-late.C:
				return
			}
		}
	}
}

// mostBad bounds the items that are held to be set aside.
const mostBad = 64

// put writes one transaction, with the window's progress in it, which therefore
// never promises a document that is not there.
func (p *Puller) put(ctx context.Context, r *reading, b mirror.Batch) error {
	var coverage *mirror.Coverage
	b.Defer = r.bulk
	b.Close = func(b *mirror.Batch) {
		b.Bad = r.bad
		if known := p.coverage(); known.From != 0 && r.newest > known.Newest {
			known.Newest = r.newest
			coverage, b.Coverage = &known, &known
		}
		if !r.kept {
			return
		}
		b.Windows = []mirror.Window{r.window}
		if r.window.Done && r.finish != nil {
			more, further := r.finish(r.window)
			b.Windows = append(b.Windows, more...)
			if further != nil {
				further.Newest = max(p.coverage().Newest, r.newest)
				coverage, b.Coverage = further, further
			}
		}
	}
	result, err := p.mirror.PutDocuments(ctx, b)
	if err != nil {
		return fmt.Errorf("cannot store documents: %w", err)
	}
	r.new += result.New + result.Completed
	r.repeated += result.Repeated
	r.setAside += len(r.bad) + result.Refused
	clear(r.bad)
	r.bad = r.bad[:0]
	if coverage != nil {
		p.update(func(s *Status) { s.Coverage = *coverage })
	}
	p.changed(result.Levels)
	p.notices(result)
	return nil
}

// mark moves the window's progress to the next page.
func (p *Puller) mark(r *reading, m *mark) {
	if m.begin {
		r.page = 0
		return
	}
	page := r.page
	p.update(func(s *Status) { s.Documents += page })
	r.window.Documents += page
	r.page = 0
	r.window.Cursor, r.window.Done = m.cursor, m.done
	if m.restart {
		r.window.Documents = 0
	}
	if r.percent != nil {
		percent := r.percent(r.window)
		p.update(func(s *Status) { s.Percent = max(s.Percent, percent) })
	}
	p.tell()
}

// note remembers what matters of a document besides its content.
func (r *reading) note(d *stock.Document) {
	r.page++
	// A terminal whose clock is ahead must not push polling past documents
	// that other terminals have yet to write.
	r.newest = max(r.newest, min(d.Closed, r.started))
	if d.Device != "" && !slices.Contains(r.heard, d.Device) {
		r.heard = append(r.heard, d.Device)
	}
	if d.FullCount() {
		r.counted = max(r.counted, d.Closed)
	}
}
