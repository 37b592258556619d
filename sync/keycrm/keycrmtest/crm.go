// Package keycrmtest is a KeyCRM account on the desk: it answers as the vendor's
// documents say (backends.md, chapter 3), breaks in the ways in which it is
// known to break, and knows the truth about its own stock.
package keycrmtest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"ostatok/agent/stock"
)

// Options say how an account answers. Zero fields take the defaults written
// beside them. Where the vendor leaves a question open, each reading is a
// switch.
type Options struct {
	Keys []string // accepted API keys; none: any

	Rate   int           // requests of one key in any Window; 0 is 20, below zero no limit
	Window time.Duration // 0 is a minute
	Mute   bool          // a 429 does not say when to come back
	Told   bool          // every answer has X-RateLimit-Limit and -Remaining

	Visible time.Duration // how long an accepted figure takes to be seen
	Latency time.Duration // how long every answer takes

	Documented     bool // the envelope has only the members of the document, no last_page
	Fold           bool // a filter finds SKUs that differ in case, as a database's collation may
	IgnoreFilters  bool // every filter is one that the server does not know
	ListEmpty      bool // details name every warehouse, also those without a figure of the offer
	RefuseUnknown  bool // an unknown SKU refuses the whole request; otherwise it is passed over
	RefuseNegative bool
	RefuseDecimals bool
	SingleHook     bool // a stock webhook is an object for each offer instead of an array

	Transport http.RoundTripper // for webhooks; nil is http.DefaultTransport
	Now       func() time.Time  // nil is time.Now
	Sleep     func(time.Duration)
}

// CRM is one account. It is an http.Handler for everything below /v1, and its
// methods may be called from any goroutine.
type CRM struct {
	o      Options
	mux    *http.ServeMux
	faults faults
	wake   chan struct{}

	mu         sync.Mutex
	warehouses map[int64]string
	offers     []*offer // in the order in which they are listed
	byID       map[int64]*offer
	refused    map[string]bool
	orders     map[int64]*order
	lastID     int64
	pending    []pending
	movements  []Movement
	written    int
	sent       map[string][]time.Time // by key, accepted requests of the last window
	requests   []*Request
	before     func(*http.Request)
	hooks      []hook
	queue      []message
}

type offer struct {
	id      int64
	sku     string
	figures map[int64]*figure // by warehouse
}

type figure struct{ quantity, reserve stock.Quantity }

// pending is a figure that was accepted and is not seen yet.
type pending struct {
	due       time.Time
	warehouse int64
	offer     *offer
	quantity  stock.Quantity
}

// Movement is an entry of the account's history: every changed figure leaves
// one, an unchanged one does not.
type Movement struct {
	Warehouse int64
	SKU       string
	From, To  stock.Quantity
}

// Request is one request that the account has had.
type Request struct {
	At     time.Time
	Method string
	Path   string
	Query  string
	Status int // 0 while it is being answered
}

// mostRequests bounds what is kept of an account that lives for days.
const mostRequests = 20_000

// New returns an account without warehouses and offers.
func New(o Options) *CRM {
	if o.Rate == 0 {
		o.Rate = 20
	}
	if o.Window <= 0 {
		o.Window = time.Minute
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = time.Sleep
	}
	c := &CRM{
		o: o, mux: http.NewServeMux(), wake: make(chan struct{}, 1),
		warehouses: make(map[int64]string), byID: make(map[int64]*offer), refused: make(map[string]bool),
		orders: make(map[int64]*order), sent: make(map[string][]time.Time),
	}
	c.mux.HandleFunc("GET /v1/offers/stocks", c.list)
	c.mux.HandleFunc("PUT /v1/offers/stocks", c.put)
	c.mux.HandleFunc("GET /v1/order/{id}", c.order)
	c.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		c.fail(w, r, http.StatusNotFound, `{"message":"Not found"}`)
	})
	return c
}

// AddWarehouse adds a warehouse.
func (c *CRM) AddWarehouse(id int64, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.warehouses[id] = name
}

// AddOffer adds an offer and returns its id. The SKU may be empty or one that
// another offer has: the vendor asks users for uniqueness and does not enforce
// it.
func (c *CRM) AddOffer(sku string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastID++
	o := &offer{id: c.lastID, sku: sku, figures: make(map[int64]*figure)}
	c.offers = append(c.offers, o)
	c.byID[o.id] = o
	return o.id
}

// RemoveOffer takes an offer away.
func (c *CRM) RemoveOffer(id int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byID, id)
	c.offers = slices.DeleteFunc(c.offers, func(o *offer) bool { return o.id == id })
}

// Reorder lists the last n offers first from now on: nobody promises an order.
func (c *CRM) Reorder(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cut := len(c.offers) - min(n, len(c.offers))
	c.offers = append(slices.Clone(c.offers[cut:]), c.offers[:cut]...)
}

