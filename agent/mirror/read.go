package mirror

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"ostatok/agent/stock"
)

// rowPage rows are read at a time: an open query would keep the write-ahead log
// from being emptied while the caller is slow.
const rowPage = 500

const rowQuery = `SELECT p.text, p.listed, p.type, p.name, p.parent, p.code, p.article, p.barcodes, p.measure,
	p.created, p.updated, p.cloud, p.cloud_at, p.id,
	l.quantity, l.state, l.reason, l.as_of, l.number, l.last_key, l.outside, l.late, d.text, t.name,
	(SELECT sum(v.quantity) FROM reserve v WHERE v.product = p.id),
	(SELECT min(s.at) FROM reserve v JOIN reserve_source s ON s.id = v.source WHERE v.product = p.id)
	FROM product p LEFT JOIN level l ON l.product = p.id
	LEFT JOIN device d ON d.id = l.device LEFT JOIN document_type t ON t.id = l.type`

// matching finds a text as an id, code, barcode or article, or in a name; ?2 is
// the text as folded returns it, "" for everything. Capitals count nowhere, but
// for Cyrillic ones in codes and articles, which SQLite does not fold.
const matching = `(?2 = '' OR p.text = ?1 OR p.code = ?1 COLLATE NOCASE OR p.article = ?1 COLLATE NOCASE
	OR p.id IN (SELECT product FROM barcode WHERE code = ?1 COLLATE NOCASE) OR instr(` + foldedName + `, ?2) > 0)`

// foldedName is a product's name in which folded texts are looked for.
const foldedName = `replace(p.lower, 'ё', 'е')`

// folded returns a text without what people leave out when they look for a name:
// capitals, and the dots of ё.
func folded(text string) string { return strings.ReplaceAll(strings.ToLower(text), "ё", "е") }

// Rows returns products with their levels, in the order of their ids.
func (m *Mirror) Rows(ctx context.Context, q Query) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		after, left := q.After, q.Limit
		for {
			page, last, err := m.rowPage(ctx, &q, after)
			if err != nil {
				yield(Row{}, err)
				return
			}
			for _, row := range page {
				if !yield(row, nil) {
					return
				}
				if left--; left == 0 {
					return
				}
			}
			if last == "" {
				return
			}
			after = last
		}
	}
}

// rowPage reads one page; last is where the next one begins, "" at the end.
func (m *Mirror) rowPage(ctx context.Context, q *Query, after string) (page []Row, last string, err error) {
	text := strings.TrimSpace(q.Text)
	read := 0
	page, err = m.rows(ctx, func(id string, row *Row) bool {
		read++
		last = id
		return len(q.States) == 0 || slices.Contains(q.States, row.Level.State)
	}, rowQuery+" WHERE "+matching+" AND p.text > ?3 AND (p.listed = 1 OR ?4) ORDER BY p.text LIMIT ?5",
		text, folded(text), after, q.Deleted, rowPage)
	if read < rowPage {
		last = ""
	}
	return page, last, err
}

// rows reads products; only those that keep says yes to.
func (m *Mirror) rows(ctx context.Context, keep func(id string, row *Row) bool, query string, args ...any) ([]Row, error) {
	sweeps, err := m.sweeps(ctx)
	if err != nil {
		return nil, err
	}
	rules := m.facts.Load().Rules
	empty := new(stock.Fold).Level(&rules)
	var out []Row
	err = each(ctx, m.db.Read(), func(rows *sql.Rows) error {
		var (
			r                                      Row
			listed                                 bool
			id                                     int64
			barcodes                               string
			cloud, quantity, asOf, number, outside sql.NullInt64
			reserved, reservedAt                   sql.NullInt64
			state, reason, device, kind            sql.NullString
			late                                   sql.NullBool
			key                                    any
		)
		err := rows.Scan(&r.ID, &listed, &r.Type, &r.Name, &r.Parent, &r.Code, &r.Article, &barcodes, &r.Measure,
			&r.Created, &r.Updated, &cloud, &r.CloudAt, &id,
			&quantity, &state, &reason, &asOf, &number, &key, &outside, &late, &device, &kind,
			&reserved, &reservedAt)
		if err != nil {
			return err
		}
		r.Deleted = !listed
		if barcodes != "" {
			r.Barcodes = strings.Split(barcodes, "\n")
		}
		r.Cloud, r.HasCloud = stock.Quantity(cloud.Int64), cloud.Valid
		r.Reserved, r.ReservedAt = stock.Quantity(reserved.Int64), reservedAt.Int64
		for i := range sweeps {
			if sweeps[i].has(id) {
				r.CloudAt = max(r.CloudAt, sweeps[i].at)
			}
		}
		r.Level = empty
		if state.Valid {
			l := levelRow{late: late.Bool, Level: stock.Level{
				Quantity: stock.Quantity(quantity.Int64), State: stock.State(state.String),
				Reason: stock.Reason(reason.String), AsOf: asOf.Int64, LastType: stock.Type(kind.String),
				Last:    stock.Order{Closed: asOf.Int64, Device: device.String, Number: number.Int64, Document: documentID(key)},
				Outside: int(outside.Int64),
			}}
			if r.Level = l.shown(); !l.Valued() {
				// Whether older months can still tell may have changed since.
				r.Level.State, r.Level.Reason = empty.State, empty.Reason
			}
		}
		if keep(r.ID, &r) {
			out = append(out, r)
		}
		return nil
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("cannot read products: %w", err)
	}
	return out, nil
}

// sweeps are the runs that tell when unchanged figures of the cloud were read.
func (m *Mirror) sweeps(ctx context.Context) (out []sweep, err error) {
	err = each(ctx, m.db.Read(), func(rows *sql.Rows) error {
		var s sweep
		if err := rows.Scan(&s.at, &s.seen); err != nil {
			return err
		}
		out = append(out, s)
		return nil
	}, "SELECT at, seen FROM sweep")
	if err != nil {
		return nil, fmt.Errorf("cannot read the catalogue's runs: %w", err)
	}
	return out, nil
}

func all(string, *Row) bool { return true }

// Row returns one product by its id, also a deleted one.
func (m *Mirror) Row(ctx context.Context, product string) (Row, error) {
	rows, err := m.rows(ctx, all, rowQuery+" WHERE p.text = ?", product)
	if err != nil {
		return Row{}, err
	}
	if len(rows) == 0 {
		return Row{}, fmt.Errorf("product %s: %w", product, ErrNotFound)
	}
	return rows[0], nil
}

// findMost is how many products a search by a part of a name returns.
const findMost = 100

// Find returns the product with this id, or else those with this code, or this
// barcode, or this article, first with its capitals and then without, or else
// those with the text in their name.
func (m *Mirror) Find(ctx context.Context, text string) ([]Row, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, nil
	}
	for _, where := range []string{
		"p.text = ?1", "p.code = ?1", "p.id IN (SELECT product FROM barcode WHERE code = ?1)", "p.article = ?1",
		"p.code = ?1 COLLATE NOCASE OR p.article = ?1 COLLATE NOCASE",
	} {
		rows, err := m.rows(ctx, all, rowQuery+" WHERE "+where+" ORDER BY p.text", text)
		if err != nil || len(rows) > 0 {
			return rows, err
		}
	}
	return m.rows(ctx, all, rowQuery+" WHERE instr("+foldedName+", ?1) > 0 ORDER BY p.listed DESC, p.lower LIMIT ?2",
		folded(text), findMost)
}

