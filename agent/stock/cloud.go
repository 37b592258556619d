package stock

// start gives the terminals that were activated up to now the view that they
// loaded then, if it is known what the cloud stood at.
func (l *ledger) start(r *Rules, now int64) {
	if !l.valued || l.flags&(flagAlone|flagDisagree) != 0 {
		return
	}
	for _, s := range r.Started {
		if s.At > l.now && s.At <= now && l.find(s.Device) == nil {
			l.land(s.At)
			l.views = append(l.views, view{device: s.Device, value: l.cloud, change: l.changes})
		}
	}
}

// launch lets a document fly to the cloud; without an arrival time, or when it
// arrived at once, it is there.
func (l *ledger) launch(m *Movement, effect Quantity) {
	if m.Arrived <= m.Closed {
		l.setCloud(l.cloud+effect, m.Closed, m.Device)
		if v := l.find(m.Device); v != nil {
			v.change = l.changes
		}
		return
	}
	if v := l.find(m.Device); v != nil {
		v.change = l.changes + 1
	}
	l.flights = append(l.flights, flight{m.Arrived, effect, m.Device})
}

// land applies to cloud what has arrived by now, in the order of arrival.
func (l *ledger) land(now int64) {
	for len(l.flights) > 0 {
		first := -1
		for i := range l.flights {
			if l.flights[i].arrives <= now && (first < 0 || l.flights[i].arrives < l.flights[first].arrives) {
				first = i
			}
		}
		if first < 0 {
			return
		}
		f := l.flights[first]
		l.flights = append(l.flights[:first], l.flights[first+1:]...)
		l.setCloud(l.cloud+f.effect, f.arrives, f.device)
		if v := l.find(f.device); v != nil {
			v.change = l.changes
		}
	}
}

// setCloud moves the cloud's figure and remembers the one it had. device is the
// terminal whose document moved it, "" for none.
func (l *ledger) setCloud(value Quantity, at int64, device string) {
	for i := range l.views {
		if v := &l.views[i]; v.missed == 0 && v.device != device && value != l.cloud {
			v.missed = at
		}
	}
	if n := len(l.holds); n > 0 {
		l.holds[n-1].until = at
	}
	l.cloud = value
	l.changes++
	for i := range l.holds {
		if l.holds[i].value == value {
			l.holds = append(l.holds[:i], l.holds[i+1:]...)
			break
		}
	}
	if len(l.holds) >= holdsMost {
		l.holds = append(l.holds[:0], l.holds[1:]...)
	}
	l.holds = append(l.holds, hold{value, l.changes, at})
}

// shift applies an outside change of this size to the shelf and to the cloud.
func (l *ledger) shift(size Quantity, now int64) {
	l.found, l.size, l.offsets = l.changes, size, nil
	l.level += size
	l.setCloud(l.cloud+size, now, "")
}

// resize corrects the size of the outside change that was discovered last: the
// values that the cloud has had since then move with it.
func (l *ledger) resize(by Quantity) {
	for i := range l.holds {
		if l.holds[i].change > l.found {
			l.holds[i].value += by
		}
	}
	l.size += by
	l.level += by
	l.cloud += by
}

// held tells whether the cloud had a value since a change number and not later
// than oldest (epoch ms), among the changes from first to last.
func (l *ledger) held(value Quantity, since, oldest, first, last int64) bool {
	for i := len(l.holds) - 1; i >= 0; i-- {
		h := &l.holds[i]
		if h.change < since || h.change < first || (h.until < oldest && h.change != l.changes) {
			return false
		}
		if h.value == value && h.change <= last {
			return true
		}
	}
	return false
}

// age is how long ago the cloud last had the value, ms.
func (l *ledger) age(value Quantity, now int64) int64 {
	for i := len(l.holds) - 1; i >= 0; i-- {
		if h := &l.holds[i]; h.value == value {
			if h.change == l.changes {
				return 0
			}
			return now - h.until
		}
	}
	return 0
}
