package zelenkatest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync"
)

// Fault is something that goes wrong with one request.
type Fault string

// The faults.
const (
	Broken      Fault = "broken"       // 500 before anything was done
	Half        Fault = "half"         // 500 after half of the rows were taken
	Unavailable Fault = "unavailable"  // 503 with a web page
	Limited     Fault = "limited"      // 429 that asks to wait for 7 s
	HTML        Fault = "html"         // 200 with a web page: a login page of the network
	HTMLAsJSON  Fault = "html as json" // the same, and the header lies
	Warned      Fault = "warned"       // carried out, but PHP's warning stands before the answer
	Empty       Fault = "empty"        // carried out, answered with {}
	Cut         Fault = "cut"          // carried out, the connection ends in the middle of the answer
	Short       Fault = "short"        // carried out, the answer ends in its middle and the header agrees
	Lost        Fault = "lost"         // carried out, the answer never comes
	Dropped     Fault = "dropped"      // carried out, the connection ends without an answer
	Silent      Fault = "silent"       // not carried out, the answer never comes
	Refused     Fault = "refused"      // 401 though the token is good
	Under       Fault = "under"        // carried out, success is one too low
	Over        Fault = "over"         // carried out, success is one too high
	Null        Fault = "null"         // carried out, errors is null
	Absent      Fault = "absent"       // carried out, errors is not there
)

type demand struct {
	path        string
	fault       Fault
	skip, times int
}

type faults struct {
	mu       sync.Mutex
	demanded []demand
	counts   map[Fault]int
}

// Fail makes a fault befall the next times requests of a path ("" is any) after
// letting skip of them pass. times below zero is for ever, until ClearFaults.
func (s *Server) Fail(path string, fault Fault, skip, times int) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.demanded = append(s.faults.demanded, demand{path, fault, skip, times})
}

// ClearFaults ends all faults.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.demanded = nil
}

// Faults is how often a fault has befallen a request.
func (s *Server) Faults(fault Fault) int {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return s.faults.counts[fault]
}

func (f *faults) draw(path string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.demanded {
		d := &f.demanded[i]
		if d.times == 0 || (d.path != "" && d.path != path) {
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

// befall serves the request, with the fault that is due.
func (f *faults) befall(w http.ResponseWriter, r *http.Request, next http.Handler) {
	fault := f.draw(r.URL.Path)
	switch fault {
	case "":
		next.ServeHTTP(w, r)
		return
	case Broken, Unavailable, Limited, HTML, HTMLAsJSON, Silent, Refused:
		_, _ = io.Copy(io.Discard, r.Body) // the web server takes the body before its program runs
	case Half:
		r = r.WithContext(context.WithValue(r.Context(), half{}, true))
	}
	switch fault {
	case Broken:
		fail(w, http.StatusInternalServerError, "An internal server error occurred.")
	case Unavailable:
		page(w, http.StatusServiceUnavailable, "text/html; charset=utf-8")
	case Limited:
		w.Header().Set("Retry-After", "7")
		fail(w, http.StatusTooManyRequests, "Rate limit exceeded.")
	case HTML:
		page(w, http.StatusOK, "text/html; charset=utf-8")
	case HTMLAsJSON:
		page(w, http.StatusOK, "application/json")
	case Refused:
		fail(w, http.StatusUnauthorized, "Your request was made with invalid credentials.")
	case Silent:
		<-r.Context().Done()
	default:
		mangle(fault, w, r, serve(next, r))
	}
}

// serve carries the request out and keeps the answer back.
func serve(next http.Handler, r *http.Request) *held {
	h := &held{header: make(http.Header), status: http.StatusOK}
	next.ServeHTTP(h, r)
	return h
}

func mangle(fault Fault, w http.ResponseWriter, r *http.Request, h *held) {
	body := h.body.Bytes()
	switch fault {
	case Half:
		fail(w, http.StatusInternalServerError, "SQLSTATE[40001]: Serialization failure: 1213 Deadlock found")
		return
	case Lost:
		<-r.Context().Done()
		return
	case Dropped:
		panic(http.ErrAbortHandler)
	case Warned:
		body = append([]byte("<br />\n<b>Warning</b>:  Division by zero in <b>/var/www/api.php</b>\n"), body...)
	case Empty:
		body = []byte("{}")
	case Short:
		body = body[:len(body)*2/3]
	case Under, Over, Null, Absent:
		body = edit(fault, body)
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(h.status)
	if fault == Cut {
		_, _ = w.Write(body[:len(body)*2/3])
		_ = http.NewResponseController(w).Flush() // the connection is about to be cut anyway
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body)
}

func edit(fault Fault, body []byte) []byte {
	var answer map[string]any
	if json.Unmarshal(body, &answer) != nil || answer["success"] == nil {
		return body
	}
	count, _ := answer["success"].(float64)
	switch fault {
	case Under:
		answer["success"] = max(count-1, 0)
	case Over:
		answer["success"] = count + 1
	case Null:
		answer["errors"] = nil
	case Absent:
		delete(answer, "errors")
	}
	edited, err := json.Marshal(answer)
	if err != nil {
		panic(err)
	}
	return edited
}

func page(w http.ResponseWriter, status int, kind string) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<!doctype html><html><title>Sign in</title><body>Guest network</body></html>")
}

// half marks a request of which half is carried out.
type half struct{}

func halfOnly(r *http.Request) bool { return r.Context().Value(half{}) != nil }

// held is an answer that is kept back.
type held struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *held) Header() http.Header         { return h.header }
func (h *held) WriteHeader(status int)      { h.status = status }
func (h *held) Write(b []byte) (int, error) { return h.body.Write(b) }
