package evotortest

import "cmp"

// action is what an event does. The order is the order in which events of the
// same millisecond happen: it makes the shop's history one sequence that the
// order of documents (close time, device, number) agrees with.
type action uint8

const (
	planDay action = iota
	changeOutside
	goOffline
	goOnline
	arrive
	download
	closeDocument
)

type event struct {
	at       int64 // epoch ms
	action   action
	terminal int
	seq      uint64
	kind     kind   // of the document to close
	document *draft // that arrives
	once     bool   // a download outside the timetable
}

func (e *event) before(o *event) bool {
	return cmp.Or(cmp.Compare(e.at, o.at), cmp.Compare(e.action, o.action),
		cmp.Compare(e.terminal, o.terminal), cmp.Compare(e.seq, o.seq)) < 0
}

// queue is a binary heap of events, earliest first.
type queue struct {
	events []event
	seq    uint64
}

func (q *queue) push(e event) {
	q.seq++
	e.seq = q.seq
	q.events = append(q.events, e)
	for i := len(q.events) - 1; i > 0; {
		up := (i - 1) / 2
		if !q.events[i].before(&q.events[up]) {
			return
		}
		q.events[i], q.events[up] = q.events[up], q.events[i]
		i = up
	}
}

// pop returns the earliest event that is not later than until.
func (q *queue) pop(until int64) (event, bool) {
	if len(q.events) == 0 || q.events[0].at > until {
		return event{}, false
	}
	first := q.events[0]
	last := len(q.events) - 1
	q.events[0] = q.events[last]
	q.events[last] = event{}
	q.events = q.events[:last]
	for i := 0; ; {
		least := i
		for _, down := range [2]int{2*i + 1, 2*i + 2} {
			if down < last && q.events[down].before(&q.events[least]) {
				least = down
			}
		}
		if least == i {
			return first, true
		}
		q.events[i], q.events[least] = q.events[least], q.events[i]
		i = least
	}
}