// Set changes a figure as a person does in the cabinet; it is seen at once.
func (c *CRM) Set(warehouse int64, sku string, q stock.Quantity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	for _, o := range c.offers {
		if o.sku == sku {
			c.move(warehouse, o, q)
		}
	}
}

// Reserve sets how much of a figure is held for orders.
func (c *CRM) Reserve(warehouse int64, sku string, q stock.Quantity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	for _, o := range c.offers {
		if o.sku == sku {
			o.figure(warehouse).reserve = q
			c.changed(warehouse, o)
		}
	}
}

// Holds returns what the account holds of the first offer of a SKU: the figures
// that are accepted, whether or not they are seen yet.
func (c *CRM) Holds(warehouse int64, sku string) (quantity, reserve stock.Quantity, found bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	for _, o := range c.offers {
		if o.sku != sku {
			continue
		}
		if f := o.figures[warehouse]; f != nil {
			quantity, reserve = f.quantity, f.reserve
		}
		for _, p := range c.pending {
			if p.offer == o && p.warehouse == warehouse {
				quantity = p.quantity
			}
		}
		return quantity, reserve, true
	}
	return 0, 0, false
}

// Refuse makes the account refuse every request that names the SKU.
func (c *CRM) Refuse(sku string, refuse bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused[sku] = refuse
}

// Written is how many rows were accepted, unchanged and unknown ones included.
func (c *CRM) Written() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written
}

// Movements returns the account's history.
func (c *CRM) Movements() []Movement {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	return slices.Clone(c.movements)
}

// Requests returns the latest requests, oldest first, refused ones included.
func (c *CRM) Requests() []Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]Request, len(c.requests))
	for i, r := range c.requests {
		list[i] = *r
	}
	return list
}

// Before is called with every admitted request before it is answered, without a
// lock: a writer beside us, an offer added in the middle of a sweep. nil ends
// that.
func (c *CRM) Before(fn func(*http.Request)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.before = fn
}

// IgnoreFilters makes the account ignore every filter from now on.
func (c *CRM) IgnoreFilters(ignore bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.o.IgnoreFilters = ignore
}

// ServeHTTP implements http.Handler.
func (c *CRM) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	before := c.before
	noted := c.note(r)
	c.mu.Unlock()
	answer := &recorded{ResponseWriter: w, status: http.StatusOK}
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		noted.Status = answer.status
	}()
	w.Header().Set("Date", c.o.Now().UTC().Format(http.TimeFormat))
	if !c.admit(answer, r) {
		return
	}
	if before != nil {
		before(r)
	}
	if c.o.Latency > 0 {
		c.o.Sleep(c.o.Latency)
	}
	if !c.faults.befall(answer, r, c.mux) {
		c.mux.ServeHTTP(answer, r)
	}
}

func (c *CRM) note(r *http.Request) *Request {
	if len(c.requests) >= mostRequests {
		c.requests = slices.Delete(c.requests, 0, mostRequests/2)
	}
	noted := &Request{At: c.o.Now(), Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery}
	c.requests = append(c.requests, noted)
	return noted
}

// recorded remembers the status of an answer.
type recorded struct {
	http.ResponseWriter
	status int
}

func (r *recorded) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorded) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (o *offer) figure(warehouse int64) *figure {
	f := o.figures[warehouse]
	if f == nil {
		f = &figure{}
		o.figures[warehouse] = f
	}
	return f
}

func (o *offer) sum() (f figure) {
	for _, one := range o.figures {
		f.quantity += one.quantity
		f.reserve += one.reserve
	}
	return f
}

// move brings a warehouse to a figure by a movement.
func (c *CRM) move(warehouse int64, o *offer, q stock.Quantity) {
	f := o.figure(warehouse)
	if f.quantity == q {
		return
	}
	c.movements = append(c.movements, Movement{Warehouse: warehouse, SKU: o.sku, From: f.quantity, To: q})
	f.quantity = q
	c.changed(warehouse, o)
}

// settle applies what was accepted long enough ago.
func (c *CRM) settle() {
	now := c.o.Now()
	kept := c.pending[:0]
	for _, p := range c.pending {
		if p.due.After(now) {
			kept = append(kept, p)
			continue
		}
		c.move(p.warehouse, p.offer, p.quantity)
	}
	c.pending = kept
}

// Warehouses returns the ids of the warehouses, lowest first.
func (c *CRM) Warehouses() []int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.warehouses))
}

// String describes the account, for messages.
func (c *CRM) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("%d offers, %d requests, %d rows written, %d movements", len(c.offers), len(c.requests), c.written, len(c.movements))
}
