package mirror

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"strings"

	"ostatok/agent/stock"
)

// Brief is the little of a product by which lists are sorted and counted: a
// catalogue of them costs a third of its Rows.
type Brief struct {
	ID       string
	Lower    string // its name in lower case
	State    stock.State
	Quantity stock.Quantity // of a level that has one: known or assumed
	Cloud    stock.Quantity
	HasCloud bool
}

// briefPage briefs are read at a time, for the reason of rowPage.
const briefPage = 4000

// Briefs returns the products in the catalogue that have a stock and that the
// text names as in Query, in no promised order.
func (m *Mirror) Briefs(ctx context.Context, text string) iter.Seq2[Brief, error] {
	text = strings.TrimSpace(text)
	return func(yield func(Brief, error) bool) {
		page := make([]Brief, 0, briefPage)
		for after := int64(0); ; {
			read := 0
			page = page[:0]
			rules := m.facts.Load().Rules
			empty := new(stock.Fold).Level(&rules)
			err := each(ctx, m.db.Read(), func(rows *sql.Rows) error {
				var b Brief
				var quantity, cloud sql.NullInt64
				var state string
				var late bool
				read++
				if err := rows.Scan(&after, &b.ID, &b.Lower, &quantity, &state, &late, &cloud); err != nil {
					return err
				}
				l := levelRow{late: late, Level: stock.Level{State: stock.State(state)}}
				if b.State = l.shown().State; l.Valued() {
					b.Quantity = stock.Quantity(quantity.Int64)
				} else {
					b.State = empty.State
				}
				b.Cloud, b.HasCloud = stock.Quantity(cloud.Int64), cloud.Valid
				page = append(page, b)
				return nil
			}, `SELECT p.id, p.text, p.lower, l.quantity, ifnull(l.state, ''), ifnull(l.late, 0), p.cloud
				FROM product p LEFT JOIN level l ON l.product = p.id
				WHERE `+matching+` AND p.id > ?3 AND p.listed = 1 AND p.type <> 'SERVICE' ORDER BY p.id LIMIT ?4`,
				text, folded(text), after, briefPage)
			if err != nil {
				yield(Brief{}, fmt.Errorf("cannot read products: %w", err))
				return
			}
			for i := range page {
				if !yield(page[i], nil) {
					return
				}
			}
			if read < briefPage {
				return
			}
		}
	}
}

// RowsOf returns the products of these ids that are here, by id.
func (m *Mirror) RowsOf(ctx context.Context, ids []string) (map[string]Row, error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, fmt.Errorf("cannot read products: %w", err)
	}
	rows, err := m.rows(ctx, all, rowQuery+" WHERE p.text IN (SELECT value FROM json_each(?))", string(list))
	if err != nil {
		return nil, err
	}
	byID := make(map[string]Row, len(rows))
	for i := range rows {
		byID[rows[i].ID] = rows[i]
	}
	return byID, nil
}

// LastClosed returns when each terminal closed the newest of its documents that
// came in after a place (epoch ms, by the terminal's id), without our own
// writes. next is for the next call; 0 is the beginning, as in Heads.
func (m *Mirror) LastClosed(ctx context.Context, after int64) (last map[string]int64, next int64, err error) {
	if next, err = m.Newest(ctx); err != nil {
		return nil, 0, err
	}
	if after > next {
		after = 0
	}
	last = make(map[string]int64)
	if after == next {
		return last, next, nil
	}
	err = each(ctx, m.db.Read(), func(rows *sql.Rows) error {
		var device string
		var closed int64
		if err := rows.Scan(&device, &closed); err != nil {
			return err
		}
		last[device] = closed
		return nil
	}, `SELECT v.text, max(d.closed) FROM document d JOIN device v ON v.id = d.device
		WHERE d.id > ? AND d.id <= ? AND d.source <> ? GROUP BY d.device`, after, next, Own)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot read the terminals' documents: %w", err)
	}
	return last, next, nil
}
