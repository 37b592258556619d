package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ostatok/agent/journal"
	"ostatok/agent/stock"
	"ostatok/sync/push"
	"ostatok/sync/target"
	"ostatok/sync/virtpos"
)

// virtposRun is the daily full run of a warehouse: the Store and the Source of
// virtpos's own full run, and its schedule.
type virtposRun struct {
	run     *virtpos.FullRun
	name    string
	journal *journal.Journal
	figures *push.Full
	at      daily
	now     func() time.Time
}

// virtposState is a run as it is kept.
type virtposState struct {
	Run     virtpos.Run `json:"run"`
	Day     string      `json:"day"`      // of the newest set time that is settled, "2006-01-02"
	NextTry int64       `json:"next_try"` // epoch ms, 0: at once
	Failed  int         `json:"failed"`   // attempts in a row
}

func newVirtposRun(c *virtpos.Client, o virtpos.TargetOptions, mass bool, s fullSetup) (fullRun, error) {
	v := &virtposRun{name: s.name, journal: s.journal, figures: s.figures, at: s.at, now: s.now}
	var err error
	v.run, err = c.FullRun(virtpos.FullOptions{
		TargetOptions: o, Store: v, Source: v, Mass: mass,
		FallShare: s.guard.FallShare, FallFloor: s.guard.FallFloor,
	})
	return v, err
}

// under tells whether a run was begun and has not ended.
func (s *virtposState) under() bool { return s.Run.Phase != "" && !s.Run.Phase.Ended() }

// next: a run that was interrupted is gone on with at any hour; the very first is
// at the next set time, so that installing the agent does not set one off.
func (v *virtposRun) next(ctx context.Context) (time.Time, error) {
	s, ok, err := v.load(ctx)
	if err != nil {
		return time.Time{}, err
	}
	now := v.now()
	slot := v.at.last(now)
	day := slot.Format(time.DateOnly)
	// A day that has not come was kept under a clock that was wrong, and would
	// hold back every run until it comes.
	if !ok || s.Day > v.at.next(now).Format(time.DateOnly) {
		s.Day = day
		if err := v.save(ctx, s, nil, nil, false); err != nil {
			return time.Time{}, err
		}
	}
	if !s.under() && s.Day >= day {
		return v.at.next(now), nil
	}
	again := time.UnixMilli(s.NextTry)
	if again.Sub(now) > 2*fullRetryMost { // kept under another clock
		again = now
	}
	if again.Before(slot) {
		return slot, nil
	}
	return again, nil
}

// Between attempts that failed for a reason that may pass.
const (
	fullRetryFirst = time.Minute
	fullRetryMost  = time.Hour
)

func (v *virtposRun) attempt(ctx context.Context) (map[string]any, error) {
	report, err := v.run.Run(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err() // it goes on at the next start
	}
	s, _, loadErr := v.load(ctx)
	if loadErr != nil {
		return nil, errors.Join(err, loadErr)
	}
	if err == nil || forToday(err) {
		// Of the set time that it was begun for: finished after the next one, that
		// is due at once.
		begun := v.now()
		if s.Run.Started != 0 && err == nil {
			begun = time.UnixMilli(s.Run.Started)
		}
		s.Day, s.NextTry, s.Failed = v.at.last(begun).Format(time.DateOnly), 0, 0
	} else {
		s.NextTry = v.now().Add(min(fullRetryFirst<<min(s.Failed, 10), fullRetryMost)).UnixMilli()
		s.Failed++
	}
	if err := errors.Join(err, v.save(ctx, s, nil, nil, false)); err != nil {
		return nil, err
	}
	return map[string]any{
		"sent": report.Sent, "resumed": report.Resumed, "surprises": len(report.Surprise), "zeroed": report.Zeroed,
		"left": len(report.Left), "held_back": report.HeldBack, "mended": report.Mended,
	}, nil
}

// forToday tells whether an error of a run does not pass by itself: somebody has
// to look, and trying every hour would only wear out VirtPOS.
func forToday(err error) bool {
	_, guard := errors.AsType[*virtpos.GuardError](err)
	_, unmapped := errors.AsType[*virtpos.UnmappedError](err)
	_, unconfirmed := errors.AsType[*virtpos.UnconfirmedError](err)
	_, grown := errors.AsType[*virtpos.GrownError](err)
	return guard || unmapped || unconfirmed || grown || errors.Is(err, virtpos.ErrEmpty)
}

