package pushtest

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ostatok/agent/journal"
	"ostatok/agent/stock"
	"ostatok/sync/push"
)

// idle checks what a cycle costs in which nothing has changed.
func idle(t *testing.T, s Subject) {
	b := bench(t, s, push.Auto)
	b.shelf(s, 12)
	b.Plan()
	b.Settle()
	b.Plan() // the plan without rows is kept once
	cycles := func(n int) (calls, []byte) {
		t.Helper()
		before, written := b.calls, b.log()
		for range n {
			b.Plan()
			b.Deliver()
			b.Clock.Advance(time.Minute)
		}
		now := b.calls
		now.reads, now.read, now.writes = now.reads-before.reads, now.read-before.read, now.writes-before.writes
		if after := b.log(); string(after) == string(written) {
			return now, nil
		}
		return now, b.log()
	}
	if c, log := cycles(5); c != (calls{}) || log != nil {
		t.Errorf("five cycles of nothing: %+v, the journal was written: %v", c, log != nil)
	}
	b.Clock.Advance(aDay)
	c, _ := cycles(5)
	if want := 12; !s.Target.Traits().Reads && c.read != 0 || s.Target.Traits().Reads && c.read != want || c.writes != 0 {
		t.Errorf("after a day: %+v, want each of 12 figures read once where that can be done, and no write", c)
	}
}

// log is the journal's write-ahead log as it lies on the disk.
func (b *Bench) log() []byte {
	b.t.Helper()
	data, err := os.ReadFile(filepath.Join(b.dir, journal.FileName+"-wal"))
	if err != nil {
		b.t.Fatal(err)
	}
	return data
}

// waiting checks that a plan which waits for a person does not make the target be
// read over and over.
func waiting(t *testing.T, s Subject) {
	if !s.Target.Traits().Reads {
		t.Skip("this target cannot be read")
	}
	b := bench(t, s, push.Approve)
	b.shelf(s, 12)
	b.Plan()
	before := b.calls
	for range 60 {
		b.Plan()
		b.Deliver()
		b.Clock.Advance(time.Minute)
	}
	if read := b.calls.read - before.read; read > 12*4 || b.calls.writes != 0 {
		t.Errorf("%d figures read and %d calls to write in an hour of waiting, want at most four readings of 12", read, b.calls.writes)
	}
}

// reserved checks a target that gets what can still be sold.
func reserved(t *testing.T, s Subject) {
	state := push.ReserveState{Reason: "the site has not been read"}
	b := NewBench(t, push.TargetSetup{Kind: s.Kind, Target: s.Target, Policy: push.Auto, Available: true},
		push.Options{Reserves: func(context.Context) push.ReserveState { return state }})
	b.shelf(s, 12) // 3, 4, 5, … units
	p := b.Plan()
	b.Deliver()
	if len(p.Guards) != 1 || p.Guards[0].Kind != push.GuardReserves || s.Writes() != 0 {
		t.Fatalf("before the reserves are known: %+v, %d written", p.Guards, s.Writes())
	}
	state = push.ReserveState{Known: true}
	b.Shop.Reserve(s.Keys[0], 2*stock.Unit, 1)
	b.Shop.Reserve(s.Keys[1], 9*stock.Unit, 1) // more than there is
	b.Plan()
	b.Settle()
	b.holds(s, s.Keys[0], 1*stock.Unit)
	b.holds(s, s.Keys[1], 0)
	b.holds(s, s.Keys[2], 5*stock.Unit)

	state = push.ReserveState{Known: true, Old: true, Reason: "the site is silent"}
	b.Shop.Put(s.Keys[0], 10*stock.Unit, stock.Known)
	b.Shop.Put(s.Keys[2], 4*stock.Unit, stock.Known)
	p = b.Plan()
	b.Settle()
	b.holds(s, s.Keys[0], 1*stock.Unit)
	b.holds(s, s.Keys[2], 4*stock.Unit)
	if len(p.Unmatched) != 1 || p.Unmatched[0].Product != s.Keys[0] {
		t.Errorf("a figure that is not raised must be listed: %+v", p.Unmatched)
	}
	state = push.ReserveState{Known: true}
	b.Plan()
	b.Settle()
	b.holds(s, s.Keys[0], 8*stock.Unit)
}
