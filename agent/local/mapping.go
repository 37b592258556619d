package local

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"ostatok/sync/match"
)

// MappingOptions say how a mapping is taken in.
type MappingOptions struct {
	Replace bool // products that are not named lose their keys
	DryRun  bool // only tell what would change
}

// MappingResult is what taking a mapping in changed, in products.
type MappingResult struct {
	Added   int      `json:"added"`
	Changed int      `json:"changed"` // they have another key now
	Removed int      `json:"removed"`
	Same    int      `json:"same"`
	Left    []string `json:"left"` // keys whose figures at the target nobody keeps in step from now on
}

// MappingReport is how the products fit a target.
type MappingReport struct {
	Target string `json:"target"`
	Match  string `json:"match"` // by which property
	Asked  bool   `json:"asked"` // the target told which keys it knows
	Reason string `json:"reason,omitempty"`
	Failed bool   `json:"failed,omitempty"` // it has a list and could not be asked for it
	match.Report
}

// mappingMost bounds a mapping that is sent over the socket, in bytes.
const mappingMost = 128 << 20

func answerMapping(answer func(string, func(*http.Request, func(any) error) error), shop Shop) {
	answer("GET /mapping", func(r *http.Request, send func(any) error) error {
		entries, err := shop.Mapping(r.Context(), r.FormValue("target"))
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := send(e); err != nil {
				return err
			}
		}
		return nil
	})
	answer("POST /mapping", func(r *http.Request, send func(any) error) error {
		var entries []match.Entry
		if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, mappingMost)).Decode(&entries); err != nil {
			return &Error{Refused, "cannot read the request: " + err.Error()}
		}
		o := MappingOptions{Replace: r.FormValue("replace") != "", DryRun: r.FormValue("dry_run") != ""}
		return one(send)(shop.SetMapping(r.Context(), r.FormValue("target"), entries, o))
	})
	answer("GET /mapping/check", func(r *http.Request, send func(any) error) error {
		return one(send)(shop.CheckMapping(r.Context(), r.FormValue("target")))
	})
}

// Mapping implements Shop.
func (c *Client) Mapping(ctx context.Context, target string) ([]match.Entry, error) {
	var entries []match.Entry
	err := receive(ctx, c, http.MethodGet, "/mapping", url.Values{"target": {target}}, func(e match.Entry) error {
		entries = append(entries, e)
		return nil
	})
	return entries, err
}

// SetMapping implements Shop.
func (c *Client) SetMapping(ctx context.Context, target string, entries []match.Entry, o MappingOptions) (MappingResult, error) {
	var result MappingResult
	body, err := json.Marshal(entries)
	if err != nil {
		return result, fmt.Errorf("cannot send the mapping: %w", err)
	}
	form := url.Values{"target": {target}, "replace": yes(o.Replace), "dry_run": yes(o.DryRun)}
	err = exchange(ctx, c, http.MethodPost, "/mapping", form, bytes.NewReader(body), func(r MappingResult) error {
		result = r
		return nil
	})
	return result, err
}

// CheckMapping implements Shop.
func (c *Client) CheckMapping(ctx context.Context, target string) (MappingReport, error) {
	return get[MappingReport](ctx, c, "/mapping/check", url.Values{"target": {target}})
}
