package mirror

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"ostatok/agent/stock"
)

// PutProducts takes in cards of the catalogue. run marks one reading of the
// whole catalogue, for Sweep; at is when the cards were read, epoch ms. Cards
// that did not change are not written again.
func (m *Mirror) PutProducts(ctx context.Context, run, at int64, products []stock.Product) error {
	renamed := false
	err := m.write(ctx, func(tx *sql.Tx) error {
		s, err := loadSweep(ctx, tx, run, at)
		if err != nil {
			return err
		}
		w := newCatalogueWriter(ctx, tx, &m.names, at)
		err = batches(products, 250, func(some []stock.Product) error {
			cards, err := loadCards(ctx, tx, some)
			if err != nil {
				return err
			}
			for i := range some {
				p := &some[i]
				c, err := w.put(p, cards[p.ID])
				if err != nil {
					return fmt.Errorf("product %s: %w", p.ID, err)
				}
				cards[p.ID] = c
				s.set(c.id)
			}
			return nil
		})
		if err := errors.Join(err, w.close()); err != nil {
			return err
		}
		renamed = w.renamed
		if err := s.save(ctx, tx); err != nil {
			return err
		}
		return m.restock(ctx, tx, w.moved)
	})
	if err != nil {
		return fmt.Errorf("cannot keep products: %w", err)
	}
	if renamed {
		m.edition.Add(1)
	}
	return nil
}

// restock folds products whose card changed in what decides whether a full
// count that does not list them sets them to zero.
func (m *Mirror) restock(ctx context.Context, tx *sql.Tx, products []int64) error {
	if len(m.counts) == 0 || len(products) == 0 {
		return nil
	}
	in := newInserter(ctx, tx, "INSERT INTO stale (product, since, late)", 3, 128)
	in.tail = " ON CONFLICT (product) DO UPDATE SET since = 0"
	for _, id := range products {
		if err := in.add(id, 0, 0); err != nil {
			return err
		}
	}
	if err := in.close(); err != nil {
		return err
	}
	slices.Sort(products)
	products = slices.Compact(products)
	return batches(products, foldChunk, func(some []int64) error {
		var staged hoard
		if err := staged.fill(ctx, tx, m, some); err != nil {
			return err
		}
		_, err := m.foldProducts(ctx, tx, some, staged.in)
		return err
	})
}

// card is what is compared of a product that is here.
type card struct {
	id       int64
	content  int64
	listed   bool
	created  int64
	kind     string
	barcodes string

	name, code, article string
}

// known tells whether a product of this card is known elsewhere as before.
func (c *card) known(before *card) bool {
	return before.listed && before.kind == c.kind && before.name == c.name && before.code == c.code &&
		before.article == c.article && before.barcodes == c.barcodes
}

func loadCards(ctx context.Context, tx *sql.Tx, products []stock.Product) (map[string]card, error) {
	keys := make([]any, len(products))
	for i := range products {
		keys[i] = products[i].ID
	}
	cards := make(map[string]card, len(products))
	err := each(ctx, tx, func(rows *sql.Rows) error {
		var c card
		var text string
		if err := rows.Scan(&c.id, &text, &c.content, &c.listed, &c.created, &c.kind, &c.barcodes,
			&c.name, &c.code, &c.article); err != nil {
			return err
		}
		cards[text] = c
		return nil
	}, "SELECT id, text, content, listed, created, type, barcodes, name, code, article FROM product WHERE text IN "+placeholders(1, len(keys)), keys...)
	if err != nil {
		return nil, fmt.Errorf("cannot look products up: %w", err)
	}
	return cards, nil
}

// catalogueWriter writes cards that differ from what is here.
type catalogueWriter struct {
	names    *names
	at       int64 // when the cards were read, epoch ms
	products *inserter
	barcodes *inserter
	stmts    statements
	moved    []int64 // products whose existence in the past changed
	renamed  bool    // something is known elsewhere by other keys: another edition
}

