package evotortest

import (
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"ostatok/agent/stock"
)

// Forms of the header that carries the token (evotor-cloud §2).
const (
	AuthBearer = "bearer"
	AuthRaw    = "raw"
	AuthX      = "x-authorization"
)

// Units of X-RateLimit-Reset (evotor-cloud §4).
const (
	ResetSeconds = "seconds"
	ResetEpoch   = "epoch"
	ResetEpochMS = "epoch_ms"
)

// CloudOptions say how a cloud answers. Zero fields take the defaults written
// beside them.
type CloudOptions struct {
	Tokens []string // accepted; none: any
	Auth   []string // accepted forms; none: all three

	PageSize   int           // 1000; limit can only make it smaller
	CursorLife time.Duration // a cursor is refused after this; 0 never
	StaleCode  int           // … with this status (404)
	EmptyPages bool          // every second page is empty, with a cursor
	Shuffle    bool          // documents come in no order, the same each time
	ByArrival  bool          // since and until compare created_at, not close_date
	BareArrays bool          // lists are arrays without paging, as V1 sends them

	RateLimit  int           // requests a window; 0 no limit
	RateWindow time.Duration // a minute
	ResetUnit  string        // ResetSeconds

	Faults    Profile
	FaultSeed uint64
	SlowFor   time.Duration // how long a slow body takes (2 s)

	// Now is the cloud's clock: Date, age of cursors, rate limit. nil is the
	// machine's. The shop does not follow it: who wants it to live on calls Run.
	Now func() time.Time
}

// Cloud serves shops as the Evotor cloud does. It is an http.Handler.
type Cloud struct {
	options CloudOptions
	mux     *http.ServeMux
	faults  faults

	mu       sync.Mutex
	shops    []*Shop
	byID     map[string]map[string]int // store → document → index, as far as was asked
	hidden   map[string]bool           // devices on which the app is not installed
	unpaid   map[string]bool           // stores that answer 402
	listings map[uint64]*listing
	lastID   uint64
	tasks    map[string]*task
	taskIDs  []string
	windows  map[string]*window
	requests map[string]int
	patched  map[string][]Patch
}

// window is the rate limit of one token.
type window struct {
	ends time.Time
	used int
}

// NewCloud makes a cloud with one shop.
func NewCloud(shop *Shop, options CloudOptions) *Cloud {
	if options.PageSize <= 0 {
		options.PageSize = 1000
	}
	if options.StaleCode == 0 {
		options.StaleCode = http.StatusNotFound
	}
	if options.RateWindow <= 0 {
		options.RateWindow = time.Minute
	}
	if options.SlowFor <= 0 {
		options.SlowFor = 2 * time.Second
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	c := &Cloud{
		options: options, mux: http.NewServeMux(), shops: []*Shop{shop},
		byID: make(map[string]map[string]int), hidden: make(map[string]bool), unpaid: make(map[string]bool),
		listings: make(map[uint64]*listing), tasks: make(map[string]*task), windows: make(map[string]*window),
		requests: make(map[string]int), patched: make(map[string][]Patch),
	}
	c.faults.profile, c.faults.counts = options.Faults, make(map[Fault]int)
	c.faults.r = rand.New(rand.NewPCG(options.FaultSeed, 0x6661756c74))
	c.handle("GET /stores", c.stores)
	c.handle("GET /stores/{store}", c.store)
	c.handle("GET /devices", c.devices)
	c.handle("GET /stores/{store}/products", c.products)
	c.handle("PUT /stores/{store}/products", c.replaceProducts)
	c.handle("GET /stores/{store}/products/{product}", c.product)
	c.handle("PATCH /stores/{store}/products/{product}", c.patchProduct)
	c.handle("GET /stores/{store}/product-groups", c.groups)
	c.handle("GET /stores/{store}/documents", c.documents)
	c.handle("GET /stores/{store}/documents/{document}", c.document)
	c.handle("GET /stores/{store}/devices/{device}/documents", c.documents)
	c.handle("GET /bulks", c.bulks)
	c.handle("GET /bulks/{task}", c.bulk)
	c.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		c.send(w, r, failure(http.StatusNotFound, "no such resource"), None)
	})
	return c
}

// AddShop adds another shop of the same user.
func (c *Cloud) AddShop(s *Shop) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shops = append(c.shops, s)
}

// SetInstalled says whether the app is installed on a device; the documents of
// one where it is not are not listed (evotor-cloud §2).
func (c *Cloud) SetInstalled(device string, installed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hidden[device] = !installed
}

