package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"ostatok/agent/journal"
	"ostatok/sync/push"
	"ostatok/sync/target"
	"ostatok/sync/zelenka"
)

// zelenkaRun is the daily full list of a point of sale: the Store and the Source
// of zelenka's own full run.
type zelenkaRun struct {
	run     *zelenka.FullRun
	name    string
	journal *journal.Journal
	figures *push.Full

	// Of the attempt under way. What is listed a second time and is not handed
	// over to be sent again is what Zelenka has taken.
	listings int
	listed   []target.Row
}

func newZelenkaRun(c *zelenka.Client, o zelenka.TargetOptions, at string, s fullSetup) (fullRun, error) {
	z := &zelenkaRun{name: s.name, journal: s.journal, figures: s.figures}
	var err error
	z.run, err = c.FullRun(zelenka.FullOptions{
		TargetOptions: o, Store: z, Source: z, Resend: z.resend, Trusted: s.trusted, At: at, Location: s.location,
		FallShare: s.guard.FallShare, FallFloor: int64(s.guard.FallFloor),
	})
	return z, err
}

func (z *zelenkaRun) next(ctx context.Context) (time.Time, error) {
	return z.run.Next(ctx)
}

func (z *zelenkaRun) attempt(ctx context.Context) (map[string]any, error) {
	z.listings, z.listed = 0, nil
	defer func() { z.listed = nil }() // as large as the catalogue
	report, err := z.run.Run(ctx)
	switch {
	case errors.Is(err, zelenka.ErrNotDue):
		return nil, nil
	case err != nil:
		return nil, err
	case report.Run.Phase == zelenka.Stopped:
		return nil, fmt.Errorf("its list was sent %d times in vain (%s); all rows are sent in ordinary batches", report.Run.Uploads, report.Run.Reason)
	}
	if err := z.figures.Accepted(ctx, z.listed); err != nil {
		return nil, err
	}
	done := map[string]any{
		"rows": report.Run.Rows, "in_stock": report.Run.InStock, "bytes": report.Bytes, "refused": report.Refusal,
		"changed": report.Changed, "resent": report.Resent,
	}
	if len(report.Refused) > 0 {
		done["first"] = report.Refused
	}
	return done, nil
}

// resend makes rows due again in the outbox. It comes while the second listing is
// under way: what was listed before the last of rows and is not among them is
// settled.
func (z *zelenkaRun) resend(ctx context.Context, rows []target.Row) error {
	if err := z.figures.Resend(ctx, rows); err != nil {
		return err
	}
	again := make(map[string]bool, len(rows))
	for _, row := range rows {
		again[row.Key] = true
	}
	settled := z.listed[:0]
	for _, row := range z.listed {
		if !again[row.Key] {
			settled = append(settled, row)
		}
	}
	err := z.figures.Accepted(ctx, settled)
	z.listed = z.listed[:0]
	return err
}

// Figures implements zelenka.Source.
func (z *zelenkaRun) Figures(ctx context.Context) iter.Seq2[target.Row, error] {
	z.listings++
	keep := z.listings == 2
	return func(yield func(target.Row, error) bool) {
		for row, err := range z.figures.Figures(ctx) {
			r := target.Row{Key: row.Key, Quantity: row.Want}
			switch {
			case err != nil:
			case row.Key == "":
				r.Key, err = row.Code+" "+row.Name, zelenka.ErrNoKey
			case !row.Sendable:
				err = zelenka.ErrNoFigure
			case keep:
				z.listed = append(z.listed, r)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// Refresh implements zelenka.Source.
func (z *zelenkaRun) Refresh(ctx context.Context) error { return z.figures.Refresh(ctx) }

// Load implements zelenka.Store.
func (z *zelenkaRun) Load(ctx context.Context) (run zelenka.Run, ok bool, err error) {
	text, ok, err := z.journal.FullRun(ctx, z.name)
	if err != nil || !ok {
		return run, false, err
	}
	if err := json.Unmarshal(text, &run); err != nil {
		return run, false, fmt.Errorf("cannot read the full run of %s: %w", z.name, err)
	}
	return run, true, nil
}

// Save implements zelenka.Store.
func (z *zelenkaRun) Save(ctx context.Context, run zelenka.Run) error {
	text, err := json.Marshal(run)
	if err != nil {
		return fmt.Errorf("cannot keep the full run of %s: %w", z.name, err)
	}
	return z.journal.SaveFullRun(ctx, z.name, text, nil, nil, false)
}
