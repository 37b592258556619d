package mirror

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"ostatok/agent/stock"
)

// names are the integer keys of texts that occur over and over.
type names struct {
	products map[string]int64
	last     int64 // greatest key of a product
	devices  book
	types    book
	first    map[int64]int64 // device → close time of its first document here
	created  map[int64]int64 // device → when it was activated, where that is told
}

// book holds a small table of texts both ways.
type book struct {
	ids   map[string]int64
	texts map[int64]string
}

func (b *book) set(id int64, text string) {
	b.ids[text], b.texts[id] = id, text
}

func (n *names) load(ctx context.Context, q querier) error {
	*n = names{
		products: make(map[string]int64), first: make(map[int64]int64), created: make(map[int64]int64),
		devices: newBook(), types: newBook(),
	}
	err := each(ctx, q, func(rows *sql.Rows) error {
		var id int64
		var text string
		if err := rows.Scan(&id, &text); err != nil {
			return err
		}
		n.products[text] = id
		n.last = max(n.last, id)
		return nil
	}, "SELECT id, text FROM product")
	if err != nil {
		return fmt.Errorf("cannot load products: %w", err)
	}
	if n.devices, err = loadBook(ctx, q, "SELECT id, text FROM device"); err != nil {
		return err
	}
	if n.types, err = loadBook(ctx, q, "SELECT id, name FROM document_type"); err != nil {
		return err
	}
	err = each(ctx, q, func(rows *sql.Rows) error {
		var id, first, created int64
		if err := rows.Scan(&id, &first, &created); err != nil {
			return err
		}
		if first != 0 {
			n.first[id] = first
		}
		if created != 0 {
			n.created[id] = created
		}
		return nil
	}, "SELECT id, first, created FROM device")
	if err != nil {
		return fmt.Errorf("cannot load devices: %w", err)
	}
	return nil
}

func newBook() book { return book{ids: make(map[string]int64), texts: make(map[int64]string)} }

func loadBook(ctx context.Context, q querier, query string) (book, error) {
	b := newBook()
	err := each(ctx, q, func(rows *sql.Rows) error {
		var id int64
		var text string
		if err := rows.Scan(&id, &text); err != nil {
			return err
		}
		b.set(id, text)
		return nil
	}, query)
	if err != nil {
		return book{}, fmt.Errorf("cannot load names: %w", err)
	}
	return b, nil
}

// product returns the key of a product. One that is not in the catalogue gets a
// placeholder: it may be deleted there, or not listed yet (evotor-cloud §13.7).
func (n *names) product(ctx context.Context, tx *sql.Tx, text string) (int64, error) {
	if id, ok := n.products[text]; ok {
		return id, nil
	}
	id := n.newProduct(text)
	_, err := tx.ExecContext(ctx, `INSERT INTO product (id, text, listed, content, type, name, lower, parent, code,
		article, barcodes, measure, created, updated, cloud, cloud_at)
		VALUES (?, ?, 0, 0, '', '', '', '', '', '', '', '', 0, 0, NULL, 0)`, id, text)
	if err != nil {
		return 0, fmt.Errorf("cannot keep product %s: %w", text, err)
	}
	return id, nil
}

// newProduct gives a product its key.
func (n *names) newProduct(text string) int64 {
	n.last++
	n.products[text] = n.last
	return n.last
}

func (n *names) device(ctx context.Context, tx *sql.Tx, text string) (int64, error) {
	if id, ok := n.devices.ids[text]; ok {
		return id, nil
	}
	id, err := insertID(ctx, tx, "INSERT INTO device (text, name, created, listed, first) VALUES (?, '', 0, 0, 0)", text)
	if err != nil {
		return 0, fmt.Errorf("cannot keep device %s: %w", text, err)
	}
	n.devices.set(id, text)
	return id, nil
}

// heard notes that a device has written a document. Our own writes have none.
func (n *names) heard(id, closed int64) {
	if first, ok := n.first[id]; (!ok || closed < first) && n.devices.texts[id] != "" {
		n.first[id] = closed
	}
}

// keepHeard writes what heard noted.
func (n *names) keepHeard(ctx context.Context, tx *sql.Tx) error {
	for id, first := range n.first {
		if _, err := tx.ExecContext(ctx, "UPDATE device SET first = ?1 WHERE id = ?2 AND first <> ?1", first, id); err != nil {
			return fmt.Errorf("cannot note a device: %w", err)
		}
	}
	return nil
}

func (n *names) kind(ctx context.Context, tx *sql.Tx, t stock.Type) (int64, error) {
	if id, ok := n.types.ids[string(t)]; ok {
		return id, nil
	}
	id, err := insertID(ctx, tx, "INSERT INTO document_type (name) VALUES (?)", string(t))
	if err != nil {
		return 0, fmt.Errorf("cannot keep document type %s: %w", t, err)
	}
	n.types.set(id, string(t))
	return id, nil
}

func insertID(ctx context.Context, tx *sql.Tx, query string, args ...any) (int64, error) {
	result, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// each calls fn for every row of a query.
func each(ctx context.Context, q querier, fn func(*sql.Rows) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	return drain(rows, fn)
}

func drain(rows *sql.Rows, fn func(*sql.Rows) error) (err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// A document's id is kept as 16 bytes when it is a lower-case UUID, as the
// cloud's are: the unique index over them is the one thing that a first sync
// writes in random order. Anything else is kept as its text.

func documentKey(id string) any {
	if len(id) != 36 || id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' {
		return id
	}
	var digits [32]byte
	n := 0
	for i := range len(id) {
		c := id[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			continue
		}
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return id
		}
		digits[n] = c
		n++
	}
	key := make([]byte, 16)
	if _, err := hex.Decode(key, digits[:]); err != nil {
		return id
	}
	return key
}

func documentID(key any) string {
	switch key := key.(type) {
	case string:
		return key
	case []byte:
		if len(key) != 16 {
			return string(key)
		}
		var text [36]byte
		hex.Encode(text[0:8], key[0:4])
		hex.Encode(text[9:13], key[4:6])
		hex.Encode(text[14:18], key[6:8])
		hex.Encode(text[19:23], key[8:10])
		hex.Encode(text[24:36], key[10:16])
		text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
		return string(text[:])
	}
	return ""
}