func newCatalogueWriter(ctx context.Context, tx *sql.Tx, names *names, at int64) *catalogueWriter {
	w := &catalogueWriter{names: names, at: at, stmts: statements{ctx: context.WithoutCancel(ctx), tx: tx}}
	w.products = newInserter(ctx, tx, `INSERT INTO product (type, name, lower, parent, code, article, barcodes, measure,
		created, updated, cloud, cloud_at, content, id, text, listed)`, 16, 32)
	w.barcodes = newInserter(ctx, tx, "INSERT OR IGNORE INTO barcode (code, product)", 2, 64)
	return w
}

// put writes one card if it differs, and returns what is here then.
func (w *catalogueWriter) put(p *stock.Product, had card) (card, error) {
	c := card{id: had.id, content: cardContent(p), listed: true, created: p.Created, kind: p.Type,
		barcodes: strings.Join(p.Barcodes, "\n"), name: p.Name, code: p.Code, article: p.Article}
	if had.id != 0 && had.listed && had.content == c.content {
		return had, nil
	}
	w.renamed = w.renamed || !c.known(&had)
	var cloud any
	if p.HasCloud {
		cloud = int64(p.Cloud)
	}
	values := [...]any{p.Type, p.Name, strings.ToLower(p.Name), p.Parent, p.Code, p.Article, c.barcodes, p.Measure,
		p.Created, p.Updated, cloud, w.at, c.content}
	if had.id == 0 {
		c.id = w.names.newProduct(p.ID)
		if err := w.products.add(append(values[:], c.id, p.ID, true)...); err != nil {
			return card{}, err
		}
	} else {
		// It may have been added a moment ago.
		if _, err := w.products.flush(); err != nil {
			return card{}, err
		}
		_, err := w.stmts.exec(`UPDATE product SET type = ?, name = ?, lower = ?, parent = ?, code = ?, article = ?, barcodes = ?,
			measure = ?, created = ?, updated = ?, cloud = ?, cloud_at = ?, content = ?, listed = 1 WHERE id = ?`,
			append(values[:], c.id)...)
		if err != nil {
			return card{}, err
		}
	}
	was := stock.Product{Type: had.kind}
	if had.id == 0 || had.created != p.Created || was.Service() != p.Service() {
		w.moved = append(w.moved, c.id)
	}
	if had.barcodes == c.barcodes {
		return c, nil
	}
	return c, w.relabel(c.id, had.barcodes, p.Barcodes)
}

// relabel replaces the barcodes of a product.
func (w *catalogueWriter) relabel(id int64, old string, barcodes []string) error {
	if old != "" {
		if _, err := w.barcodes.flush(); err != nil {
			return err
		}
		for code := range strings.SplitSeq(old, "\n") {
			if _, err := w.stmts.exec("DELETE FROM barcode WHERE code = ? AND product = ?", code, id); err != nil {
				return err
			}
		}
	}
	for _, code := range barcodes {
		if err := w.barcodes.add(code, id); err != nil {
			return err
		}
	}
	return nil
}

func (w *catalogueWriter) close() error {
	return errors.Join(w.products.close(), w.barcodes.close(), w.stmts.close())
}

// cardContent is a hash of a card, to leave unchanged ones alone.
func cardContent(p *stock.Product) int64 {
	h := fnv.New64a()
	var b []byte
	for _, s := range append([]string{p.Type, p.Name, p.Parent, p.Code, p.Article, p.Measure}, p.Barcodes...) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = binary.AppendVarint(b, p.Created)
	b = binary.AppendVarint(b, p.Updated)
	if p.HasCloud {
		b = binary.AppendVarint(append(b, 1), int64(p.Cloud))
	}
	_, _ = h.Write(b) // a hash never fails
	return int64(h.Sum64())
}

// sweep is one reading of the whole catalogue: a bit for each product seen.
type sweep struct {
	run, at int64
	seen    []byte
	changed bool
}

// loadSweep reads a run; one that is not known begins with no product seen.
func loadSweep(ctx context.Context, tx *sql.Tx, run, at int64) (*sweep, error) {
	s := &sweep{run: run, at: at}
	err := tx.QueryRowContext(ctx, "SELECT at, seen FROM sweep WHERE run = ?", run).Scan(&s.at, &s.seen)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("cannot read the catalogue's run: %w", err)
	}
	return s, nil
}

