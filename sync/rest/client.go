// Package rest is the one way in which the agent speaks HTTP to the clouds and
// backends: retries, rate limits, time-outs, bounded bodies, and errors that say
// what to do and never hold a secret.
package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// Options set up a Client. Only Base is required.
type Options struct {
	Base      string // scheme, host and path prefix: "https://api.evotor.ru"
	UserAgent string // "ostatok/VERSION"

	// Transport sends one request; nil is a small pool of its own.
	Transport http.RoundTripper

	// Secrets must appear in no error and no log: tokens, keys, passwords.
	Secrets []string

	MaxWait time.Duration // most time that one call waits between its attempts, 0 is 35 minutes
	Tries   int           // most attempts when the server does not say when to come back, 0 is 6
	Stall   time.Duration // most time without a byte in either direction, 0 is 60 s
	MaxBody int64         // most bytes of an answer, unpacked, 0 is 256 MiB

	OnDate func(server time.Time) // told the Date of every answer: evidence for the clock
	Now    func() time.Time       // nil is time.Now
	Jitter func() float64         // in [0, 1), nil is random
	Log    zerolog.Logger
}

// Client calls one server. It may be used by several goroutines.
type Client struct {
	base   *url.URL
	http   *http.Client
	opts   Options
	redact redactor
	gates  gates
}

// Request is one call.
type Request struct {
	Method string // "GET"
	Path   string // escaped, below Options.Base: "/stores/X/products"
	Query  url.Values
	Header http.Header
	Body   []byte

	// Open begins a body of Length bytes anew for each attempt, instead of Body:
	// one that is made as it is sent need not be held.
	Open   func() (io.Reader, error)
	Length int64

	// Budget names the server's rate limit that the call counts against, when
	// it is known to be shared with other paths; "" is the path itself.
	Budget string

	// Repeatable allows a POST to be sent again though the first one may have
	// been carried out. Other methods always are.
	Repeatable bool

	// Within is how long after the call began an attempt may begin, because what
	// the request says would be too old; 0 is no limit.
	Within time.Duration

	began time.Time // the call
}

// Response is a success, 2xx. Body must be closed; reading it fails with *Error
// when the connection is cut or the answer is too large.
type Response struct {
	Status int
	Header http.Header
	Body   io.ReadCloser

	fail func(Kind, error) *Error
}

// New checks the options and returns a client. It does not connect.
func New(o Options) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(o.Base, "/"))
	if err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http") {
		return nil, fmt.Errorf("cannot use %q as an address: it must look like https://api.example.ru", newRedactor(o.Secrets).clean(o.Base))
	}
	o.MaxWait = orDuration(o.MaxWait, 35*time.Minute)
	o.Stall = orDuration(o.Stall, time.Minute)
	if o.Tries <= 0 {
		o.Tries = 6
	}
	if o.MaxBody <= 0 {
		o.MaxBody = 256 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	if o.Transport == nil {
		o.Transport = NewTransport(nil)
	}
	return &Client{
		base:   base,
		http:   &http.Client{Transport: &stallGuard{next: o.Transport, limit: o.Stall}, CheckRedirect: followHere},
		opts:   o,
		redact: newRedactor(o.Secrets),
	}, nil
}

func orDuration(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Clean takes secrets out of a text that a server sent.
func (c *Client) Clean(text string) string { return c.redact.clean(text) }

// Do sends the request, again when that can help, and returns the success or an
// *Error. When ctx ends, the error wraps its cause.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	return c.do(ctx, r)
}

// Read is Do with the whole body, at most limit bytes. An answer that was cut is
// asked for again.
func (c *Client) Read(ctx context.Context, r Request, limit int64) (*Response, []byte, error) {
	r.began = c.opts.Now()
	for try := 1; ; try++ {
		resp, err := c.do(ctx, r)
		if err != nil {
			return nil, nil, err
		}
		body, err := readAll(resp, limit)
		if err == nil {
			return resp, body, nil
		}
		again := KindOf(err) == Temporary && (r.Method != http.MethodPost || r.Repeatable)
		wait := c.backoff(try - 1)
		if !again || try >= c.opts.Tries || c.late(r, wait) {
			return nil, nil, err
		}
		if err := sleep(ctx, wait); err != nil {
			return nil, nil, c.ended(ctx, r, err)
		}
	}
}

// late tells whether the request would be too old after another wait.
func (c *Client) late(r Request, wait time.Duration) bool {
	return r.Within > 0 && c.opts.Now().Sub(r.began)+wait > r.Within
}

func readAll(resp *Response, limit int64) ([]byte, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > limit {
		return nil, resp.TooLarge(limit)
	}
	return body, nil
}

// TooLarge is the error for an answer of more than limit bytes.
func (r *Response) TooLarge(limit int64) error {
	return r.fail(Protocol, fmt.Errorf("the answer is larger than %d bytes", limit))
}

// Broken is the error for an answer that could not be decoded. A body that ends
// too early is Temporary, whether or not the connection told so.
func (r *Response) Broken(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return r.fail(Temporary, errors.New("the answer ends too early"))
	}
	return r.fail(Protocol, err)
}
