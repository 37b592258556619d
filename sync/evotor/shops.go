package evotor

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"ostatok/sync/rest"
)

// Store is a shop.
type Store struct {
	ID      string // its first 8 characters are the day it was created
	Name    string
	Address string
	Created int64 // epoch ms, 0 when not told
}

// Device is a terminal.
type Device struct {
	ID      string
	Name    string
	Store   string // the shop it stands in now
	Created int64  // epoch ms, 0 when not told
	Offset  int64  // of its time zone, ms east of UTC
}

// Stores lists the shops that the token may see.
func (c *Client) Stores(ctx context.Context) ([]Store, error) {
	var all []Store
	err := c.list(ctx, "stores", func(rd *reader, raw []byte) error {
		s, err := rd.store(raw)
		all = append(all, s)
		return err
	})
	return all, err
}

// Devices lists the terminals that the token may see, of all shops.
func (c *Client) Devices(ctx context.Context) ([]Device, error) {
	var all []Device
	err := c.list(ctx, "devices", func(rd *reader, raw []byte) error {
		d, err := rd.device(raw)
		all = append(all, d)
		return err
	})
	return all, err
}

// mostPages bounds a listing that is gathered whole.
const mostPages = 1000

// list reads all pages of a short collection.
func (c *Client) list(ctx context.Context, collection string, each func(rd *reader, raw []byte) error) error {
	seen := map[string]bool{}
	for cursor := ""; ; {
		r := rest.Request{Method: http.MethodGet, Path: path(collection), Query: cursorQuery(cursor), Budget: collection}
		p, err := c.page(ctx, r, cursor, each)
		if err != nil {
			return err
		}
		if p.Next == "" {
			return nil
		}
		if seen[p.Next] || len(seen) >= mostPages {
			return &rest.Error{Kind: rest.Protocol, Method: r.Method, Path: r.Path, Err: errCursor, Detail: errCursor.Error()}
		}
		seen[p.Next] = true
		cursor = p.Next
	}
}

func (rd *reader) store(raw []byte) (Store, error) {
	var s Store
	c := cursor{text: raw}
	if c.kind() != '{' {
		return s, errors.New("cannot read the shop: it is not an object")
	}
	for c.enter(); c.more(); {
		name := c.name()
		var err error
		switch string(name) {
		case "id":
			s.ID, err = text(c.skip())
		case "name":
			s.Name, err = text(c.skip())
		case "address":
			s.Address, err = text(c.skip())
		case "created_at":
			s.Created, _ = optional(c.skip(), moment)
		default:
			c.skip()
		}
		if err != nil {
			return s, fmt.Errorf("cannot read the shop: %s %w", name, err)
		}
	}
	if s.ID == "" {
		return s, fmt.Errorf("cannot read the shop: it %w", ErrNoID)
	}
	return s, nil
}

func (rd *reader) device(raw []byte) (Device, error) {
	var d Device
	c := cursor{text: raw}
	if c.kind() != '{' {
		return d, errors.New("cannot read the terminal: it is not an object")
	}
	for c.enter(); c.more(); {
		name := c.name()
		var err error
		switch string(name) {
		case "id":
			d.ID, err = text(c.skip())
		case "name":
			d.Name, err = text(c.skip())
		case "store_id":
			d.Store, err = text(c.skip())
		case "created_at":
			d.Created, _ = optional(c.skip(), moment)
		case "timezone_offset":
			d.Offset, _ = integer(c.skip())
		default:
			c.skip()
		}
		if err != nil {
			return d, fmt.Errorf("cannot read the terminal: %s %w", name, err)
		}
	}
	if d.ID == "" {
		return d, fmt.Errorf("cannot read the terminal: it %w", ErrNoID)
	}
	return d, nil
}
