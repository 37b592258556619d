package push

import (
	"context"
	"fmt"

	"ostatok/agent/journal"
	"ostatok/agent/stock"
)

// job is an outbox row on its way: entry.Wanted is the figure of the last
// request, want the figure of now.
type job struct {
	entry journal.Entry
	want  stock.Quantity
	maybe *stock.Quantity // a figure that was sent before, and may have arrived
}

func newJob(entry *journal.Entry, want stock.Quantity) job {
	j := job{entry: *entry, want: want}
	if entry.State == journal.Sent {
		q := entry.Wanted
		j.maybe = &q
	}
	return j
}

// waitAgain is how long until a row that must wait is looked at again, in ms.
const waitAgain = 60_000

// deliverChunk takes some due rows as far as they come now. Every change of
// state is durable before the step that relies on it, so that a crash anywhere
// leaves rows that are read or sent again.
func (e *Engine) deliverChunk(ctx context.Context, r *run, products []string) error {
	var check, send []job
	var resting []journal.Entry
	var doubts []journal.Held
	var held map[string]*journal.Held // only while the reserves are old
	if r.reserves.Old {
		var err error
		if held, err = e.journal.HeldOf(ctx, r.Name, products); err != nil {
			return err
		}
	}
	keys := make(map[string]bool, len(products))
	err := e.eachEntry(ctx, r.lane, products, func(entry *journal.Entry) error {
		want, reason, err := e.current(ctx, r.lane, entry)
		if reason == "" && r.reserves.Old && !entry.Fixed {
			from, known := held[entry.Product].Figure()
			reason = r.reserves.againstRaising(from, known, want)
		}
		if keys[entry.Key] {
			reason = "the key belongs to another product, too"
		}
		keys[entry.Key] = true
		wait := r.mustWait(entry.Product)
		switch {
		case err != nil:
			return err
		case reason != "":
			if entry.State == journal.Sent {
				doubts = append(doubts, doubt(entry, e.millis()))
			}
			r.rest(entry, journal.Blocked, reason)
			resting = append(resting, *entry)
		case wait != "":
			entry.NextTry, entry.LastError = e.millis()+waitAgain, wait
			r.report.Delayed++
			resting = append(resting, *entry)
		case r.traits.Reads && (entry.State == journal.Sent || entry.State == journal.Accepted):
			check = append(check, newJob(entry, want)) // it may have arrived: look first
		default:
			send = append(send, newJob(entry, want))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if _, err := e.record(ctx, r, resting, doubts); err != nil {
		return err
	}
	again, err := e.readBack(ctx, r, check, true)
	if err != nil || r.stopped {
		return err
	}
	accepted, err := e.send(ctx, r, append(send, again...))
	if err != nil || r.stopped || !r.traits.Reads {
		return err // what was accepted is read in the next run
	}
	_, err = e.readBack(ctx, r, accepted, false)
	return err
}

// doubt is what is known of a figure that was sent and neither confirmed nor
// refused, when the row is given up: nothing. The older figure must not be taken
// for what the target holds.
func doubt(entry *journal.Entry, now int64) journal.Held {
	return journal.Held{Target: entry.Target, Product: entry.Product, Key: entry.Key, AcceptedAt: now}
}

// record stores what became of rows, also when ctx has ended in between: what
// has happened has happened. It returns the rows that a newer figure has
// replaced meanwhile.
func (e *Engine) record(ctx context.Context, r *run, entries []journal.Entry, held []journal.Held) (map[string]bool, error) {
	if len(entries)+len(held) == 0 {
		return nil, nil
	}
	now := e.millis()
	for i := range entries {
		entries[i].ChangedAt = now
	}
	return e.journal.Record(context.WithoutCancel(ctx), r.Name, entries, held)
}

// wrote tells the mirror of our own write, before the journal takes it as done:
// after a crash in between it is told again.
func (e *Engine) wrote(ctx context.Context, r *run, entry *journal.Entry) error {
	if r.Kind != KindEvotor || e.o.Wrote == nil {
		return nil
	}
	if err := e.o.Wrote(context.WithoutCancel(ctx), entry.Product, entry.Wanted, entry.SentAt); err != nil {
		return fmt.Errorf("cannot note our own figure for product %s: %w", entry.Product, err)
	}
	e.at("noted")
	return nil
}

// callFailed deals with a call that may succeed later, or that shut us out: the
// target is left alone for a while. It returns when to try again (epoch ms).
func (e *Engine) callFailed(r *run, v verdict, err error) int64 {
	r.stopped, r.waits = true, ""
	now := e.millis()
	r.facts.LastError, r.facts.LastErrorAt = err.Error(), now
	r.report.Reason = err.Error()
	wait := refusedPause
	if v == passing {
		r.failures++
		wait = e.backoff(r.failures, err)
	}
	until := now + wait.Milliseconds()
	r.pausedUntil.Store(until)
	return until
}

// shutOut is callFailed for a target that does not let us in: a state to show
// and for a person to change.
func (e *Engine) shutOut(ctx context.Context, r *run, err error) error {
	e.callFailed(r, shut, err)
	if r.facts.Blocked != "" {
		r.facts.Blocked = err.Error()
		return nil // told before
	}
	r.facts.Blocked = err.Error()
	return e.event(context.WithoutCancel(ctx), "target_refuses", journal.Error,
		r.Name+" does not take figures: "+err.Error(), map[string]any{"target": r.Name})
}
