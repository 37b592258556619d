package evotor_test

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"

	"ostatok/sync/evotor"
)

// pipes is a network without sockets, so that real HTTP runs on the fake clock
// of testing/synctest.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

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

const token = "5f2c1d3e-token-of-the-shop"

// cloud returns a client of a cloud that answers with h.
func cloud(t *testing.T, h http.HandlerFunc, adjust func(*evotor.Options)) *evotor.Client {
	t.Helper()
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	server := &http.Server{Handler: h}
	stopped := make(chan struct{})
	go func() { defer close(stopped); server.Serve(p) }()
	o := evotor.Options{URL: "http://evotor.test", Token: token, Version: "1.2", Transport: &http.Transport{DialContext: p.dial}}
	if adjust != nil {
		adjust(&o)
	}
	c, err := evotor.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		server.Close()
		<-stopped
	})
	return c
}
