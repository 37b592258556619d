// Package mirror keeps a shop's products, documents, movements and levels in
// one SQLite file. All of it can be had again from the cloud, so a file that is
// damaged, or was made for another shop or by other rules, is set aside and a
// new one is begun.
//
// Ids of the cloud are text and become integer keys inside. A document and all
// that follows from it is written in one transaction; what is to be folded is
// marked in the same one, so that a power cut costs nothing but time.
package mirror

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/rs/zerolog"

	"ostatok/agent/sqlite"
	"ostatok/agent/stock"
)

//go:embed migrations/*.sql
var embedded embed.FS

const (
	fileName      = "mirror.db"
	applicationID = 0x4f53544d // "OSTM"
)

// Mirror is the open mirror of one shop. Its methods may be called from
// several goroutines; writers wait for each other.
type Mirror struct {
	o   Options
	log zerolog.Logger
	db  *sqlite.DB

	packer   *zstd.Encoder
	unpacker *zstd.Decoder

	mu        sync.Mutex // one writer at a time; guards the fields below
	doubtful  bool       // they may hold what a failed transaction left: see write
	names     names
	next      int64 // id of the next document
	counts    []fullCount
	sum       stock.Evidence
	staged    int64 // movements that wait for a fold
	stagings  int64 // times that some were added
	forgotten map[int64]bool

	bulk    atomic.Bool           // the file is set up for loading much
	edition atomic.Int64          // see Edition
	facts   atomic.Pointer[facts] // what readers need without waiting for a writer
	heard   sync.Map              // source of reserves → when it was last heard, epoch ms
}

// facts are the shop's few facts, replaced as a whole.
type facts struct {
	Rules    stock.Rules
	Coverage Coverage
	Retained int64 // documents closed before this are collapsed, epoch ms
}