// Document returns what is kept of a document: its header, without lines, and
// its exact body where there is one.
func (m *Mirror) Document(ctx context.Context, id string) (Document, error) {
	var d Document
	err := m.db.Read().QueryRowContext(ctx, `SELECT t.name, v.text, d.number, d.closed, d.arrived, d.source
		FROM document d JOIN document_type t ON t.id = d.type JOIN device v ON v.id = d.device WHERE d.key = ?`,
		documentKey(id)).Scan(&d.Type, &d.Device, &d.Number, &d.Closed, &d.Arrived, &d.Source)
	if errors.Is(err, sql.ErrNoRows) {
		return Document{}, fmt.Errorf("document %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Document{}, fmt.Errorf("cannot read document %s: %w", id, err)
	}
	d.ID, d.Store = id, m.o.Store
	if d.Raw, err = m.Raw(ctx, id); err != nil && !errors.Is(err, ErrNotFound) {
		return Document{}, err
	}
	return d, nil
}

// Devices returns the shop's terminals: those on its list and those that only
// documents name.
func (m *Mirror) Devices(ctx context.Context) ([]Device, error) {
	var out []Device
	err := each(ctx, m.db.Read(), func(rows *sql.Rows) error {
		var d Device
		if err := rows.Scan(&d.ID, &d.Name, &d.Created); err != nil {
			return err
		}
		out = append(out, d)
		return nil
	}, "SELECT text, name, created FROM device WHERE text <> '' ORDER BY text")
	if err != nil {
		return nil, fmt.Errorf("cannot read devices: %w", err)
	}
	return out, nil
}

// Counts returns the sizes of the mirror.
func (m *Mirror) Counts(ctx context.Context) (Counts, error) {
	c := Counts{States: make(map[stock.State]int)}
	err := m.db.Read().QueryRowContext(ctx, `SELECT
		(SELECT count(*) FROM product WHERE listed = 1), (SELECT count(*) FROM product WHERE listed = 0),
		(SELECT count(*) FROM document), (SELECT ifnull(sum(count), 0) FROM segment), (SELECT count(*) FROM quarantine),
		(SELECT count(*) FROM device WHERE text <> ''), (SELECT count(*) FROM stale),
		(SELECT count(*) FROM product p JOIN level l ON l.product = p.id
		 WHERE p.listed = 1 AND p.cloud <> l.quantity AND l.state IN (?, ?))`, stock.Known, stock.Assumed).
		Scan(&c.Products, &c.Deleted, &c.Documents, &c.Movements, &c.Quarantine, &c.Devices, &c.Stale, &c.Drift)
	if err != nil {
		return Counts{}, fmt.Errorf("cannot count: %w", err)
	}
	rules := m.facts.Load().Rules
	empty := new(stock.Fold).Level(&rules)
	err = each(ctx, m.db.Read(), func(rows *sql.Rows) error {
		var l levelRow
		var n int
		if err := rows.Scan(&l.State, &l.late, &n); err != nil {
			return err
		}
		state := l.shown().State
		if !l.Valued() {
			state = empty.State
		}
		c.States[state] += n
		return nil
	}, `SELECT ifnull(l.state, ''), ifnull(l.late, 0), count(*) FROM product p LEFT JOIN level l ON l.product = p.id
		WHERE p.listed = 1 AND p.type <> 'SERVICE' GROUP BY 1, 2`)
	if err != nil {
		return Counts{}, fmt.Errorf("cannot count levels: %w", err)
	}
	return c, nil
}
