package zelenka

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"ostatok/sync/target"
)

// Once a day the stock of all items of a point of sale is to be sent, marked
// isfull=1 (api_docs_onhand). What Zelenka then does to items that are not in the
// list is not documented; it may zero them, here or at every point of sale
// (backends §2.7). So a full run is one request, for one point of sale, never
// split and never empty, and it is whole or is not sent:
//
//	start      the source lists everything; the list is packed and checked
//	sending    the list is on its way; nothing else is sent
//	checking   the source lists everything once more: what changed meanwhile, or
//	           was refused, is handed over to be sent again after the run
//
// A run that ends between two of these is made anew: figures are absolute.

// Phase is how far a day's run is.
type Phase string

// The phases.
const (
	Waiting  Phase = "waiting" // no run yet: the first is at the next set time
	Sending  Phase = "sending"
	Checking Phase = "checking" // Zelenka has taken the list
	Done     Phase = "done"
	Stopped  Phase = "stopped" // given up for the day
)

// Ended tells whether nothing is left to do for the day.
func (p Phase) Ended() bool { return p == Waiting || p == Done || p == Stopped }

// Run is a day's run as it is kept.
type Run struct {
	Phase   Phase
	Day     string // local date of the set time that it is for, "2006-01-02"
	Started int64  // last attempt, epoch ms UTC
	Ended   int64  // epoch ms UTC, 0 while it has not
	NextTry int64  // epoch ms UTC, 0: at once
	Failed  int    // attempts that failed
	Uploads int    // lists that were sent, also in vain
	Reason  string // why the last attempt failed

	// Rows and InStock, of which above zero, are of the last list that Zelenka
	// took. They stay with later runs, which are measured against them.
	Rows, InStock int64
}

// Store keeps the run of one point of sale. What Save was given must have reached
// the disk when it returns.
type Store interface {
	// Load returns the newest run; ok is false when there never was one.
	Load(ctx context.Context) (run Run, ok bool, err error)
	// Save replaces it.
	Save(ctx context.Context, run Run) error
}

// What a Source yields for a product of the point of sale that cannot be listed.
// The rest of the row, above all the key or a name, is for people.
var (
	ErrNoFigure = errors.New("its figure is not known")
	ErrNoKey    = errors.New("it has no id at Zelenka")
)

// Source knows what the point of sale should show.
type Source interface {
	// Figures lists every product of the point of sale, zeros included, each key
	// once: a figure that may be sent, or else the one that was last accepted. For
	// a product that has neither it yields ErrNoFigure or ErrNoKey. Any other
	// error, also one that comes late, refuses the whole list.
	Figures(ctx context.Context) iter.Seq2[target.Row, error]
	// Refresh brings the figures up to date, because something may have been sold.
	Refresh(ctx context.Context) error
}

// FullOptions set up a FullRun. Store, Source, Resend and Trusted are required.
type FullOptions struct {
	TargetOptions
	Store  Store
	Source Source

	// Resend takes rows that must be sent once more in ordinary batches because
	// they changed during the run, were refused, or are not certain. It is called
	// several times with up to 1000 rows; the day is done only when it has kept
	// them all. It must not call Target.Write itself.
	Resend func(ctx context.Context, rows []target.Row) error

	// Trusted tells whether the clock may be relied on. Nothing is done while it
	// may not, because days are counted.
	Trusted func() bool

	At       string         // local time of day, "03:30"
	Location *time.Location // nil is time.Local

	// Approved is a person's word that so much may vanish, or be left out, as the
	// last refusal said.
	Approved  bool
	FallShare float64 // of what was in stock that may be missing at once; 0 is 0.30
	FallFloor int64   // fewer products than this may always be missing; 0 is 10

	// Settle is how long nothing is sent after the list was taken, because
	// Zelenka queues what it takes, and what comes later might overtake it
	// (backends §2.7). 0 is a minute, less than 0 none.
	Settle time.Duration
}

// FullRun makes the daily full runs of one point of sale.
type FullRun struct {
	client *Client
	o      FullOptions
	at     clockTime
	busy   sync.Mutex
}

// FullRun checks the options. It starts nothing.
func (c *Client) FullRun(o FullOptions) (*FullRun, error) {
	if o.Store == nil || o.Source == nil || o.Resend == nil || o.Trusted == nil {
		return nil, errors.New("cannot make full runs without a store, a source, a way to send rows again, and a word on the clock")
	}
	at, err := parseClockTime(o.At)
	if err != nil {
		return nil, err
	}
	if o.Warehouse <= 0 {
		return nil, errors.New("cannot make full runs without a point of sale: set the target's warehouse")
	}
	if o.Location == nil {
		o.Location = time.Local
	}
	if o.FallShare <= 0 {
		o.FallShare = 0.30
	}
	if o.FallFloor <= 0 {
		o.FallFloor = 10
	}
	if o.Settle == 0 {
		o.Settle = time.Minute
	}
	return &FullRun{client: c, o: o, at: at}, nil
}

// Refused is a row that Zelenka refused in a full run. Its figure there is not
// known: it may have been zeroed for not being in the list.
type Refused struct {
	Key    string // "" when the answer names no row that was sent
	Reason string // Zelenka's words, without secrets
}

// Report is what one call of Run did, also when it ended with an error.
type Report struct {
	Run     Run
	Bytes   int64     // of the list
	Taken   int64     // rows, as Zelenka says
	Refused []Refused // the first of them
	Refusal int       // how many there were
	Unsure  bool      // the answer did not add up: every row is sent again
	Changed int       // rows that changed meanwhile
	Resent  int       // rows that were handed over to be sent again
}

// Errors of Run that are not failures.
var (
	ErrBusy   = errors.New("a full run is under way")
	ErrNotDue = errors.New("today's full run is done, or its time has not come")
	ErrClock  = errors.New("the clock is not trusted, so it is not known which day it is: set it")
)

// Run makes today's run if it is due, see Next. After an error it is due again,
// unless Report.Run.Phase is Stopped. A list that must not be sent is refused
// with an error that is, or wraps, ErrEmpty, ErrTooLarge, *IncompleteError,
// *DuplicateError, *KeyError or *GuardError, before anything is sent; one that
// the source could not list, with the source's.
func (f *FullRun) Run(ctx context.Context) (Report, error) {
	if !f.busy.TryLock() {
		return Report{}, ErrBusy
	}
	defer f.busy.Unlock()
	run, next, err := f.plan(ctx)
	now := f.client.opts.Now()
	switch {
	case err != nil:
		return Report{Run: run}, err
	case now.Before(next):
		return Report{Run: run}, ErrNotDue
	}
	select {
	case f.client.lane <- struct{}{}:
		defer func() { <-f.client.lane }()
	case <-ctx.Done():
		return Report{Run: run}, fmt.Errorf("cannot begin the full run of Zelenka: %w", ctx.Err())
	}
	r := &running{FullRun: f, run: run}
	err = r.attempt(ctx)
	r.report.Run = r.run
	if err != nil {
		return r.report, fmt.Errorf("cannot finish the full run of Zelenka: %w", err)
	}
	return r.report, nil
}

// Loop makes the runs until ctx ends. after is told what each attempt did; it may
// be nil. The error is ctx's, or says that the Store failed.
func (f *FullRun) Loop(ctx context.Context, after func(Report, error)) error {
	for {
		report, err := f.Run(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, ErrNotDue) && !errors.Is(err, ErrClock) && after != nil {
			after(report, err)
		}
		timer := time.NewTimer(lookEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// lookEvery is how often Loop looks at the clock. It does not sleep until the set
// time, because the clock may be set meanwhile.
const lookEvery = 30 * time.Second
