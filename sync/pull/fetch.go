package pull

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"ostatok/agent/mirror"
	"ostatok/agent/stock"
	"ostatok/sync/evotor"
	"ostatok/sync/rest"
)

// entry is one thing on its way from the download to the writer: a document, an
// item that could not be used, or a mark between two pages.
type entry struct {
	document *mirror.Document
	bad      *mirror.Bad
	mark     *mark
	size     int64 // bytes of body held
}

// mark stands between two pages.
type mark struct {
	begin   bool   // a page is asked for, perhaps again
	cursor  string // of the page that follows
	done    bool   // there is none
	restart bool   // the listing begins again from its start
}

// queue carries entries; it is bounded in number and in bytes of bodies, because
// one INVENTORY of a large shop weighs as much as thousands of receipts.
type queue struct {
	entries chan entry
	room    *semaphore.Weighted
	most    int64
}

func newQueue(most int64) *queue {
	return &queue{entries: make(chan entry, 64), room: semaphore.NewWeighted(most), most: most}
}

func (q *queue) put(ctx context.Context, e entry) error {
	e.size = min(e.size, q.most)
	if err := q.room.Acquire(ctx, e.size); err != nil {
		return err
	}
	select {
	case q.entries <- e:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// taken gives back the room of an entry that the writer now holds.
func (q *queue) taken(e entry) { q.room.Release(e.size) }

// emptyPages bounds how many pages without a document, each with a new cursor,
// are followed: such pages are possible (evotor-cloud §5), an endless row of
// them is a fault.
const emptyPages = 1000

// download reads a window from its cursor to its end. A cursor that the cloud
// does not take any more, and a paging that goes in a circle, restart the window
// once: how long a cursor lives is documented nowhere, and documents that come
// twice do no harm.
func (p *Puller) download(ctx context.Context, w mirror.Window, sure bool, q *queue) error {
	cursor, resumed, restarted := w.Cursor, w.Cursor != "", false
	seen := map[string]bool{}
	empty := 0
	for {
		page, err := p.page(ctx, w, cursor, q)
		if err == nil && page.Next == "" && sure {
			page, err = end(page, func() (evotor.Page, error) { return p.page(ctx, w, cursor, q) })
		}
		if err == nil && page.Next == "" {
			return q.put(ctx, entry{mark: &mark{done: true}})
		}
		if empty++; page.Items > 0 {
			empty = 0
		}
		if err == nil && (seen[page.Next] || empty > emptyPages) {
			err = fmt.Errorf("%w after %d pages", errRepeated, len(seen)+1)
		}
		if err == nil {
			seen[page.Next] = true
			cursor, resumed = page.Next, false
			if err := q.put(ctx, entry{mark: &mark{cursor: cursor}}); err != nil {
				return err
			}
			continue
		}
		if restarted || cursor == "" || !stale(err, resumed) {
			return err
		}
		p.log.Warn().Err(err).Str("window", label(w)).Msg("cloud does not go on from the cursor, asking the window from its start")
		cursor, resumed, restarted, empty = "", false, true, 0
		clear(seen)
		if err := q.put(ctx, entry{mark: &mark{restart: true}}); err != nil {
			return err
		}
	}
}

// end asks once more for the page that ended a listing: a cursor that got lost
// on the way looks just like the end, and what it led to would never be missed.
func end(last evotor.Page, ask func() (evotor.Page, error)) (evotor.Page, error) {
	for range tries {
		again, err := ask()
		switch rest.KindOf(err) {
		case rest.NotFound, rest.Gone, rest.Invalid:
			return last, nil // the cursor serves once
		}
		if err != nil || again.Next != "" || again.Items == last.Items {
			return again, err
		}
		last = again
	}
	return last, nil
}

// stale tells whether an error may be the cursor's fault. On the first request
// after a pause every answer but a refusal is taken for that; without an answer
// nothing is known of the cursor, and it is kept.
func stale(err error, resumed bool) bool {
	if errors.Is(err, errRepeated) {
		return true
	}
	switch rest.KindOf(err) {
	case rest.NotFound, rest.Gone, rest.Invalid:
		return true
	case rest.Temporary, rest.Protocol:
		e, ok := errors.AsType[*rest.Error](err)
		return resumed && ok && e.Status != 0
	}
	return false
}

// page reads one page, again when it breaks off. Its documents may then be
// delivered twice.
func (p *Puller) page(ctx context.Context, w mirror.Window, cursor string, q *queue) (evotor.Page, error) {
	query := evotor.DocumentsQuery{
		Store: p.o.Store, Device: w.Device, Since: w.Since, Until: w.Until,
		Cursor: cursor, Limit: p.o.PageLimit,
	}
	var page evotor.Page
	var bare []string
	err := p.attempt(ctx, func() (err error) {
		bare = bare[:0]
		if err := q.put(ctx, entry{mark: &mark{begin: true}}); err != nil {
			return err
		}
		page, err = p.cloud.Documents(ctx, query, func(item evotor.Item[stock.Document]) error {
			if errors.Is(item.Err, evotor.ErrNoBody) && item.ID != "" {
				bare = append(bare, item.ID)
				return nil
			}
			return q.put(ctx, p.judge(item))
		})
		if cursor != "" && page.Next == cursor {
			return fmt.Errorf("%w: it is where it was", errRepeated)
		}
		return err
	})
	if err != nil {
		return page, err
	}
	// Whether the list holds bodies is documented both ways (evotor-cloud §10).
	// They are fetched after the page, which must not wait half read.
	for _, id := range bare {
		if err := p.whole(ctx, id, q); err != nil {
			return page, err
		}
	}
	return page, nil
}

// whole fetches a document that the list names without its body, unless the
// mirror has it: documents never change (evotor-cloud §10).
func (p *Puller) whole(ctx context.Context, id string, q *queue) error {
	switch _, err := p.mirror.Document(ctx, id); {
	case err == nil:
		return nil
	case !errors.Is(err, mirror.ErrNotFound):
		return fmt.Errorf("cannot look up document %s: %w", id, err)
	}
	var item evotor.Item[stock.Document]
	err := p.attempt(ctx, func() (err error) {
		item, err = p.cloud.Document(ctx, p.o.Store, id)
		return err
	})
	switch rest.KindOf(err) {
	case rest.NotFound, rest.Gone, rest.Invalid:
		return q.put(ctx, entry{bad: &mirror.Bad{Where: mirror.WhereDocuments, ID: id,
			Reason: "listed without its content, which the cloud does not give: " + err.Error()}})
	}
	if err != nil {
		return err
	}
	return q.put(ctx, p.judge(item))
}

// judge decides whether an item can be used and copies its text, which lives
// only as long as the call.
func (p *Puller) judge(item evotor.Item[stock.Document]) entry {
	raw := append([]byte(nil), item.Raw...)
	size := int64(len(raw))
	reason := ""
	switch d := &item.Value; {
	case item.Err != nil:
		reason = item.Err.Error()
	case d.ID == "":
		reason = "has no id"
	case d.Store != "" && !strings.EqualFold(d.Store, p.o.Store):
		// A terminal can be moved between shops (evotor-cloud §7); its receipts
		// there are nothing of ours.
		reason = "belongs to another store: " + d.Store
	}
	if reason != "" {
		return entry{bad: &mirror.Bad{Where: mirror.WhereDocuments, ID: item.ID, Raw: raw, Reason: reason}, size: size}
	}
	return entry{document: &mirror.Document{Document: item.Value, Raw: raw, Source: mirror.Cloud}, size: size}
}

// tries bounds how often a page that broke off is asked at once.
const tries = 4

// attempt repeats a call whose answer began and broke off, or made no sense: the
// layer below cannot, since part of the answer was already used. What it has
// itself given up on is not repeated here.
func (p *Puller) attempt(ctx context.Context, call func() error) error {
	pause := p.o.Retry
	for try := 1; ; try++ {
		err := call()
		if err != nil && ours(err) && ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", errStrange, err) // one shop or terminal that does not decode
		}
		e, ok := errors.AsType[*rest.Error](err)
		broke := ok && (e.Kind == rest.Protocol || e.Kind == rest.Temporary && e.Status/100 == 2)
		if !broke || try == tries {
			return err
		}
		p.log.Debug().Err(err).Int("try", try).Msg("answer broke off, asking again")
		if err := sleep(ctx, p.o.Jitter(pause)); err != nil {
			return err
		}
		pause *= 2
	}
}

// sleep waits, or returns the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
