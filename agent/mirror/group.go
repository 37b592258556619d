package mirror

import (
	"context"
	"database/sql"
	"fmt"
)

// Group is a group of products. Groups are for people: no figure rests on them.
type Group struct {
	ID     string
	Name   string
	Parent string // id of the group that it is in, "" for none
}

// PutGroups takes in groups; only what differs is written. One that is not among
// them is kept: no product names it any more, or it was left out of the answer.
func (m *Mirror) PutGroups(ctx context.Context, groups []Group) error {
	have, err := m.Groups(ctx)
	if err != nil {
		return err
	}
	var news []Group
	for _, g := range groups {
		if have[g.ID] != g {
			news = append(news, g)
		}
	}
	if len(news) == 0 {
		return nil
	}
	err = m.write(ctx, func(tx *sql.Tx) error {
		in := newInserter(ctx, tx, "INSERT OR REPLACE INTO product_group (text, name, parent)", 3, 64)
		for _, g := range news {
			if err := in.add(g.ID, g.Name, g.Parent); err != nil {
				return err
			}
		}
		return in.close()
	})
	if err != nil {
		return fmt.Errorf("cannot keep groups: %w", err)
	}
	return nil
}

// Groups returns the groups by their ids.
func (m *Mirror) Groups(ctx context.Context) (map[string]Group, error) {
	groups := make(map[string]Group)
	err := each(ctx, m.db.Read(), func(rows *sql.Rows) error {
		var g Group
		if err := rows.Scan(&g.ID, &g.Name, &g.Parent); err != nil {
			return err
		}
		groups[g.ID] = g
		return nil
	}, "SELECT text, name, parent FROM product_group")
	if err != nil {
		return nil, fmt.Errorf("cannot read groups: %w", err)
	}
	return groups, nil
}
