package push

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"ostatok/agent/journal"
)

const (
	// chunkRows is how many rows are marked and recorded in one durable step
	// when the target takes fewer at a time: on a cheap card every step costs up
	// to 50 ms and wears it.
	chunkRows = 50

	// splitsMost bounds the calls that are spent in one delivery on finding the
	// rows for which a target refuses a whole batch.
	splitsMost = 64
)

// Delivery is what one run of Deliver did.
type Delivery struct {
	Targets []TargetDelivery `json:"targets"`
	Next    int64            `json:"next,omitempty"` // when to deliver again, epoch ms; 0: nothing waits
}

// TargetDelivery is what was done for one target.
type TargetDelivery struct {
	Target   string `json:"target"`
	Due      int    `json:"due"`              // rows that were due
	Accepted int    `json:"accepted"`         // rows that the target took
	Verified int    `json:"verified"`         // rows that it was read to hold
	Rejected int    `json:"rejected"`         // rows that it refuses
	Blocked  int    `json:"blocked"`          // rows that must not be sent, or do not stay
	Delayed  int    `json:"delayed"`          // rows that will be tried again
	Reason   string `json:"reason,omitempty"` // why nothing, or not all, was sent
}

// run is one delivery to one target.
type run struct {
	*lane
	facts   journal.TargetFacts
	report  *TargetDelivery
	splits  int
	success bool
	stopped bool // the target is not to be called any more in this run

	reserves ReserveState

	noted       []notedRow       // the first rows that came to rest refused, for one event
	overwritten []overwrittenRow // the first figures that were not what was believed
	overwrites  int              // how many there were
}

type notedRow struct {
	Product string `json:"product_id"`
	State   string `json:"state"`
	Reason  string `json:"reason"`
}

// Deliver sends what is due in the outbox to the named targets, or to all when none
// is named, side by side, and reads back what can be read; it returns when the
// slowest of them is done. Documents are pulled first and each figure is computed
// anew. What a target answers is in the Delivery and in the outbox; the error is
// about our own side: the mirror could not be refreshed or read, the journal not
// written, the context ended, or it is ErrNoTarget.
func (e *Engine) Deliver(ctx context.Context, targets ...string) (Delivery, error) {
	lanes := e.lanes
	if len(targets) > 0 {
		lanes = make([]*lane, len(targets))
		for i, name := range targets {
			l, err := e.lane(name)
			if err != nil {
				return Delivery{}, err
			}
			lanes[i] = l
		}
	}
	d := Delivery{Targets: make([]TargetDelivery, len(lanes))}
	errs := make([]error, len(lanes))
	e.sideBySide(ctx, len(lanes), func(ctx context.Context, i int) {
		l, report := lanes[i], &d.Targets[i]
		report.Target = l.Name
		if err := e.deliver(ctx, l, report); err != nil {
			if report.Reason == "" {
				report.Reason = err.Error()
			}
			errs[i] = fmt.Errorf("cannot deliver to %s: %w", l.Name, err)
		}
	})
	for _, l := range lanes {
		next, err := e.nextTry(ctx, l)
		if err != nil {
			errs = append(errs, err)
		}
		if next != 0 && (d.Next == 0 || next < d.Next) {
			d.Next = next
		}
	}
	return d, errors.Join(errs...)
}

// sideBySide runs fn for 0 … n−1, each in a goroutine of its own, and returns when
// all have ended. A panic in one of them ends the others and is the caller's, as
// if it had called fn itself.
func (e *Engine) sideBySide(ctx context.Context, n int, fn func(ctx context.Context, i int)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var first sync.Once
	var fault any
	for i := range n {
		wg.Go(func() {
			defer func() {
				if f := recover(); f != nil {
					first.Do(func() {
						fault = f
						e.log.Error().Interface("panic", f).Bytes("stack", debug.Stack()).Msg("delivery panicked")
					})
					cancel()
				}
			}()
			fn(ctx, i)
		})
	}
	wg.Wait()
	if fault != nil {
		panic(fault)
	}
}

