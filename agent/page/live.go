package page

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	followersMost = 32               // open pages that are told of changes
	followFor     = time.Hour        // then the browser connects again
	heartbeat     = 20 * time.Second // so that a connection that died is noticed
	idsMost       = 100              // of products in one message
)

// Everything stands for changes of more products than can be named.
const Everything = "*"

// hub tells open pages of what has changed. A page that reads slowly gets what
// has changed meanwhile in one message; nothing queues up.
type hub struct {
	mu        sync.Mutex
	followers map[*follower]struct{}
}

type follower struct {
	wake    chan struct{} // holds one
	changed map[string]struct{}
}

// Changed tells the open pages which products have new figures; none: something
// else has changed, such as a plan or a problem. It never waits.
func (p *Page) Changed(products ...string) {
	if len(products) == 0 {
		products = []string{""}
	}
	p.live.mu.Lock()
	defer p.live.mu.Unlock()
	for f := range p.live.followers {
		f.add(products)
	}
}

func (f *follower) add(products []string) {
	for _, id := range products {
		if len(f.changed) >= idsMost {
			clear(f.changed)
			f.changed[Everything] = struct{}{}
		}
		if _, all := f.changed[Everything]; !all {
			f.changed[id] = struct{}{}
		}
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (h *hub) join() *follower {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.followers) >= followersMost {
		return nil
	}
	if h.followers == nil {
		h.followers = make(map[*follower]struct{})
	}
	f := &follower{wake: make(chan struct{}, 1), changed: make(map[string]struct{})}
	h.followers[f] = struct{}{}
	return f
}

func (h *hub) leave(f *follower) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.followers, f)
}

// take empties what a follower has not been told of yet.
func (h *hub) take(f *follower) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := slices.Sorted(maps.Keys(f.changed))
	clear(f.changed)
	return ids
}

// follow is the stream of changes of one open page, as server-sent events.
func (p *Page) follow(w http.ResponseWriter, r *http.Request) {
	f := p.live.join()
	if f == nil {
		w.Header().Set("Retry-After", "60")
		http.Error(w, "Too many open pages.", http.StatusServiceUnavailable)
		return
	}
	defer p.live.leave(f)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	control := http.NewResponseController(w)
	say := func(message string) bool {
		_ = control.SetWriteDeadline(time.Now().Add(writeTimeout)) // a server without deadlines has none to move
		if _, err := fmt.Fprint(w, message); err != nil {
			return false
		}
		return control.Flush() == nil
	}
	if !say("retry: 5000\n\n") {
		return
	}
	end := time.NewTimer(followFor)
	defer end.Stop()
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		message := ":\n\n"
		select {
		case <-r.Context().Done():
			return
		case <-end.C:
			return
		case <-beat.C:
		case <-f.wake:
			message = changes(p.live.take(f))
		}
		if !say(message) {
			return
		}
	}
}

// changes is a message with one id in a line, "" for what is no product.
func changes(ids []string) string {
	var b strings.Builder
	b.WriteString("event: changed\n")
	for _, id := range ids {
		b.WriteString("data: ")
		b.WriteString(strings.NewReplacer("\n", " ", "\r", " ").Replace(id))
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	return b.String()
}
