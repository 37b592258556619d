package virtpos

import (
	"context"
	"net/url"
)

// Entry is an item or a warehouse as the lookups list it.
type Entry struct {
	ID       string // VirtPOS's own number
	External string // the code in another system, often empty
	Name     string
}

// Items lists the items with this number or external code, or all of them when
// ref is nil. The entries count only when it returns nil.
func (c *Client) Items(ctx context.Context, ref *Ref, each func(Entry)) error {
	return c.lookup(ctx, "item", "items", ref, each)
}

// Warehouses lists warehouses as Items does items.
func (c *Client) Warehouses(ctx context.Context, ref *Ref, each func(Entry)) error {
	return c.lookup(ctx, "warehouse", "warehouses", ref, each)
}

func (c *Client) lookup(ctx context.Context, one, many string, ref *Ref, each func(Entry)) error {
	query := url.Values{}
	if ref != nil {
		if ref.External {
			query.Set("external_id", ref.ID)
		} else {
			query.Set("id", ref.ID)
		}
	}
	seen, l := int64(0), list{announced: -1}
	return c.do(ctx, request{
		path: one, query: query, repeatable: true,
		complete: func() error { return l.check(many, seen) },
	}, func(d *decoder, name string) error {
		switch name {
		case "count":
			return l.count(d)
		case many:
			l.came = true
			return d.entries(one, func(e Entry) {
				seen++
				each(e)
			})
		}
		return d.skip()
	})
}

// entries reads a list of entries, or one.
func (d *decoder) entries(singular string, each func(Entry)) error {
	var e Entry
	_, err := d.children(func(name string) (err error) {
		switch {
		case listed(name, singular):
			return d.entries(singular, each)
		case name == "id":
			e.ID, err = d.leaf()
		case name == "external_id":
			e.External, err = d.leaf()
		case name == "name":
			e.Name, err = d.leaf()
		default:
			err = d.skip()
		}
		return err
	})
	if err == nil && e.ID != "" {
		each(e)
	}
	return err
}