func (e *Engine) deliver(ctx context.Context, l *lane, report *TargetDelivery) error {
	if l.Policy == Off {
		report.Reason = "writing is off"
		return nil
	}
	if err := l.turn.take(ctx); err != nil {
		return err
	}
	defer l.turn.give()
	if l.full.Load() {
		report.Reason = ErrFullRun.Error()
		return nil
	}
	facts, err := e.journal.Target(ctx, l.Name)
	if err != nil {
		return err
	}
	if until, yes := l.paused(e.millis()); yes {
		report.Reason = cmp.Or(facts.Blocked, l.waits)
		if report.Reason == "" {
			report.Reason = fmt.Sprintf("waits until %s after: %s",
				time.UnixMilli(until).UTC().Format(time.TimeOnly), facts.LastError)
		}
		return nil
	}
	due, err := e.journal.Due(ctx, l.Name, e.millis(), far)
	if err != nil || len(due) == 0 {
		return err
	}
	report.Due = len(due)
	if err := e.refresh(ctx); err != nil {
		report.Reason = err.Error()
		return err
	}
	e.at("refreshed")
	r := &run{lane: l, facts: facts, report: report}
	if e.waitForReserves(ctx, r) {
		return nil
	}
	if due, err = e.holdBack(ctx, r, due); err != nil {
		return err
	}
	size := max(chunkRows, l.traits.Batch)
	for chunk := range slices.Chunk(due, size) {
		if l.full.Load() { // it waits for us, and what is left is due after it
			report.Reason = ErrFullRun.Error()
			break
		}
		if err = e.refresh(ctx); err != nil {
			report.Reason = err.Error()
			break
		}
		if e.waitForReserves(ctx, r) {
			break
		}
		if err = e.deliverChunk(ctx, r, chunk); err != nil || r.stopped {
			break
		}
	}
	return errors.Join(err, e.finish(context.WithoutCancel(ctx), r))
}

// finish stores what is to be remembered of the target and tells people what
// they should know, in one event for each matter and not for each row.
func (e *Engine) finish(ctx context.Context, r *run) error {
	var errs []error
	now := e.millis()
	if r.success {
		r.failures = 0
		r.facts.LastSuccess = now
		if r.facts.Blocked != "" && !r.stopped {
			r.facts.Blocked = ""
			errs = append(errs, e.event(ctx, "target_works", journal.Info, r.Name+" takes figures again",
				map[string]any{"target": r.Name}))
		}
	}
	if r.report.Verified > 0 {
		r.facts.VerifiedAt = now
		errs = append(errs, e.remind(ctx, r, now))
	}
	if len(r.noted) > 0 {
		errs = append(errs, e.event(ctx, "rows_refused", journal.Warning,
			fmt.Sprintf("%d figures for %s were rejected or blocked", r.report.Rejected+r.report.Blocked, r.Name),
			map[string]any{"target": r.Name, "rejected": r.report.Rejected, "blocked": r.report.Blocked, "first": r.noted}))
	}
	if r.overwrites > 0 {
		errs = append(errs, e.overwrote(ctx, r))
	}
	errs = append(errs, e.journal.SetTarget(ctx, r.facts))
	return errors.Join(errs...)
}

// remindEvery is the timer by which terminals download by themselves
// (evotor-cloud §15): after it, the last reminder is void.
const remindEvery = 4 * time.Hour

// remind tells people to load the figures to the terminals (guide, step 6).
func (e *Engine) remind(ctx context.Context, r *run, now int64) error {
	age := now - r.facts.NoticedAt
	if r.Kind != KindEvotor || (r.facts.NoticedAt != 0 && age >= 0 && age < remindEvery.Milliseconds()) {
		return nil
	}
	r.facts.NoticedAt = now
	return e.event(ctx, "load_to_terminals", journal.Info,
		"Figures were written to the Evotor cloud. Load the goods on every terminal now: by itself it does so only every four hours.",
		map[string]any{"target": r.Name, "verified": r.report.Verified, "written_at": time.UnixMilli(now).UTC(),
			"text": map[string]string{
				"en": "Figures were written to the Evotor cloud. Load the goods on every terminal now: by itself it does so only every four hours.",
				"ru": "Остатки записаны в Облако Эвотор. Загрузите товары на каждом терминале: сам он делает это только раз в четыре часа.",
			}})
}

// notedMost is how many refused rows an event names.
const notedMost = 20

// rest brings an entry to a state in which it stays.
func (r *run) rest(entry *journal.Entry, state journal.RowState, reason string) {
	entry.State, entry.Reason, entry.NextTry = state, reason, 0
	switch state {
	case journal.Verified:
		r.report.Verified++
		entry.Attempts, entry.Mismatches, entry.LastError = 0, 0, ""
		return
	case journal.Rejected:
		r.report.Rejected++
	case journal.Blocked:
		r.report.Blocked++
	default:
		return
	}
	entry.LastError = reason
	if len(r.noted) < notedMost {
		r.noted = append(r.noted, notedRow{entry.Product, string(state), reason})
	}
}
