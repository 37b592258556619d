package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"ostatok/agent/stock"
)

// systems are the columns of the table; targets have the same names.
var systems = [...]struct{ target, title string }{
	{"evotor", "EVOTOR"}, {"virtpos", "VIRTPOS"}, {"zelenka", "ZELENKA"}, {"keycrm", "KEYCRM"},
}

// level is a product as `ostatok stock --format json` prints it.
type level struct {
	Product   string          `json:"product_id"`
	Code      string          `json:"code"`
	Name      string          `json:"name"`
	Quantity  *stock.Quantity `json:"quantity"`
	Reserved  *stock.Quantity `json:"reserved"`
	Available *stock.Quantity `json:"available"`
	State     stock.State     `json:"state"`
}

// due is what a system must show of a level: the rules of docs/BACKENDS.md,
// written down a second time.
func (l *level) due(system string) stock.Quantity {
	q := *l.Quantity
	switch system {
	case "zelenka": // what can be sold, in whole pieces
		if l.Reserved != nil {
			q -= *l.Reserved
		}
		q = max(q, 0)
		return q - q%stock.Unit
	case "keycrm":
		return max(q, 0)
	}
	return q
}

// told is the column of what the shop's documents can tell, as the sandbox knows
// it: the agent has to find that out.
const told = "told"

// shown is what each system holds, and what is told, by product; what a system
// does not have is not there.
type shown map[string]map[string]stock.Quantity

// ask reads from the simulated systems themselves, not from the agent.
func (d *demo) ask(ctx context.Context) (shown, error) {
	held := shown{told: {}, "evotor": {}, "virtpos": {}, "zelenka": {}, "keycrm": {}}
	var truth struct {
		Products []struct {
			Product string          `json:"product_id"`
			Told    *stock.Quantity `json:"told"`
			Cloud   stock.Quantity  `json:"cloud"`
		} `json:"products"`
	}
	if err := d.sandboxJSON(ctx, "/sandbox/truth", &truth); err != nil {
		return nil, err
	}
	for _, p := range truth.Products {
		held["evotor"][p.Product] = p.Cloud
		if p.Told != nil {
			held[told][p.Product] = *p.Told
		}
	}
	type holding struct {
		Quantity stock.Quantity `json:"quantity"`
	}
	var holds struct {
		Products []struct {
			Product string   `json:"product_id"`
			VirtPOS *holding `json:"virtpos"`
			Zelenka *holding `json:"zelenka"`
			KeyCRM  *holding `json:"keycrm"`
		} `json:"products"`
		Violations []string `json:"violations"`
	}
	if err := d.sandboxJSON(ctx, "/sandbox/holds", &holds); err != nil {
		return nil, err
	}
	if len(holds.Violations) > 0 {
		return nil, fmt.Errorf("the rules of Zelenka were broken: %s", strings.Join(holds.Violations, "; "))
	}
	for _, p := range holds.Products {
		for system, h := range map[string]*holding{"virtpos": p.VirtPOS, "zelenka": p.Zelenka, "keycrm": p.KeyCRM} {
			if h != nil {
				held[system][p.Product] = h.Quantity
			}
		}
	}
	return held, nil
}

func (d *demo) levels(ctx context.Context) ([]level, error) {
	out, err := d.output(ctx, "stock", "--format", "json")
	if err != nil {
		return nil, err
	}
	var all []level
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		return nil, fmt.Errorf("cannot read the stock: %w", err)
	}
	return all, nil
}

// sandboxJSON asks a door of the sandbox.
func (d *demo) sandboxJSON(ctx context.Context, path string, into any) error {
	text, err := d.sandboxText(ctx, http.MethodGet, path, "")
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Errorf("cannot read %s of the sandbox: %w", path, err)
	}
	return nil
}

func (d *demo) sandboxText(ctx context.Context, method, path, body string) (text []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, method, d.shop.URL+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	text, err = io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = fmt.Errorf("%s: %s", answer.Status, text)
	}
	return text, err
}
