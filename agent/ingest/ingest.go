// Package ingest takes in what is sent to the agent in the shop: documents, in
// the shapes in which the Evotor cloud sends them to partners (evotor-cloud §14),
// so that a terminal's application or a relay needs nothing special, and webhooks
// of KeyCRM. A document is durable before it is acknowledged, and counts once
// however often and in whatever shape it comes.
package ingest

import (
	"context"
	"net/http"
	"time"

	"github.com/rs/zerolog"
)

// Options say who may send what, and where it goes.
type Options struct {
	Store string // id of the shop; documents of others are refused
	Inbox *Inbox

	// Token is what senders of documents must show, "" for nobody: asked for at
	// each request, so that it can be changed. See TokenOf.
	Token func() string

	// HookTarget names the target whose webhooks carry a secret in their address;
	// it must compare in constant time. Hook takes the body; its error is logged
	// and not told. Both may be nil.
	HookTarget func(secret string) (target string, ok bool)
	Hook       func(ctx context.Context, target, kind string, body []byte) error

	Wake func() // something was kept, or is to be had from the cloud: drain and pull soon; may be nil
	Now  func() time.Time
	Log  zerolog.Logger
}

// server answers the requests.
type server struct {
	Options
	limit *limiter
	large chan struct{} // held by the one large body in memory
}

// New returns the handler of
//
//	PUT, POST /api/v1/inventories/stores/{store}/documents
//	PUT       /documents
//	POST      /api/v2/receipts
//	POST      /hooks/keycrm/{secret}/stocks, /hooks/keycrm/{secret}/orders
func New(o Options) http.Handler {
	s := &server{Options: o, limit: newLimiter(o.Now), large: make(chan struct{}, 1)}
	mux := http.NewServeMux()
	for pattern, handle := range map[string]func(*request) answer{
		"PUT /api/v1/inventories/stores/{store}/documents":  s.documents,
		"POST /api/v1/inventories/stores/{store}/documents": s.documents,
		"PUT /documents":        s.documents,
		"POST /api/v2/receipts": s.documents,
	} {
		mux.HandleFunc(pattern, s.limited(s.known(handle)))
	}
	for _, kind := range []string{"stocks", "orders"} {
		mux.HandleFunc("POST /hooks/keycrm/{secret}/"+kind, s.limited(s.hook(kind)))
	}
	return mux
}

// request is one request on its way through the handlers.
type request struct {
	*http.Request
	w     http.ResponseWriter
	costs func() // the sender shall wait longer for its next one
}

// limited bounds how often an address may ask, and writes the answer.
func (s *server) limited(handle func(*request) answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		from := network(r)
		if wait := s.limit.take(from, 1); wait > 0 {
			tooMany(wait).write(w)
			return
		}
		in := &request{Request: r, w: w, costs: func() { s.limit.take(from, refusalCost) }}
		handle(in).write(w)
	}
}

func (s *server) wake() {
	if s.Wake != nil {
		s.Wake()
	}
}
