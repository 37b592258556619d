package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"

	"ostatok/sync/evotor/evotortest"
	"ostatok/sync/keycrm/keycrmtest"
	"ostatok/sync/virtpos/virtpostest"
	"ostatok/sync/zelenka/zelenkatest"
)

// What a client needs to be let in.
const (
	virtposKey       = "sandbox-virtpos"
	virtposWarehouse = "1"
	zelenkaUser      = "sandbox"
	zelenkaKey       = "sandbox-zelenka"
	zelenkaWarehouse = 341
	keycrmKey        = "sandbox-keycrm"
	keycrmWarehouse  = 2
)

// backend is a simulated system below /name.
type backend struct {
	name    string
	handler http.Handler
	// target is what the simulator knows a request by when faults are ordered.
	target func(*http.Request) string
	fail   func(target, fault string, skip, times int)
	clear  func()
	// usual are the faults of a bad network, in which every answer comes: one that
	// never does would only test a client's patience.
	usual []string
	// other faults have to be asked for.
	other []string
}

// backends are the systems beside the cloud that hold the shop's stock.
type backends struct {
	shop    *evotortest.Shop
	virtpos *virtpostest.Server
	zelenka *zelenkatest.Server
	keycrm  *keycrmtest.CRM
	list    []backend
	catalog func() []card // stocks them at the first call

	mu       sync.Mutex
	random   *rand.Rand
	share    float64 // of requests that a usual fault befalls
	requests map[string]int
	faults   map[string]int
}

// newBackends makes systems whose clock is the machine's, whatever the shop's
// does: their rate limits are about real time.
func newBackends(o *options, shop *evotortest.Shop) *backends {
	rate := o.keycrmRate
	if rate == 0 {
		rate = -1
	}
	b := &backends{
		shop:    shop,
		virtpos: virtpostest.New(virtpostest.Settings{Key: virtposKey}),
		zelenka: zelenkatest.New(zelenkatest.Options{Username: zelenkaUser, Key: zelenkaKey, Warehouses: []int64{zelenkaWarehouse}}),
		keycrm:  keycrmtest.New(keycrmtest.Options{Keys: []string{keycrmKey}, Rate: rate}),
		random:  rand.New(rand.NewPCG(o.seed, 3)), share: shareOf(o.faults),
		requests: make(map[string]int), faults: make(map[string]int),
	}
	b.list = []backend{
		{
			name: "virtpos", handler: b.virtpos,
			target: func(r *http.Request) string { return strings.TrimPrefix(r.URL.Path, "/api/") },
			fail: func(target, fault string, skip, times int) {
				b.virtpos.Fail(target, virtpostest.Fault(fault), skip, times)
			},
			clear: b.virtpos.ClearFaults,
			usual: texts(virtpostest.Broken, virtpostest.BrokenAfter, virtpostest.Busy, virtpostest.Silent, virtpostest.HTML,
				virtpostest.Cut, virtpostest.Limited),
			other: texts(virtpostest.Lost, virtpostest.Hang, virtpostest.Refused, virtpostest.Disguised, virtpostest.CutClean,
				virtpostest.Short, virtpostest.Empty, virtpostest.Moved),
		},
		{
			name: "zelenka", handler: b.zelenka,
			target: func(r *http.Request) string { return r.URL.Path },
			fail: func(target, fault string, skip, times int) {
				b.zelenka.Fail(target, zelenkatest.Fault(fault), skip, times)
			},
			clear: b.zelenka.ClearFaults,
			usual: texts(zelenkatest.Broken, zelenkatest.Half, zelenkatest.Unavailable, zelenkatest.Limited, zelenkatest.HTML,
				zelenkatest.Warned, zelenkatest.Cut, zelenkatest.Dropped, zelenkatest.Under),
			other: texts(zelenkatest.HTMLAsJSON, zelenkatest.Empty, zelenkatest.Short, zelenkatest.Lost, zelenkatest.Silent,
				zelenkatest.Refused, zelenkatest.Over, zelenkatest.Null, zelenkatest.Absent),
		},
		{
			name: "keycrm", handler: b.keycrm,
			target: func(r *http.Request) string { return r.Method },
			fail: func(target, fault string, skip, times int) {
				b.keycrm.Fail(target, keycrmtest.Fault(fault), skip, times)
			},
			clear: b.keycrm.ClearFaults,
			usual: texts(keycrmtest.Limited, keycrmtest.Broken, keycrmtest.Unavailable, keycrmtest.HTML, keycrmtest.Empty, keycrmtest.Cut),
			other: texts(keycrmtest.Lost, keycrmtest.Silent, keycrmtest.Refused),
		},
	}
	b.catalog = sync.OnceValue(b.stock)
	return b
}

func texts[T ~string](list ...T) []string {
	out := make([]string, len(list))
	for i, t := range list {
		out[i] = string(t)
	}
	return out
}

// shareOf is how often a fault befalls an answer, by the profile's name.
func shareOf(profile string) float64 {
	return map[string]float64{"some": 0.01, "many": 0.05}[profile]
}

// close lets go of requests that hang.
func (b *backends) close() { b.virtpos.Close() }

// of returns the system that a path belongs to, nil when it is none's.
func (b *backends) of(path string) *backend {
	i := slices.IndexFunc(b.list, func(s backend) bool { return strings.HasPrefix(path, "/"+s.name+"/") })
	if i < 0 {
		return nil
	}
	return &b.list[i]
}

func (b *backends) serve(s *backend, w http.ResponseWriter, r *http.Request) {
	b.catalog()
	http.StripPrefix("/"+s.name, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.requests[s.name]++
		if b.random.Float64() < b.share {
			fault := s.usual[b.random.IntN(len(s.usual))]
			b.faults[s.name+" "+fault]++
			s.fail(s.target(r), fault, 0, 1)
		}
		b.mu.Unlock()
		s.handler.ServeHTTP(w, r)
	})).ServeHTTP(w, r)
}

// fail makes a fault befall the next requests of a system.
func (b *backends) fail(system, target, fault string, skip, times int) error {
	s := b.of("/" + system + "/")
	if s == nil {
		return fmt.Errorf("there is no system %q: it is evotor, virtpos, zelenka or keycrm", system)
	}
	if !slices.Contains(s.usual, fault) && !slices.Contains(s.other, fault) {
		return fmt.Errorf("%s has no fault %q", system, fault)
	}
	s.fail(target, fault, skip, times)
	return nil
}

// setFaults ends all faults and lets the usual ones befall a share of requests.
func (b *backends) setFaults(share float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.list {
		b.list[i].clear()
	}
	b.share = share
}

// counts are the requests and the faults of bad luck so far.
func (b *backends) counts() (requests, faults map[string]int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.requests), maps.Clone(b.faults)
}
