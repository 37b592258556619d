package virtpostest

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// The calls, by which faults and requests are named.
const (
	CallStore     = "store"
	CallUpdate    = "store/updateOnhand"
	CallVersion   = "store/getOnhandVersion"
	CallZero      = "store/setZeroOnhand"
	CallItem      = "item"
	CallWarehouse = "warehouse"
)

// Request is a request as it came.
type Request struct {
	Call   string
	Method string
	URL    string
	Query  url.Values
	Form   url.Values // of the body
}

// Server plays the interface. It is an http.Handler and safe for use by several
// goroutines.
type Server struct {
	settings Settings
	done     chan struct{}
	once     sync.Once

	mu         sync.Mutex
	warehouses []*warehouse
	items      []Item
	counter    int64
	nextRow    int64
	requests   []Request
	written    map[string]int // updates carried out, by item
	faults     []*demand
	meanwhile  []*event
	refused    map[string]bool
	down       bool
}

// demand is a fault that a test asked for, event something that happens just
// before a call is handled.
type demand struct {
	call        string
	fault       Fault
	skip, times int
}

type event struct {
	call string
	skip int
	do   func()
}

// New returns a server without warehouses and items.
func New(s Settings) *Server {
	return &Server{settings: s, done: make(chan struct{}), written: make(map[string]int), refused: make(map[string]bool), counter: 1}
}

// Close lets go of requests that Hang.
func (s *Server) Close() { s.once.Do(func() { close(s.done) }) }

// Fail makes a fault befall the next times calls, after letting skip of them pass.
// times below zero is for ever, until ClearFaults.
func (s *Server) Fail(call string, fault Fault, skip, times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &demand{call, fault, skip, times})
}

// ClearFaults ends all faults.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Meanwhile makes do happen once, just before the call after the next skip ones
// is handled: a sale between a reading and a write, another writer. do may use
// the server.
func (s *Server) Meanwhile(call string, skip int, do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meanwhile = append(s.meanwhile, &event{call, skip, do})
}

// Refuse makes updates of an item be refused for good.
func (s *Server) Refuse(item string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused[item] = true
}

// Down makes every call answer 503.
func (s *Server) Down(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// Requests returns what has come so far, oldest first.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Calls counts the requests of a call.
func (s *Server) Calls(call string) int {
	n := 0
	for _, r := range s.Requests() {
		if r.Call == call {
			n++
		}
	}
	return n
}

// Written counts the updates that were carried out, by item.
func (s *Server) Written() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.written)
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call, ok := strings.CutPrefix(r.URL.Path, "/api/")
	if !ok || (r.Method != http.MethodGet && r.Method != http.MethodPost) {
		http.Error(w, "no such page", http.StatusNotFound)
		return
	}
	if err := r.ParseForm(); err != nil {
		http.Error(w, "bad form", http.StatusBadRequest)
		return
	}
	c := &exchange{Request: Request{Call: call, Method: r.Method, URL: r.URL.String(), Query: r.URL.Query(), Form: r.PostForm}}
	fault, do := s.note(c)
	if do != nil {
		do()
	}
	answer := s.answer(c, fault)
	s.send(w, r, c, answer, fault)
}

// note records a request and says what befalls it.
func (s *Server) note(c *exchange) (fault Fault, do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, c.Request)
	for i, e := range s.meanwhile {
		if e.call != c.Call {
			continue
		}
		if e.skip > 0 {
			e.skip--
			continue
		}
		do = e.do
		s.meanwhile = slices.Delete(s.meanwhile, i, i+1)
		break
	}
	for _, d := range s.faults {
		if d.times == 0 || d.call != c.Call {
			continue
		}
		if d.skip > 0 {
			d.skip--
			continue
		}
		d.times--
		return d.fault, do
	}
	return None, do
}

// exchange is one request in work.
type exchange struct{ Request }

// get is a parameter that is taken from the query only ("get only").
func (c *exchange) get(name string) string { return c.Query.Get(name) }

// either is a parameter that may be in the query or in the body.
func (c *exchange) either(name string) string {
	if c.Form.Has(name) {
		return c.Form.Get(name)
	}
	return c.Query.Get(name)
}

// answer carries the call out.
func (s *Server) answer(c *exchange, fault Fault) tree {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.down:
		return tree{}
	case fault == Busy:
		return failure("Сервер занят, повторите запрос позже")
	case fault == Refused:
		return failure("Операция отклонена")
	case !fault.does():
		return tree{}
	}
	key := c.either("apikey")
	if key == "" || s.settings.Key != "" && key != s.settings.Key {
		return failure("Неверный apikey")
	}
	switch c.Call {
	case CallStore:
		return s.read(c)
	case CallUpdate:
		return s.update(c)
	case CallVersion:
		return s.version(c)
	case CallZero:
		return s.zero(c)
	case CallItem:
		return s.listItems(c)
	case CallWarehouse:
		return s.listWarehouses(c)
	}
	return failure("Неизвестный метод")
}
