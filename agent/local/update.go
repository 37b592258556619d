package local

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// UpdateOrder says which release is to be installed, and when.
type UpdateOrder struct {
	Version string    // fetched from the server; "" with no File: the newest of the channel
	File    io.Reader // a release file, in the place of Version
	Now     bool      // also in trading hours
}

// UpdateResult is how far an order came.
type UpdateResult struct {
	Version string `json:"version"`
	State   string `json:"state"`            // one of the states below
	Reason  string `json:"reason,omitempty"` // why not at once
}

// The states of an UpdateResult.
const (
	UpdateRuns     = "runs"      // there is nothing newer
	UpdateStaged   = "staged"    // it starts when the shop does not trade
	UpdateSwitches = "switching" // the agent ends now, and it starts on trial
	UpdateTried    = "trial"     // it runs and has not proved itself yet
)

// Updates is where releases stand.
type Updates struct {
	State    string       `json:"state"`              // an update under way, "" for none
	Version  string       `json:"version"`            // that runs
	Trial    bool         `json:"trial"`              // it has not proved itself yet
	Previous string       `json:"previous,omitempty"` // that can be gone back to
	Staged   string       `json:"staged,omitempty"`   // that waits for its time
	Failed   string       `json:"failed,omitempty"`   // the version last gone back from
	Reason   string       `json:"reason,omitempty"`   // why
	Log      string       `json:"log,omitempty"`      // the failed version's log
	Bad      []BadRelease `json:"bad,omitempty"`      // not taken again
}

// BadRelease is a release that failed in this shop.
type BadRelease struct {
	Version string    `json:"version"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
}

// mostRelease bounds a release file that is sent over the socket, in bytes.
const mostRelease = 129 << 20

// updateItem is a line of an update: progress many times, the result once.
type updateItem struct {
	Doing  string        `json:"doing,omitempty"`
	Result *UpdateResult `json:"result,omitempty"`
}

func answerUpdate(answer func(string, func(*http.Request, func(any) error) error), shop Shop) {
	answer("POST /update", func(r *http.Request, send func(any) error) error {
		order := UpdateOrder{Version: r.FormValue("version"), Now: r.FormValue("now") != ""}
		if r.FormValue("file") != "" {
			order.File = http.MaxBytesReader(nil, r.Body, mostRelease)
		}
		result, err := shop.Update(r.Context(), order, func(doing string) {
			_ = send(updateItem{Doing: doing}) // whoever watched is gone; the result is in the status
		})
		if err != nil {
			return err
		}
		return send(updateItem{Result: &result})
	})
	answer("GET /update", func(r *http.Request, send func(any) error) error {
		return one(send)(shop.Updates(r.Context()))
	})
	answer("POST /update/rollback", func(r *http.Request, _ func(any) error) error {
		return shop.RollBack(r.Context())
	})
}

// Update implements Shop.
func (c *Client) Update(ctx context.Context, order UpdateOrder, progress func(doing string)) (UpdateResult, error) {
	form := url.Values{"version": {order.Version}, "now": yes(order.Now), "file": yes(order.File != nil)}
	var result *UpdateResult
	err := exchange(ctx, c, http.MethodPost, "/update", form, order.File, func(i updateItem) error {
		switch {
		case i.Result != nil:
			result = i.Result
		case progress != nil:
			progress(i.Doing)
		}
		return nil
	})
	if err == nil && result == nil {
		err = fmt.Errorf("cannot read the running agent's answer: %w", io.ErrUnexpectedEOF)
	}
	if err != nil {
		return UpdateResult{}, err
	}
	return *result, nil
}

// Updates implements Shop.
func (c *Client) Updates(ctx context.Context) (Updates, error) {
	return get[Updates](ctx, c, "/update", nil)
}

// RollBack implements Shop.
func (c *Client) RollBack(ctx context.Context) error {
	return receive(ctx, c, http.MethodPost, "/update/rollback", nil, ignore)
}
