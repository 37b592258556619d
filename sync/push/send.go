package push

import (
	"context"
	"errors"
	"fmt"

	"ostatok/agent/journal"
	"ostatok/agent/stock"
	"ostatok/sync/rest"
	"ostatok/sync/target"
)

// errUntold stands for a row about which the target said nothing.
var errUntold = errors.New("the target said nothing about this row")

// parcel is the jobs of one send with what became of them.
type parcel struct {
	jobs    []job
	byKey   map[string]int
	fate    []error           // why the job failed, nil while it has not
	done    []bool            // the job was answered, or failed
	whole   []bool            // … by an error of the whole call
	before  []*stock.Quantity // what the target says that it held
	retryAt int64             // for jobs of a failed call, epoch ms
}

// send writes the jobs' figures and returns those that the target accepted.
func (e *Engine) send(ctx context.Context, r *run, jobs []job) (accepted []job, err error) {
	if len(jobs) == 0 {
		return nil, ctx.Err()
	}
	if jobs, err = e.mark(ctx, r, jobs); err != nil {
		return nil, err
	}
	e.at("marked")
	p := &parcel{jobs: jobs, byKey: make(map[string]int, len(jobs)),
		fate: make([]error, len(jobs)), done: make([]bool, len(jobs)), whole: make([]bool, len(jobs)),
		before: make([]*stock.Quantity, len(jobs))}
	rows := make([]target.Row, len(jobs))
	for i := range jobs {
		p.byKey[jobs[i].entry.Key] = i
		rows[i] = target.Row{Key: jobs[i].entry.Key, Quantity: jobs[i].want}
	}
	for len(rows) > 0 && !r.stopped && ctx.Err() == nil {
		n := r.fits(rows)
		if err := e.write(ctx, r, p, rows[:n]); err != nil {
			return nil, err
		}
		rows = rows[n:]
	}
	return e.settle(ctx, r, p)
}

// mark makes it durable that the rows are being sent, before they are.
func (e *Engine) mark(ctx context.Context, r *run, jobs []job) ([]job, error) {
	now := e.millis()
	entries := make([]journal.Entry, len(jobs))
	for i := range jobs {
		entry := &jobs[i].entry
		entry.State, entry.Reason, entry.Wanted = journal.Sent, "", jobs[i].want
		entry.SentAt, entry.NextTry = now, now
		entries[i] = *entry
	}
	replaced, err := e.record(ctx, r, entries, nil)
	if err != nil || len(replaced) == 0 {
		return jobs, err
	}
	kept := jobs[:0]
	for _, j := range jobs {
		if !replaced[j.entry.Product] {
			kept = append(kept, j)
		}
	}
	return kept, nil
}

// fits is how many of the rows go into one call.
func (l *lane) fits(rows []target.Row) int {
	n := min(len(rows), l.traits.Batch)
	if l.traits.BatchBytes <= 0 {
		return n
	}
	size := 0
	for i := range n {
		size += len(rows[i].Key) + len(rows[i].Quantity.String())
		if size > l.traits.BatchBytes && i > 0 {
			return i
		}
	}
	return n
}

// write makes one call, or, when the target refuses it as a whole for what is in
// it, looks in halves for the rows that are to blame.
func (e *Engine) write(ctx context.Context, r *run, p *parcel, rows []target.Row) error {
	outcomes, err := r.Target.Write(ctx, rows)
	e.at("written")
	answered := make(map[string]bool, len(outcomes))
	for _, o := range outcomes {
		i, ours := p.byKey[o.Key]
		if !ours {
			continue
		}
		answered[o.Key] = true
		p.done[i], p.fate[i], p.before[i] = true, o.Err, o.Before
		if o.Err == nil {
			r.success = true
		} else if judge(o.Err, false) == shut && !r.stopped {
			if err := e.shutOut(ctx, r, o.Err); err != nil {
				return err
			}
		}
	}
	if ctx.Err() != nil {
		return nil // what is not answered stays sent and is looked at again
	}
	left := rows[:0:0]
	for _, row := range rows {
		if !answered[row.Key] {
			left = append(left, row)
		}
	}
	if len(left) == 0 {
		return nil
	}
	if err == nil {
		p.fail(left, errUntold, true)
		return nil
	}
	switch v := judge(err, true); {
	case v == passing:
		p.retryAt = e.callFailed(r, v, err)
		p.fail(left, err, true)
	case v == shut || v == forbidden && len(rows) > 1:
		return e.shutOut(ctx, r, err)
	case len(left) == 1:
		p.fail(left, err, false)
	case r.splits >= splitsMost:
		return e.shutOut(ctx, r, fmt.Errorf("too many refused calls in one delivery: %w", err))
	default:
		r.splits++
		half := len(left) / 2
		if err := e.write(ctx, r, p, left[:half]); err != nil || r.stopped || ctx.Err() != nil {
			return err
		}
		return e.write(ctx, r, p, left[half:])
	}
	return nil
}

