package agent

import (
	"context"
	"os"
	"runtime"
	"time"
	"unicode"
	"unicode/utf8"

	"ostatok/agent/config"
	"ostatok/agent/journal"
	"ostatok/agent/local"
	"ostatok/agent/sqlite"
	"ostatok/platform/disk"
	"ostatok/sync/pull"
)

// Status implements local.Shop.
func (a *Agent) Status(ctx context.Context) (local.Status, error) {
	p := a.puller.Status()
	s := local.Status{
		Version: a.build.Version, PID: os.Getpid(), Running: a.running.Load(), Started: a.begun(), Opening: a.opening,
		Store: a.config.Store, Phase: string(p.Phase), Percent: p.Percent, Complete: p.Complete,
		LastSuccess: moment(p.LastSuccess), Problems: problems(p.Problems), Update: a.releaseState().String(),
	}
	if err := a.clock.trusted(); err != nil {
		s.Clock = err.Error()
	}
	s.Problems = append(s.Problems, a.fileProblems(ctx)...)
	s.Problems = append(s.Problems, a.reserveProblems()...)
	if a.remote != nil {
		l := a.remote.Link()
		s.Broker = &local.Broker{Connected: l.Connected, URL: l.URL, Since: moment(l.Since), LastError: l.LastError}
	}
	var err error
	if s.Overrides, err = a.overrides(ctx); err != nil {
		return s, err
	}
	if s.Levels, s.Counts, err = a.count(ctx); err != nil {
		return s, err
	}
	for _, name := range a.engine.Targets() {
		t, err := a.engine.Status(ctx, name)
		if err != nil {
			return s, err
		}
		b := a.backends.named(name)
		s.Targets = append(s.Targets, local.Target{
			Name: name, Kind: t.Kind, Policy: string(t.Policy), ShownOnly: b != nil && b.Direction == config.Pull, Waiting: t.UnderWay, Planned: t.Planned + t.Sent,
			Accepted: t.Accepted, Rejected: t.Rejected, Withheld: t.OutboxCounts.Blocked, Blocked: t.Blocked, LastSuccess: moment(millis(t.LastSuccess)), LastError: t.LastError,
		})
	}
	if s.Plans, err = a.heads(ctx, journal.PlanOpen, journal.PlanApproved); err != nil {
		return s, err
	}
	if s.MirrorBytes, err = size(ctx, a.mirror.DB()); err != nil {
		return s, err
	}
	if s.JournalSize, err = size(ctx, a.journal.DB()); err != nil {
		return s, err
	}
	if space, err := disk.Of(a.config.DataDir); err == nil { // a status without it is better than none
		s.DiskFree = space.Free
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s.Memory = m.Sys - m.HeapReleased
	return s, nil
}

// fileProblems tells of a file that could not be written last time. It is tried
// again first: whoever asks wants to know how it is now, and a file that nobody
// else writes would stay in trouble.
func (a *Agent) fileProblems(ctx context.Context) []local.Problem {
	var list []local.Problem
	for _, f := range []struct {
		db    *sqlite.DB
		write func(context.Context, string, string) error
	}{{a.journal.DB(), a.journal.SetMeta}, {a.mirror.DB(), a.mirror.SetMeta}} {
		if f.db.Trouble() == nil {
			continue
		}
		// Always another text: a note that does not change is not written.
		if err := f.write(ctx, aliveKey, a.now().UTC().Format(time.RFC3339Nano)); err != nil && ctx.Err() == nil {
			list = append(list, local.Problem{Kind: pull.MirrorFailed, Message: upper(err.Error()) + ".", Blocks: true,
				Do: "Check that the disk has room and that the card is sound; it goes on by itself."})
		}
	}
	return list
}

// begun is when this process opened its files, by what is known of the time now.
func (a *Agent) begun() time.Time { return a.now().Add(-time.Since(a.started)).UTC() }

// Check implements local.Shop.
func (a *Agent) Check(ctx context.Context) ([]local.Check, error) {
	return []local.Check{
		sound(ctx, "mirror", a.mirror.DB(), "nothing to do: a damaged mirror is set aside and rebuilt at the next start"),
		sound(ctx, "journal", a.journal.DB(), "make a copy of the data directory, then restart: what can be read is saved by itself"),
	}, nil
}

func sound(ctx context.Context, name string, db *sqlite.DB, do string) local.Check {
	if err := db.Check(ctx); err != nil {
		return local.Check{Name: name, Status: local.Failed, Message: err.Error(), Do: do}
	}
	return local.Check{Name: name, Status: local.OK, Message: "sound"}
}

// Events returns the newest events, for a diagnosis.
func (a *Agent) events(ctx context.Context) ([]journal.Event, error) {
	const newest = 1000
	events, err := a.journal.Events(ctx, 0, journal.KeepEvents)
	return events[max(0, len(events)-newest):], err
}

func size(ctx context.Context, db *sqlite.DB) (int64, error) {
	file, wal, err := db.Size(ctx)
	return file + wal, err
}

// moment is a time for JSON, null for never.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// millis is the time of epoch ms, 0 being never.
func millis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// upper begins a sentence with an error's text.
func upper(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}
