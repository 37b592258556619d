package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// call is one Do: its attempts, and how long they have waited together.
type call struct {
	client *Client
	r      Request
	tries  int
	waited time.Duration
	next   time.Duration // before the attempt that check allowed
}

func (c *Client) do(ctx context.Context, r Request) (*Response, error) {
	if r.began.IsZero() {
		r.began = c.opts.Now()
	}
	k := &call{client: c, r: r}
	if err := k.pace(ctx); err != nil {
		return nil, err
	}
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return nil, c.fail(r, Invalid, err)
	}
	// One retrying client a call: its policy is this call's state. The
	// connections belong to the http.Client, which all calls share.
	retrying := &retryablehttp.Client{
		HTTPClient:   c.http,
		RetryMax:     math.MaxInt32, // check decides
		CheckRetry:   k.check,
		Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return k.next },
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	resp, err := retrying.Do(req)
	if err != nil {
		if resp != nil {
			resp.Body.Close()
		}
		if ctx.Err() != nil {
			return nil, c.ended(ctx, r, ctx.Err())
		}
		return nil, c.failNetwork(r, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		defer resp.Body.Close()
		return nil, k.failStatus(ctx, resp)
	}
	if html(resp.Header) {
		defer resp.Body.Close()
		e := c.fail(r, Protocol, nil)
		e.Status, e.Detail = resp.StatusCode, c.detail(resp.Body)
		e.words = "a web page came instead of data, a login page of the network or a proxy is in between"
		return nil, e
	}
	out := &Response{Status: resp.StatusCode, Header: resp.Header}
	out.fail = func(kind Kind, err error) *Error {
		e := c.fail(r, kind, err)
		e.Status = out.Status // tells an answer that broke from none at all
		return e
	}
	out.Body = &body{in: resp.Body, left: c.opts.MaxBody, ctx: ctx, of: out, limit: c.opts.MaxBody}
	return out, nil
}

func (c *Client) newRequest(ctx context.Context, r Request) (*retryablehttp.Request, error) {
	url := c.base.String() + r.Path
	if len(r.Query) > 0 {
		url += "?" + r.Query.Encode()
	}
	var raw any // an interface holding a nil slice would be sent as an empty body
	switch {
	case r.Open != nil:
		raw = retryablehttp.ReaderFunc(r.Open)
	case r.Body != nil:
		raw = r.Body
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, r.Method, url, raw)
	if err != nil {
		return nil, errors.New("the address cannot be used")
	}
	if r.Open != nil {
		req.ContentLength = r.Length
	}
	for name, values := range r.Header {
		req.Header[name] = values
	}
	if c.opts.UserAgent != "" {
		req.Header.Set("User-Agent", c.opts.UserAgent)
	}
	return req, nil
}

// pace waits until the budget of the call is open again.
func (k *call) pace(ctx context.Context) error {
	c := k.client
	wait := c.gates.wait(k.budget(), c.opts.Now())
	if wait <= 0 {
		return nil
	}
	if wait > c.opts.MaxWait || c.late(k.r, wait) {
		e := c.fail(k.r, RateLimited, nil)
		e.RetryAfter = wait
		return e
	}
	k.logWait(wait, http.StatusTooManyRequests)
	if err := sleep(ctx, wait); err != nil {
		return c.ended(ctx, k.r, err)
	}
	k.waited += wait
	return nil
}

func (k *call) budget() string {
	if k.r.Budget != "" {
		return k.r.Budget
	}
	return k.r.Path
}

// check is asked after each attempt whether another one can help; it is the
// only place that decides so within a call.
func (k *call) check(ctx context.Context, resp *http.Response, err error) (bool, error) {
	c := k.client
	k.tries++
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	again, asked := false, time.Duration(0)
	status := 0
	if err != nil {
		again = retryableNetwork(err) && (k.repeatable() || notSent(err))
	} else {
		status = resp.StatusCode
		asked = k.note(resp)
		switch kindOfStatus(status) {
		case RateLimited:
			again = true // nothing was done, whatever the method
		case Temporary:
			again = k.repeatable()
		}
	}
	if log := c.opts.Log.Debug(); log.Enabled() {
		log.Str("method", k.r.Method).Str("path", c.redact.clean(k.r.Path)).Int("status", status).Int("attempt", k.tries).Msg("request")
	}
	if !again || (status != http.StatusTooManyRequests && k.tries >= c.opts.Tries) {
		return false, nil
	}
	k.next = asked
	if k.next <= 0 {
		k.next = c.backoff(k.tries - 1)
		if status == http.StatusTooManyRequests {
			k.next *= 4 // a limit that does not say its window lasts longer than a hiccup
		}
	} else {
		// A fleet must not come back in the same instant.
		k.next += time.Duration(c.opts.Jitter() * float64(min(k.next/10+200*time.Millisecond, 10*time.Second)))
	}
	if k.waited+k.next > c.opts.MaxWait || c.late(k.r, k.next) {
		return false, nil
	}
	k.waited += k.next
	k.logWait(k.next, status)
	return true, nil
}

