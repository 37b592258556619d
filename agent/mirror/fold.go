package mirror

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"ostatok/agent/stock"
)

const (
	foldChunk   = 512 // products folded per transaction
	rulesRounds = 4   // times that one fold may change the rules
)

// Fold computes the levels of all products that are marked stale, and of all
// products when the shop's rules follow differently from what they taught.
// progress, when given, is told how many of how many are done. It may be
// stopped at any moment: what is left stays marked.
func (m *Mirror) Fold(ctx context.Context, progress func(done, total int)) ([]Change, error) {
	var total int
	err := m.write(ctx, func(tx *sql.Tx) error {
		if _, err := m.decide(ctx, tx); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, "SELECT count(*) FROM stale").Scan(&total)
	})
	if err != nil {
		return nil, fmt.Errorf("cannot fold: %w", err)
	}
	defer m.loading(context.WithoutCancel(ctx), false)
	var changes []Change
	var staged hoard
	for done, rounds := 0, 0; ; {
		var products []int64
		var again, waiting bool
		err := m.write(ctx, func(tx *sql.Tx) (err error) {
			if products, err = staleProducts(ctx, tx); err != nil {
				return err
			}
			if len(products) > 0 {
				if err := staged.fill(ctx, tx, m, products); err != nil {
					return err
				}
				some, err := m.foldProducts(ctx, tx, products, staged.in)
				if err != nil {
					return err
				}
				changes = append(changes, some...)
			}
			if waiting, err = m.unstage(ctx, tx); err != nil || waiting {
				return err
			}
			if rounds >= rulesRounds {
				m.log.Warn().Msg("rules of the shop do not settle")
				return nil
			}
			again, err = m.decide(ctx, tx)
			return err
		})
		if err != nil {
			return changes, fmt.Errorf("cannot fold: %w", err)
		}
		done += len(products)
		if progress != nil {
			progress(done, max(total, done))
		}
		switch {
		case again:
			rounds++
			done = 0
			changes = merged(changes)
			m.log.Info().Int("round", rounds).Msg("rules of the shop changed, folding everything")
		case !waiting:
			return merged(changes), nil
		}
	}
}

// merged makes one change of several of the same product, in their order.
func merged(changes []Change) []Change {
	slices.SortStableFunc(changes, func(a, b Change) int { return strings.Compare(a.Product, b.Product) })
	out := changes[:0]
	for _, c := range changes {
		if n := len(out); n > 0 && out[n-1].Product == c.Product {
			out[n-1].After = c.After
			continue
		}
		out = append(out, c)
	}
	return slices.DeleteFunc(out, func(c Change) bool { return c.Before == c.After })
}

func staleProducts(ctx context.Context, tx *sql.Tx) (out []int64, err error) {
	err = each(ctx, tx, func(rows *sql.Rows) error {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		out = append(out, id)
		return nil
	}, "SELECT product FROM stale ORDER BY product LIMIT ?", foldChunk)
	if err != nil {
		return nil, fmt.Errorf("cannot read what is stale: %w", err)
	}
	return out, nil
}

// foldProducts puts what came in into the chains of products that are stale,
// brings their levels up to date and takes the marks off.
func (m *Mirror) foldProducts(ctx context.Context, tx *sql.Tx, products []int64, in incoming) ([]Change, error) {
	if len(products) == 0 {
		return nil, nil
	}
	jobs, err := m.jobs(ctx, tx, `SELECT s.product, s.since, s.late, p.text, p.created, p.type, `+levelColumns+`
		FROM stale s JOIN product p ON p.id = s.product LEFT JOIN level l ON l.product = s.product
		WHERE s.product IN `+placeholders(1, len(products))+` ORDER BY s.product`, products)
	if err != nil {
		return nil, err
	}
	if len(jobs) < len(products) { // their marks would stay for ever
		return nil, m.unknown(len(products) - len(jobs))
	}
	f := m.newFolder(ctx, tx)
	for i := range jobs {
		if err := f.product(&jobs[i], in[jobs[i].id], nil); err != nil {
			return nil, err
		}
	}
	return f.finish()
}

