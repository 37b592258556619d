package virtpos

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"ostatok/agent/stock"
	"ostatok/sync/target"
)

// A full run brings a whole warehouse to the source's figures and zeroes what the
// source does not know (backends §1.9):
//
//	start      the source is complete, nothing vanishes beyond the guard;
//	           one version is asked for and kept before anything is written
//	updating   every row of the source is written, zeros included, and confirmed
//	zeroing    what VirtPOS holds is kept; the rest is zeroed with that version
//	checking   what VirtPOS holds now is kept and compared
//	mending    figures that the zeroing took although they were confirmed are
//	           written again
//
// Every step is kept before the next one begins, so that a run goes on after a
// power cut at any point, with the version that it began with.

// Phase is how far a run is.
type Phase string

// The phases.
const (
	Updating Phase = "updating"
	Zeroing  Phase = "zeroing"
	Checking Phase = "checking"
	Mending  Phase = "mending"
	Done     Phase = "done"
	Stopped  Phase = "stopped" // and not to be gone on with: the next one starts over
)

// Ended tells whether there is nothing to go on with.
func (p Phase) Ended() bool { return p == Done || p == Stopped }

// Run is a full run as it is kept.
type Run struct {
	Phase   Phase
	Version Version // asked for once; a newer one would make rows old that were just written
	Started int64   // epoch ms UTC
	Reason  string  // why it stopped

	// Unsafe is set when a zeroing took rows that had just been written. It stays
	// with all later runs: they zero one by one.
	Unsafe bool

	// Held is set when something that only VirtPOS knows has grown since the last
	// run: someone uses it, and this run zeroes nothing.
	Held bool
}

// RowState is what became of a row.
type RowState string

// The states of a row.
const (
	Waiting   RowState = "waiting"
	Confirmed RowState = "confirmed" // VirtPOS said success=1
	Refused   RowState = "refused"   // it cannot be written; the run must not zero
)

// RunRow is one row of a run as it is kept.
type RunRow struct {
	Item     string // VirtPOS's number; unique in the run
	Key      string // the source's key, "" for what only VirtPOS knows and a former run left over
	State    RowState
	Quantity stock.Quantity  // what was sent; meaningful when Confirmed
	Before   *stock.Quantity // what was overwritten, nil when not told
	Reason   string          // why it was refused
}

// Figure is what VirtPOS holds of an item, over all its lots.
type Figure struct {
	Item     string // VirtPOS's number
	Quantity stock.Quantity
}

// Moment says when a Snapshot was taken.
type Moment string

// The moments. A zeroing tells nothing of what it did and cannot be undone: the
// last two are the only record of it.
const (
	AtStart Moment = "start"
	Before  Moment = "before" // just before the zeroing
	After   Moment = "after"
)

// Snapshot is what a warehouse held.
type Snapshot struct {
	Moment  Moment
	Figures []Figure
}

// Store keeps the run of one warehouse. What a method was given must have
// reached the disk when it returns, all of it or nothing.
type Store interface {
	// Load returns the newest run; ok is false when there never was one.
	Load(ctx context.Context) (run Run, ok bool, err error)
	// Rows returns the rows of the newest run.
	Rows(ctx context.Context) ([]RunRow, error)
	// Snapshot returns a snapshot of the newest run, empty when it was not taken.
	Snapshot(ctx context.Context, moment Moment) (Snapshot, error)
	// Begin replaces the newest run, its rows and its snapshots.
	Begin(ctx context.Context, run Run, rows []RunRow, start Snapshot) error
	// Save keeps the run, adds or replaces rows by their items and, unless nil,
	// replaces a snapshot.
	Save(ctx context.Context, run Run, rows []RunRow, taken *Snapshot) error
}

// ErrNoFigure is returned by a Source for a key whose figure is not known now.
var ErrNoFigure = errors.New("its figure is not known")

// Source knows what the warehouse should hold.
type Source interface {
	// Figures lists every product of the warehouse, zeros included, each key once.
	// unmapped names those that have no key. It must fail rather than return less
	// than everything.
	Figures(ctx context.Context) (rows []target.Row, unmapped []string, err error)
	// Figure is the newest figure of one key.
	Figure(ctx context.Context, key string) (stock.Quantity, error)
	// Refresh brings the figures up to date, because something was sold.
	Refresh(ctx context.Context) error
}

// FullOptions set up a FullRun.
type FullOptions struct {
	TargetOptions
	Store  Store
	Source Source

	// Mass zeroes what the source does not know with setZeroOnhand. Without it,
	// that is zeroed one by one in the next run.
	Mass bool

	// Approved is a person's word that so much may vanish as the guard reported.
	Approved  bool
	FallShare float64 // of what is above zero that may vanish at once; 0 is 0.30
	FallFloor int     // fewer items than this may always vanish; 0 is 10

	// MaxAge is how old a run may become before a new one starts over; 0 is a day.
	MaxAge time.Duration
	// SaveEvery is how many confirmed rows are kept in one step; 0 is 20. Those
	// that a crash takes are written again.
	SaveEvery int
}

// FullRun carries out full runs of one warehouse. It must be the only one that
// does: two would zero each other's rows (backends §1.9, 9). Nor should anything
// be written to the Target of the same warehouse while Run is under way.
type FullRun struct {
	client *Client
	o      FullOptions
	busy   sync.Mutex
}

// FullRun checks the options.
func (c *Client) FullRun(o FullOptions) (*FullRun, error) {
	if o.Store == nil || o.Source == nil {
		return nil, errors.New("cannot make a full run without a store and a source")
	}
	if o.FallShare <= 0 {
		o.FallShare = 0.30
	}
	if o.FallFloor <= 0 {
		o.FallFloor = 10
	}
	if o.MaxAge <= 0 {
		o.MaxAge = 24 * time.Hour
	}
	if o.SaveEvery <= 0 {
		o.SaveEvery = 20
	}
	return &FullRun{client: c, o: o}, nil
}

// Surprise is a row that someone else had changed since it was read.
type Surprise struct {
	Item             string
	Believed, Before stock.Quantity
}

// Report is what one call of Run did, also when it ended with an error.
type Report struct {
	Run      Run
	Resumed  bool
	Sent     int // rows that were written in this call
	Refused  []RunRow
	Surprise []Surprise
	Zeroed   []Figure // what the zeroing took, with the figures of before
	Left     []Figure // what the source does not know and is above zero: zeroed one by one in the next run
	HeldBack []Figure // of those, what has grown: someone uses it
	Mended   []string // items that the zeroing took although they were confirmed
}

// ErrBusy is returned while another call of Run is under way.
var ErrBusy = errors.New("a full run is under way")

// Run starts a run, or goes on with one that was interrupted. An error that is
// not one of *GuardError, *UnmappedError, *UnconfirmedError, *GrownError and
// ErrEmpty may pass: call again, and the run goes on with the version that it
// began with.
func (f *FullRun) Run(ctx context.Context) (Report, error) {
	if !f.busy.TryLock() {
		return Report{}, ErrBusy
	}
	defer f.busy.Unlock()
	r := &running{o: f.o, w: f.client.warehouse(f.o.TargetOptions), now: f.client.opts.Now}
	err := r.load(ctx)
	for err == nil && !r.run.Phase.Ended() {
		err = r.step(ctx)
	}
	r.report.Run = r.run
	if err != nil {
		return r.report, fmt.Errorf("cannot finish the full run of VirtPOS: %w", err)
	}
	return r.report, nil
}
