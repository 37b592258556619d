package stock

// ledger is the fold of one product by the ledger's rules (design: "The
// ledger", 1–5).
//
// It keeps three figures apart, because shops do: level is what stands on the
// shelf; cloud is what the cloud can know, the level without the documents that
// have not arrived yet; and each terminal's view is what its own screen shows.
// A statement is always a terminal's view, which was the cloud's figure at the
// moment of its last download plus its own documents since.
type ledger struct {
	valued  bool
	level   Quantity
	cloud   Quantity
	flights []flight // documents closed and not yet arrived, by close time
	holds   []hold   // values that cloud had, by the change at which it last had them
	changes int64    // changes of cloud so far; numbers the holds
	views   []view
	counted int64 // change of the cloud that the last count made
	now     int64 // close time of the last movement, epoch ms

	// After an outside change whose moment is uncertain, the cloud may stand
	// higher than cloud by any one of offsets; the first is the one in force
	// and is always 0. size is the change's size with that one, found the number
	// of the cloud's change at which it was discovered.
	offsets []Quantity
	size    Quantity
	found   int64

	flags    flag
	outside  int64
	evidence evidence
}

// flight is a document on its way from a terminal to the cloud.
type flight struct {
	arrives int64
	effect  Quantity
	device  string
}

// hold is a value that the cloud had, last at change number change and until
// the moment until (epoch ms).
type hold struct {
	value  Quantity
	change int64
	until  int64
}

// view is what one terminal shows for the product.
type view struct {
	device string
	value  Quantity
	change int64 // of the cloud, when it had this terminal's last document
	missed int64 // when the cloud first moved without this terminal's noticing, epoch ms; 0 for not
}

// flag is a set of reasons why the level is only assumed.
type flag uint8

const (
	flagReading  flag = 1 << iota // taken from a statement of an unsettled reading
	flagDisagree                  // terminals disagreed before the known history
	flagAlone                     // one terminal's first statement, nothing confirms it
	flagUnsaid                    // zero by a count that did not say it was complete
	flagCounted                   // no doubt: a count stands, nothing changed from outside since
)

// What a cheap box can afford per product. A terminal that states a value older
// than the last holdsMost figures of the cloud is taken for an outside change.
const (
	holdsMost   = 128
	offsetsMost = 24
	// onTheWay is the longest that an upload takes while a terminal is online
	// (evotor-cloud §10: 85 s was seen once).
	onTheWay = 5 * 60 * 1000
)

// apply takes the next movement and fills the step's rule, statement and
// outside change.
func (l *ledger) apply(r *Rules, m *Movement, s *Step) {
	l.start(r, m.Closed)
	l.land(m.Closed)
	l.now = m.Closed
	switch m.Type {
	case Inventory:
		l.count(m, s)
		return
	case Write:
		s.Rule = RuleWrite
		if l.valued {
			l.setCloud(m.Moved, m.Closed, "")
			// An assumed figure is written only when a person approved it.
			l.offsets = nil
		}
		return
	}
	effect := m.Type.sign() * m.Moved
	v := l.find(m.Device)
	if !m.HasStated {
		s.Rule = RuleUnstated
		if l.valued {
			l.level += effect
			l.launch(m, effect)
			if v != nil {
				v.value += effect
			}
		}
		return
	}
	l.vote(m, effect, v)
	reading, settled := r.reading(m.Type)
	stated := m.before(reading, effect)
	s.Stated, s.HasStated = stated, true
	s.Rule, s.Outside = l.judge(r, m, stated, v, settled)
	l.level += effect
	if v == nil {
		l.views = append(l.views, view{device: m.Device})
		v = &l.views[len(l.views)-1]
	}
	v.value = stated + effect
	if s.Rule == RuleOutside {
		v.missed = 0
	}
	l.launch(m, effect)
}

