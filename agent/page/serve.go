package page

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	connectionsMost = 96               // at once; more wait in the system's queue
	perAddress      = 24               // of one address
	headerTimeout   = 5 * time.Second  // for whoever sends a letter a second
	readTimeout     = 30 * time.Second // a whole request
	writeTimeout    = 30 * time.Second // one answer, or one message of a stream
	idleTimeout     = 60 * time.Second
	headersMost     = 16 << 10
	stopTimeout     = 5 * time.Second
)

// Serve answers in the shop's network until the context ends, within limits
// that keep a box alive whatever is sent to it. The listener is closed.
func Serve(ctx context.Context, l net.Listener, handler http.Handler, log zerolog.Logger) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: headersMost,
		BaseContext: func(net.Listener) context.Context { return base },
		ErrorLog:    quiet(log),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(bounded(l)) }()
	select {
	case err := <-ended:
		return fmt.Errorf("cannot serve the shop's page: %w", err)
	case <-ctx.Done():
	}
	// Streams never end by themselves: what follows base is told to stop now, and
	// what is being answered has a moment to be ended.
	cancel()
	stop, done := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer done()
	err := server.Shutdown(stop)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	<-ended
	return err
}

// limited is a listener that holds no more connections than it may.
type limited struct {
	net.Listener
	free chan struct{}
	once sync.Once
	gone chan struct{}

	mu   sync.Mutex
	from map[string]int
}

func bounded(l net.Listener) *limited {
	return &limited{Listener: l, free: make(chan struct{}, connectionsMost), gone: make(chan struct{}), from: make(map[string]int)}
}

// Accept implements net.Listener. A connection too many of one address is
// closed at once, so that one machine cannot take every place.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.free <- struct{}{}:
	case <-l.gone:
		return nil, net.ErrClosed
	}
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.free
			return nil, err
		}
		if host, ok := l.enter(c.RemoteAddr()); ok {
			return &connection{Conn: c, leave: func() { l.leave(host) }}, nil
		}
		_ = c.Close() // refused: there is nothing to tell
	}
}

// Close implements net.Listener.
func (l *limited) Close() error {
	l.once.Do(func() { close(l.gone) })
	return l.Listener.Close()
}

// enter counts a connection of the host that it comes from.
func (l *limited) enter(addr net.Addr) (host string, ok bool) {
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		host = addr.String()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.from[host] >= perAddress {
		return "", false
	}
	l.from[host]++
	return host, true
}

func (l *limited) leave(host string) {
	<-l.free
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.from[host]--; l.from[host] == 0 {
		delete(l.from, host)
	}
}

type connection struct {
	net.Conn
	once  sync.Once
	leave func()
}

// Close implements net.Conn.
func (c *connection) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.leave)
	return err
}
