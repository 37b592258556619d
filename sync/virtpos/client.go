// Package virtpos is a client of VirtPOS: it reads and writes stock balances,
// one item of one warehouse at a time, and carries out the run that zeroes what
// was not written.
package virtpos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"ostatok/sync/rest"
)

// The formats of an answer. The form of the JSON is described nowhere, so XML is
// the default.
const (
	FormatXML  = "xml"
	FormatJSON = "json"
)

// Options set up a Client.
type Options struct {
	URL    string // scheme and host: "https://mycompany.myvirtualpos.ru"
	Key    string // the company's apikey
	Format string // FormatXML or FormatJSON, "" is FormatXML

	Transport http.RoundTripper // nil is a small pool of its own
	Version   string            // of the agent, for User-Agent
	Log       zerolog.Logger

	MaxWait time.Duration          // most time one call waits for a rate limit, 0 is 35 minutes
	Pace    time.Duration          // least time between two writes, 0 is none: no limit is documented
	OnDate  func(server time.Time) // told the Date of every answer
	Now     func() time.Time       // nil is time.Now
}

// Client reads from and writes to the account of one company. It may be used by
// several goroutines.
type Client struct {
	rest *rest.Client
	opts Options

	writing chan struct{} // held by the one who waits to write
	wrote   time.Time     // when the last write ended; guarded by writing
}

// Ref names an item or a warehouse: by the number that VirtPOS gave it or, when
// External, by the code that another system did. There is no way to give both,
// because VirtPOS would use its own number and not say so.
type Ref struct {
	ID       string
	External bool
}

// New checks the options and returns a client. It does not connect.
func New(o Options) (*Client, error) {
	o.Key = strings.TrimSpace(o.Key)
	if o.Key == "" {
		return nil, errors.New("cannot use VirtPOS without a key: set key_file of the target")
	}
	if strings.ContainsFunc(o.Key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("cannot use the VirtPOS key: it holds spaces or other characters that a key never has, copy it again")
	}
	switch o.Format {
	case "":
		o.Format = FormatXML
	case FormatXML, FormatJSON:
	default:
		return nil, fmt.Errorf("cannot use %q as a format of VirtPOS: it is %s or %s", o.Format, FormatXML, FormatJSON)
	}
	if err := checkAddress(o.URL); err != nil {
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
		Secrets: []string{o.Key}, MaxWait: o.MaxWait, OnDate: o.OnDate, Now: o.Now, Log: o.Log,
	})
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(o.URL, "http://") {
		o.Log.Warn().Msg("the VirtPOS key travels unencrypted, use an https address if there is one")
	}
	return &Client{rest: client, opts: o, writing: make(chan struct{}, 1)}, nil
}

// checkAddress refuses what people copy from the vendor's examples, which carry
// the key: an address is logged, a key must not be.
func checkAddress(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return errors.New("cannot use the address of VirtPOS: it must look like https://mycompany.myvirtualpos.ru")
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return errors.New("cannot use the address of VirtPOS: leave out everything after the host, the key goes into key_file")
	case strings.Contains(u.Path+"/", "/api/"):
		return errors.New("cannot use the address of VirtPOS: leave out /api and what follows")
	}
	return nil
}

// Close lets go of idle connections.
func (c *Client) Close() { c.rest.Close() }

// write makes one write when Options.Pace has passed since the one before, also
// since that of a full run.
func (c *Client) write(ctx context.Context, call func() error) error {
	select {
	case c.writing <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("cannot write to VirtPOS: %w", ctx.Err())
	}
	defer func() { <-c.writing }()
	if wait := c.opts.Pace - c.opts.Now().Sub(c.wrote); !c.wrote.IsZero() && wait > 0 {
		timer := time.NewTimer(min(wait, c.opts.Pace)) // the clock may have been set back
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return fmt.Errorf("cannot write to VirtPOS: %w", ctx.Err())
		case <-timer.C:
		}
	}
	defer func() { c.wrote = c.opts.Now() }() // it may have had to wait for the server
	return call()
}

// request is one call of the interface.
type request struct {
	path  string     // below /api/: "store/updateOnhand"
	query url.Values // what is taken from the query only ("get only")
	form  url.Values // what may be in the body

	// repeatable calls change nothing and are sent again after a failure.
	repeatable bool
	within     time.Duration // see rest.Request

	// complete says what is missing when the answer has been read; may be nil.
	complete func() error
}

// do sends the request and hands every child of the answer's root, except for
// success and info, to child, which must read it to its end. What child was given
// counts only when do returns nil, because success may come last.
//
// It is always a POST: the key may be sent in the body or in the address, and
// addresses end up in logs on the way (backends §1.2). What is marked "get only"
// stands in the query of the POST (backends §1.3).
func (c *Client) do(ctx context.Context, r request, child func(d *decoder, name string) error) error {
	form := url.Values{"apikey": {c.opts.Key}}
	for name, values := range r.form {
		form[name] = values
	}
	if r.query == nil {
		r.query = url.Values{}
	}
	r.query.Set("format", c.opts.Format)
	resp, err := c.rest.Do(ctx, rest.Request{
		Method: http.MethodPost, Path: "/api/" + r.path, Query: r.query, Budget: "api",
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		Body:   []byte(form.Encode()), Repeatable: r.repeatable, Within: r.within,
	})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	verdict, err := decode(resp.Body, child)
	if err == nil && verdict.success && r.complete != nil {
		err = r.complete()
	}
	if err != nil {
		return resp.Broken(err)
	}
	if !verdict.success {
		return refused(resp, verdict.info)
	}
	return nil
}

// name puts a Ref under its parameter, or with ext_ before it.
func (r Ref) name(query url.Values, parameter string) error {
	if strings.TrimSpace(r.ID) == "" {
		// Without a warehouse a call may concern all of them (backends §1.9).
		return fmt.Errorf("cannot ask VirtPOS without %s", parameter)
	}
	if r.External {
		parameter = "ext_" + parameter
	}
	query.Set(parameter, r.ID)
	return nil
}