// SetPaid says whether the app is paid for in a store; one where it is not
// answers 402 to questions for documents and products (evotor-cloud §3).
func (c *Cloud) SetPaid(store string, paid bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unpaid[store] = !paid
}

// Requests returns how many requests each route has had, faults included.
func (c *Cloud) Requests() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.requests)
}

// Patched returns the figures that clients wrote for a product, oldest first.
// A write whose answer was lost to a fault is among them.
func (c *Cloud) Patched(product string) []Patch {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.patched[product])
}

// ServeHTTP answers a request.
func (c *Cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.mux.ServeHTTP(w, r) }

// handle wraps what every route has in common: token, rate limit, faults.
func (c *Cloud) handle(route string, answer func(*http.Request) reply) {
	c.mux.HandleFunc(route, func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.requests[route]++
		c.mu.Unlock()
		token, ok := c.token(r)
		if !ok {
			c.send(w, r, failure(http.StatusUnauthorized, "unauthorized"), None)
			return
		}
		if !c.allow(w, token) {
			c.send(w, r, failure(http.StatusTooManyRequests, "too many requests"), None)
			return
		}
		list := strings.HasSuffix(route, "s") && r.Method == http.MethodGet
		fault := c.faults.pick(r.Method, r.URL.Path, list)
		switch fault { // the request does not get through
		case Limited:
			w.Header().Set("X-RateLimit-Remaining", "0")
			c.send(w, r, failure(http.StatusTooManyRequests, "too many requests"), None)
		case Broken:
			c.send(w, r, failure(http.StatusInternalServerError, "internal error"), None)
		case Unavailable:
			c.send(w, r, reply{status: http.StatusServiceUnavailable, html: true}, None)
		case Refused:
			c.send(w, r, failure(http.StatusUnauthorized, "unauthorized"), None)
		case NotInstalled:
			c.send(w, r, failure(http.StatusPaymentRequired, "payment required"), None)
		default: // it does, and the answer suffers
			c.send(w, r, answer(r), fault)
		}
	})
}

// token finds the token in a form that this cloud accepts.
func (c *Cloud) token(r *http.Request) (string, bool) {
	form, token := AuthX, r.Header.Get("X-Authorization")
	if authorization := r.Header.Get("Authorization"); authorization != "" {
		form, token = AuthRaw, authorization
		if scheme, rest, ok := strings.Cut(authorization, " "); ok && strings.EqualFold(scheme, "Bearer") {
			form, token = AuthBearer, rest
		}
	}
	if token == "" || (len(c.options.Auth) > 0 && !slices.Contains(c.options.Auth, form)) {
		return "", false
	}
	return token, len(c.options.Tokens) == 0 || slices.Contains(c.options.Tokens, token)
}

// allow counts a request against the token's window and says so in the headers.
func (c *Cloud) allow(w http.ResponseWriter, token string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.options.Now()
	if c.windows[token] == nil || !now.Before(c.windows[token].ends) {
		c.windows[token] = &window{ends: now.Add(c.options.RateWindow)}
	}
	window := c.windows[token]
	window.used++
	limit := c.options.RateLimit
	if limit <= 0 {
		limit = max(100000, window.used)
	}
	left := window.ends.Sub(now)
	reset := int64((left + time.Second - 1) / time.Second)
	switch c.options.ResetUnit {
	case ResetEpoch:
		reset = (window.ends.UnixMilli() + 999) / 1000
	case ResetEpochMS:
		reset = window.ends.UnixMilli()
	}
	w.Header().Set("X-RateLimit-Limit", strconv.Itoa(limit))
	w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(max(limit-window.used, 0)))
	w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(reset, 10))
	return window.used <= limit
}

// shop finds the store of a request, or says why not.
func (c *Cloud) shop(r *http.Request) (*Shop, *reply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := r.PathValue("store")
	for _, s := range c.shops {
		if s.Store() != id {
			continue
		}
		if c.unpaid[id] {
			refused := failure(http.StatusPaymentRequired, "payment required")
			return nil, &refused
		}
		return s, nil
	}
	missing := failure(http.StatusNotFound, "store not found")
	return nil, &missing
}

func (c *Cloud) allShops() []*Shop {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.shops)
}

// notePatch keeps what a client wrote.
func (c *Cloud) notePatch(product string, q stock.Quantity, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.patched[product] = append(c.patched[product], Patch{Product: product, At: at.UnixMilli(), Quantity: q})
}
