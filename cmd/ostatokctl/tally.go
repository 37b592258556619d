package main

import (
	"slices"
	"sync"

	"ostatok/agent/message"
)

// tally is what became of an order in each shop.
type tally struct {
	changed chan struct{} // has a token when there is news

	mu       sync.Mutex
	outcomes map[string]message.Outcome // by store; "" before the first answer
	ids      map[string]string          // of the command that went to a store
	all      string                     // of the command that went to everyone
	unsaid   []answer                   // at most one of a shop: the newest counts
	said     map[string]string          // the last thing told of a shop
}

func newTally() *tally {
	return &tally{
		changed: make(chan struct{}, 1), outcomes: make(map[string]message.Outcome),
		ids: make(map[string]string), said: make(map[string]string),
	}
}

// expect notes the id of a command before it is sent to a shop.
func (t *tally) expect(id, store string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ids[store], t.outcomes[store] = id, ""
}

// expectAll notes the id of a command to everyone, and who is known to be there.
func (t *tally) expectAll(id string, stores []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = id
	for _, s := range stores {
		t.outcomes[s] = ""
	}
}

func (t *tally) id(store string) string {
	if t.all != "" {
		return t.all
	}
	return t.ids[store]
}

// take notes an answer. A shop that had not shown itself before counts from its
// first answer to a command to everyone.
func (t *tally) take(r answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.outcomes[r.Store]
	said := string(r.Status) + string(r.Progress)
	if r.ID != t.id(r.Store) || before != "" && before.Final() || t.said[r.Store] == said {
		return // another's order, or a repetition
	}
	t.outcomes[r.Store], t.said[r.Store] = r.Status, said
	if i := slices.IndexFunc(t.unsaid, func(u answer) bool { return u.Store == r.Store }); i >= 0 {
		t.unsaid[i] = r
	} else {
		t.unsaid = append(t.unsaid, r)
	}
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// news are the answers since it was last asked; last tells that none is to come.
// Both are of one moment: an answer between them would be lost.
func (t *tally) news() (answers []answer, last bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	answers, t.unsaid = t.unsaid, nil
	return answers, len(t.open()) == 0
}

// silent are the shops whose last word is still to come, in order.
func (t *tally) silent() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open()
}

func (t *tally) open() []string {
	var stores []string
	for store, o := range t.outcomes {
		if o == "" || !o.Final() {
			stores = append(stores, store)
		}
	}
	slices.Sort(stores)
	return stores
}

func (t *tally) size() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.outcomes)
}

func (t *tally) done() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, o := range t.outcomes {
		if o == message.Done {
			n++
		}
	}
	return n
}
