package mirror

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math"
	"slices"

	"ostatok/agent/stock"
)

// PutDocuments takes in a batch in one transaction: documents, bodies,
// movements, quarantine, progress and, unless the fold is deferred, the levels
// of the products that were touched. Documents that are here already change
// nothing; a batch of nothing else writes nothing.
func (m *Mirror) PutDocuments(ctx context.Context, b Batch) (Result, error) {
	d := m.draft(&b)
	if b.Defer && len(d.entries) > 0 {
		m.loading(ctx, true)
	}
	var w *writing
	more := false
	err := m.write(ctx, func(tx *sql.Tx) error {
		w = &writing{m: m, ctx: ctx, tx: tx, d: d, stale: make(map[int64]int64), late: make(map[int64]bool)}
		if err := w.run(&b); err != nil {
			return err
		}
		touched := slices.Sorted(maps.Keys(w.stale))
		if b.Defer || len(touched) > foldChunk {
			more = !b.Defer
			return w.stage()
		}
		in, err := w.moving(touched)
		if err != nil {
			return err
		}
		if w.result.Levels, err = m.foldProducts(ctx, tx, touched, in); err != nil {
			return err
		}
		waiting, err := m.unstage(ctx, tx)
		if err != nil || waiting {
			return err // the rules follow when all is folded
		}
		more, err = m.decide(ctx, tx)
		return err
	})
	if err != nil {
		return Result{}, fmt.Errorf("cannot keep documents: %w", err)
	}
	if more {
		changes, err := m.Fold(ctx, nil)
		w.result.Levels = append(w.result.Levels, changes...)
		if err != nil {
			return w.result, err
		}
	}
	return w.result, nil
}

// writing is one batch on its way into the file.
type writing struct {
	m      *Mirror
	ctx    context.Context
	tx     *sql.Tx
	d      *draft
	result Result

	documents, raws *inserter
	fresh           []freshEntry
	keys            []int64         // of the draft's products
	stale           map[int64]int64 // product → earliest close time that came in
	late            map[int64]bool  // products of documents that were refused for coming too late
	zeroed          int64           // earliest full count that came in, 0 for none
}

// freshEntry is a document that is new here.
type freshEntry struct {
	entry int
	id    int64
}

func (w *writing) run(b *Batch) error {
	w.documents = newInserter(w.ctx, w.tx,
		"INSERT INTO document (id, key, type, device, number, closed, arrived, source, content)", 9, chunkDocuments)
	w.documents.tail = " ON CONFLICT (key) DO NOTHING"
	w.raws = newInserter(w.ctx, w.tx, "INSERT INTO raw (id, body)", 2, 1)
	for _, g := range w.d.groups {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if err := w.group(g); err != nil {
			return err
		}
	}
	for _, in := range []*inserter{w.documents, w.raws} {
		if err := in.close(); err != nil {
			return err
		}
	}
	if len(w.fresh) > 0 {
		if err := w.m.names.keepHeard(w.ctx, w.tx); err != nil {
			return err
		}
	}
	if err := w.recovered(); err != nil {
		return err
	}
	w.result.Refused += len(w.d.bad)
	if err := w.quarantine(append(w.d.bad, b.Bad...)); err != nil {
		return err
	}
	for i := range b.Windows {
		if err := putWindow(w.ctx, w.tx, &b.Windows[i]); err != nil {
			return err
		}
	}
	if b.Coverage != nil {
		if err := w.m.cover(w.ctx, w.tx, *b.Coverage); err != nil {
			return err
		}
	}
	return w.mark(b.Defer)
}

// known is a document that is in the file already.
type known struct {
	id      int64
	content int64
	source  Source
}

// group writes one group of documents and its chunk of bodies.
func (w *writing) group(g group) error {
	candidates := make([]int, 0, g.last-g.first)
	for i := g.first; i < g.last; i++ {
		candidates = append(candidates, i)
	}
	candidates, err := w.withoutRetired(candidates)
	if err != nil || len(candidates) == 0 {
		return err
	}
	fresh, completed, err := w.insert(candidates)
	if err != nil {
		return err
	}
	if err := w.chunk(g, fresh); err != nil {
		return err
	}
	if len(completed) == 0 {
		return nil
	}
	for _, i := range completed {
		if err := w.forget(i); err != nil {
			return err
		}
	}
	fresh, _, err = w.insert(completed)
	if err != nil {
		return err
	}
	w.result.New -= len(completed)
	w.result.Completed += len(completed)
	return w.chunk(g, fresh)
}

