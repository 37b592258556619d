package virtpos_test

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// pipes is a network without sockets, so that real HTTP runs on the fake clock
// of testing/synctest.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// transport serves h on the pipes; stop ends both sides.
func (p *pipes) transport(h http.Handler) (transport *http.Transport, stop func()) {
	server := &http.Server{Handler: h}
	stopped := make(chan struct{})
	go func() { defer close(stopped); server.Serve(p) }()
	transport = &http.Transport{DialContext: p.dial}
	return transport, func() {
		transport.CloseIdleConnections()
		server.Close()
		<-stopped
	}
}