func (p *parcel) fail(rows []target.Row, err error, whole bool) {
	for _, row := range rows {
		i := p.byKey[row.Key]
		p.done[i], p.fate[i], p.whole[i] = true, err, whole
	}
}

// settle records what became of the jobs and returns the accepted ones.
func (e *Engine) settle(ctx context.Context, r *run, p *parcel) (accepted []job, err error) {
	if err := e.allForbidden(ctx, r, p); err != nil {
		return nil, err
	}
	surprised, err := e.surprised(ctx, r, p)
	if err != nil {
		return nil, err
	}
	now := e.millis()
	var entries []journal.Entry
	var held []journal.Held
	var failed error
	for i := range p.jobs {
		j := &p.jobs[i]
		entry := &j.entry
		switch {
		case !p.done[i]:
			if r.stopped { // never sent; after an ended context that is not certain
				entry.State = journal.Planned
			}
		case p.fate[i] != nil:
			e.rowFailed(r, entry, p.fate[i], p.whole[i], max(p.retryAt, now))
			if j.maybe != nil && entry.State == journal.Rejected {
				held = append(held, doubt(entry, now))
			}
		default:
			if err := e.wrote(ctx, r, entry); err != nil {
				failed = errors.Join(failed, err) // stays sent: read and noted in the next run
				break
			}
			r.report.Accepted++
			entry.State, entry.Attempts, entry.LastError = journal.Accepted, 0, ""
			if !r.traits.Reads {
				entry.NextTry = 0
			}
			q := entry.Wanted
			held = append(held, journal.Held{Target: r.Name, Product: entry.Product, Key: entry.Key, Accepted: &q, AcceptedAt: now})
			if !surprised[entry.Product] { // else it is read after the next pull
				accepted = append(accepted, *j)
			}
		}
		entries = append(entries, *entry)
	}
	replaced, err := e.record(ctx, r, entries, held)
	if err = errors.Join(failed, err); err != nil {
		return nil, err
	}
	e.at("accepted")
	kept := accepted[:0]
	for _, j := range accepted {
		if !replaced[j.entry.Product] {
			kept = append(kept, j)
		}
	}
	return kept, ctx.Err()
}

// rowFailed gives a failed row its next state.
func (e *Engine) rowFailed(r *run, entry *journal.Entry, fate error, whole bool, retryAt int64) {
	switch judge(fate, whole) {
	case permanent, forbidden:
		r.rest(entry, journal.Rejected, fate.Error())
	case shut:
		entry.State, entry.LastError = journal.Planned, fate.Error()
		r.report.Delayed++
	default:
		if rest.KindOf(fate) == rest.RateLimited {
			entry.State = journal.Planned // it certainly did not arrive
		}
		entry.Attempts++
		entry.NextTry = max(retryAt, e.millis()+e.backoff(entry.Attempts, fate).Milliseconds())
		entry.LastError = fate.Error()
		r.report.Delayed++
	}
}

// allForbidden takes a target that forbids every row it was given for one that
// forbids writing: rejecting the catalogue row by row would tell nobody why.
func (e *Engine) allForbidden(ctx context.Context, r *run, p *parcel) error {
	var last error
	for i := range p.jobs {
		if !p.done[i] {
			continue
		}
		if p.fate[i] == nil || judge(p.fate[i], p.whole[i]) != forbidden {
			return nil
		}
		last = p.fate[i]
	}
	if last == nil || r.stopped {
		return nil
	}
	for i := range p.jobs {
		p.done[i], p.fate[i] = false, nil
	}
	return e.shutOut(ctx, r, last)
}