// insert writes the documents that are not here and returns them with their new
// keys, and those that complete a copy received in the shop.
func (w *writing) insert(candidates []int) (fresh map[int]int64, completed []int, err error) {
	fresh = make(map[int]int64, len(candidates))
	first := w.m.next
	for _, i := range candidates {
		e := &w.d.entries[i]
		kind, err := w.m.names.kind(w.ctx, w.tx, e.header.Type)
		if err != nil {
			return nil, nil, err
		}
		device, err := w.m.names.device(w.ctx, w.tx, e.header.Device)
		if err != nil {
			return nil, nil, err
		}
		fresh[i] = w.m.next
		// The group is the statement: it is flushed below, never here.
		w.documents.args = append(w.documents.args, w.m.next, documentKey(e.header.ID), kind, device,
			e.header.Number, e.header.Closed, e.header.Arrived, int64(e.source), e.content)
		w.m.next++
	}
	inserted, err := w.documents.flush()
	if err != nil {
		return nil, nil, err
	}
	if int(inserted) < len(candidates) {
		if inserted == 0 {
			w.m.next = first // nothing took a key
		}
		if completed, err = w.repeated(candidates, fresh); err != nil {
			return nil, nil, err
		}
	}
	for _, i := range candidates {
		if id, ok := fresh[i]; ok {
			if err := w.document(i, id); err != nil {
				return nil, nil, err
			}
		}
	}
	return fresh, completed, nil
}

// repeated takes out of fresh the documents that were here before.
func (w *writing) repeated(candidates []int, fresh map[int]int64) (completed []int, err error) {
	keys := make([]any, len(candidates))
	for n, i := range candidates {
		keys[n] = documentKey(w.d.entries[i].header.ID)
	}
	have := make(map[string]known, len(candidates))
	err = each(w.ctx, w.tx, func(rows *sql.Rows) error {
		var key any
		var k known
		if err := rows.Scan(&k.id, &key, &k.content, &k.source); err != nil {
			return err
		}
		have[documentID(key)] = k
		return nil
	}, "SELECT id, key, content, source FROM document WHERE key IN "+placeholders(1, len(keys)), keys...)
	if err != nil {
		return nil, fmt.Errorf("cannot look documents up: %w", err)
	}
	for _, i := range candidates {
		e := &w.d.entries[i]
		k, ok := have[e.header.ID]
		if !ok {
			return nil, fmt.Errorf("document %s was not taken", e.header.ID)
		}
		if k.id == fresh[i] {
			continue
		}
		delete(fresh, i)
		switch {
		case k.source == Shop && e.source == Cloud:
			// Only once: the same document may be in the group twice.
			if !slices.ContainsFunc(completed, func(j int) bool { return w.d.entries[j].header.ID == e.header.ID }) {
				completed = append(completed, i)
				continue
			}
			w.result.Repeated++
		case k.content == e.content || e.source == Shop:
			w.result.Repeated++ // a copy received in the shop never says more
		default:
			w.result.Changed++
			w.result.Notices = append(w.result.Notices, DocumentNotice{
				Notice:   stock.Notice{Kind: NoticeChanged, Detail: "the first copy is kept"},
				Document: e.header.ID,
			})
		}
	}
	return completed, nil
}

// document writes what follows from a new document.
func (w *writing) document(i int, id int64) error {
	e := &w.d.entries[i]
	h := &e.header
	w.result.New++
	from := 0
	if i > 0 {
		from = w.d.entries[i-1].notices
	}
	w.result.Notices = append(w.result.Notices, w.d.notices[from:e.notices]...)
	device := w.m.names.devices.ids[h.Device]
	w.m.names.heard(device, h.Closed)
	w.fresh = append(w.fresh, freshEntry{i, id})
	var products []int64
	for _, v := range w.d.moves[e.first:e.last] {
		product, err := w.product(v.product)
		if err != nil {
			return err
		}
		w.touch(product, h.Closed)
		if e.source == Shop {
			products = append(products, product)
		}
	}
	if e.source == Shop {
		_, err := w.tx.ExecContext(w.ctx, "INSERT INTO shop_document VALUES (?, ?)", id, appendKeys([]byte{}, products))
		if err != nil {
			return fmt.Errorf("cannot keep a document of the shop: %w", err)
		}
	}
	if h.FullCount() {
		return w.fullCount(id, h, device)
	}
	return nil
}

