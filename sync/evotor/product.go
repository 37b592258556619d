package evotor

import (
	"errors"
	"fmt"

	"ostatok/agent/stock"
)

// product decodes a card from checked text.
func (rd *reader) product(raw []byte) (stock.Product, error) {
	var p stock.Product
	c := cursor{text: raw}
	if c.kind() != '{' {
		return p, errors.New("the product is not an object")
	}
	var failed error
	for c.enter(); c.more(); {
		name := c.name()
		var err error
		switch string(name) {
		case "id":
			p.ID, err = text(c.skip())
		case "type":
			p.Type, err = rd.names.text(c.skip())
		case "name":
			p.Name, err = text(c.skip())
		case "parent_id":
			p.Parent, err = rd.names.text(c.skip())
		case "code":
			p.Code, err = text(c.skip())
		case "article_number":
			p.Article, err = text(c.skip())
		case "measure_name":
			p.Measure, err = rd.names.text(c.skip())
		case "barcodes":
			p.Barcodes, err = texts(&c)
		case "quantity":
			p.Cloud, p.HasCloud = observed(c.skip())
		case "created_at":
			p.Created, _ = optional(c.skip(), moment) // informative: no reason to lose the card
		case "updated_at":
			p.Updated, _ = optional(c.skip(), moment)
		default:
			c.skip()
		}
		if err != nil && failed == nil {
			failed = fmt.Errorf("%s %w", name, err)
		}
	}
	if p.ID == "" {
		return p, fmt.Errorf("the product %w", ErrNoID)
	}
	return p, failed
}

// observed reads the cloud's own figure. It is an observation: one that cannot be
// read is one that was not made, the card must not vanish with it.
func observed(value []byte) (stock.Quantity, bool) {
	q, ok, err := quantity(value)
	return q, ok && err == nil
}

// texts reads an array of strings; null is none.
func texts(c *cursor) ([]string, error) {
	if c.kind() != '[' {
		one, err := text(c.skip())
		if one == "" || err != nil {
			return nil, err
		}
		return []string{one}, nil
	}
	var all []string
	for c.enter(); c.more(); {
		s, err := text(c.skip())
		if err != nil {
			return nil, err
		}
		if s != "" {
			all = append(all, s)
		}
	}
	return all, nil
}

// Group is a group of products.
type Group struct {
	ID     string
	Parent string
	Name   string

	// Modifications tells that the members differ by attributes, such as colour.
	// Each is a product with stock of its own; the group has none (evotor-cloud §8.1).
	Modifications bool
}

func (rd *reader) group(raw []byte) (Group, error) {
	var g Group
	c := cursor{text: raw}
	if c.kind() != '{' {
		return g, errors.New("the group is not an object")
	}
	var failed error
	for c.enter(); c.more(); {
		name := c.name()
		var err error
		switch string(name) {
		case "id":
			g.ID, err = text(c.skip())
		case "parent_id":
			g.Parent, err = rd.names.text(c.skip())
		case "name":
			g.Name, err = text(c.skip())
		case "attributes":
			if c.kind() != '[' {
				c.skip()
				break
			}
			for c.enter(); c.more(); {
				c.skip()
				g.Modifications = true
			}
		default:
			c.skip()
		}
		if err != nil && failed == nil {
			failed = fmt.Errorf("%s %w", name, err)
		}
	}
	if g.ID == "" {
		return g, fmt.Errorf("the group %w", ErrNoID)
	}
	return g, failed
}
