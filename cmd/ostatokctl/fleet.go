package main

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"ostatok/agent/message"
)

// fleet is what the broker tells of the shops of one tenant.
type fleet struct {
	now func() time.Time

	mu      sync.Mutex
	shops   map[string]*shop
	changed chan struct{} // has a token after a change
}

// shop is what is known of one shop.
type shop struct {
	Store  string
	State  *message.State  // nil when it has never told
	Status *message.Status // nil when it has never told

	heard      time.Time // when it last told something new; zero for what the broker had kept
	unreadable string    // the topic of a message that could not be read
}

func newFleet(now func() time.Time) *fleet {
	return &fleet{now: now, shops: make(map[string]*shop), changed: make(chan struct{}, 1)}
}

// take notes a publication on a state or status topic; others are no news here.
func (f *fleet) take(p publication) {
	_, store, rest, ok := message.Split(p.topic)
	if !ok || store == message.Everyone || (rest != "state" && rest != "status") {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.shops[store]
	if s == nil {
		s = &shop{Store: store}
		f.shops[store] = s
	}
	if rest == "state" {
		s.takeState(p.payload)
	} else {
		s.takeStatus(p.payload)
	}
	if !p.retained {
		s.heard = f.now()
	}
	if s.State == nil && s.Status == nil && s.unreadable == "" { // both were removed from the broker
		delete(f.shops, store)
	}
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

func (s *shop) takeState(payload []byte) {
	if len(payload) == 0 {
		s.State = nil
		return
	}
	var state message.State
	if json.Unmarshal(payload, &state) != nil {
		s.unreadable = "state"
		return
	}
	if s.unreadable == "state" {
		s.unreadable = ""
	}
	// The will of an earlier session may come long after the shop is back.
	if late := state.State == message.Lost && state.Session < s.session(); !late {
		s.State = &state
	}
}

func (s *shop) takeStatus(payload []byte) {
	if len(payload) == 0 {
		s.Status = nil
		return
	}
	var status message.Status
	if json.Unmarshal(payload, &status) != nil {
		s.unreadable = "status"
		return
	}
	if s.unreadable == "status" {
		s.unreadable = ""
	}
	s.Status = &status
}

// session is the newest session that the shop has spoken in.
func (s *shop) session() int64 {
	var n int64
	if s.State != nil {
		n = s.State.Session
	}
	if s.Status != nil {
		n = max(n, s.Status.Session)
	}
	return n
}

// phase is where the shop's connection is. A status of a later session than a
// will proves the will late, whichever of them the broker told first.
func (s *shop) phase() message.Phase {
	switch {
	case s.State == nil:
		return "unknown"
	case s.State.State == message.Lost && s.session() > s.State.Session:
		return message.Ready
	}
	return s.State.State
}

// version is the newest that the shop told.
func (s *shop) version() string {
	switch {
	case s.State != nil && s.State.Session == s.session():
		return s.State.Version
	case s.Status != nil:
		return s.Status.Version
	}
	return ""
}

// list returns copies of the shops, those in trouble first.
func (f *fleet) list() []judged {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	all := make([]judged, 0, len(f.shops))
	for _, s := range f.shops {
		all = append(all, judge(*s, now))
	}
	slices.SortFunc(all, func(a, b judged) int {
		return cmp.Or(cmp.Compare(b.worst(), a.worst()), cmp.Compare(len(b.findings), len(a.findings)), cmp.Compare(a.Store, b.Store))
	})
	return all
}

// find returns one shop.
func (f *fleet) find(store string) (judged, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.shops[store]
	if !ok {
		return judged{}, false
	}
	return judge(*s, f.now()), true
}

// stores are the ids of all shops, in order.
func (f *fleet) stores() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]string, 0, len(f.shops))
	for store := range f.shops {
		all = append(all, store)
	}
	slices.Sort(all)
	return all
}

// has tells whether all of these shops have shown themselves.
func (f *fleet) has(stores []string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, store := range stores {
		if f.shops[store] == nil {
			return false
		}
	}
	return true
}
