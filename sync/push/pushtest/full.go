package pushtest

import (
	"context"
	"errors"
	"testing"

	"ostatok/agent/stock"
	"ostatok/sync/push"
	"ostatok/sync/target"
)

func (b *Bench) holds(s Subject, key string, want stock.Quantity) {
	b.t.Helper()
	if got, _ := s.Holds(key); got != shown(s, want) {
		b.t.Errorf("%s: the target holds %v, want %v\n%s", key, got, shown(s, want), b.Dump())
	}
}

// runAll is a full run as a client makes it: everything that may be sent is
// written, what was taken is told, what was refused is handed over.
func (b *Bench) runAll() {
	b.t.Helper()
	ctx := context.Background()
	full, err := b.Engine.Full(b.Setup.Name)
	if err != nil {
		b.t.Fatal(err)
	}
	release, err := full.Hold(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	defer release()
	if err := full.Refresh(ctx); err != nil {
		b.t.Fatal(err)
	}
	var rows []target.Row
	for row, err := range full.Figures(ctx) {
		if err != nil {
			b.t.Fatal(err)
		}
		if row.Sendable {
			rows = append(rows, target.Row{Key: row.Key, Quantity: row.Want})
		}
	}
	size := max(b.Setup.Target.Traits().Batch, 1)
	for len(rows) > 0 {
		part := rows[:min(size, len(rows))]
		rows = rows[len(part):]
		outcomes, err := seamed{b.Setup.Target, b}.Write(ctx, part)
		if err != nil {
			b.t.Fatal(err)
		}
		refused := make(map[string]bool)
		for _, o := range outcomes {
			refused[o.Key] = o.Err != nil
		}
		var taken, again []target.Row
		for _, row := range part {
			if refused[row.Key] {
				again = append(again, row)
			} else {
				taken = append(taken, row)
			}
		}
		if err := full.Accepted(ctx, taken); err != nil {
			b.t.Fatal(err)
		}
		b.seam("accepted")
		if err := full.Resend(ctx, again); err != nil {
			b.t.Fatal(err)
		}
		b.seam("handed over")
	}
}

// fullRun checks what a full run sends under each policy.
func fullRun(t *testing.T, s Subject) {
	b := bench(t, s, push.Approve)
	b.shelf(s, 12)
	b.Approve(b.Plan().ID, false)
	b.Settle()
	b.Shop.Put(s.Keys[0], 50*stock.Unit, stock.Known) // and nobody approves
	b.Shop.Put(s.Keys[1], 60*stock.Unit, stock.Known)
	b.Approve(b.Plan().ID, false)
	b.Shop.Put(s.Keys[2], 70*stock.Unit, stock.Known)
	b.runAll()
	// Both were approved, and are sent by the run instead of the outbox.
	b.holds(s, s.Keys[0], 50*stock.Unit)
	b.holds(s, s.Keys[1], 60*stock.Unit)
	b.holds(s, s.Keys[2], 5*stock.Unit)
	b.holds(s, s.Keys[11], 14*stock.Unit)
	before := s.Writes()
	b.Settle()
	if s.Writes() != before {
		t.Errorf("what the run has delivered is written again: %s", b.Dump())
	}
	b.rests(s, s.Keys[:12]...)

	b.Setup.Policy = push.Auto
	b.Restart()
	b.runAll()
	b.right(s, s.Keys[:12]...)

	b.Setup.Policy = push.Off
	b.Restart()
	var off *push.OffError
	if _, err := b.Engine.Full(b.Setup.Name); !errors.As(err, &off) {
		t.Errorf("a full run under off: %v", err)
	}
}

// fullCrashes stops the agent at every step of a full run that meets an outbox
// with rows on their way.
func fullCrashes(t *testing.T, open func(t *testing.T) Subject) {
	for nth := 1; ; nth++ {
		done := false
		t.Run("", func(t *testing.T) {
			s := open(t)
			b := bench(t, s, push.Auto)
			b.shelf(s, 4)
			b.Plan()
			step, crashed := b.CrashAt(nth, b.runAll)
			done = !crashed
			b.Restart()
			b.Shop.Sell(s.Keys[1], 1*stock.Unit)
			b.Clock.Advance(readAgain)
			b.Plan()
			b.Settle()
			b.right(s, s.Keys[:4]...)
			b.rests(s, s.Keys[:4]...)
			if t.Failed() {
				t.Logf("crashed at step %d: %s", nth, step)
			}
		})
		if done && nth <= leastSteps {
			t.Errorf("the agent stopped at %d steps: this tests nothing", nth-1)
		}
		if done || t.Failed() {
			return
		}
	}
}
