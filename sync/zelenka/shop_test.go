package zelenka_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"testing"
	"time"

	"ostatok/sync/target"
	"ostatok/sync/zelenka"
)

// shop is a source whose rows may change while they are sent.
type shop struct {
	mu      sync.Mutex
	rows    []target.Row
	faults  map[string]error // yielded with the row of that key
	fail    error            // of Refresh
	lists   int              // how often it was listed
	onList  func(n int)      // called before the nth listing, from 1
	onFresh func()
}

func (s *shop) Figures(context.Context) iter.Seq2[target.Row, error] {
	s.mu.Lock()
	s.lists++
	n, hook := s.lists, s.onList
	s.mu.Unlock()
	if hook != nil {
		hook(n)
	}
	s.mu.Lock()
	list, faults := append([]target.Row(nil), s.rows...), s.faults
	s.mu.Unlock()
	return func(yield func(target.Row, error) bool) {
		for _, row := range list {
			if !yield(row, faults[row.Key]) {
				return
			}
		}
	}
}

func (s *shop) Refresh(context.Context) error {
	if s.onFresh != nil {
		s.onFresh()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fail
}

func (s *shop) put(rows ...target.Row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, row := range rows {
		found := false
		for i := range s.rows {
			if s.rows[i].Key == row.Key {
				s.rows[i], found = row, true
			}
		}
		if !found {
			s.rows = append(s.rows, row)
		}
	}
}

// state is a Store that forgets nothing and can fail.
type state struct {
	mu    sync.Mutex
	run   zelenka.Run
	kept  bool
	saves []zelenka.Run
	fail  error

	onSave  func()            // before
	onSaved func(zelenka.Run) // after
}

func (s *state) Load(context.Context) (zelenka.Run, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run, s.kept, s.fail
}

func (s *state) Save(_ context.Context, run zelenka.Run) error {
	if s.onSave != nil {
		s.onSave()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.run, s.kept = run, true
	s.saves = append(s.saves, run)
	if s.onSaved != nil {
		s.onSaved(run)
	}
	return nil
}

// resent is what a run handed over to be sent again.
type resent struct {
	mu   sync.Mutex
	rows []target.Row
	fail error
}

func (r *resent) take(_ context.Context, rows []target.Row) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail == nil {
		r.rows = append(r.rows, rows...)
	}
	return r.fail
}

// full returns a FullRun at 03:30 UTC of a shop that was done the day before; the shop, the
// state and what is sent again are the bench's.
func (b *bench) full(adjust func(*zelenka.FullOptions)) *zelenka.FullRun {
	b.t.Helper()
	if b.shop == nil {
		b.shop, b.state, b.resent = &shop{rows: rows(20)}, new(state), new(resent)
	}
	o := zelenka.FullOptions{
		TargetOptions: zelenka.TargetOptions{Warehouse: warehouse},
		Store:         b.state, Source: b.shop, Resend: b.resent.take,
		Trusted: func() bool { return true },
		At:      "03:30", Location: time.UTC,
	}
	if adjust != nil {
		adjust(&o)
	}
	if !b.state.kept {
		// The agent was installed before.
		b.state.run, b.state.kept = zelenka.Run{Phase: zelenka.Done, Day: time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly)}, true
	}
	f, err := b.client.FullRun(o)
	if err != nil {
		b.t.Fatal(err)
	}
	return f
}

// mustRun makes the run that is due, or waits for the next one.
func (b *bench) mustRun(f *zelenka.FullRun) zelenka.Report {
	b.t.Helper()
	report, err := b.run(f)
	if err != nil || report.Run.Phase != zelenka.Done {
		b.t.Fatalf("%+v: %v", report, err)
	}
	return report
}

func (b *bench) run(f *zelenka.FullRun) (zelenka.Report, error) {
	b.t.Helper()
	next, err := f.Next(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	time.Sleep(max(0, time.Until(next)))
	return f.Run(b.t.Context())
}

var errPlayed = errors.New("played by the test")

func TestFullRunChecksItsOptions(t *testing.T) {
	play(t, nil, func(t *testing.T, b *bench) {
		for name, spoil := range map[string]func(*zelenka.FullOptions){
			"no store":         func(o *zelenka.FullOptions) { o.Store = nil },
			"no source":        func(o *zelenka.FullOptions) { o.Source = nil },
			"nobody to resend": func(o *zelenka.FullOptions) { o.Resend = nil },
			"no clock":         func(o *zelenka.FullOptions) { o.Trusted = nil },
			"no time":          func(o *zelenka.FullOptions) { o.At = "" },
			"no such time":     func(o *zelenka.FullOptions) { o.At = "24:00" },
			"no warehouse":     func(o *zelenka.FullOptions) { o.Warehouse = 0 },
		} {
			o := zelenka.FullOptions{
				TargetOptions: zelenka.TargetOptions{Warehouse: 1}, Store: new(state), Source: new(shop),
				Resend: new(resent).take, Trusted: func() bool { return true }, At: "03:30",
			}
			if _, err := b.client.FullRun(o); err != nil {
				t.Fatal(err)
			}
			spoil(&o)
			if _, err := b.client.FullRun(o); err == nil {
				t.Errorf("%s is accepted", name)
			}
		}
	})
}
