package zelenka

import (
	"compress/flate"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// unpackedLength tells unpacking how long a packed body is; it never leaves the
// machine.
const unpackedLength = "Ostatok-Unpacked-Length"

// unpacking unpacks bodies on their way to the wire, in every attempt anew, so
// that fifteen megabytes are sent from less than two. It works below the HTTP
// layer, which therefore sees the body move and repeats what is to be repeated.
// Zelenka does not say that it takes packed bodies.
type unpacking struct{ next http.RoundTripper }

func (u *unpacking) RoundTrip(req *http.Request) (*http.Response, error) {
	length := req.Header.Get(unpackedLength)
	if length == "" {
		return u.next.RoundTrip(req)
	}
	size, err := strconv.ParseInt(length, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("cannot send a packed body: %w", err)
	}
	out := req.Clone(req.Context())
	out.Header.Del(unpackedLength)
	out.ContentLength = size
	out.Body = unpack(req.Body)
	if req.GetBody != nil {
		out.GetBody = func() (io.ReadCloser, error) { // a kept connection that turns out to be closed
			again, err := req.GetBody()
			if err != nil {
				return nil, err
			}
			return unpack(again), nil
		}
	}
	return u.next.RoundTrip(out)
}

// CloseIdleConnections lets the http.Client reach the pool.
func (u *unpacking) CloseIdleConnections() {
	if c, ok := u.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

type unpacked struct {
	io.Reader
	packed io.Closer
}

func unpack(packed io.ReadCloser) io.ReadCloser {
	return &unpacked{flate.NewReader(packed), packed}
}

func (u *unpacked) Close() error { return u.packed.Close() }

// newTransport is a pool for one server and one request at a time.
func newTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost, t.MaxConnsPerHost = 2, 2, 4
	t.TLSHandshakeTimeout = 20 * time.Second
	t.MaxResponseHeaderBytes = 64 << 10
	t.HTTP2 = &http.HTTP2Config{
		MaxReceiveBufferPerConnection: 512 << 10, // the default of 1 GiB is a promise of memory
		MaxReceiveBufferPerStream:     256 << 10,
		SendPingTimeout:               30 * time.Second, // finds a connection that the router forgot
		PingTimeout:                   15 * time.Second,
	}
	return t
}