func (w *writing) product(index int32) (int64, error) {
	if w.keys == nil {
		w.keys = make([]int64, len(w.d.products))
	}
	if w.keys[index] == 0 {
		key, err := w.m.names.product(w.ctx, w.tx, w.d.products[index])
		if err != nil {
			return 0, err
		}
		w.keys[index] = key
	}
	return w.keys[index], nil
}

func (w *writing) touch(product, closed int64) {
	if since, ok := w.stale[product]; !ok || closed < since {
		w.stale[product] = closed
	}
}

// chunk keeps the bodies of the documents that went in.
func (w *writing) chunk(g group, fresh map[int]int64) error {
	if g.packed == nil || len(fresh) == 0 {
		return nil
	}
	base := int64(math.MaxInt64)
	for _, id := range fresh {
		base = min(base, id)
	}
	packed := g.packed
	whole := len(fresh) == g.last-g.first
	for i, id := range fresh {
		whole = whole && id-base == int64(i-g.first)
	}
	if !whole {
		keep := make(map[int]int, len(fresh))
		for i, id := range fresh {
			keep[i-g.first] = int(id - base)
		}
		var err error
		if packed, err = w.m.pick(g.packed, keep); err != nil || packed == nil {
			return err
		}
	}
	return w.raws.add(base, packed)
}

// forget removes the copy received in the shop of a document that the cloud has
// now sent. Its body stays in its chunk until the chunk is collapsed, and its
// movements in the chains until those are folded, which is marked here.
func (w *writing) forget(i int) error {
	var id, closed int64
	var products []byte
	var counted bool
	err := w.tx.QueryRowContext(w.ctx, `SELECT d.id, d.closed, s.products, c.document IS NOT NULL FROM document d
		JOIN shop_document s ON s.id = d.id LEFT JOIN full_count c ON c.document = d.id WHERE d.key = ?`,
		documentKey(w.d.entries[i].header.ID)).Scan(&id, &closed, &products, &counted)
	if err != nil {
		return fmt.Errorf("cannot complete a document: %w", err)
	}
	for c := (cursor{b: products}); len(c.b) > 0; {
		w.touch(int64(c.uint()), closed)
	}
	for _, statement := range []string{
		"DELETE FROM full_count WHERE document = ?", "DELETE FROM shop_document WHERE id = ?",
		"DELETE FROM document WHERE id = ?", "INSERT INTO forgotten VALUES (?)",
	} {
		if _, err := w.tx.ExecContext(w.ctx, statement, id); err != nil {
			return fmt.Errorf("cannot complete a document: %w", err)
		}
	}
	w.m.forgotten[id] = true
	w.fresh = slices.DeleteFunc(w.fresh, func(f freshEntry) bool { return f.id == id })
	if !counted {
		return nil
	}
	w.zeroed = earlier(w.zeroed, closed)
	w.m.counts, err = loadCounts(w.ctx, w.tx)
	return err
}

func earlier(a, b int64) int64 {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// fullCount notes a count of everything, which touches every product.
func (w *writing) fullCount(id int64, h *stock.Document, device int64) error {
	unsaid := h.Complete == stock.CompleteUnsaid
	_, err := w.tx.ExecContext(w.ctx,
		"INSERT INTO full_count (document, key, closed, device, number, arrived, unsaid) VALUES (?, ?, ?, ?, ?, ?, ?)",
		id, documentKey(h.ID), h.Closed, device, h.Number, h.Arrived, unsaid)
	if err != nil {
		return fmt.Errorf("cannot keep a full count: %w", err)
	}
	w.zeroed = earlier(w.zeroed, h.Closed)
	w.m.counts, err = loadCounts(w.ctx, w.tx)
	return err
}

// mark makes durable which products are to be folded. What is loaded in bulk is
// older than what is here as a rule, so it is folded from the beginning, and a
// product that is marked so already is not written again.
func (w *writing) mark(deferred bool) error {
	if w.zeroed != 0 {
		for _, id := range w.m.names.products {
			w.touch(id, w.zeroed)
		}
	}
	for id := range w.late {
		w.stale[id] = 0
	}
	in := newInserter(w.ctx, w.tx, "INSERT INTO stale (product, since, late)", 3, 128)
	in.tail = ` ON CONFLICT (product) DO UPDATE SET since = min(since, excluded.since),
		late = max(late, excluded.late) WHERE since > excluded.since OR late < excluded.late`
	for _, product := range slices.Sorted(maps.Keys(w.stale)) {
		since := w.stale[product]
		if deferred {
			since = 0
		}
		if err := in.add(product, since, w.late[product]); err != nil {
			return err
		}
	}
	return in.close()
}
