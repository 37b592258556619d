package page_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/page"
	"ostatok/sync/rest/pipe"
)

// Whoever sends a byte now and then, or takes an answer as slowly, loses the
// connection in a known time; the clock is a fake one, so half a minute is short.
func TestDribblersLoseTheConnection(t *testing.T) {
	for name, c := range map[string]struct {
		say    string        // at once
		then   string        // a byte of it every second, over and over
		within time.Duration // the connection is gone
	}{
		"nothing at all":      {"", "", 6 * time.Second},
		"headers":             {"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ", "a", 6 * time.Second},
		"a header after each": {"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\n", "X: 1\r\n", 6 * time.Second},
		"a body": {"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 60000\r\n\r\ncode=",
			"a", 31 * time.Second},
		"a body in chunks": {"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n",
			"1\r\na\r\n", 31 * time.Second},
		"nothing between requests": {"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "", 61 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dial := servePipe(t)
				began := time.Now()
				thief := dial()
				var writer sync.WaitGroup
				defer func() { _ = thief.Close(); writer.Wait() }()
				writer.Go(func() {
					if _, err := io.WriteString(thief, c.say); err != nil || c.then == "" {
						return
					}
					for i := 0; ; i++ {
						time.Sleep(time.Second)
						if _, err := thief.Write([]byte{c.then[i%len(c.then)]}); err != nil {
							return
						}
					}
				})
				if err := thief.SetReadDeadline(time.Now().Add(10 * time.Minute)); err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, thief); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatal("the connection was never closed")
				}
				if took := time.Since(began); took > c.within {
					t.Errorf("it had the connection for %s, want at most %s", took, c.within)
				}
			})
		})
	}
}

// Slow ones on every place of an address cannot keep their places.
func TestPlacesComeFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := servePipe(t)
		for range 200 {
			c := dial()
			defer func() { _ = c.Close() }()
			go func() { _, _ = io.WriteString(c, "GET / HTTP/1.1\r\nX: ") }()
		}
		time.Sleep(7 * time.Second)
		c := dial()
		defer func() { _ = c.Close() }()
		go func() { _, _ = io.WriteString(c, "GET /healthz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n") }()
		answer, err := io.ReadAll(c)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.0 200") {
			t.Errorf("%q, %v", answer, err)
		}
	})
}

// servePipe serves a page on a network without sockets.
func servePipe(t *testing.T) (dial func() net.Conn) {
	t.Helper()
	l := pipe.New()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	var handler http.Handler = build(t, page.Options{Shop: corner()})
	go func() { ended <- page.Serve(ctx, l, handler, zerolog.Nop()) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return func() net.Conn {
		c, err := l.Dial(t.Context(), "tcp", "box")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}
