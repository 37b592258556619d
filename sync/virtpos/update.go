package virtpos

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ostatok/agent/stock"
	"ostatok/sync/target"
)

// Update is one balance to set. Quantity is what is physically there: VirtPOS
// subtracts its reserves by itself (backends §1.5).
type Update struct {
	Warehouse Ref
	Item      Ref
	Quantity  stock.Quantity

	// What else can be set; empty fields are not sent.
	Lot     string
	Made    time.Time // only the day counts
	Expires time.Time // only the day counts
	Cost    string    // in roubles: "12.50"
}

// Updated is what VirtPOS says of an update that it carried out.
type Updated struct {
	Row       string // of the balance row, presumably
	Item      string // VirtPOS's own number
	Warehouse string // VirtPOS's own number
	New       bool   // the balance did not exist before

	// Before is the figure that was overwritten, the only sign of a change made
	// in between; nil when it is not told.
	Before *stock.Quantity
}

// UpdateOnhand sets one balance. It is never repeated by itself: the figure is
// absolute, but between two attempts something may have been sold. After an error
// that is not a refusal, what became of it is not known.
func (c *Client) UpdateOnhand(ctx context.Context, u Update) (Updated, error) {
	query := url.Values{}
	if err := errors.Join(u.Warehouse.name(query, "warehouseid"), u.Item.name(query, "itemid")); err != nil {
		return Updated{}, err
	}
	form := url.Values{"quantity": {u.Quantity.String()}}
	if u.Lot != "" {
		form.Set("lot_number", u.Lot)
	}
	if u.Cost != "" {
		form.Set("cogs", u.Cost)
	}
	for name, day := range map[string]time.Time{"manuf_date": u.Made, "expir_date": u.Expires} {
		if !day.IsZero() {
			form.Set(name, day.Format(time.DateOnly))
		}
	}
	got := map[string]string{}
	err := c.do(ctx, request{path: "store/updateOnhand", query: query, form: form, within: target.Fresh}, fields(got))
	if err != nil {
		return Updated{}, err
	}
	out := Updated{Row: got["id"], Item: got["itemid"], Warehouse: got["warehouseid"]}
	out.New = got["isnew"] == "1" || strings.EqualFold(got["isnew"], "true")
	if q, err := stock.ParseQuantity(got["quantity_before"]); err == nil {
		out.Before = &q
	}
	return out, nil
}

// Version is the state of a warehouse's balances, always above zero.
type Version int64

// ErrNoVersion is for an answer that holds no version that can be relied on.
var ErrNoVersion = errors.New("the answer holds no version")

// OnhandVersion asks for the version of a warehouse's balances. The form of the
// answer is not documented: the one field with version in its name is taken.
func (c *Client) OnhandVersion(ctx context.Context, warehouse Ref) (Version, error) {
	query := url.Values{}
	if err := warehouse.name(query, "warehouseid"); err != nil {
		return 0, err
	}
	got, version := map[string]string{}, Version(0)
	err := c.do(ctx, request{
		path: "store/getOnhandVersion", query: query, repeatable: true,
		complete: func() (err error) {
			version, err = versionOf(got)
			return err
		},
	}, fields(got))
	return version, err
}

// versionOf does not take 0: to PHP that is the same as none.
func versionOf(got map[string]string) (Version, error) {
	if text, ok := got["version"]; ok {
		got = map[string]string{"version": text}
	}
	found := Version(0)
	for name, text := range got {
		if !strings.Contains(strings.ToLower(name), "version") {
			continue
		}
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil || v <= 0 {
			return 0, fmt.Errorf("%w: %s is %q", ErrNoVersion, clip(name), clip(text))
		}
		if found != 0 && found != Version(v) {
			return 0, fmt.Errorf("%w: it names two", ErrNoVersion)
		}
		found = Version(v)
	}
	if found == 0 {
		return 0, ErrNoVersion
	}
	return found, nil
}

// SetZeroOnhand zeroes every balance of a warehouse that was not updated since
// version. Never call it unless every balance that is not zero has been confirmed
// since; FullRun does. VirtPOS does not tell what it zeroed.
func (c *Client) SetZeroOnhand(ctx context.Context, warehouse Ref, version Version) error {
	if version <= 0 {
		// Without one VirtPOS may zero everything (backends §1.9).
		return fmt.Errorf("cannot zero balances: %w", ErrNoVersion)
	}
	query := url.Values{"version": {strconv.FormatInt(int64(version), 10)}}
	if err := warehouse.name(query, "warehouseid"); err != nil {
		return err
	}
	return c.do(ctx, request{path: "store/setZeroOnhand", query: query}, fields(map[string]string{}))
}
