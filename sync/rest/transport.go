package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// NewTransport is a small pool: one shop talks to a few servers, mostly one
// request at a time to each, on a box with little memory. dial opens its
// connections; nil is the system's way.
func NewTransport(dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Transport {
	if dial == nil {
		dial = (&net.Dialer{Timeout: 15 * time.Second}).DialContext
	}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dial,
		TLSHandshakeTimeout:    20 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           8,
		MaxIdleConnsPerHost:    2,
		MaxConnsPerHost:        4,
		IdleConnTimeout:        90 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		ReadBufferSize:         16 << 10,
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerConnection: 512 << 10, // the default of 1 GiB is a promise of memory
			MaxReceiveBufferPerStream:     256 << 10,
			SendPingTimeout:               30 * time.Second, // finds a connection that the router forgot
			PingTimeout:                   15 * time.Second,
		},
	}
}

// followHere follows redirects of a GET within the same host only: another host
// must not be given the token, and a redirected write would become a GET.
func followHere(req *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) >= 4 || first.Method != http.MethodGet || req.URL.Host != first.URL.Host || req.URL.Scheme != first.URL.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

var errStalled = errors.New("nothing came for too long")

// stallGuard ends a request during which no byte moves in either direction. A
// time-out of the whole request would punish large pages on thin lines, and one
// that also runs while nobody reads would punish a slow disk.
type stallGuard struct {
	next  http.RoundTripper
	limit time.Duration
}

func (g *stallGuard) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	w := &watch{limit: g.limit, cancel: cancel, ctx: ctx}
	w.timer = time.AfterFunc(g.limit, func() { cancel(errStalled) })
	out := req.WithContext(ctx)
	if req.Body != nil {
		out.Body = &sending{ReadCloser: req.Body, watch: w}
	}
	resp, err := g.next.RoundTrip(out)
	w.timer.Stop()
	if err != nil {
		err = w.cause(err)
		cancel(nil)
		return nil, err
	}
	resp.Body = &receiving{in: resp.Body, watch: w}
	return resp, nil
}

// CloseIdleConnections lets the http.Client reach the pool.
func (g *stallGuard) CloseIdleConnections() {
	if c, ok := g.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

type watch struct {
	limit  time.Duration
	timer  *time.Timer
	cancel context.CancelCauseFunc
	ctx    context.Context
}

// cause names the stall where the transport only says that it was cancelled.
func (w *watch) cause(err error) error {
	if errors.Is(context.Cause(w.ctx), errStalled) {
		return errStalled
	}
	return err
}

// sending tells the watch that the request still moves.
type sending struct {
	io.ReadCloser
	watch *watch
}

func (s *sending) Read(p []byte) (int, error) {
	s.watch.timer.Reset(s.watch.limit)
	return s.ReadCloser.Read(p)
}

// receiving runs the watch only while a read is waiting.
type receiving struct {
	in    io.ReadCloser
	watch *watch
}

func (r *receiving) Read(p []byte) (int, error) {
	r.watch.timer.Reset(r.watch.limit)
	n, err := r.in.Read(p)
	r.watch.timer.Stop()
	if err != nil && err != io.EOF {
		err = r.watch.cause(err)
	}
	return n, err
}

func (r *receiving) Close() error {
	err := r.in.Close()
	r.watch.timer.Stop()
	r.watch.cancel(nil)
	return err
}

// body is a bounded answer whose errors are the client's.
type body struct {
	in    io.ReadCloser
	left  int64
	limit int64
	ctx   context.Context
	of    *Response
}

func (b *body) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, b.of.TooLarge(b.limit)
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one more than allowed tells too large from just full
	}
	n, err := b.in.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, b.of.TooLarge(b.limit)
	}
	if err == nil || err == io.EOF {
		return n, err
	}
	if b.ctx.Err() != nil {
		return n, fmt.Errorf("cannot read the answer: %w", b.ctx.Err())
	}
	e := b.of.fail(Temporary, err)
	e.words = "the connection was cut in the middle of the answer"
	return n, e
}

func (b *body) Close() error { return b.in.Close() }
