package stock

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// stateVersion is the first byte of a stored state. A state of another version
// is refused, and the product is folded from its movements again.
const stateVersion = 1

// ErrState is what UnmarshalBinary's errors wrap.
var ErrState = errors.New("not a stored state of a product")

// AppendBinary appends the state, so that the fold can go on later from here.
func (f *Fold) AppendBinary(b []byte) ([]byte, error) {
	w := writer{append(b, stateVersion)}
	w.int(f.movements)
	w.order(f.last)
	w.text(string(f.lastType))
	w.bool(f.guide.valued)
	w.int(int64(f.guide.level))
	w.bool(f.guide.unsaid)
	w.ledger(&f.ledger)
	w.bool(f.bare != nil)
	if f.bare != nil {
		w.ledger(f.bare)
	}
	return w.b, nil
}

// MarshalBinary returns the state.
func (f *Fold) MarshalBinary() ([]byte, error) { return f.AppendBinary(nil) }

// UnmarshalBinary restores a state that AppendBinary wrote; its error wraps
// ErrState.
func (f *Fold) UnmarshalBinary(b []byte) error {
	if len(b) == 0 || b[0] != stateVersion {
		return fmt.Errorf("%w: unknown version", ErrState)
	}
	r := reader{b: b[1:]}
	*f = Fold{movements: r.int(), last: r.order(), lastType: Type(r.text())}
	f.guide.valued = r.bool()
	f.guide.level = Quantity(r.int())
	f.guide.unsaid = r.bool()
	r.ledger(&f.ledger)
	if r.bool() {
		f.bare = &ledger{}
		r.ledger(f.bare)
	}
	if r.bad || len(r.b) != 0 {
		*f = Fold{}
		return fmt.Errorf("%w: damaged", ErrState)
	}
	return nil
}

type writer struct{ b []byte }

func (w *writer) int(v int64) { w.b = binary.AppendVarint(w.b, v) }
func (w *writer) text(s string) {
	w.b = binary.AppendUvarint(w.b, uint64(len(s)))
	w.b = append(w.b, s...)
}

func (w *writer) bool(v bool) {
	if v {
		w.b = append(w.b, 1)
	} else {
		w.b = append(w.b, 0)
	}
}

func (w *writer) order(o Order) {
	w.int(o.Closed)
	w.text(o.Device)
	w.int(o.Number)
	w.text(o.Document)
}

func (w *writer) ledger(l *ledger) {
	w.bool(l.valued)
	w.int(int64(l.level))
	w.int(int64(l.cloud))
	w.int(l.changes)
	w.int(l.now)
	w.int(l.counted)
	w.int(int64(l.size))
	w.int(l.found)
	w.int(int64(l.flags))
	w.int(l.outside)
	w.int(int64(len(l.flights)))
	for _, f := range l.flights {
		w.int(f.arrives)
		w.int(int64(f.effect))
		w.text(f.device)
	}
	w.int(int64(len(l.holds)))
	// Neighbours differ by little: differences keep the state small.
	var last hold
	for _, h := range l.holds {
		w.int(int64(h.value - last.value))
		w.int(h.change - last.change)
		w.int(h.until - last.until)
		last = h
	}
	w.int(int64(len(l.views)))
	for _, v := range l.views {
		w.text(v.device)
		w.int(int64(v.value))
		w.int(v.change)
		w.int(v.missed)
	}
	w.int(int64(len(l.offsets)))
	for _, o := range l.offsets {
		w.int(int64(o))
	}
	w.int(int64(len(l.evidence.votes)))
	for _, v := range l.evidence.votes {
		w.text(string(v.kind))
		w.int(v.Before)
		w.int(v.After)
	}
	w.int(int64(len(l.evidence.downloads)))
	for _, d := range l.evidence.downloads {
		w.text(d.device)
		for i := range ages {
			w.int(d.Ages[i])
			w.int(d.Stale[i])
		}
	}
}

type reader struct {
	b   []byte
	bad bool
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) text() string {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > uint64(len(r.b)-size) {
		r.bad, r.b = true, nil
		return ""
	}
	s := string(r.b[size : size+int(n)])
	r.b = r.b[size+int(n):]
	return s
}

func (r *reader) bool() bool {
	if len(r.b) == 0 {
		r.bad = true
		return false
	}
	v := r.b[0] == 1
	r.b = r.b[1:]
	return v
}

// count reads the length of a list; a damaged one cannot ask for memory, since
// every element takes at least one byte.
func (r *reader) count() int {
	n := r.int()
	if n < 0 || n > int64(len(r.b)) {
		r.bad, r.b = true, nil
		return 0
	}
	return int(n)
}

func (r *reader) order() Order {
	return Order{Closed: r.int(), Device: r.text(), Number: r.int(), Document: r.text()}
}

func (r *reader) ledger(l *ledger) {
	l.valued = r.bool()
	l.level = Quantity(r.int())
	l.cloud = Quantity(r.int())
	l.changes = r.int()
	l.now = r.int()
	l.counted = r.int()
	l.size = Quantity(r.int())
	l.found = r.int()
	l.flags = flag(r.int())
	l.outside = r.int()
	for range r.count() {
		l.flights = append(l.flights, flight{r.int(), Quantity(r.int()), r.text()})
	}
	var last hold
	for range r.count() {
		last.value += Quantity(r.int())
		last.change += r.int()
		last.until += r.int()
		l.holds = append(l.holds, last)
	}
	for range r.count() {
		l.views = append(l.views, view{r.text(), Quantity(r.int()), r.int(), r.int()})
	}
	for range r.count() {
		l.offsets = append(l.offsets, Quantity(r.int()))
	}
	for range r.count() {
		l.evidence.votes = append(l.evidence.votes, typeVotes{Type(r.text()), Votes{r.int(), r.int()}})
	}
	for range r.count() {
		d := deviceDownloads{device: r.text()}
		for i := range ages {
			d.Ages[i] = r.int()
			d.Stale[i] = r.int()
		}
		l.evidence.downloads = append(l.evidence.downloads, d)
	}
}
