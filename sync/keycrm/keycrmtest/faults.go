package keycrmtest

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// Fault is something that goes wrong with one answer.
type Fault string

// The faults.
const (
	Limited     Fault = "limited"     // 429 though the key has requests left: another user of the key
	Broken      Fault = "broken"      // 500
	Unavailable Fault = "unavailable" // 503 with a web page
	HTML        Fault = "html"        // 200 with a web page: a login page of the network
	Empty       Fault = "empty"       // 200 and {}
	Cut         Fault = "cut"         // the connection ends in the middle of the answer
	Lost        Fault = "lost"        // the request is carried out, the answer never comes
	Silent      Fault = "silent"      // the request is not carried out, the answer never comes
	Refused     Fault = "refused"     // 401
)

type demand struct {
	method      string
	fault       Fault
	skip, times int
}

type faults struct {
	mu       sync.Mutex
	demanded []demand
	counts   map[Fault]int
}

// Fail makes a fault befall the next times requests of a method ("" is any)
// after letting skip of them pass. times below zero is for ever, until
// ClearFaults.
func (c *CRM) Fail(method string, fault Fault, skip, times int) {
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	c.faults.demanded = append(c.faults.demanded, demand{method, fault, skip, times})
}

// ClearFaults ends all faults.
func (c *CRM) ClearFaults() {
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	c.faults.demanded = nil
}

// Faults is how often a fault has befallen an answer.
func (c *CRM) Faults(fault Fault) int {
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	return c.faults.counts[fault]
}

func (f *faults) draw(method string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.demanded {
		d := &f.demanded[i]
		if d.times == 0 || (d.method != "" && d.method != method) {
			continue
		}
		if d.skip > 0 {
			d.skip--
			continue
		}
		d.times--
		if f.counts == nil {
			f.counts = make(map[Fault]int)
		}
		f.counts[d.fault]++
		return d.fault
	}
	return ""
}

// befall answers in place of the account when something goes wrong.
func (f *faults) befall(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
	page := func(status int) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		write(w, []byte(page404))
	}
	plain := func(status int, body string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		write(w, []byte(body))
	}
	switch f.draw(r.Method) {
	case Limited:
		w.Header().Set("Retry-After", "7")
		plain(http.StatusTooManyRequests, `{"message":"Too Many Attempts."}`)
	case Broken:
		plain(http.StatusInternalServerError, `{"message":"Server Error"}`)
	case Unavailable:
		page(http.StatusServiceUnavailable)
	case HTML:
		page(http.StatusOK)
	case Empty:
		plain(http.StatusOK, `{}`)
	case Refused:
		plain(http.StatusUnauthorized, `{"message":"Unauthenticated."}`)
	case Cut:
		whole := &held{header: make(http.Header)}
		next.ServeHTTP(whole, r)
		body := whole.body.Bytes()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(max(whole.status, http.StatusOK))
		write(w, body[:len(body)*2/3])
		_ = http.NewResponseController(w).Flush() // the connection is about to be cut anyway
		panic(http.ErrAbortHandler)
	case Lost:
		next.ServeHTTP(&held{header: make(http.Header)}, r)
		<-r.Context().Done()
	case Silent:
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client has gone
		<-r.Context().Done()
	default:
		return false
	}
	return true
}

// held is an answer that is kept back.
type held struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *held) Header() http.Header         { return h.header }
func (h *held) WriteHeader(status int)      { h.status = status }
func (h *held) Write(b []byte) (int, error) { return h.body.Write(b) }

// Valid tells whether there is such a fault.
func (f Fault) Valid() bool {
	return strings.Contains(" limited broken unavailable html empty cut lost silent refused ", " "+string(f)+" ")
}
