// Package zelenka is a client of Zelenka: it writes the stock of points of sale,
// in batches and once a day as a whole. Zelenka has no call that reads stock
// back. Chapter 2 of backends.md says what is known of the other side and what
// is not.
package zelenka

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"ostatok/sync/rest"
)

// DefaultURL is the vendor's address (api_docs_auth).
const DefaultURL = "https://api.zelenka.ru"

// Options set up a Client. Username and Key are required.
type Options struct {
	URL      string // "" is DefaultURL
	Username string // of the supplier's account
	Key      string // its apikey

	Transport http.RoundTripper // nil is a small pool of its own
	Version   string            // of the agent, for User-Agent
	Log       zerolog.Logger

	MaxWait time.Duration          // most time one call waits between its attempts, 0 is two minutes
	OnDate  func(server time.Time) // told the Date of every answer
	Now     func() time.Time       // nil is time.Now
}

// Client writes to one account. It may be used by several goroutines. Make one
// for each account, however many points of sale there are: whether a second
// login takes the first one's token away is not documented.
type Client struct {
	rest    *rest.Client
	session *session
	opts    Options

	// lane is held by the one who writes stock. What is not sent one after the
	// other may be applied in any order, because the server queues it.
	lane chan struct{}
}

// stall is how long the server may be silent: it may work on a hundred thousand
// rows before it answers.
const stall = 5 * time.Minute

// New checks the options and returns a client. It does not connect.
func New(o Options) (*Client, error) {
	o.Username, o.Key = strings.TrimSpace(o.Username), strings.TrimSpace(o.Key)
	switch {
	case o.Username == "":
		return nil, errors.New("cannot use Zelenka without a user name: set the target's username")
	case o.Key == "":
		return nil, errors.New("cannot use Zelenka without a key: set the target's key_file")
	case strings.ContainsFunc(o.Key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, errors.New("cannot use the Zelenka key: it holds spaces or other characters that a key never has, copy it again")
	}
	if o.URL == "" {
		o.URL = DefaultURL
	}
	if o.MaxWait <= 0 {
		// Waiting longer within a call would send figures that are old by then.
		o.MaxWait = 2 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	client, err := rest.New(rest.Options{
		Base: o.URL, UserAgent: "ostatok/" + o.Version, Transport: o.Transport,
		Secrets: []string{o.Key}, MaxWait: o.MaxWait, Stall: stall, OnDate: o.OnDate, Now: o.Now, Log: o.Log,
	})
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(o.URL, "http://") {
		o.Log.Warn().Msg("the Zelenka key travels unencrypted, use an https address if there is one")
	}
	return &Client{
		rest: client, opts: o, lane: make(chan struct{}, 1),
		session: newSession(client, o.Username, o.Key, o.Now, o.Log),
	}, nil
}

// Close lets go of idle connections.
func (c *Client) Close() { c.rest.Close() }

// Warehouse is the id of a point of sale in Zelenka's numbering.
type Warehouse int64

// ParseWarehouse reads the id as a person writes it.
func ParseWarehouse(text string) (Warehouse, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("cannot use %q as a point of sale of Zelenka: it is a number such as 341", text)
	}
	return Warehouse(n), nil
}

func (w Warehouse) String() string { return strconv.FormatInt(int64(w), 10) }

// call sends the request with a token and gives a success to read. A token that
// is refused is replaced once.
func (c *Client) call(ctx context.Context, r rest.Request, read func(*rest.Response) error) error {
	r.Method, r.Budget = http.MethodPost, "onhand"
	refused, began, within := "", c.opts.Now(), r.Within
	for {
		token, err := c.session.token(ctx, refused)
		if err != nil {
			return err
		}
		if within > 0 {
			if r.Within = within - c.opts.Now().Sub(began); r.Within <= 0 {
				return &rest.Error{Kind: rest.Temporary, Method: r.Method, Path: r.Path, Err: errOld, Detail: errOld.Error()}
			}
		}
		err = c.once(ctx, r, token, read)
		if refused != "" || rest.KindOf(err) != rest.Unauthorized {
			return c.session.clean(err)
		}
		refused = token
	}
}

// errOld stands for figures that are not sent any more.
var errOld = errors.New("the login took so long that the figures are computed anew")

func (c *Client) once(ctx context.Context, r rest.Request, token string, read func(*rest.Response) error) error {
	r.Header = r.Header.Clone()
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := c.rest.Do(ctx, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return read(resp)
}

func jsonHeader() http.Header {
	return http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}
}
