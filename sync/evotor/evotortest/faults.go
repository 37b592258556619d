package evotortest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
)

// Fault is something that goes wrong with one answer.
type Fault string

// The faults, and the answers that they can befall.
const (
	None         Fault = ""
	Limited      Fault = "limited"       // 429 with the rate limit used up
	Broken       Fault = "broken"        // 500
	Unavailable  Fault = "unavailable"   // 503 with an HTML page
	Cut          Fault = "cut"           // the connection ends in the middle of the body
	Slow         Fault = "slow"          // the body comes in small pieces over CloudOptions.SlowFor
	BadItem      Fault = "bad_item"      // one item of a list has fields of the wrong kind
	BadJSON      Fault = "bad_json"      // one item of a list is not JSON
	HTML         Fault = "html"          // 200 and the page of a captive portal
	EmptyObject  Fault = "empty_object"  // 200 and {}
	EmptyList    Fault = "empty_list"    // 200 and no items and no cursor, whatever there is
	HalfList     Fault = "half_list"     // the cursor is lost: the list ends early
	Refused      Fault = "refused"       // 401
	NotInstalled Fault = "not_installed" // 402
)

// onLists befall lists only.
func (f Fault) onLists() bool {
	return f == BadItem || f == BadJSON || f == EmptyList || f == HalfList
}

// onReads befall answers to reading only: to writing they make no sense.
func (f Fault) onReads() bool { return f.onLists() || f == HTML || f == EmptyObject }

// Profile is how often each fault befalls an answer that it can befall, 0 to 1.
type Profile map[Fault]float64

// SomeFaults is a fair network.
func SomeFaults() Profile {
	return Profile{Limited: 0.005, Broken: 0.005, Unavailable: 0.005, Cut: 0.01, Slow: 0.005}
}

// ManyFaults is a bad network: everything that a reader can notice in the answer
// itself. Lists that lie by ending early are not in it; ask for them.
func ManyFaults() Profile {
	return Profile{Limited: 0.03, Broken: 0.03, Unavailable: 0.03, Cut: 0.05, Slow: 0.02,
		BadJSON: 0.02, HTML: 0.02, EmptyObject: 0.02}
}

// order is the order in which a profile is drawn from, so that a seed gives the
// same faults each time.
var order = [...]Fault{Limited, Broken, Unavailable, Cut, Slow, BadItem, BadJSON, HTML, EmptyObject, EmptyList, HalfList, Refused, NotInstalled}

// faults decides what befalls each answer.
type faults struct {
	mu       sync.Mutex
	r        *rand.Rand
	profile  Profile
	demanded []demand
	counts   map[Fault]int
}

// demand is a fault that a test asked for.
type demand struct {
	path  string
	fault Fault
	skip  int
	times int
}

// pick draws the fault of a request. A demanded one goes before the profile.
func (f *faults) pick(method, path string, list bool) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	fault := f.draw(method, path, list)
	if fault != None {
		f.counts[fault]++
	}
	return fault
}

func (f *faults) draw(method, path string, list bool) Fault {
	can := func(fault Fault) bool {
		return (list || !fault.onLists()) && (method == "GET" || !fault.onReads())
	}
	for i := range f.demanded {
		d := &f.demanded[i]
		if d.times == 0 || !strings.Contains(path, d.path) || !can(d.fault) {
			continue
		}
		if d.skip > 0 {
			d.skip--
			continue
		}
		d.times--
		return d.fault
	}
	for _, fault := range order {
		if rate := f.profile[fault]; rate > 0 && f.r.Float64() < rate && can(fault) {
			return fault
		}
	}
	return None
}

// SetFaults sets what goes wrong at random from now on; nil is nothing.
func (c *Cloud) SetFaults(p Profile) {
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	c.faults.profile = p
}

// Fail makes a fault befall the next times requests whose path contains path,
// after letting skip of them pass. times below zero is for ever, until
// ClearFaults.
func (c *Cloud) Fail(path string, fault Fault, skip, times int) {
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	c.faults.demanded = append(c.faults.demanded, demand{path, fault, skip, times})
}

// ClearFaults ends all faults, demanded and at random.
func (c *Cloud) ClearFaults() {
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	c.faults.profile, c.faults.demanded = nil, nil
}

// Faults returns how often each fault has befallen an answer.
func (c *Cloud) Faults() map[Fault]int {
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	counts := make(map[Fault]int, len(c.faults.counts))
	for f, n := range c.faults.counts {
		counts[f] = n
	}
	return counts
}

// Valid tells whether there is such a fault.
func (f Fault) Valid() bool { return slices.Contains(order[:], f) }

// Check says what is wrong with a profile that came from outside.
func (p Profile) Check() error {
	for f, rate := range p {
		if !f.Valid() {
			return fmt.Errorf("there is no fault %q; there are %q", f, order)
		}
		if rate < 0 || rate > 1 {
			return fmt.Errorf("the rate of %s must be between 0 and 1, not %g", f, rate)
		}
	}
	return nil
}
