package agent_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"ostatok/sync/virtpos/virtpostest"
)

// outage is how a system cannot be reached.
type outage int

const (
	up          outage = iota
	refusing           // no connection
	unavailable        // 503
	silent             // no answer
)

// wire is a process's way to the network. Cut, it is as dead as the process.
type wire struct {
	*http.Transport
	cut atomic.Bool
}

var errCut = errors.New("the process is gone")

func (l *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.cut.Load() {
		return nil, errCut
	}
	return l.Transport.RoundTrip(r)
}

// ServeHTTP is the network: it hands requests to the systems, as far as they can
// be reached.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.answering.Add(1)
	defer w.answering.Done()
	// A server that has not read the whole request does not notice that the client
	// has gone.
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	stop := context.AfterFunc(w.ending, cancel)
	defer stop()
	r = r.WithContext(ctx)
	s := w.system(r.Host)
	w.look()
	w.count(s, r)
	w.pause(s)
	switch w.state(s) {
	case refusing:
		panic(http.ErrAbortHandler)
	case unavailable:
		http.Error(rw, "<html>maintenance</html>", http.StatusServiceUnavailable)
		return
	case silent:
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client has gone
		<-r.Context().Done()
		return
	}
	answer := &answered{ResponseWriter: rw}
	s.busy.Add(1)
	defer func() {
		s.busy.Add(-1)
		w.look(s)
		if s.name == "evotor" && answer.status == http.StatusTooManyRequests {
			w.mu.Lock()
			w.limited++
			w.mu.Unlock()
		}
	}()
	s.handler.ServeHTTP(answer, r)
	w.pause(s)
}

func (w *world) state(s *system) outage {
	w.mu.Lock()
	defer w.mu.Unlock()
	return s.outage
}

// count notes a request.
func (w *world) count(s *system, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked[s.name+" "+r.Method+" "+r.URL.Path]++
	if !strings.HasSuffix(r.URL.Path, virtpostest.CallUpdate) {
		return
	}
	now := w.now()
	if !w.updated.IsZero() && now.Sub(w.updated) < w.config.Targets[0].Pace {
		w.rushed++
	}
	w.updated = now
}

// pause is how long a message is on its way.
func (w *world) pause(s *system) {
	w.mu.Lock()
	d := time.Duration(w.chance.IntN(int(200 * time.Millisecond)))
	if s.slow {
		d *= 40
	}
	w.mu.Unlock()
	time.Sleep(d)
}

// answered remembers the status of an answer.
type answered struct {
	http.ResponseWriter
	status int
}

func (a *answered) WriteHeader(status int) { a.status = status; a.ResponseWriter.WriteHeader(status) }

// Unwrap lets http.ResponseController reach the connection.
func (a *answered) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// hookLine takes KeyCRM's webhooks to the agent, if it runs.
type hookLine struct{ *world }

func (h hookLine) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	p := h.running()
	if p == nil {
		return nil, errCut
	}
	if err := p.Hook(r.Context(), "site", strings.TrimPrefix(r.URL.Path, "/"), body); err != nil {
		return nil, fmt.Errorf("the agent does not understand a webhook: %w", err)
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}
