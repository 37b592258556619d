package stock

import "slices"

// explain tells whether the statement is a value that the cloud had since the
// terminal's last document (rules 3 and 4), under any of the offsets that are
// still possible, and drops the offsets that it refutes.
func (l *ledger) explain(stated Quantity, since, oldest int64) (rule Rule, outside Quantity, ok bool) {
	// A download from before the last outside change was discovered may be from
	// before the change itself, and then says nothing of its size.
	stale := l.held(stated, since, oldest, 0, l.found)
	if len(l.offsets) == 0 {
		if !stale && !l.had(stated, 0, since, oldest) {
			return "", 0, false
		}
		return l.agreement(stated), 0, true
	}
	left := make([]Quantity, 0, len(l.offsets))
	for _, o := range l.offsets {
		if l.had(stated, o, since, oldest) {
			left = append(left, o)
		}
	}
	switch {
	case stale:
		return RuleLate, 0, true
	case len(left) == 0:
		return "", 0, false
	}
	outside = left[0]
	if outside != 0 {
		for i := range left {
			left[i] -= outside
		}
		l.resize(outside)
	}
	l.offsets = left
	if len(left) == 1 {
		l.offsets = nil
	}
	if outside != 0 {
		return RuleOutside, outside, true
	}
	return l.agreement(stated), 0, true
}

func (l *ledger) agreement(stated Quantity) Rule {
	if stated == l.cloud || stated == l.level {
		return RuleAgree
	}
	return RuleLate
}

// had tells whether, with the given offset, the cloud had the value since the
// terminal's last document and after the last outside change.
func (l *ledger) had(value, offset Quantity, since, oldest int64) bool {
	return value-offset == l.cloud || (offset == 0 && value == l.level) ||
		l.held(value-offset, since, oldest, l.found+1, l.changes) ||
		(offset+l.size != 0 && l.held(value-offset-l.size, since, oldest, 0, l.found))
}

// unlikely weighs a statement of a terminal's own view that is too old for it:
// either the terminal missed its downloads, or it downloaded and an outside
// change brought the cloud's figure to the very same. The level stays, and the
// sizes that such a change would have are kept until statements refute them.
func (l *ledger) unlikely(r *Rules, m *Movement, v *view) {
	oldest := r.oldest(m)
	if oldest == 0 || v.missed == 0 || v.missed >= oldest || len(l.offsets) > 0 {
		return
	}
	if offsets := l.sizes(v.value, 0, v.change, oldest); len(offsets) > 1 {
		l.found, l.size, l.offsets = l.changes, 0, offsets
	}
}

// suppose takes a statement that nothing explains for an outside change. The
// terminal downloaded at some moment since its last document, so every value
// that the cloud had since then gives one possible size; the latest is put in
// force and the others are remembered until statements refute them.
func (l *ledger) suppose(stated Quantity, since, oldest, now int64) {
	inForce := stated - l.cloud
	offsets := l.sizes(stated, inForce, since, oldest)
	l.shift(inForce, now)
	if len(offsets) > 1 {
		l.offsets = offsets
	}
}

// sizes lists what the outside change that a statement reveals can have come to,
// as offsets from the size in force, which comes first.
func (l *ledger) sizes(stated, inForce Quantity, since, oldest int64) []Quantity {
	offsets := []Quantity{0}
	add := func(o Quantity) {
		if !slices.Contains(offsets, o) {
			offsets = append(offsets, o)
		}
	}
	if since < l.counted {
		add(-inForce) // it downloaded before a count that settled it
	}
	for i := len(l.holds) - 1; i >= 0 && len(offsets) < offsetsMost; i-- {
		h := &l.holds[i]
		if h.change < since || (h.until < oldest && h.change != l.changes) {
			break
		}
		add(stated - h.value - inForce)
	}
	return offsets
}
