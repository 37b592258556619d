package mirror

// chainWriter cuts a chain into segments again while it is folded.
type chainWriter struct {
	first  int64     // key of the first segment
	had    int64     // … of the last one that was there
	old    []segment // as they were read
	out    []segment
	tail   segment // the one that grows
	latest record  // its last record
	closed int64   // of the last movement folded
	begun  bool
	cut    bool
}

func newChainWriter(product int64, old []segment, p *point) *chainWriter {
	w := &chainWriter{old: old, closed: p.since}
	w.first, _ = segmentRange(product)
	w.had = w.first - 1
	w.tail = segment{since: p.since}
	if len(old) > 0 {
		w.first, w.had = old[0].id, old[len(old)-1].id
		w.tail.state, w.tail.since = old[0].state, old[0].since
		w.tail.applied, w.tail.seen, w.tail.last = p.applied, p.seen, p.last
	}
	w.tail.id = w.first
	return w
}

// before is told of every movement before it is folded: here a chain is cut.
// Movements of one close time are never parted, so that a state is always that
// of a moment.
func (w *chainWriter) before(l *link, p *point, cut *int64) (err error) {
	fresh := !w.begun || l.Closed > w.closed
	w.begun, w.closed = true, l.Closed
	switch {
	case !fresh:
	case cut != nil && !w.cut && l.Closed >= *cut:
		err = w.base(p, *cut)
	case w.tail.count >= segmentStep:
		w.end()
		err = w.start(p, l.Closed)
	}
	return err
}

// base begins anew from a state in place of all movements before a moment.
func (w *chainWriter) base(p *point, cut int64) error {
	w.cut = true
	w.out = w.out[:0]
	w.tail.id = w.first
	if p.applied == 0 {
		return nil
	}
	return w.start(p, cut)
}

func (w *chainWriter) start(p *point, since int64) error {
	state, err := p.fold.AppendBinary(nil)
	if err != nil {
		return err
	}
	w.tail = segment{id: w.tail.id, since: since, applied: p.applied, seen: p.seen, last: p.last, state: state}
	w.latest = record{}
	return nil
}

func (w *chainWriter) end() {
	w.out = append(w.out, w.tail)
	w.tail.id++
}

// add puts a movement at the end. Zeros by full counts are not kept: which
// products they concern follows from the catalogue.
func (w *chainWriter) add(l *link) {
	if l.record == nil {
		return
	}
	w.tail.body = appendRecord(w.tail.body, l.record, &w.latest)
	w.tail.count++
	w.latest = *l.record
}

// finish returns the segments that differ from those that were there, and the
// key of the last one.
func (w *chainWriter) finish(p *point, cut *int64) (changed []segment, last int64, err error) {
	if cut != nil && !w.cut {
		if err := w.base(p, *cut); err != nil {
			return nil, 0, err
		}
	}
	if w.tail.count > 0 || w.tail.state != nil {
		w.end()
	}
	for i := range w.out {
		s := &w.out[i]
		if s.body == nil {
			s.body = []byte{}
		}
		if i < len(w.old) && w.old[i].same(s) {
			continue
		}
		changed = append(changed, *s)
	}
	return changed, w.first + int64(len(w.out)) - 1, nil
}
