// Package push brings targets — the Evotor cloud and other systems — to the
// stock levels of the mirror. It computes what would be written (a plan), waits
// for a person's word where policy or a guard asks for it, delivers through an
// outbox that survives power cuts, and reads back where that is possible.
//
// Figures are absolute, so sending one twice is harmless; what is sent is always
// computed from the level at the moment of sending, never taken from the plan.
package push

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/journal"
	"ostatok/agent/mirror"
	"ostatok/agent/stock"
	"ostatok/sync/target"
)

// Policy says whether differences are written without being asked.
type Policy string

// The policies (design §4).
const (
	Off     Policy = "off"     // plans are shown and never carried out
	Approve Policy = "approve" // every plan waits for a person's word
	Auto    Policy = "auto"    // known levels are written at once unless a guard fires
)

// KindEvotor is the kind of the Evotor cloud, the one target that terminals
// load their figures from.
const KindEvotor = "evotor"

// Plans and what they consist of are kept by the journal.
type (
	Plan      = journal.Plan
	PlanRow   = journal.PlanRow
	Guard     = journal.Guard
	Unmatched = journal.Unmatched
)

// TargetSetup is one target as configured.
type TargetSetup struct {
	Name   string // unique, as in the configuration
	Kind   string // KindEvotor, "virtpos", …
	Target target.Target
	Policy Policy // "" is Off

	// Match gives a product's key at the target, or the reason why there is
	// none: no mapping, several candidates. It is asked at every survey and every
	// delivery, from several goroutines, so a table behind it may be replaced.
	Match func(stock.Product) (key, reason string)

	// Available targets get what can still be sold, the level less what is
	// reserved, and never less than nothing: see Options.Reserves.
	Available bool

	// Wait says why a product's figure must not be written just now although it is
	// known: the target will move it by itself soon. "" is no reason. May be nil.
	Wait func(product string) (reason string)

	// Shown tells what the mirror has already learned of the target's figure and
	// when (epoch ms), so that it need not be read again: for the Evotor cloud
	// the quantity in the catalogue. May be nil.
	Shown func(mirror.Row) (q stock.Quantity, at int64, ok bool)
}

// Levels is what the engine needs of the mirror.
type Levels interface {
	Rows(ctx context.Context, q mirror.Query) iter.Seq2[mirror.Row, error]
	Row(ctx context.Context, product string) (mirror.Row, error)
	Explain(ctx context.Context, product string) ([]stock.Step, error)
}

// Guards are the limits beyond which a plan waits for a person whatever the
// policy says. Zero values are the defaults.
type Guards struct {
	// FallShare is the share of matched products with a level that may fall from
	// above zero, or from an unknown figure, to zero or below in one plan; 0 is
	// 0.30. Fewer than FallFloor products never fire it, so that a shop of two
	// products can sell one out; 0 is 10.
	FallShare float64
	FallFloor int

	// SilentShare is the share of matched products that may be without a level;
	// 0 is 0.50.
	SilentShare float64
}

// Options give the engine its surroundings; all fields may be left zero.
type Options struct {
	Guards Guards

	// Ready returns what speaks against writing at all: an incomplete pull, a
	// catalogue that shrank, a clock that is not trusted.
	Ready func(context.Context) []Guard

	// Reserves tells how far the reserves in the mirror can be relied on; it is
	// asked before targets with Available are planned for or written to. Nil:
	// always.
	Reserves func(context.Context) ReserveState

	// Refresh brings the mirror's documents up to date. It is called before a
	// delivery and at least once a minute in a long one; when it fails nothing
	// is delivered.
	Refresh func(context.Context) error

	// Wrote is told of every figure that the Evotor cloud has accepted, so that
	// the mirror can keep it as a stock.Write document. at (epoch ms) is the
	// moment just before the request. It may be told of one write twice, with
	// the same at, and must return an error when it could not keep it.
	Wrote func(ctx context.Context, product string, q stock.Quantity, at int64) error

	// ReadEvery is how old an observation of a figure that agrees may become
	// before it is read again; 0 is a day.
	ReadEvery time.Duration

	Now    func() time.Time // nil: time.Now
	Random func() float64   // in [0, 1), for jitter; nil: math/rand
	Log    zerolog.Logger
}