// judge weighs a statement against what is known and moves level and cloud when
// it reveals an outside change, whose size it returns.
func (l *ledger) judge(r *Rules, m *Movement, stated Quantity, v *view, settled bool) (Rule, Quantity) {
	if !l.valued {
		l.valued, l.level = true, stated
		l.setCloud(stated, m.Closed, m.Device)
		if !r.Complete && r.Terminals > 1 && !r.recent(m) {
			l.flags |= flagAlone
		}
		l.rests(settled)
		return RuleFirst, 0
	}
	if v != nil && stated == v.value {
		l.rests(settled)
		l.unlikely(r, m, v)
		if v.missed != 0 && m.prompt() {
			l.evidence.stale(m.Device, m.Closed-v.missed)
		}
		if l.flags&flagUnsaid != 0 {
			l.flags &^= flagUnsaid // the terminal itself stands at the zero
		}
		return RuleOwnView, 0
	}
	since := int64(0)
	if v != nil {
		since = v.change
	}
	oldest := r.oldest(m)
	if v != nil && r.Never[m.Device] {
		// It loaded the cloud's figures once, at its activation: what differs
		// had changed before that, and a count since then has settled it.
		if v.change < l.counted {
			return RuleLate, 0
		}
		before := l.level
		l.shift(stated-v.value, m.Closed)
		l.outside++
		l.rests(settled)
		return RuleOutside, l.level - before
	}
	if rule, outside, ok := l.explain(stated, since, oldest); ok {
		l.rests(settled)
		if v != nil {
			age := l.age(stated, m.Closed)
			if m.prompt() {
				l.evidence.download(m.Device, age)
			}
			v.missed = 0
			if age > 0 {
				v.missed = m.Closed - age
			}
		}
		l.flags &^= flagUnsaid
		if r.Fresh[m.Device] > 0 {
			// A terminal that is known to download agrees with the level: what
			// was doubtful is confirmed. From any other it may be chance.
			l.flags &^= flagAlone | flagDisagree
		}
		return rule, outside
	}
	// 5: stock was changed without a document.
	before := l.level
	l.flags &^= flagUnsaid
	if v == nil && !r.Complete && oldest == 0 {
		l.flags |= flagDisagree
		if l.flags&flagCounted != 0 {
			// A count is surer than a view from before the known history.
			return RuleLate, 0
		}
		l.shift(stated-l.cloud, m.Closed)
	} else {
		l.flags &^= flagCounted
		l.suppose(stated, since, oldest, m.Closed)
	}
	l.outside++
	if !settled {
		l.flags |= flagReading
	} else {
		l.flags &^= flagReading
	}
	return RuleOutside, l.level - before
}

// count sets the level to what was counted.
func (l *ledger) count(m *Movement, s *Step) {
	s.Rule = RuleCount
	if !l.valued {
		l.valued = true
		l.setCloud(m.Moved, m.Closed, m.Device)
	}
	l.level = m.Moved
	l.offsets, l.size = nil, 0
	l.flags = flagCounted
	if m.Unsaid {
		l.flags = flagUnsaid
	}
	v := l.find(m.Device)
	if v == nil {
		l.views = append(l.views, view{device: m.Device})
		v = &l.views[len(l.views)-1]
	}
	v.value, v.missed = m.Moved, 0
	// Documents from before the count that arrive after it change nothing.
	l.flights = l.flights[:0]
	l.counted = l.changes + 1
	l.launch(m, m.Moved-l.cloud)
}

// vote records which reading a statement fits, where only one fits.
func (l *ledger) vote(m *Movement, effect Quantity, v *view) {
	if !m.Type.uncertain() || !l.valued || effect == 0 {
		return
	}
	fits := func(x Quantity) bool { return x == l.level || (v != nil && x == v.value) }
	before, after := fits(m.before(Before, effect)), fits(m.before(After, effect))
	if before != after {
		l.evidence.vote(m.Type, before)
	}
}

// rests clears the doubt of an unsettled reading once a settled statement fits,
// and raises it when the level was first taken from an unsettled one.
func (l *ledger) rests(settled bool) {
	if settled {
		l.flags &^= flagReading
	} else if l.changes <= 1 && len(l.views) == 0 {
		l.flags |= flagReading
	}
}

func (l *ledger) find(device string) *view {
	for i := range l.views {
		if l.views[i].device == device {
			return &l.views[i]
		}
	}
	return nil
}
