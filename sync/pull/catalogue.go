package pull

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"

	"ostatok/agent/mirror"
	"ostatok/agent/stock"
	"ostatok/sync/evotor"
)

// fallShare is the share of the catalogue that may vanish between two readings
// without a question.
const fallShare = 0.30

// A catalogue that shrank by more than that is believed after it has been read
// so many times in a row, each time the very same list, over at least this long:
// an outage in the cloud or a half-finished upload by an accounting system is
// over or has changed by then, while a shop that was really emptied of goods
// stays as it is. An empty list is never believed: it is what a missing
// permission looks like, and a shop without goods needs no figures.
const (
	confirmReadings = 3
	confirmOver     = day
)

// listing is a catalogue on its way into the mirror.
type listing struct {
	run   int64 // its number
	at    int64 // when it began, epoch ms
	batch []stock.Product
	bad   []mirror.Bad
	seen  int    // cards
	list  uint64 // sum of the ids' hashes: the same for the same list in any order
}

// products reads the whole catalogue when it is due. What is missing from it is
// marked as gone only after a listing that was read to its end: deletions leave
// no trace in the cloud (evotor-cloud §8), so a broken listing looks like one.
func (p *Puller) products(ctx context.Context, now bool, found *findings, r *Report) error {
	f := &p.facts
	started := p.now()
	due := now || f.Catalogue == 0 || started-f.Catalogue >= p.o.Catalogue.Milliseconds() || started < f.Catalogue
	if due {
		p.progress(PhaseProducts, 0, "")
		if f.Run++; f.Run == 1 {
			f.Run = started // no number that an earlier mirror's notes may have used
		}
		l := listing{run: f.Run, at: started}
		if err := p.list(ctx, &l); err != nil {
			return err
		}
		r.Products = l.seen
		r.SetAside += len(l.bad)
		p.update(func(s *Status) { s.Products = l.seen })
		if err := p.sweep(ctx, &l, r); err != nil {
			return err
		}
		f.Catalogue = started
		if err := p.save(ctx); err != nil {
			return err
		}
	}
	if f.Shrunk != nil {
		found.add(Problem{Kind: CatalogueShrank, Blocks: true, Message: f.Shrunk.Message,
			Advice: "If products were really removed, wait: after a day of the same list it is believed. Otherwise check the application's rights in the Evotor account. Nothing is removed or written meanwhile."})
	}
	return nil
}

// list reads all pages.
func (p *Puller) list(ctx context.Context, l *listing) error {
	seen := map[string]bool{}
	for cursor := ""; ; {
		before := *l
		ask := func() (page evotor.Page, err error) {
			err = p.attempt(ctx, func() (err error) {
				l.seen, l.list, l.batch, l.bad = before.seen, before.list, l.batch[:0], l.bad[:len(before.bad)]
				page, err = p.cloud.Products(ctx, p.o.Store, cursor, func(item evotor.Item[stock.Product]) error {
					l.take(item)
					return nil
				})
				return err
			})
			return page, err
		}
		page, err := ask()
		if err == nil && page.Next == "" {
			page, err = end(page, ask)
		}
		if err != nil {
			return err
		}
		if len(l.batch) > 0 {
			if err := p.mirror.PutProducts(ctx, l.run, p.now(), l.batch); err != nil {
				return fmt.Errorf("cannot store products: %w", err)
			}
		}
		p.update(func(s *Status) { s.Products = l.seen })
		p.tell()
		if page.Next == "" {
			break
		}
		if page.Next == cursor || seen[page.Next] {
			return fmt.Errorf("%w (products, after %d pages)", errRepeated, len(seen)+1)
		}
		seen[page.Next] = true
		cursor = page.Next
	}
	if len(l.bad) > 0 {
		if _, err := p.mirror.PutDocuments(ctx, mirror.Batch{Bad: l.bad, Defer: true}); err != nil {
			return fmt.Errorf("cannot set products aside: %w", err)
		}
	}
	return nil
}

// take adds a card, or sets it aside when it does not decode.
func (l *listing) take(item evotor.Item[stock.Product]) {
	reason := ""
	switch {
	case item.Err != nil:
		reason = item.Err.Error()
	case item.Value.ID == "":
		reason = "has no id"
	}
	if reason != "" {
		l.bad = append(l.bad, mirror.Bad{Where: mirror.WhereProducts, ID: item.ID, Reason: reason,
			Raw: append([]byte(nil), item.Raw...)})
		return
	}
	l.seen++
	h := fnv.New64a()
	h.Write([]byte(item.Value.ID))
	l.list += h.Sum64()
	l.batch = append(l.batch, item.Value)
}

// sweep marks products that a complete listing did not name as gone, unless
// that would be too many at once.
func (p *Puller) sweep(ctx context.Context, l *listing, r *Report) error {
	f := &p.facts
	if len(l.bad) > 0 {
		// A card that could not be read is in the catalogue all the same, and
		// not every one of them still has its id.
		return nil
	}
	share := fallShare
	if s := f.Shrunk; s != nil && s.List == l.list && s.Seen == l.seen && l.seen > 0 &&
		s.Equal+1 >= confirmReadings && l.at-s.Since >= confirmOver {
		share = 1
	}
	gone, err := p.mirror.Sweep(ctx, l.run, share)
	refused, ok := errors.AsType[*mirror.SweepRefusedError](err)
	switch {
	case ok:
		if f.Shrunk == nil || f.Shrunk.List != l.list || f.Shrunk.Seen != l.seen || l.at < f.Shrunk.Since {
			f.Shrunk = &shrunk{Since: l.at, Seen: l.seen, List: l.list}
		}
		f.Shrunk.Equal++
		f.Shrunk.Message = "The cloud's catalogue fell from " + strconv.Itoa(refused.Had) + " products to " + strconv.Itoa(refused.Seen) + "."
		return nil
	case err != nil:
		return fmt.Errorf("cannot mark products that are gone: %w", err)
	}
	if f.Shrunk != nil {
		p.log.Info().Int("products", l.seen).Int("gone", gone).Msg("catalogue is believed again")
	}
	f.Shrunk = nil
	r.Gone = gone
	return nil
}