// Engine plans and delivers. Its methods may be called from any goroutine;
// deliveries to one target, and reading it for a plan, wait for each other, those
// of different targets do not.
type Engine struct {
	levels   Levels
	journal  *journal.Journal
	lanes    []*lane
	o        Options
	now      func() time.Time
	log      zerolog.Logger
	whole    turn       // a plan at a time has all products in memory: a small box has no room for five
	deciding sync.Mutex // a plan is compared and stored, or decided on, as one step
	pulls    pulls

	// at is set by tests only: it is called between the steps of a delivery, by
	// the lanes side by side, and may panic to play a power cut.
	at func(step string)
}

// lane is one target with its state at run time.
type lane struct {
	TargetSetup
	traits target.Traits
	turn   turn        // one reader or writer of the target at a time
	full   atomic.Bool // a full run has the target

	pausedUntil atomic.Int64 // epoch ms; nothing is sent before

	// Guarded by turn.
	failures int              // calls in a row that failed and may pass
	waits    string           // what it pauses for, when that is not the target's doing
	looked   map[string]int64 // product → when it was last read without news, epoch ms
}

// ErrNoTarget says that no target of that name is configured.
var ErrNoTarget = errors.New("no such target is configured")

// OffError says that a target's policy forbids writing.
type OffError struct{ Target string }

func (e *OffError) Error() string {
	return fmt.Sprintf("writing to %s is off: set write to %q or %q in the configuration first", e.Target, Approve, Auto)
}

// New returns an engine over a mirror, a journal and the configured targets.
func New(levels Levels, j *journal.Journal, targets []TargetSetup, o Options) *Engine {
	if o.Guards.FallShare <= 0 {
		o.Guards.FallShare = 0.30
	}
	if o.Guards.FallFloor <= 0 {
		o.Guards.FallFloor = 10
	}
	if o.Guards.SilentShare <= 0 {
		o.Guards.SilentShare = 0.50
	}
	if o.ReadEvery <= 0 {
		o.ReadEvery = 24 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	e := &Engine{levels: levels, journal: j, o: o, now: o.Now, log: o.Log, whole: newTurn(), at: func(string) {}}
	e.pulls.turn = newTurn()
	for _, setup := range targets {
		if setup.Policy == "" {
			setup.Policy = Off
		}
		l := &lane{TargetSetup: setup, traits: setup.Target.Traits(), turn: newTurn(), looked: make(map[string]int64)}
		l.traits.Batch = max(l.traits.Batch, 1)
		if l.traits.ReadBatch <= 0 {
			l.traits.ReadBatch = l.traits.Batch
		}
		l.traits.Precision = max(l.traits.Precision, 1)
		e.lanes = append(e.lanes, l)
	}
	return e
}

// Targets returns the names of the configured targets, in their order.
func (e *Engine) Targets() []string {
	names := make([]string, len(e.lanes))
	for i, l := range e.lanes {
		names[i] = l.Name
	}
	return names
}

func (e *Engine) lane(name string) (*lane, error) {
	for _, l := range e.lanes {
		if l.Name == name {
			return l, nil
		}
	}
	return nil, fmt.Errorf("%q: %w", name, ErrNoTarget)
}

// mustWait says why a product must wait, "" when it need not.
func (l *lane) mustWait(product string) string {
	if l.Wait == nil {
		return ""
	}
	return l.Wait(product)
}

// figure is what a level looks like at the target: whole-number targets get the
// floor, because half a piece cannot be sold, and targets that sell never see
// less than nothing.
func (l *lane) figure(q stock.Quantity) stock.Quantity {
	if rest := q % l.traits.Precision; rest != 0 {
		q -= rest
		if rest < 0 {
			q -= l.traits.Precision
		}
	}
	if l.traits.Sells && q < 0 {
		return 0
	}
	return q
}

func (e *Engine) millis() int64 { return e.now().UnixMilli() }
