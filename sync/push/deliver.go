package push

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ostatok/agent/journal"
)

const (
	// chunkRows is how many rows are marked and recorded in one durable step
	// when the target takes fewer at a time: on a cheap card every step costs up
	// to 50 ms and wears it.
	chunkRows = 50

	// refreshEvery is how old the mirror may become during a long delivery.
	refreshEvery = time.Minute

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

	noted []notedRow // rows that came to rest refused, for one event
}

type notedRow struct {
	Product string `json:"product_id"`
	State   string `json:"state"`
	Reason  string `json:"reason"`
}

// Deliver sends what is due in the outbox, target by target, and reads back what
// can be read. Documents are pulled first and each figure is computed anew. What
// a target answers is in the Delivery and in the outbox; the error is about our
// own side: the mirror could not be refreshed or read, the journal not written,
// the context ended.
func (e *Engine) Deliver(ctx context.Context) (Delivery, error) {
	e.delivering.Lock()
	defer e.delivering.Unlock()
	e.refreshedAt = time.Time{} // whatever was pulled before may be old
	d := Delivery{Targets: make([]TargetDelivery, len(e.lanes))}
	var errs []error
	for i, l := range e.lanes {
		d.Targets[i].Target = l.Name
		if err := e.deliver(ctx, l, &d.Targets[i]); err != nil {
			if d.Targets[i].Reason == "" {
				d.Targets[i].Reason = err.Error()
			}
			errs = append(errs, fmt.Errorf("cannot deliver to %s: %w", l.Name, err))
		}
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

func (e *Engine) deliver(ctx context.Context, l *lane, report *TargetDelivery) error {
	if l.Policy == Off {
		report.Reason = "writing is off"
		return nil
	}
	l.busy.Lock()
	defer l.busy.Unlock()
	facts, err := e.journal.Target(ctx, l.Name)
	if err != nil {
		return err
	}
	if until, yes := l.paused(e.millis()); yes {
		report.Reason = facts.Blocked
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
	if due, err = e.holdBack(ctx, r, due); err != nil {
		return err
	}
	size := max(chunkRows, l.traits.Batch)
	for chunk := range slices.Chunk(due, size) {
		if err = e.refresh(ctx); err != nil {
			report.Reason = err.Error()
			break
		}
		if err = e.deliverChunk(ctx, r, chunk); err != nil || r.stopped {
			break
		}
	}
	return errors.Join(err, e.finish(context.WithoutCancel(ctx), r))
}

// refresh pulls documents unless that was done less than a minute ago. A figure
// that is computed without the last documents would undo their sales.
func (e *Engine) refresh(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	now := e.now()
	age := now.Sub(e.refreshedAt)
	if e.o.Refresh == nil || (!e.refreshedAt.IsZero() && age >= 0 && age < refreshEvery) {
		return nil
	}
	if err := e.o.Refresh(ctx); err != nil {
		return fmt.Errorf("nothing is sent because the newest documents could not be had: %w", err)
	}
	e.refreshedAt = e.now()
	return nil
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