// Figures implements virtpos.Source.
func (v *virtposRun) Figures(ctx context.Context) (rows []target.Row, unmapped []string, err error) {
	for row, err := range v.figures.Figures(ctx) {
		switch {
		case err != nil:
			return nil, nil, err
		case row.Key == "":
			unmapped = append(unmapped, row.Code+" "+row.Name+": "+row.Reason)
		default: // also one that has no figure now: what is not listed is zeroed
			rows = append(rows, target.Row{Key: row.Key, Quantity: row.Want})
		}
	}
	return rows, unmapped, nil
}

// Figure implements virtpos.Source.
func (v *virtposRun) Figure(ctx context.Context, key string) (stock.Quantity, error) {
	q, err := v.figures.Figure(ctx, key)
	if errors.Is(err, push.ErrNoFigure) {
		return 0, fmt.Errorf("%w: %w", virtpos.ErrNoFigure, err)
	}
	return q, err
}

// Refresh implements virtpos.Source.
func (v *virtposRun) Refresh(ctx context.Context) error { return v.figures.Refresh(ctx) }

func (v *virtposRun) load(ctx context.Context) (s virtposState, ok bool, err error) {
	text, ok, err := v.journal.FullRun(ctx, v.name)
	if err != nil || !ok {
		return s, false, err
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, false, fmt.Errorf("cannot read the full run of %s: %w", v.name, err)
	}
	return s, true, nil
}

func (v *virtposRun) save(ctx context.Context, s virtposState, rows []virtpos.RunRow, taken *virtpos.Snapshot, replace bool) error {
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("cannot keep the full run of %s: %w", v.name, err)
	}
	kept := make([]journal.FullRunRow, len(rows))
	for i, r := range rows {
		kept[i] = journal.FullRunRow{Item: r.Item, Key: r.Key, State: string(r.State), Quantity: r.Quantity, Before: r.Before, Reason: r.Reason}
	}
	var snapshot *journal.FullRunSnapshot
	if taken != nil {
		snapshot = &journal.FullRunSnapshot{Moment: string(taken.Moment), Figures: make([]journal.FullRunFigure, len(taken.Figures))}
		for i, f := range taken.Figures {
			snapshot.Figures[i] = journal.FullRunFigure{Item: f.Item, Quantity: f.Quantity}
		}
	}
	return v.journal.SaveFullRun(ctx, v.name, text, kept, snapshot, replace)
}

// Load implements virtpos.Store.
func (v *virtposRun) Load(ctx context.Context) (run virtpos.Run, ok bool, err error) {
	s, ok, err := v.load(ctx)
	return s.Run, ok && s.Run.Phase != "", err
}

// Rows implements virtpos.Store.
func (v *virtposRun) Rows(ctx context.Context) ([]virtpos.RunRow, error) {
	kept, err := v.journal.FullRunRows(ctx, v.name)
	if err != nil {
		return nil, err
	}
	rows := make([]virtpos.RunRow, len(kept))
	for i, r := range kept {
		rows[i] = virtpos.RunRow{Item: r.Item, Key: r.Key, State: virtpos.RowState(r.State), Quantity: r.Quantity, Before: r.Before, Reason: r.Reason}
	}
	return rows, nil
}

// Snapshot implements virtpos.Store.
func (v *virtposRun) Snapshot(ctx context.Context, moment virtpos.Moment) (virtpos.Snapshot, error) {
	kept, err := v.journal.FullRunSnapshot(ctx, v.name, string(moment))
	if err != nil {
		return virtpos.Snapshot{}, err
	}
	s := virtpos.Snapshot{Moment: moment, Figures: make([]virtpos.Figure, len(kept.Figures))}
	for i, f := range kept.Figures {
		s.Figures[i] = virtpos.Figure{Item: f.Item, Quantity: f.Quantity}
	}
	return s, nil
}

// Begin implements virtpos.Store.
func (v *virtposRun) Begin(ctx context.Context, run virtpos.Run, rows []virtpos.RunRow, start virtpos.Snapshot) error {
	s, _, err := v.load(ctx)
	if err != nil {
		return err
	}
	s.Run = run
	return v.save(ctx, s, rows, &start, true)
}

// Save implements virtpos.Store. What VirtPOS has confirmed is what it holds from
// now on, for the plans too.
func (v *virtposRun) Save(ctx context.Context, run virtpos.Run, rows []virtpos.RunRow, taken *virtpos.Snapshot) error {
	s, _, err := v.load(ctx)
	if err != nil {
		return err
	}
	s.Run = run
	if err := v.save(ctx, s, rows, taken, false); err != nil {
		return err
	}
	var accepted []target.Row
	for _, r := range rows {
		if r.State == virtpos.Confirmed && r.Key != "" {
			accepted = append(accepted, target.Row{Key: r.Key, Quantity: r.Quantity})
		}
	}
	if len(accepted) == 0 {
		return nil
	}
	return v.figures.Accepted(ctx, accepted)
}
