// Package pipe is a network without sockets, for tests: real HTTP over it runs
// on the fake clock of testing/synctest, which a socket would hold up.
package pipe

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
)

// Net is the network and the listener of its one server.
type Net struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	dials atomic.Int64
}

// New returns a network. Close it to end the server that listens on it.
func New() *Net { return &Net{conns: make(chan net.Conn), done: make(chan struct{})} }

// Accept implements net.Listener.
func (n *Net) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (n *Net) Close() error { n.once.Do(func() { close(n.done) }); return nil }

// Addr implements net.Listener.
func (n *Net) Addr() net.Addr { return address{} }

// Dial connects to the server; it fits http.Transport.DialContext.
func (n *Net) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case n.conns <- there:
		n.dials.Add(1)
		return here, nil
	case <-n.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Dials is how many connections were made.
func (n *Net) Dials() int { return int(n.dials.Load()) }

type address struct{}

func (address) Network() string { return "pipe" }
func (address) String() string  { return "pipe" }