// job is one product to fold.
type job struct {
	subject
	since int64 // something changed from here on
	late  bool
	had   *levelRow // nil for none
}

func (m *Mirror) jobs(ctx context.Context, tx *sql.Tx, query string, products []int64) ([]job, error) {
	jobs := make([]job, 0, len(products))
	err := each(ctx, tx, func(rows *sql.Rows) error {
		var j job
		var kind string
		var l levelScan
		targets := append([]any{&j.id, &j.since, &j.late, &j.text, &j.created, &kind}, l.targets()...)
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		j.service = (&stock.Product{Type: kind}).Service()
		j.had = l.row(m.names.devices.texts, m.names.types.texts)
		jobs = append(jobs, j)
		return nil
	}, query, anys(products)...)
	if err != nil {
		return nil, fmt.Errorf("cannot read products to fold: %w", err)
	}
	return jobs, nil
}

// folder folds products within one transaction.
type folder struct {
	m        *Mirror
	ctx      context.Context
	tx       *sql.Tx
	rules    stock.Rules
	shop     *shop
	levels   *inserter
	segments *inserter
	stmts    statements
	empty    stock.Level
	pending  []outcome
}

// outcome is a folded product whose level is still to be compared and written.
type outcome struct {
	job *job
	row *levelRow // nil when it has no movement
}

func (m *Mirror) newFolder(ctx context.Context, tx *sql.Tx) *folder {
	f := &folder{m: m, ctx: context.WithoutCancel(ctx), tx: tx, rules: m.facts.Load().Rules}
	f.shop = &shop{q: tx, devices: m.names.devices.texts, types: m.names.types.texts, counts: m.counts}
	f.levels = newInserter(ctx, tx, "INSERT OR REPLACE INTO level "+levelNames, levelWidth, 32)
	f.segments = newInserter(ctx, tx, "INSERT OR REPLACE INTO segment "+segmentNames, segmentWidth, 32)
	f.stmts = statements{ctx: f.ctx, tx: tx}
	f.empty = new(stock.Fold).Level(&f.rules)
	return f
}

// product folds one product with the movements that came in. With a cut, all
// before that moment is collapsed into a state.
func (f *folder) product(j *job, in []record, cut *int64) (err error) {
	var have []segment
	if j.had != nil { // a product without a level has no chain
		have, err = tail(func(fn func(*sql.Rows) error, args ...any) error {
			return f.stmts.each(fn, segmentQuery, args...)
		}, j.id, j.since)
		if err != nil {
			return err
		}
	}
	p, err := begin(have)
	if err != nil {
		return fmt.Errorf("cannot go on folding %s: %w", j.text, err)
	}
	chain, err := records(have)
	if err != nil {
		return fmt.Errorf("chain of %s: %w", j.text, err)
	}
	chain = merge(chain, in, f.m.forgotten)
	w := newChainWriter(j.id, have, p)
	late := j.late || (j.had != nil && j.had.late)
	err = f.shop.read(f.ctx, &j.subject, p.since, p.seen, chain, func(l *link) error {
		if err := w.before(l, p, cut); err != nil {
			return err
		}
		p.fold.Apply(&f.rules, &l.Movement)
		p.applied++
		p.seen = p.seen || l.record != nil
		if l.Type != stock.Write {
			p.last = l.document
		}
		if l.Type == stock.Inventory {
			late = false // whatever came before, this was counted
		}
		w.add(l)
		return nil
	})
	if err != nil {
		return err
	}
	if err := f.writeChain(j, w, p, cut); err != nil {
		return err
	}
	return f.keep(j, p, late)
}

