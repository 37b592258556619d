// Package zelenkatest is a simulated Zelenka for tests and the desk: it enforces
// what the vendor's text says, does with what the text leaves open what PHP does,
// and fails on demand.
package zelenkatest

import (
	"net/http"
	"sync"
	"time"

	"ostatok/agent/stock"
)

// Effect is what a full list does to items that are not in it. The vendor's text
// does not say (backends §2.7).
type Effect string

// The effects.
const (
	ZeroNamed Effect = ""     // they become 0 at the points of sale that the list names
	ZeroAll   Effect = "all"  // … at every point of sale of the supplier
	MarkOnly  Effect = "mark" // nothing
)

// Options set up a Server.
type Options struct {
	Username, Key string
	Warehouses    []int64 // points of sale that exist

	Absent Effect
	// OversizeEmpty lets a body above the limit reach the program as an empty one,
	// as PHP's post_max_size does; otherwise it is answered with 413.
	OversizeEmpty bool
	// OneToken makes a login withdraw the tokens of the one before.
	OneToken bool
	// Texts answers numbers as strings, as PHP does with what comes from its
	// database.
	Texts bool

	Now func() time.Time // nil is time.Now
}

// What the vendor's text says.
const (
	BodyLimit   = 16_000_000 // "16 megabytes", in the reading that allows less
	accessLife  = 24 * time.Hour
	refreshLife = 30 * 24 * time.Hour
)

// Server is one account with its points of sale. It is safe for concurrent use.
type Server struct {
	o      Options
	faults faults

	mu         sync.Mutex
	tokens     map[string]token
	issued     int
	logins     int
	refreshes  int
	warehouses map[int64]map[string]int64 // pieces by id
	refused    map[string]string          // text by id
	written    int
	requests   []Request
	violations []string
	lastBody   []byte
}

type token struct {
	ends    time.Time
	refresh bool
}

// Request is one call for stock as it came in and was answered.
type Request struct {
	Path       string
	Full       bool
	Bytes      int64
	Rows       int
	Warehouses []int64 // that the rows name, in their order
	Status     int     // of the answer, 0 when a fault swallowed it
	At         time.Time
}

// New returns a server that holds nothing.
func New(o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{o: o, tokens: make(map[string]token), warehouses: make(map[int64]map[string]int64), refused: make(map[string]string)}
	for _, id := range o.Warehouses {
		s.warehouses[id] = make(map[string]int64)
	}
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.faults.befall(w, r, http.HandlerFunc(s.serve))
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		fail(w, http.StatusMethodNotAllowed, "Method Not Allowed. This URL can only handle the following request methods: POST.")
		return
	}
	switch r.URL.Path {
	case "/auth/login":
		s.login(w, r)
	case "/auth/refresh":
		s.refresh(w, r)
	case "/onhand/batch-update":
		s.authorised(w, r, s.batch)
	case "/onhand/update":
		s.authorised(w, r, s.update)
	default:
		fail(w, http.StatusNotFound, "Page not found.")
	}
}

// Holds is what buyers see at a point of sale.
func (s *Server) Holds(warehouse int64, id string) (stock.Quantity, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.warehouses[warehouse][id]
	return stock.Quantity(n) * stock.Unit, ok
}

// Set changes what a point of sale holds behind the agent's back.
func (s *Server) Set(warehouse int64, id string, pieces int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.warehouses[warehouse][id] = pieces
}

// Refuse makes every row of an item fail with a text; "" ends that.
func (s *Server) Refuse(id, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused[id] = text
	if text == "" {
		delete(s.refused, id)
	}
}

// Written is how many figures have been taken.
func (s *Server) Written() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written
}

// Requests is every call for stock that got as far as the program.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Violations is what broke the vendor's rules, or the rules that follow from
// them: anything but strict JSON, a body above the limit, an empty list, a
// fraction, less than nothing, one item twice in a body.
func (s *Server) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.violations...)
}

// LastBody is the last body of at most a megabyte.
func (s *Server) LastBody() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]byte(nil), s.lastBody...)
}

// Logins is how often a login, and a refresh, succeeded.
func (s *Server) Logins() (logins, refreshes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins, s.refreshes
}

// Withdraw ends tokens before their time: those for access, and with all those
// for refreshing, too.
func (s *Server) Withdraw(all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, t := range s.tokens {
		if all || !t.refresh {
			delete(s.tokens, id)
		}
	}
}

func (s *Server) violate(text string) {
	if len(s.violations) < 100 {
		s.violations = append(s.violations, text)
	}
}
