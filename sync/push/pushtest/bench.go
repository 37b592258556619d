package pushtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ostatok/agent/journal"
	"ostatok/agent/stock"
	"ostatok/sync/push"
	"ostatok/sync/target"
)

// Clock is a clock that stands until it is advanced.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now is the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock; d may be negative.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Bench is an engine over a real journal, a Shop and one target, that can be
// crashed and started again.
type Bench struct {
	Clock   *Clock
	Shop    *Shop
	Journal *journal.Journal
	Engine  *push.Engine
	Setup   push.TargetSetup
	Options push.Options
	Own     []Written // what the mirror was told of our own writes

	t     testing.TB
	dir   string
	seam  func(name string) // called at every step out of the engine
	calls calls
}

// calls is what the engine asked of the target.
type calls struct{ reads, read, writes int }

// Written is one own figure that the mirror was told of.
type Written struct {
	Product  string
	Quantity stock.Quantity
	At       int64
}

// NewBench starts an engine. A product's key is its id unless setup says
// otherwise.
func NewBench(t testing.TB, setup push.TargetSetup, o push.Options) *Bench {
	t.Helper()
	b := &Bench{
		Clock: &Clock{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)},
		Shop:  NewShop(), Setup: setup, Options: o, t: t, dir: t.TempDir(), seam: func(string) {},
	}
	if b.Setup.Name == "" {
		b.Setup.Name = "target"
	}
	if b.Setup.Match == nil {
		b.Setup.Match = func(p stock.Product) (string, string) { return p.ID, "" }
	}
	b.Start()
	t.Cleanup(b.Stop)
	return b
}

// Start opens the journal and makes an engine.
func (b *Bench) Start() {
	b.t.Helper()
	j, notice, err := journal.Open(context.Background(), journal.Options{Dir: b.dir, Now: b.Clock.Now, Log: zerolog.Nop()})
	if err != nil {
		b.t.Fatal(err)
	}
	if notice != nil {
		b.t.Fatalf("the journal was damaged: %v", notice)
	}
	b.Journal = j
	o := b.Options
	o.Now = b.Clock.Now
	o.Random = func() float64 { return 0 }
	refresh := o.Refresh
	o.Refresh = func(ctx context.Context) error {
		b.seam("refresh")
		if refresh == nil {
			return nil
		}
		return refresh(ctx)
	}
	o.Wrote = func(_ context.Context, product string, q stock.Quantity, at int64) error {
		b.seam("before noting")
		b.Own = append(b.Own, Written{product, q, at})
		b.seam("after noting")
		return nil
	}
	setup := b.Setup
	setup.Target = seamed{setup.Target, b}
	b.Engine = push.New(b.Shop, j, []push.TargetSetup{setup}, o)
}

// Stop closes the journal.
func (b *Bench) Stop() {
	if b.Journal == nil {
		return
	}
	if err := b.Journal.Close(); err != nil {
		b.t.Errorf("cannot close the journal: %v", err)
	}
	b.Journal = nil
}

// Restart is a power cut and a start: the journal goes on from its files as they
// lie on the disk now, without being closed.
func (b *Bench) Restart() {
	b.t.Helper()
	next := b.t.TempDir()
	for _, name := range []string{journal.FileName, journal.FileName + "-wal"} {
		data, err := os.ReadFile(filepath.Join(b.dir, name))
		if err != nil {
			b.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(next, name), data, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	b.Stop()
	b.dir = next
	b.Start()
}

// Plan makes a plan and fails the test when that fails.
func (b *Bench) Plan() push.Plan {
	b.t.Helper()
	p, err := b.Engine.Plan(context.Background(), b.Setup.Name)
	if err != nil {
		b.t.Fatalf("plan: %v", err)
	}
	return p
}

// Approve approves a plan.
func (b *Bench) Approve(id string, assumed bool) {
	b.t.Helper()
	if err := b.Engine.Approve(context.Background(), id, assumed); err != nil {
		b.t.Fatalf("approve: %v", err)
	}
}

// Deliver is one delivery.
func (b *Bench) Deliver() push.TargetDelivery {
	b.t.Helper()
	d, err := b.Engine.Deliver(context.Background())
	if err != nil {
		b.t.Fatalf("deliver: %v", err)
	}
	return d.Targets[0]
}

// Settle delivers, and moves the clock to the next try, until nothing waits.
func (b *Bench) Settle() {
	b.t.Helper()
	for range 60 {
		d, err := b.Engine.Deliver(context.Background())
		if err != nil {
			b.t.Fatalf("deliver: %v", err)
		}
		if d.Next == 0 {
			return
		}
		if wait := time.UnixMilli(d.Next).Sub(b.Clock.Now()); wait > 0 {
			b.Clock.Advance(wait)
		}
	}
	b.t.Fatalf("the outbox does not come to rest: %s", b.Dump())
}

// Dump describes the outbox, for messages.
func (b *Bench) Dump() string {
	text := ""
	for entry, err := range b.Journal.Outbox(context.Background(), b.Setup.Name) {
		if err != nil {
			return err.Error()
		}
		text += fmt.Sprintf("%s: %s %s %s %s\n", entry.Product, entry.Wanted, entry.State, entry.Reason, entry.LastError)
	}
	return text
}

// State is the state of a product's outbox row, "" for none.
func (b *Bench) State(product string) journal.RowState {
	b.t.Helper()
	entries, err := b.Journal.Entries(context.Background(), b.Setup.Name, []string{product})
	if err != nil {
		b.t.Fatal(err)
	}
	if len(entries) == 0 {
		return ""
	}
	return entries[0].State
}

// crash is what a played power cut panics with.
type crash struct{ step string }

// Crash stops whatever runs in CrashAt, as a power cut would.
func Crash(step string) { panic(crash{step}) }

// CrashAt runs fn and stops it at its nth step out of the engine, or where it
// calls Crash itself; it tells whether that happened. Only Restart and Stop may
// follow a crash.
func (b *Bench) CrashAt(nth int, fn func()) (step string, crashed bool) {
	count := 0
	b.seam = func(name string) {
		count++
		if count == nth {
			Crash(name)
		}
	}
	defer func() {
		b.seam = func(string) {}
		switch c := recover().(type) {
		case nil:
		case crash:
			step, crashed = c.step, true
		default:
			panic(c)
		}
	}()
	fn()
	return "", false
}

// seamed is the target with a step before and after every call.
type seamed struct {
	target.Target
	b *Bench
}

func (s seamed) Read(ctx context.Context, keys []string) ([]target.Observation, error) {
	s.b.calls.reads++
	s.b.calls.read += len(keys)
	s.b.seam("before reading")
	seen, err := s.Target.Read(ctx, keys)
	s.b.seam("after reading")
	return seen, err
}

func (s seamed) Write(ctx context.Context, rows []target.Row) ([]target.Outcome, error) {
	s.b.calls.writes++
	s.b.seam("before writing")
	outcomes, err := s.Target.Write(ctx, rows)
	s.b.seam("after writing")
	return outcomes, err
}