// Open opens the mirror in o.Dir, or begins one. The notice is not nil when a
// file was set aside, or its levels were marked to be computed anew: the caller
// must then pull, or call Fold. Errors of a sound file that cannot be used are
// *sqlite.OpenError.
func Open(ctx context.Context, o Options) (*Mirror, *Notice, error) {
	if o.Method == "" {
		o.Method = stock.Ledger
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	m, notice, err := open(ctx, o)
	err = sqlite.Doubt(filepath.Join(o.Dir, fileName), err)
	var unusable *unusableError
	var corrupt *sqlite.CorruptError
	if !errors.As(err, &corrupt) && !errors.As(err, &unusable) {
		return m, notice, err
	}
	why := sqlite.Corrupt
	if unusable != nil {
		why = sqlite.Replaced
	}
	moved, asideErr := sqlite.SetAside(filepath.Join(o.Dir, fileName), why, o.Now())
	if asideErr != nil {
		return nil, nil, errors.Join(err, asideErr)
	}
	o.Log.Warn().Err(err).Str("moved", moved).Msg("mirror set aside")
	fresh, _, freshErr := open(ctx, o)
	if freshErr != nil {
		return nil, nil, errors.Join(err, freshErr)
	}
	return fresh, &Notice{
		Moved:   moved,
		Message: fmt.Sprintf("%v; the old file is kept as %s and everything is read from the cloud again", err, moved),
	}, nil
}

// unusableError says that a sound file was made for something else.
type unusableError struct{ why string }

func (e *unusableError) Error() string { return "the mirror cannot be used: " + e.why }

func open(ctx context.Context, o Options) (_ *Mirror, _ *Notice, err error) {
	migrations, err := fs.Sub(embedded, "migrations")
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the migrations: %w", err)
	}
	db, err := sqlite.Open(ctx, sqlite.Options{
		File: filepath.Join(o.Dir, fileName), ID: applicationID, Migrations: migrations, Level: sqlite.Level, Log: o.Log,
	})
	if err != nil {
		return nil, nil, err
	}
	m := &Mirror{o: o, log: o.Log, db: db}
	m.edition.Store(1)
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	if m.packer, m.unpacker, err = newPacker(); err != nil {
		return nil, nil, err
	}
	var notice *Notice
	err = db.Write(ctx, func(tx *sql.Tx) (err error) {
		notice, err = m.settle(ctx, tx)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return m, notice, nil
}

// identity is what a mirror was made for; another one cannot use it, because
// movements are made from lines when documents come in.
type identity struct {
	Store string
	Rules stock.Options
}

// settle compares the file with the options and loads what is kept in memory.
func (m *Mirror) settle(ctx context.Context, tx *sql.Tx) (*Notice, error) {
	want := identity{m.o.Store, m.o.Rules}
	var have identity
	found, err := getMeta(ctx, tx, "identity", &have)
	switch {
	case err != nil:
		return nil, err
	case !found:
		if err := setMeta(ctx, tx, "identity", want); err != nil {
			return nil, err
		}
	case have.Store != want.Store:
		return nil, &unusableError{"it belongs to store " + have.Store}
	case have != want:
		return nil, &unusableError{"the rules for lines of documents were changed"}
	}
	if err := m.load(ctx, tx); err != nil {
		return nil, err
	}
	if err := m.strangers(ctx, tx); err != nil {
		return nil, err
	}
	notice, err := m.verifyStates(ctx, tx)
	if err != nil || notice != nil {
		return notice, err
	}
	if again, err := m.decide(ctx, tx); err != nil || !again {
		return nil, err
	}
	return &Notice{Message: "the rules of the stock were changed and the levels are computed again"}, nil
}

// verifyStates finds out whether the stored states of products are of the
// version that this build folds, and marks everything stale when not: the
// beginning of a chain needs no state.
func (m *Mirror) verifyStates(ctx context.Context, tx *sql.Tx) (*Notice, error) {
	var state []byte
	err := tx.QueryRowContext(ctx, "SELECT state FROM segment WHERE state IS NOT NULL LIMIT 1").Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the state of a product: %w", err)
	}
	if new(stock.Fold).UnmarshalBinary(state) == nil {
		return nil, nil
	}
	if m.facts.Load().Retained != 0 {
		return nil, &unusableError{"its collapsed history was written by another release"}
	}
	if _, err := markAll(ctx, tx); err != nil {
		return nil, err
	}
	return &Notice{Message: "the levels were computed by another release and are computed again from the documents"}, nil
}

// strangers is a *sqlite.CorruptError when products are marked that are not
// there: their documents were kept and would never count. See write.
func (m *Mirror) strangers(ctx context.Context, tx *sql.Tx) error {
	var n int
	err := tx.QueryRowContext(ctx, "SELECT count(*) FROM stale WHERE product NOT IN (SELECT id FROM product)").Scan(&n)
	if err != nil {
		return fmt.Errorf("cannot look for marks of products that are not there: %w", err)
	}
	if n > 0 {
		return m.unknown(n)
	}
	return nil
}

func (m *Mirror) unknown(products int) error {
	return &sqlite.CorruptError{File: m.db.File(), Detail: fmt.Sprintf("it has documents of %d products that it does not know", products)}
}

// load reads what is kept in memory; also after a failed transaction, whose
// changes to it must be forgotten.
func (m *Mirror) load(ctx context.Context, q querier) error {
	f := &facts{}
	m.sum = stock.Evidence{}
	for key, value := range map[string]any{
		"rules": &f.Rules, "coverage": &f.Coverage, "retained": &f.Retained, "evidence": &m.sum,
	} {
		if _, err := getMeta(ctx, q, key, value); err != nil {
			return err
		}
	}
	m.facts.Store(f)
	err := q.QueryRowContext(ctx, `SELECT max(ifnull((SELECT max(id) FROM document), 0),
		ifnull((SELECT max(id) FROM raw), 0)) + 1`).Scan(&m.next)
	if err != nil {
		return fmt.Errorf("cannot load the mirror: %w", err)
	}
	if err := q.QueryRowContext(ctx, "SELECT ifnull(sum(count), 0) FROM staged").Scan(&m.staged); err != nil {
		return fmt.Errorf("cannot load the mirror: %w", err)
	}
	m.stagings++
	m.forgotten = make(map[int64]bool)
	err = each(ctx, q, func(rows *sql.Rows) error {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		m.forgotten[id] = true
		return nil
	}, "SELECT id FROM forgotten")
	if err != nil {
		return fmt.Errorf("cannot load the mirror: %w", err)
	}
	if err := m.names.load(ctx, q); err != nil {
		return err
	}
	m.counts, err = loadCounts(ctx, q)
	return err
}

// write runs fn in a transaction, alone. When it fails, memory is brought back
// to what is on disk. A card that fails just then leaves memory in doubt: it may
// name products, devices and documents by keys that were rolled back, and what is
// written by those counts nowhere. So nothing is written until it could be read.
func (m *Mirror) write(ctx context.Context, fn func(tx *sql.Tx) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.doubtful {
		if err := m.reload(ctx); err != nil {
			return err
		}
	}
	before := m.facts.Load()
	err := m.db.Write(ctx, fn)
	if err == nil {
		return nil
	}
	m.facts.Store(before) // readers must not go by what was not kept
	m.doubtful = true
	return errors.Join(err, m.reload(context.WithoutCancel(ctx)))
}

// reload brings memory back to what is on disk, and so out of doubt.
func (m *Mirror) reload(ctx context.Context) error {
	if err := m.load(ctx, m.db.Read()); err != nil {
		return fmt.Errorf("cannot read the mirror again after a failed write: %w", err)
	}
	m.doubtful = false
	return nil
}

// bulkCache, KiB, holds the index over the ids of documents of a few years.
const bulkCache = 4096

// loading tells the file that much is coming, or no more.
func (m *Mirror) loading(ctx context.Context, much bool) {
	if m.bulk.Swap(much) == much {
		return
	}
	kib := 0
	if much {
		kib = bulkCache
	}
	if err := m.db.Bulk(ctx, kib); err != nil {
		m.log.Warn().Err(err).Bool("bulk", much).Msg("cache not resized")
	}
}

// Close closes the file.
func (m *Mirror) Close() error {
	if m.unpacker != nil {
		m.unpacker.Close()
	}
	return m.db.Close()
}

// Edition changes with everything by which a product of the catalogue is known
// elsewhere: its type, name, code, article, barcodes, and whether it is there.
// What was made of the catalogue holds for as long as the edition stays that
// was there before; editions of different processes have nothing in common.
func (m *Mirror) Edition() int64 { return m.edition.Load() }

// DB is the file, for backup, check and size.
func (m *Mirror) DB() *sqlite.DB { return m.db }

// Tidy collapses what is older than Options.Keep, keeps the file within
// Options.Budget and lets SQLite tidy it. The age is counted from the newest
// document when that is older than the clock: under a clock that is years ahead
// all that is known would be collapsed, and what comes afterwards be refused as
// too late.
func (m *Mirror) Tidy(ctx context.Context) error {
	last, _, err := m.LastClosed(ctx, 0)
	if err != nil {
		return err
	}
	newest := int64(0)
	for _, closed := range last {
		newest = max(newest, closed)
	}
	newest = min(m.o.Now().UnixMilli(), newest)
	if m.o.Keep > 0 {
		if _, err := m.Retain(ctx, newest-m.o.Keep.Milliseconds()); err != nil {
			return err
		}
	}
	if err := m.shrink(ctx, newest); err != nil {
		return err
	}
	return m.db.Maintain(ctx)
}

// Damaged tells whether an error of the mirror speaks of damage, which is no proof
// of it: see sqlite.Damaged.
func Damaged(err error) bool { return sqlite.Damaged(err) }

// querier is what a transaction and a pool have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// ownKeys keeps the mirror's facts and those of others apart in one table.
const ownKeys = "mirror."

func getMeta(ctx context.Context, q querier, key string, value any) (found bool, err error) {
	var text string
	err = q.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = ?", ownKeys+key).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), value)
	}
	if err != nil {
		return false, fmt.Errorf("cannot read %s: %w", key, err)
	}
	return true, nil
}

func setMeta(ctx context.Context, tx *sql.Tx, key string, value any) error {
	text, err := json.Marshal(value)
	if err == nil {
		err = putMeta(ctx, tx, ownKeys+key, string(text))
	}
	if err != nil {
		return fmt.Errorf("cannot keep %s: %w", key, err)
	}
	return nil
}

// putMeta writes only what differs: an unchanged fact costs no page.
func putMeta(ctx context.Context, tx *sql.Tx, key, value string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO meta VALUES (?, ?)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE value <> excluded.value`, key, value)
	return err
}

// Meta returns a fact that SetMeta kept for somebody else, "" when there is none.
func (m *Mirror) Meta(ctx context.Context, key string) (value string, err error) {
	err = m.db.Read().QueryRowContext(ctx, "SELECT value FROM meta WHERE key = ?", "of."+key).Scan(&value)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("cannot read %s: %w", key, err)
	}
	return value, nil
}

// SetMeta keeps a small fact for somebody else.
func (m *Mirror) SetMeta(ctx context.Context, key, value string) error {
	return m.db.Write(ctx, func(tx *sql.Tx) error { return putMeta(ctx, tx, "of."+key, value) })
}
