package ingest

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"ostatok/agent/journal"
	"ostatok/agent/mirror"
	"ostatok/agent/stock"
	"ostatok/sync/evotor"
)

// A document is known by its id, which is the same in all of Evotor's shapes as
// far as anybody has seen (evotor-cloud §14.1 says so of receipts, from traffic).
// Should a shape have an id of its own after all, every sale would count twice.
// So a received document that is like another one under a different id, a twin,
// gives way: better a sale that the cloud brings a minute later than one too many.

const (
	blink      = 1000    // ms by which the close times of twins may differ: shapes round them
	twinRecent = 5000    // documents of the mirror that are looked at for twins of what has just been closed
	twinLate   = 1 << 27 // ms, a day and a half: older ones are compared with all of the mirror
)

// alike tells whether two documents can be one, by all but their lines.
func alike(a, b *stock.Document) bool {
	if a.ID == b.ID || a.Type != b.Type || a.Closed-b.Closed > blink || b.Closed-a.Closed > blink {
		return false
	}
	switch {
	case a.Number != 0 && b.Number != 0 && a.Number != b.Number:
		return false
	case a.Device == b.Device || a.Device == "" || b.Device == "":
		return true
	}
	// Version 1 may name a terminal by its IMEI; the same number at the same
	// second is then telling enough.
	return a.Number != 0 && a.Number == b.Number
}

// goods are the quantities in a document by product, without components, which
// not all shapes list.
func goods(d *stock.Document) map[string]stock.Quantity {
	sums := make(map[string]stock.Quantity, len(d.Lines))
	for _, line := range d.Lines {
		if line.Product != "" && !line.Sub {
			sums[line.Product] += line.Quantity.Abs()
		}
	}
	return sums
}

// sameGoods is false for documents of nothing: counting them twice is no harm.
func sameGoods(a, b *stock.Document) bool {
	x := goods(a)
	return len(x) > 0 && maps.Equal(x, goods(b))
}

// sift takes the documents out of a batch that have a twin in the mirror or
// before them in the batch. kept are the rows of the batch's documents.
func (d *draining) sift(batch *mirror.Batch, kept []journal.Received) (twins map[int64]bool, err error) {
	if len(kept) == 0 {
		return nil, nil
	}
	from, to, late := kept[0].Closed, kept[0].Closed, false
	for _, r := range kept {
		from, to = min(from, r.Closed), max(to, r.Closed)
		late = late || r.At-r.Closed > twinLate
	}
	after := int64(0)
	if !late {
		end, err := d.x.mirror.Newest(d.ctx)
		if err != nil {
			return nil, err
		}
		after = max(0, end-twinRecent)
	}
	heads, _, err := d.x.mirror.Heads(d.ctx, after, from-blink, to+blink)
	if err != nil {
		return nil, err
	}
	near := byTime{}
	for i := range heads {
		near.add(&heads[i].Document)
	}
	twins = make(map[int64]bool)
	left := make([]mirror.Document, 0, len(batch.Documents)) // never grows: near points into it
	for i := range batch.Documents {
		one := &batch.Documents[i]
		other, err := d.twin(&one.Document, near)
		if err != nil {
			return nil, err
		}
		if other != "" {
			d.noteTwin(one.ID, other)
			twins[kept[i].Seq] = true
			continue
		}
		left = append(left, *one)
		near.add(&left[len(left)-1].Document)
	}
	batch.Documents = left
	return twins, nil
}

// twin returns the id of a document's twin among others, "" for none.
func (d *draining) twin(one *stock.Document, near byTime) (id string, err error) {
	for other := range near.around(one.Closed) {
		if !alike(one, other) {
			continue
		}
		if len(other.Lines) == 0 { // only its head is at hand
			full, err := d.whole(other)
			if err != nil {
				return "", err
			}
			other = &full
		}
		if sameGoods(one, other) {
			return other.ID, nil
		}
	}
	return "", nil
}

// whole reads a document of the mirror with its lines; without lines when they
// are not to be had.
func (d *draining) whole(head *stock.Document) (stock.Document, error) {
	raw, err := d.x.mirror.Raw(d.ctx, head.ID)
	if errors.Is(err, mirror.ErrNotFound) {
		return *head, nil
	}
	if err != nil {
		return *head, err
	}
	full, err := evotor.DecodeDocument(raw)
	if err != nil {
		return *head, nil // is in the mirror, so its lines were read once
	}
	return full, nil
}

// twins looks for twins of what waits among what the cloud has shown since the
// last time, and withdraws them.
func (d *draining) twins() error {
	if len(d.waiting) == 0 {
		return nil
	}
	from, to := d.waiting[0].Closed, d.waiting[0].Closed
	for _, r := range d.waiting {
		from, to = min(from, r.Closed), max(to, r.Closed)
	}
	heads, next, err := d.x.mirror.Heads(d.ctx, d.x.seen, from-blink, to+blink)
	if err != nil {
		return err
	}
	near := byTime{}
	for i := range heads {
		if heads[i].Source == mirror.Cloud {
			near.add(&heads[i].Document)
		}
	}
	var gone []journal.Received
	var ids []string
	if len(near) > 0 {
		for _, r := range d.waiting {
			if !near.any(r.Closed) {
				continue
			}
			one, _, err := d.read(r)
			if errors.Is(err, errUnreadable) {
				continue
			}
			if err != nil {
				return err
			}
			other, err := d.twin(&one, near)
			if err != nil {
				return err
			}
			if other != "" {
				d.noteTwin(r.ID, other)
				gone, ids = append(gone, r), append(ids, r.ID)
			}
		}
	}
	changes, err := d.x.mirror.Withdraw(d.ctx, ids)
	d.Changes = append(d.Changes, changes...)
	if err != nil {
		return err
	}
	if err := d.x.drop(d.ctx, gone); err != nil {
		return err
	}
	d.moved = d.moved || len(gone) > 0
	d.waiting = slices.DeleteFunc(d.waiting, func(r journal.Received) bool { return slices.Contains(ids, r.ID) })
	d.x.seen = next
	return nil
}

// noteTwin tells of the first twin since the start; when there is one there are
// many.
func (d *draining) noteTwin(id, other string) {
	d.Twins++
	d.x.log.Warn().Str("document", id).Str("same_as", other).Msg("document received under another id")
	if d.x.toldTwin {
		return
	}
	d.x.toldTwin = true
	d.x.event(d.ctx, "received_twin", journal.Warning, fmt.Sprintf(
		"Document %s, received in the shop, is the same as document %s and is not counted again. "+
			"Ask the maker of the sender to use the ids that the cloud gives to documents.", id, other),
		map[string]any{"document": id, "same_as": other})
}

// byTime finds documents by their close time.
type byTime map[int64][]*stock.Document

func (b byTime) add(d *stock.Document) { b[d.Closed/blink] = append(b[d.Closed/blink], d) }

func (b byTime) any(closed int64) bool {
	at := closed / blink
	return len(b[at-1])+len(b[at])+len(b[at+1]) > 0
}

// around yields the documents closed within a blink of a moment, and some more.
func (b byTime) around(closed int64) func(yield func(*stock.Document) bool) {
	return func(yield func(*stock.Document) bool) {
		at := closed / blink
		for _, list := range [][]*stock.Document{b[at-1], b[at], b[at+1]} {
			for _, d := range list {
				if !yield(d) {
					return
				}
			}
		}
	}
}