func (s *sweep) set(id int64) {
	for int64(len(s.seen)) <= id/8 {
		s.seen = append(s.seen, make([]byte, 256)...)
	}
	s.changed = s.changed || s.seen[id/8]&(1<<(id%8)) == 0
	s.seen[id/8] |= 1 << (id % 8)
}

func (s *sweep) has(id int64) bool {
	return id/8 < int64(len(s.seen)) && s.seen[id/8]&(1<<(id%8)) != 0
}

func (s *sweep) save(ctx context.Context, tx *sql.Tx) error {
	if !s.changed {
		return nil
	}
	_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO sweep VALUES (?, ?, ?)", s.run, s.at, s.seen)
	if err == nil {
		// This run and the one before it: together they date every figure.
		_, err = tx.ExecContext(ctx, "DELETE FROM sweep WHERE run NOT IN (SELECT run FROM sweep ORDER BY at DESC, run DESC LIMIT 2) AND run <> ?", s.run)
	}
	if err != nil {
		return fmt.Errorf("cannot keep the catalogue's run: %w", err)
	}
	return nil
}

// Sweep marks the products that a complete run did not see as deleted and
// returns how many. When more than maxShare (0…1) of the catalogue would go, it
// changes nothing and returns a *SweepRefusedError: an empty or short answer of
// the cloud must not empty the shop.
func (m *Mirror) Sweep(ctx context.Context, run int64, maxShare float64) (gone int, err error) {
	err = m.write(ctx, func(tx *sql.Tx) error {
		s, err := loadSweep(ctx, tx, run, 0)
		if err != nil {
			return err
		}
		var missing []int64
		had := 0
		err = each(ctx, tx, func(rows *sql.Rows) error {
			var id int64
			if err := rows.Scan(&id); err != nil {
				return err
			}
			had++
			if !s.has(id) {
				missing = append(missing, id)
			}
			return nil
		}, "SELECT id FROM product WHERE listed = 1")
		if err != nil {
			return fmt.Errorf("cannot sweep the catalogue: %w", err)
		}
		if gone = len(missing); float64(gone) > maxShare*float64(had) {
			return &SweepRefusedError{Had: had, Seen: had - gone}
		}
		return batches(missing, 500, func(some []int64) error {
			_, err := tx.ExecContext(ctx, "UPDATE product SET listed = 0 WHERE id IN "+placeholders(1, len(some)), anys(some)...)
			if err != nil {
				return fmt.Errorf("cannot sweep the catalogue: %w", err)
			}
			return nil
		})
	})
	if err != nil {
		return 0, err
	}
	if gone > 0 {
		m.edition.Add(1)
	}
	return gone, nil
}

// PutDevices takes in the shop's list of terminals and returns the ids of those
// that were not on it before.
func (m *Mirror) PutDevices(ctx context.Context, devices []Device) (added []string, err error) {
	err = m.write(ctx, func(tx *sql.Tx) error {
		added = nil
		for _, d := range devices {
			id, err := m.names.device(ctx, tx, d.ID)
			if err != nil {
				return err
			}
			var listed bool
			if err := tx.QueryRowContext(ctx, "SELECT listed FROM device WHERE id = ?", id).Scan(&listed); err != nil {
				return fmt.Errorf("cannot look a device up: %w", err)
			}
			if !listed {
				added = append(added, d.ID)
			}
			_, err = tx.ExecContext(ctx, `UPDATE device SET name = ?2, created = ?3, listed = 1
				WHERE id = ?1 AND (name, created, listed) <> (?2, ?3, 1)`, id, d.Name, d.Created)
			if err != nil {
				return fmt.Errorf("cannot keep device %s: %w", d.ID, err)
			}
			if m.names.created[id] = d.Created; d.Created == 0 {
				delete(m.names.created, id)
			}
		}
		return nil
	})
	return added, err
}
