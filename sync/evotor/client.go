// Package evotor is a client of the Evotor cloud: it reads shops, products and
// documents in every form the cloud has used, and writes stock figures.
package evotor

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"ostatok/sync/rest"
)

// The media types of version 2 of the interface (evotor-cloud §1).
const (
	mediaType     = "application/vnd.evotor.v2+json"
	bulkMediaType = "application/vnd.evotor.v2+bulk+json"
)

// Options set up a Client.
type Options struct {
	URL   string // "" is https://api.evotor.ru
	Token string // of the application for this user, from the shop owner's account
	Auth  string // how the token is sent: bearer, raw or x-authorization; "" is bearer

	// OnAuth is told the form in which the token was accepted after it had been
	// refused in the configured one, so that it can be remembered.
	OnAuth func(form string)

	Transport http.RoundTripper // nil is a small pool of its own
	Version   string            // of the agent, for User-Agent
	Log       zerolog.Logger

	MaxWait   time.Duration          // most time one call waits for a rate limit, 0 is 35 minutes
	WritePace time.Duration          // least time between two writes of the target, 0 is none
	OnDate    func(server time.Time) // told the Date of every answer
	Now       func() time.Time       // nil is time.Now
}

// Client reads from and writes to the cloud. It may be used by several
// goroutines.
type Client struct {
	rest    *rest.Client
	auth    *auth
	opts    Options
	readers sync.Pool // of *reader
}

// New checks the options and returns a client. It does not connect.
func New(o Options) (*Client, error) {
	if o.URL == "" {
		o.URL = "https://api.evotor.ru"
	}
	o.Token = strings.TrimSpace(o.Token)
	if o.Token == "" {
		return nil, errors.New("cannot use the Evotor cloud without a token: set evotor.token_file")
	}
	if strings.ContainsFunc(o.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("cannot use the Evotor token: it holds spaces or other characters that a token never has, copy it again")
	}
	auth, err := newAuth(o.Token, o.Auth, o.OnAuth)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	client, err := rest.New(rest.Options{
		Base: o.URL, UserAgent: "ostatok/" + o.Version, Transport: o.Transport,
		Secrets: []string{o.Token}, MaxWait: o.MaxWait, OnDate: o.OnDate, Now: o.Now, Log: o.Log,
	})
	if err != nil {
		return nil, err
	}
	c := &Client{rest: client, auth: auth, opts: o}
	c.readers.New = func() any { return newReader() }
	return c, nil
}

// Close lets go of idle connections.
func (c *Client) Close() { c.rest.Close() }

// path joins escaped segments: path("stores", id, "products").
func path(segments ...string) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}

// smallBody bounds an answer that is held whole: one card, one document, a task.
const smallBody = 16 << 20

// get reads a small answer.
func (c *Client) get(ctx context.Context, budget string, segments ...string) (*rest.Response, []byte, error) {
	return c.read(ctx, rest.Request{Method: http.MethodGet, Path: path(segments...), Budget: budget})
}

func (c *Client) read(ctx context.Context, r rest.Request) (resp *rest.Response, body []byte, err error) {
	err = c.auth.try(func(form string) error {
		r.Header = c.auth.header(r.Header, form)
		resp, body, err = c.rest.Read(ctx, r, smallBody)
		return err
	})
	return resp, body, err
}

// open starts an answer that is read as a stream.
func (c *Client) open(ctx context.Context, r rest.Request) (resp *rest.Response, err error) {
	err = c.auth.try(func(form string) error {
		r.Header = c.auth.header(r.Header, form)
		resp, err = c.rest.Do(ctx, r)
		return err
	})
	return resp, err
}
