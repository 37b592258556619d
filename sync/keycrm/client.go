// Package keycrm is a client of KeyCRM: it reads the stock and the reserves of an
// account, writes the figures of one warehouse, and understands the account's
// webhooks. Chapter 3 of backends.md says what is known of the other side and
// what is not.
package keycrm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"ostatok/sync/rest"
)

// What the vendor's documents say (OpenAPI 1.2.0, backends.md §3).
const (
	DefaultURL = "https://openapi.keycrm.app/v1"

	// DefaultRate is the newest of the limits that are documented, in requests a
	// minute; the older one is 60.
	DefaultRate = 20

	PageRows  = 50     // most rows of a page; not saying so gives 15
	BatchRows = 10_000 // most rows of one write
)

// Options set up a Client. Only Key is required.
type Options struct {
	URL string // "" is DefaultURL
	Key string // of the account's API; best one that nobody else uses, because the limit is counted by key

	Rate     int // requests a minute, 0 is DefaultRate
	PageRows int // rows asked for in one page, 0 is PageRows

	Transport http.RoundTripper // nil is a small pool of its own
	Version   string            // of the agent, for User-Agent
	Log       zerolog.Logger

	MaxWait time.Duration          // most time one reading waits for a rate limit, 0 is 10 minutes
	OnDate  func(server time.Time) // told the Date of every answer
	Now     func() time.Time       // nil is time.Now

	// Sleep waits on Now's clock; nil waits on the machine's. It returns the
	// context's error when that ends first.
	Sleep func(context.Context, time.Duration) error
}

// Client reads from and writes to one account. It may be used by several
// goroutines. Make one for each key: its calls share the key's rate limit.
type Client struct {
	rest *rest.Client
	pace *pace
	own  own
	opts Options
}

// New checks the options and returns a client. It does not connect.
func New(o Options) (*Client, error) {
	o.Key = strings.TrimSpace(o.Key)
	switch {
	case o.Key == "":
		return nil, errors.New("cannot use KeyCRM without a key: set the target's key_file")
	case strings.ContainsFunc(o.Key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, errors.New("cannot use the KeyCRM key: it holds spaces or other characters that a key never has, copy it again")
	case o.Rate < 0 || o.Rate > 6000:
		return nil, fmt.Errorf("cannot use a rate of %d requests a minute: it is between 1 and 6000", o.Rate)
	case o.PageRows < 0 || o.PageRows > PageRows:
		return nil, fmt.Errorf("cannot use pages of %d rows: KeyCRM gives 1 to %d", o.PageRows, PageRows)
	}
	if o.URL == "" {
		o.URL = DefaultURL
	}
	if o.Rate == 0 {
		o.Rate = DefaultRate
	}
	if o.PageRows == 0 {
		o.PageRows = PageRows
	}
	if o.MaxWait <= 0 {
		o.MaxWait = 10 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	client, err := rest.New(rest.Options{
		Base: o.URL, UserAgent: "ostatok/" + o.Version, Transport: o.Transport, Secrets: []string{o.Key},
		// Every attempt has to keep the pace, so none is made behind its back.
		Tries: 1, MaxWait: time.Nanosecond,
		MaxBody: mostBody, OnDate: o.OnDate, Now: o.Now, Log: o.Log,
	})
	if err != nil {
		return nil, err
	}
	return &Client{rest: client, pace: newPace(o.Rate, o.Now, o.Sleep), opts: o}, nil
}

// mostBody bounds an answer: the largest is a page of fifty rows.
const mostBody = 32 << 20

// Close lets go of idle connections.
func (c *Client) Close() { c.rest.Close() }

const (
	triesMost  = 5 // of a reading that fails for a reason that may pass
	retryFirst = 2 * time.Second
)

// get reads, again when that can help; read is given each answer from its
// beginning.
func (c *Client) get(ctx context.Context, r rest.Request, read func(*rest.Response) error) error {
	r.Method = http.MethodGet
	start := c.opts.Now()
	for failures := 0; ; {
		err := c.once(ctx, r, c.opts.MaxWait-c.opts.Now().Sub(start), read)
		switch rest.KindOf(err) {
		case rest.RateLimited:
			fault, _ := errors.AsType[*rest.Error](err)
			if c.opts.Now().Sub(start)+fault.RetryAfter > c.opts.MaxWait {
				return err
			}
			continue // once waits
		case rest.Temporary:
			if failures++; failures >= triesMost {
				return err
			}
		default:
			return err
		}
		if err := c.opts.Sleep(ctx, retryFirst<<(failures-1)); err != nil {
			return ended(r, err)
		}
	}
}

// once sends one request in its turn. The server's pauses are waited out up to
// most.
func (c *Client) once(ctx context.Context, r rest.Request, most time.Duration, read func(*rest.Response) error) error {
	r.Budget = "key"
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set("Authorization", "Bearer "+c.opts.Key)
	// Without it the framework behind the address answers errors with web pages.
	r.Header.Set("Accept", "application/json")
	left, err := c.pace.wait(ctx, r, most)
	if err != nil {
		if rest.KindOf(err) == "" {
			err = ended(r, err)
		}
		return err
	}
	resp, err := c.rest.Do(ctx, r)
	if fault, ok := errors.AsType[*rest.Error](err); ok && fault.Kind == rest.RateLimited {
		if fault.Status == http.StatusTooManyRequests {
			c.pace.refused(left)
		}
		c.pace.pause(fault.RetryAfter)
		c.opts.Log.Info().Dur("wait", fault.RetryAfter).Msg("keycrm asks to wait")
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	c.pace.accepted(resp.Header)
	return read(resp)
}

func ended(r rest.Request, err error) error {
	return fmt.Errorf("cannot %s %s: %w", r.Method, r.Path, err)
}
