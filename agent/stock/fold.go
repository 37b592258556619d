package stock

// Fold is the running state of one product: its level and all that is needed to
// judge the next movement. The zero value is ready. Movements must be applied in
// their Order; a movement that belongs earlier means starting again, from the
// beginning or from a state that was kept before it.
type Fold struct {
	ledger ledger
	guide  guide

	// bare is the same product under the bare rules, kept only while the rules
	// in force differ from them; evidence is always taken from it.
	bare *ledger

	movements int64
	last      Order
	lastType  Type
}

// Apply takes the next movement in order and returns what it did.
func (f *Fold) Apply(r *Rules, m *Movement) Step {
	s := Step{Movement: *m}
	if r.learned() {
		if f.bare == nil {
			f.bare = &ledger{}
		}
		bare := r.bare()
		f.bare.apply(&bare, m, &Step{})
	}
	f.ledger.apply(r, m, &s)
	f.guide.apply(r, m)
	if m.Type != Write {
		f.movements++
		f.last, f.lastType = m.Order, m.Type
	}
	s.Level, s.Valued = f.ledger.level, f.ledger.valued
	s.Guide, s.GuideValued = f.guide.level, f.guide.valued
	return s
}

// Level returns the product's level after the movements applied so far.
func (f *Fold) Level(r *Rules) Level {
	level := Level{
		AsOf: f.last.Closed, Last: f.last, LastType: f.lastType, Outside: int(f.ledger.outside),
	}
	value, valued := f.ledger.level, f.ledger.valued
	if r.Method == Guide {
		value, valued = f.guide.level, f.guide.valued
	}
	switch {
	case valued:
		level.Quantity = value
		level.State = Known
		if r.Method != Guide {
			level.Reason = f.ledger.doubt()
		} else if f.guide.unsaid {
			level.Reason = ReasonCount
		}
		if level.Reason != "" {
			level.State = Assumed
		}
	case r.Complete:
		level.State, level.Reason = Unknown, ReasonNothing
	default:
		level.State, level.Reason = Unresolved, ReasonOlder
	}
	return level
}

// Movements is the number of movements applied, own writes not counted.
func (f *Fold) Movements() int64 { return f.movements }

func (f *Fold) evidence() *evidence {
	if f.bare != nil {
		return &f.bare.evidence
	}
	return &f.ledger.evidence
}

// doubt is the weightiest reason why the level is only assumed, "" for none.
func (l *ledger) doubt() Reason {
	switch {
	case l.flags&flagUnsaid != 0:
		return ReasonCount
	case l.flags&flagDisagree != 0:
		return ReasonDisagree
	case l.flags&flagAlone != 0:
		return ReasonAlone
	case len(l.offsets) > 1:
		return ReasonWindow
	case l.flags&flagReading != 0:
		return ReasonReading
	}
	return ""
}

// guide is the fold by the vendor's rule: the newest document of a product wins
// (guide, step 4).
type guide struct {
	valued bool
	level  Quantity
	unsaid bool // zero by a count that did not say it was complete
}

func (g *guide) apply(r *Rules, m *Movement) {
	effect := m.Type.sign() * m.Moved
	switch {
	case m.Type == Write:
	case m.Type == Inventory:
		g.valued, g.level, g.unsaid = true, m.Moved, m.Unsaid
	case m.HasStated && m.Type.uncertain():
		reading, _ := r.reading(m.Type)
		g.valued, g.level, g.unsaid = true, m.before(reading, effect)+effect, false
	case m.HasStated:
		g.valued, g.level, g.unsaid = true, m.before(Before, effect)+effect, false
	case g.valued:
		g.level += effect
	}
}