// writeChain writes the segments that differ from those that were there.
func (f *folder) writeChain(j *job, w *chainWriter, p *point, cut *int64) error {
	changed, last, err := w.finish(p, cut)
	if err != nil {
		return fmt.Errorf("cannot keep the state of %s: %w", j.text, err)
	}
	for i := range changed {
		s := &changed[i]
		err := f.segments.add(s.id, s.since, s.applied, s.seen, s.last, nullable(s.state), s.count, s.body)
		if err != nil {
			return err
		}
	}
	if w.had <= last {
		return nil
	}
	_, err = f.stmts.exec("DELETE FROM segment WHERE id > ? AND id <= ?", last, w.had)
	if err != nil {
		return fmt.Errorf("cannot shorten the chain of %s: %w", j.text, err)
	}
	return nil
}

// nullable keeps a nil slice from being bound as an empty one.
func nullable(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

// keep remembers the level that came out and counts what the chain taught.
func (f *folder) keep(j *job, p *point, late bool) error {
	var row *levelRow
	if p.applied > 0 || late {
		row = &levelRow{product: j.id, Level: p.fold.Level(&f.rules), late: late, document: p.last, evidence: taught(&p.fold)}
		if j.had != nil && bytes.Equal(j.had.evidence, row.evidence) {
			f.pending = append(f.pending, outcome{j, row})
			return nil
		}
		f.m.sum.Add(&p.fold)
	}
	if j.had != nil {
		if err := f.m.learn(j.had.evidence, -1); err != nil {
			return fmt.Errorf("cannot take back what %s taught: %w", j.text, err)
		}
	}
	f.pending = append(f.pending, outcome{j, row})
	return nil
}

// finish writes the levels, takes the marks off and returns what changed.
func (f *folder) finish() ([]Change, error) {
	if err := f.name(); err != nil {
		return nil, err
	}
	var changes []Change
	done := make([]int64, 0, len(f.pending))
	for _, o := range f.pending {
		done = append(done, o.job.id)
		before, after := f.empty, f.empty
		had, row := o.job.had, o.row
		if had != nil {
			before = had.shown()
		}
		if row != nil {
			after = row.shown()
		}
		if before != after {
			changes = append(changes, Change{Product: o.job.text, Before: before, After: after})
		}
		switch {
		case row == nil && had == nil, row != nil && had != nil && had.same(row):
		case row == nil:
			if _, err := f.stmts.exec("DELETE FROM level WHERE product = ?", o.job.id); err != nil {
				return nil, fmt.Errorf("cannot drop a level: %w", err)
			}
		default:
			if err := f.level(row); err != nil {
				return nil, err
			}
		}
	}
	for _, end := range []func() error{f.levels.close, f.segments.close, f.stmts.close} {
		if err := end(); err != nil {
			return nil, err
		}
	}
	err := batches(done, foldChunk, func(some []int64) error {
		_, err := f.tx.ExecContext(f.ctx, "DELETE FROM stale WHERE product IN "+placeholders(1, len(some)), anys(some)...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot take marks off: %w", err)
	}
	return changes, setMeta(f.ctx, f.tx, "evidence", f.m.sum)
}

// name fills in the ids of the documents behind the levels, all at once.
func (f *folder) name() error {
	links := make([]link, 0, len(f.pending))
	rows := make([]*levelRow, 0, len(f.pending))
	for _, o := range f.pending {
		switch {
		case o.row == nil || o.row.document == 0:
		case o.job.had != nil && o.job.had.document == o.row.document:
			// It may have been collapsed since.
			o.row.Last.Document = o.job.had.Last.Document
		default:
			links = append(links, link{document: o.row.document})
			rows = append(rows, o.row)
		}
	}
	if err := f.shop.identify(f.ctx, links); err != nil {
		return err
	}
	for i := range links {
		rows[i].Last.Document = links[i].Document
	}
	return nil
}

func (f *folder) level(row *levelRow) error {
	device, err := f.m.names.device(f.ctx, f.tx, row.Last.Device)
	if err != nil {
		return err
	}
	kind, err := f.m.names.kind(f.ctx, f.tx, row.LastType)
	if err != nil {
		return err
	}
	return f.levels.add(row.product, int64(row.Quantity), string(row.State), string(row.Reason), row.AsOf,
		device, row.Last.Number, row.document, documentKey(row.Last.Document), kind, row.Outside, row.late, nullable(row.evidence))
}
