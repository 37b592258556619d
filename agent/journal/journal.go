// Package journal keeps what must never be lost: plans and what was decided on
// them, the outbox, the figures that targets hold, events. It has a file of its
// own, written with full synchronisation, beside the mirror that can be rebuilt.
package journal

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/sqlite"
)

// FileName is the journal's file in the data directory.
const FileName = "journal.db"

// applicationID marks the file as ours: "ostJ".
const applicationID = 0x6f73744a

//go:embed migrations/*.sql
var migrations embed.FS

// Options say where the journal is and give it a clock.
type Options struct {
	Dir string
	Now func() time.Time // nil: time.Now
	Log zerolog.Logger
}

// Journal is the open journal. Its methods may be called from any goroutine.
type Journal struct {
	db  *sqlite.DB
	now func() time.Time
	log zerolog.Logger
}

// Open opens or creates the journal. A corrupt file is set aside under a dated
// name and what can be read of it is saved into a fresh one; the Notice, nil
// otherwise, says what was saved and what may be lost. Errors are those of
// sqlite.Open.
func Open(ctx context.Context, o Options) (*Journal, *Notice, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the journal's migrations: %w", err)
	}
	options := sqlite.Options{
		File: filepath.Join(o.Dir, FileName), ID: applicationID, Migrations: sub, Level: sqlite.Level,
		Full: true, CacheKiB: 512, Log: o.Log,
	}
	notice, err := resume(options, o.Now())
	if err != nil {
		return nil, nil, fmt.Errorf("cannot open the journal: %w", err)
	}
	db, err := sqlite.Open(ctx, options)
	if corrupt := (*sqlite.CorruptError)(nil); errors.As(err, &corrupt) {
		db, notice, err = salvage(ctx, options, o.Now(), corrupt)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot open the journal: %w", err)
	}
	j := &Journal{db: db, now: o.Now, log: o.Log}
	if notice != nil {
		if err := errors.Join(j.AddEvent(ctx, notice.event()), j.DoubtCommands(ctx)); err != nil {
			return nil, nil, errors.Join(err, db.Close())
		}
	}
	return j, notice, nil
}

// Close closes the file.
func (j *Journal) Close() error { return j.db.Close() }

// DB is the open file, for backups, checks and sizes.
func (j *Journal) DB() *sqlite.DB { return j.db }

// Maintain drops what is past its time (see KeepEvents) and lets
// SQLite tidy its file.
func (j *Journal) Maintain(ctx context.Context) error {
	if err := j.pruneEvents(ctx); err != nil {
		return err
	}
	return j.db.Maintain(ctx)
}