func (k *call) logWait(wait time.Duration, status int) {
	if c := k.client; wait >= 10*time.Second {
		c.opts.Log.Info().Str("path", c.redact.clean(k.r.Path)).Int("status", status).Dur("wait", wait).Msg("waiting before the next request")
	}
}

// note takes what every answer tells besides its content, and returns how long
// the server asks to wait, 0 when it does not.
func (k *call) note(resp *http.Response) time.Duration {
	c := k.client
	now := c.opts.Now()
	if server, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		// A log-in page of the network has a clock of its own.
		if c.opts.OnDate != nil && resp.StatusCode/100 != 3 && !html(resp.Header) {
			c.opts.OnDate(server)
		}
		now = server // times in its headers are by its clock; ours may be years off
	}
	limits := parseLimits(resp.Header, now)
	wait := limits.retryAfter
	if wait <= 0 && resp.StatusCode == http.StatusTooManyRequests {
		wait = limits.reset
	}
	switch {
	case resp.StatusCode == http.StatusTooManyRequests && wait > 0:
		c.gates.close(k.budget(), c.opts.Now().Add(wait))
	case limits.exhausted && limits.reset > 0:
		c.gates.close(k.budget(), c.opts.Now().Add(limits.reset))
	}
	return wait
}

func (k *call) repeatable() bool { return k.r.Method != http.MethodPost || k.r.Repeatable }

// notSent tells that the request cannot have reached the server.
func notSent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// backoff is the wait after failure n (from 0): 0.5 s doubled to at most 60 s,
// of which a random half is cut.
func (c *Client) backoff(n int) time.Duration {
	d := min(500*time.Millisecond<<min(n, 10), time.Minute)
	return d/2 + time.Duration(c.opts.Jitter()*float64(d/2))
}

func (k *call) failStatus(ctx context.Context, resp *http.Response) error {
	c := k.client
	detail := c.detail(resp.Body)
	if ctx.Err() != nil {
		return c.ended(ctx, k.r, ctx.Err())
	}
	e := c.fail(k.r, kindOfStatus(resp.StatusCode), nil)
	e.Status, e.Detail = resp.StatusCode, detail
	switch {
	case resp.StatusCode/100 == 3:
		e.words = "the server sends us to another address, correct the one in the configuration"
		e.Detail = c.redact.clean(resp.Header.Get("Location"))
	case e.Kind == RateLimited || e.Kind == Temporary:
		e.RetryAfter = k.note(resp)
		if e.Kind == RateLimited && e.RetryAfter <= 0 {
			e.RetryAfter = max(k.next, time.Second)
		}
	}
	return e
}

func (c *Client) fail(r Request, kind Kind, err error) *Error {
	e := &Error{Kind: kind, Method: r.Method, Path: c.redact.clean(r.Path), Err: err}
	if err != nil {
		e.Detail = c.redact.clean(clip(err.Error()))
	}
	return e
}

// ended is the error for a call whose context is over.
func (c *Client) ended(ctx context.Context, r Request, err error) error {
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return fmt.Errorf("cannot %s %s: %w", r.Method, c.redact.clean(r.Path), err)
}

// detail is the beginning of an answer, on one line, without secrets.
func (c *Client) detail(in io.Reader) string {
	head, _ := io.ReadAll(io.LimitReader(in, 4<<10)) // what came is what we show
	return clip(c.redact.clean(strings.Join(strings.Fields(strings.ToValidUTF8(string(head), "?")), " ")))
}

func clip(s string) string {
	const longest = 300
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest], "") + "…"
}

func html(h http.Header) bool {
	t, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return t == "text/html" || t == "application/xhtml+xml"
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
