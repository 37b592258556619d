package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"

	"ostatok/agent/journal"
)

// ErrNotRunning says that nobody answers on the control socket.
var ErrNotRunning = errors.New("the agent is not running")

// Client is the Shop of a running agent.
type Client struct{ http *http.Client }

// Dial connects to the agent that runs on a data directory, or returns
// ErrNotRunning.
func Dial(ctx context.Context, dir string) (*Client, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", find(dir))
	}
	conn, err := dial(ctx, "", "")
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	if err := conn.Close(); err != nil {
		return nil, fmt.Errorf("cannot use the control socket: %w", err)
	}
	return &Client{&http.Client{Transport: &http.Transport{DialContext: dial}}}, nil
}

// Close lets go of the connection.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

var _ Shop = (*Client)(nil)

// Stock implements Shop.
func (c *Client) Stock(ctx context.Context, q StockQuery) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		form := url.Values{"text": {q.Text}, "state": {string(q.State)}}
		err := receive(ctx, c, http.MethodGet, "/stock", form, func(r Row) error {
			if !yield(r, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(Row{}, err)
		}
	}
}

var errEnough = errors.New("enough")

// Explain implements Shop.
func (c *Client) Explain(ctx context.Context, product string) (Explanation, error) {
	return get[Explanation](ctx, c, "/explain", url.Values{"product": {product}})
}

// Plans implements Shop.
func (c *Client) Plans(ctx context.Context, target string, all bool) ([]journal.Plan, error) {
	return get[[]journal.Plan](ctx, c, "/plans", url.Values{"target": {target}, "all": yes(all)})
}

// Approve implements Shop.
func (c *Client) Approve(ctx context.Context, id string, assumed bool) error {
	return receive(ctx, c, http.MethodPost, "/plans/approve", url.Values{"id": {id}, "assumed": yes(assumed)}, ignore)
}

// Reject implements Shop.
func (c *Client) Reject(ctx context.Context, id string) error {
	return receive(ctx, c, http.MethodPost, "/plans/reject", url.Values{"id": {id}}, ignore)
}

// Sync implements Shop.
func (c *Client) Sync(ctx context.Context, backfill bool, progress func(Progress)) (SyncResult, error) {
	var result SyncResult
	err := receive(ctx, c, http.MethodPost, "/sync", url.Values{"backfill": yes(backfill)}, func(i syncItem) error {
		switch {
		case i.Progress != nil && progress != nil:
			progress(*i.Progress)
		case i.Result != nil:
			result = *i.Result
		}
		return nil
	})
	return result, err
}

// Status implements Shop.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return get[Status](ctx, c, "/status", nil)
}

// Check implements Shop.
func (c *Client) Check(ctx context.Context) ([]Check, error) {
	return get[[]Check](ctx, c, "/check", nil)
}

// Backup implements Shop.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	return c.archive(ctx, "/backup", nil, w)
}

// Diagnose implements Shop.
func (c *Client) Diagnose(ctx context.Context, w io.Writer, checks []Check) error {
	body, err := json.Marshal(checks)
	if err != nil {
		return fmt.Errorf("cannot ask for a diagnosis: %w", err)
	}
	return c.archive(ctx, "/diagnose", bytes.NewReader(body), w)
}

func ignore(json.RawMessage) error { return nil }

// yes is how a form says true; false is to be absent.
func yes(b bool) []string {
	if b {
		return []string{"1"}
	}
	return nil
}

// get returns the one item of an answer.
func get[T any](ctx context.Context, c *Client, path string, form url.Values) (T, error) {
	var item T
	err := receive(ctx, c, http.MethodGet, path, form, func(i T) error {
		item = i
		return nil
	})
	return item, err
}

// receive calls and hands over the items of the answer as they come.
func receive[T any](ctx context.Context, c *Client, method, path string, form url.Values, each func(T) error) error {
	return exchange(ctx, c, method, path, form, nil, each)
}

// exchange is receive with a body to send.
func exchange[T any](ctx context.Context, c *Client, method, path string, form url.Values, body io.Reader, each func(T) error) error {
	resp, err := c.call(ctx, method, path+"?"+form.Encode(), body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	in := json.NewDecoder(resp.Body)
	for {
		var l struct {
			Item  json.RawMessage `json:"item"`
			Error *Error          `json:"error"`
			End   bool            `json:"end"`
		}
		if err := in.Decode(&l); err != nil {
			return cutOff(ctx, err)
		}
		switch {
		case l.Error != nil:
			return l.Error
		case l.End:
			return nil
		}
		var item T
		if err := json.Unmarshal(l.Item, &item); err != nil {
			return fmt.Errorf("cannot read the running agent's answer: %w", err)
		}
		if err := each(item); err != nil {
			return err
		}
	}
}

// archive copies an answer that is not JSON, and believes it only when the
// agent says at its end that it is whole.
func (c *Client) archive(ctx context.Context, path string, body io.Reader, w io.Writer) error {
	resp, err := c.call(ctx, http.MethodPost, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return cutOff(ctx, err)
	}
	switch ended := resp.Trailer.Get(errorTrailer); ended {
	case noError:
		return nil
	case "":
		return cutOff(ctx, io.ErrUnexpectedEOF)
	default:
		var e Error
		if err := json.Unmarshal([]byte(ended), &e); err != nil {
			return fmt.Errorf("cannot read the running agent's answer: %w", err)
		}
		return &e
	}
}

func (c *Client) call(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://ostatok"+path, body)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the running agent: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("cannot ask the running agent: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.Join(&Error{Refused, fmt.Sprintf(
			"the running agent does not know this request (%s): it is another version, restart the service", resp.Status)}, resp.Body.Close())
	}
	return resp, nil
}

func cutOff(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("the running agent stopped before its answer was whole: %w", err)
}
